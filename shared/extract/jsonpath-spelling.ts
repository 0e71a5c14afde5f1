import { KollectError } from '../errors.ts';
import { PathMistake } from './path-corrections.ts';
import { shown } from './shown.ts';

/** A path is typed by a person; longer ones are a mistake or an attack. */
export const maxPathLength = 4096;

/**
 * Finds the steps of a path in either spelling, `$.a.b` or kubectl's `{.a.b}`: from behind the `$` or `{` to the end or the `}`.
 *
 * @throws KollectError KOL_EXTRACT_PATH for any other text, saying what it should have been
 */
export function findPath(path: string): { start: number; end: number } {
  if (path.length > maxPathLength) {
    throw new KollectError('KOL_EXTRACT_PATH', `the path has ${path.length} characters, at most ${maxPathLength} are allowed`);
  }
  if (path.startsWith('{{')) throw new PathMistake('Go templates are not supported', 'write a path such as {.metadata.name}');
  if (path.startsWith('{')) return braced(path);
  if (path.startsWith('${')) throw textBefore(path, 1);
  if (path.startsWith('$')) return { start: 1, end: path.length };
  if (/^(?:cel\s+)?(?:object|self)\s*[.[]/.test(path)) throw new PathMistake('CEL needs the cel: prefix', 'write for example cel:object.metadata.name');
  const brace = path.indexOf('{');
  if (brace >= 0) throw textBefore(path, brace);
  const prefix = /^(\w+)\s*:/.exec(path)?.[1];
  if (prefix !== undefined) throw new PathMistake(`${shown(`${prefix}:`)} is not a prefix of paths`, 'known are cel: and helm:, and JSONPath needs none');
  throw new PathMistake(`${shown(path)} is plain text, not a path`, 'write a path such as $.metadata.name, or cel: and an expression');
}

function braced(path: string): { start: number; end: number } {
  let start = 1;
  while (path[start] === ' ') start++;
  if (/^range\b/.test(path.slice(start))) {
    throw new PathMistake('range is not supported', 'write a wildcard, such as $.items[*].name');
  }
  const close = closingBrace(path);
  if (close < 0) throw new PathMistake(`"{" is not closed in ${shown(path)}`, 'add "}" at its end');
  if (close < path.length - 1) throw multipart(path.slice(close + 1));
  if (path[start] === '$') start++;
  let end = close;
  while (end > start && path[end - 1] === ' ') end--;
  return { start, end };
}

function closingBrace(path: string): number {
  let quote = '';
  for (let i = 1; i < path.length; i++) {
    const char = path[i] as string;
    if (char === '\\') i++;
    else if (quote !== '') quote = char === quote ? '' : quote;
    else if (char === '"' || char === "'") quote = char;
    else if (char === '}') return i;
  }
  return -1;
}

/** What stands before the braces: an argument of kubectl, the `$` of the other spelling, or text. */
function textBefore(path: string, brace: number): KollectError {
  const before = path.slice(0, brace);
  if (!/^(\$|.*\bjsonpath=["']?)$/.test(before)) return multipart(before);
  return new PathMistake(`a path begins with "{" or "$", not ${shown(before)}`);
}

function multipart(text: string): KollectError {
  return new KollectError('KOL_EXTRACT_PATH', `text outside the braces (${shown(text)}) is not supported; write one path, or build text in CEL, such as cel:object.metadata.name + "-x"`);
}
