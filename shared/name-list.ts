import { isDnsLabel } from './admission/rules/names.ts';

/** Names with commas between them, as flags take them: `a, b` gives two. */
export function parseNames(text: string): string[] {
  return text.split(',').map((name) => name.trim()).filter((name) => name !== '');
}

/** Names of namespaces with commas between them. Throws an `Error` that says what to write instead. */
export function parseNamespaces(text: string): string[] {
  const names = parseNames(text);
  const wrong = names.find((name) => !isDnsLabel(name));
  if (wrong !== undefined) throw new Error(`${JSON.stringify(wrong)} is not the name of a namespace; write names with commas between them, such as team-a,team-b`);
  return names;
}
