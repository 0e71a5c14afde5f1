import { RE2JS } from 're2js';
import { CelFault } from './cel-fault.ts';

/** A compiled regular expression of the RE2 dialect, whose running time is linear in the text. */
export interface CelRegex {
  /** Instructions of the compiled program; a match costs at most this many steps per character. */
  programSize: number;
  test(text: string): boolean;
  /** The first matches, all of them when `limit` is negative. @param onMatch may throw to end the search */
  findAll(text: string, limit: number, onMatch?: () => void): string[];
}

/** Longer patterns, or patterns that unfold to more instructions, take too long per character to run on every object. */
const maxPatternLength = 256;
const maxProgramSize = 1000;

/**
 * @throws CelFault when the pattern is not valid or too large; the message never holds the pattern, which may come from an object
 */
export function compileRegex(pattern: string): CelRegex {
  if (pattern.length > maxPatternLength) throw new CelFault(`the regular expression is longer than ${maxPatternLength} characters`);
  refuseSlowClasses(pattern);
  const compiled = compile(pattern);
  const programSize = compiled.re2Input.prog.numInst();
  if (programSize > maxProgramSize) throw new CelFault('the regular expression is too large; use smaller repeat counts');
  return { programSize, test: (text) => compiled.test(text), findAll: (text, limit, onMatch) => findAll(compiled, text, limit, onMatch) };
}

function findAll(compiled: RE2JS, text: string, limit: number, onMatch?: () => void): string[] {
  const found: string[] = [];
  const matcher = compiled.matcher(text);
  while (found.length !== limit && matcher.find()) {
    onMatch?.();
    found.push(matcher.group() ?? '');
  }
  return found;
}

/**
 * Every Unicode class is a table that the library builds on first use in some 80 ms, and a case-insensitive range beyond ASCII is folded character by
 * character on every compilation: a handful of either would stall the process.
 */
function refuseSlowClasses(pattern: string): void {
  if (/^(?:[^\\]|\\[^pP])*\\[pP]/.test(pattern)) {
    throw new CelFault('the regular expression uses a Unicode class (\\p); write ranges, such as [a-zA-Zà-ÿ]');
  }
  if (/\(\?[a-zA-Z]*i/.test(pattern) && /\\x\{|[\u0080-\uffff]/.test(pattern)) {
    throw new CelFault('the regular expression ignores case beyond ASCII; write both cases, or use lowerAscii()');
  }
}

function compile(pattern: string): RE2JS {
  try {
    return RE2JS.compile(pattern);
  } catch (error) {
    const what = error instanceof Error ? error.message.replace(/: `[^]*$/, '') : 'error';
    const hint = what.includes('Perl syntax') ? '; look-around and back-references are not supported' : '';
    throw new CelFault(`the regular expression is not valid: ${what.replace('error parsing regexp: ', '')}${hint}`);
  }
}
