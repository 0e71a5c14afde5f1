import { KollectError } from '../errors.ts';
import { shown } from './shown.ts';

/** A text that is no path: what is wrong with it, and advice for where no whole correction is at hand. */
export class PathMistake extends KollectError {
  readonly what: string;

  constructor(what: string, advice?: string) {
    super('KOL_EXTRACT_PATH', advice === undefined ? what : `${what}; ${advice}`);
    this.what = what;
  }
}

/** Longer ones are cut where they are shown, and nobody could write them down. */
const maxShownLength = 80;

/**
 * Compiles a path. Where that fails on a slip that can be mended, the message says what to write: never what does not compile either.
 *
 * @throws KollectError what `compile` throws
 */
export function correcting<T>(path: string, compile: (path: string) => T): T {
  try {
    return compile(path);
  } catch (error) {
    if (!(error instanceof PathMistake)) throw error;
    const corrected = path.length > maxShownLength ? undefined : corrections(path).find((candidate) => candidate !== path && candidate.length <= maxShownLength && compiles(candidate, compile));
    throw corrected === undefined ? error : new PathMistake(error.what, `write ${shown(corrected)}`);
  }
}

function compiles(candidate: string, compile: (path: string) => unknown): boolean {
  try {
    compile(candidate);
    return true;
  } catch {
    return false;
  }
}

/** What a text may have meant, the likeliest first. */
function corrections(text: string): string[] {
  // As an argument of kubectl, or with the `$` of the other spelling.
  const path = text.replace(/^.*\bjsonpath=["']?|^\$(?=\{)/, '').replace(/(?<=\})["']$/, '').trim();
  if (/^(?:object|self)\s*[.[]/.test(path)) return [`cel:${path.replace(/^self/, 'object')}`];
  const [, prefix, rest] = /^([A-Za-z]+)\s*:\s*(.*)$/.exec(path) ?? /^(cel|helm)\s+(.*)$/i.exec(path) ?? [];
  if (prefix !== undefined && rest !== undefined) return /^c/i.test(prefix) ? [`cel:${rest}`, rest] : /^h/i.test(prefix) ? [`helm:${rest}`, `helm:release.${rest}`] : [rest];
  const steps = path
    .replaceAll(/^\{+\s*|\s*\}+$/g, '')
    .replace(/^[$@]+/, '')
    .replaceAll(/\[\s*([A-Za-z_][\w./-]*)\s*\]/g, "['$1']")
    .replaceAll(/\.{3,}/g, '..')
    .replace(/\.+$/, '');
  const joined = /^[.[]/.test(steps) ? steps : `.${steps}`;
  return path.startsWith('{') ? [`{${joined}}`] : [`$${joined}`];
}
