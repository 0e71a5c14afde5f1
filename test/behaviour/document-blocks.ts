import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '..', '..');

/** What people read, as paths from the root of the project. */
export const documents: readonly string[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { encoding: 'utf8', recursive: true }).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`),
];

/** Fenced blocks of a language, of the whole document or of what is below one heading. */
export function blocks(document: string, language: string, heading?: string): string[] {
  const text = readFileSync(join(root, document), 'utf8');
  const section = heading === undefined ? text : text.split(/^## /m).find((part) => part.startsWith(`${heading}\n`));
  if (section === undefined) throw new Error(`${document} has no heading ${JSON.stringify(heading)}`);
  return [...section.matchAll(/^```(\w*)\n(.*?)^```$/gms)].flatMap(([, found, content]) => (found === language && content !== undefined ? [content] : []));
}

/** The pages that are followed from the first line to the last on a cluster of their own, by tests of their own. */
export const walkthroughs: readonly string[] = documents.filter((document) => document.startsWith('docs/examples/'));

export interface Step {
  /** A command of one or more lines. */
  command: string;
  /** What is printed below it; undefined where the page shows nothing. */
  expected: string | undefined;
}

/** What a walkthrough tells its reader to type, in its order. */
export function steps(document: string): Step[] {
  const text = readFileSync(join(root, document), 'utf8');
  return [...text.matchAll(/^```(sh|console)\n(.*?)^```$/gms)].flatMap(([, language, content = '']): Step[] =>
    language === 'sh' ? [{ command: content, expected: undefined }] : dialogue(content),
  );
}

/** `$ command` and the lines below it. */
export function dialogue(block: string): { command: string; expected: string }[] {
  return block.split(/^\$ /m).flatMap((part) => {
    const [command = '', ...lines] = part.split('\n');
    return command === '' ? [] : [{ command, expected: lines.join('\n') }];
  });
}

/** Ages and widths of columns differ from run to run. */
export function plain(text: string): string {
  return text.replace(/\b(?:\d+(?:ms|s|m|h))+\b/g, '#').replace(/ +/g, ' ').trim();
}

/** Commands of its shell blocks, one a line. */
export function commands(document: string, heading?: string): string[] {
  return blocks(document, 'sh', heading).flatMap((block) => block.split('\n').flatMap((line) => line.split(' && ').map((part) => part.trim()))).filter((line) => line !== '');
}
