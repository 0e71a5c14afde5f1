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

/** Commands of its shell blocks, one a line. */
export function commands(document: string, heading?: string): string[] {
  return blocks(document, 'sh', heading).flatMap((block) => block.split('\n').flatMap((line) => line.split(' && ').map((part) => part.trim()))).filter((line) => line !== '');
}
