import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { CelFault } from './cel-fault.ts';
import { doubleText } from './cel-library/strings.ts';
import { parseTimestamp, timestampFields } from './cel-timestamp.ts';
import { compileRegex } from './cel-regex.ts';
import type { CelRegex } from './cel-regex.ts';
import { treeSize, weight } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/**
 * Functions of cel-js that differ from CEL, or whose cost does not follow the size of their operands. Each gives the result, or undefined to leave the
 * call to cel-js, with its error for operands of other types.
 */
export const celFunctions: Record<string, (operands: unknown[], budget: StepBudget, regexes: Map<string, CelRegex>) => unknown> = {
  matches: ([text, pattern], budget, regexes) => searched(text, pattern, budget, regexes, (regex) => regex.test(text as string)),
  find: ([text, pattern], budget, regexes) => searched(text, pattern, budget, regexes, (regex) => regex.findAll(text as string, 1)[0] ?? ''),
  findAll: ([text, pattern, limit = -1n], budget, regexes) => searched(text, pattern, budget, regexes, (regex) => regex.findAll(text as string, Number(limit), () => budget.charge(stepsPerMatch))),
  lowerAscii: ([text]) => (typeof text === 'string' ? text.replace(/[A-Z]+/g, (found) => found.toLowerCase()) : undefined),
  upperAscii: ([text]) => (typeof text === 'string' ? text.replace(/[a-z]+/g, (found) => found.toUpperCase()) : undefined),
  size: ([text]) => (typeof text === 'string' ? BigInt(countCharacters(text)) : undefined),
  trim: ([text]) => (typeof text === 'string' ? trim(text) : undefined),
  string: ([value]) => (typeof value === 'number' ? doubleText(value) : value instanceof Uint8Array ? utf8Text(value) : undefined),
  timestamp: ([text]) => (typeof text === 'string' ? parseTimestamp(text) : undefined),
  ...timestampFields,
  int: ([value]) => {
    const isLarge = typeof value === 'number' ? Math.abs(value) >= 2 ** 63 : value instanceof UnsignedInt && value.value >= 2n ** 63n;
    if (isLarge) throw new CelFault('number out of range');
    return decimal(value, /^[-+]?\d+$/);
  },
  uint: ([value]) => {
    if (typeof value === 'number' && value < 0) throw new CelFault('number out of range');
    return decimal(value, /^\d+$/);
  },
  duration: ([text]) => (typeof text === 'string' ? durationOf(text) : undefined),
  indexOf: (operands, budget) => findText(operands, budget, (text, part, from = 0) => (from >= text.length && part.length > 0 ? -1 : indexOfPart(text, part, from, 1))),
  lastIndexOf: (operands, budget) =>
    findText(operands, budget, (text, part, from) => (from !== undefined && from >= text.length ? -1 : indexOfPart(text, part, from ?? text.length - part.length, -1))),
  substring: ([text, start, end]) => {
    if (typeof text !== 'string' || isPlain(text)) return undefined;
    const characters = [...text];
    const [from, to] = [Number(start), end === undefined ? characters.length : Number(end)];
    if (from < 0 || to > characters.length || from > to) throw new CelFault('substring(): index out of range');
    return characters.slice(from, to).join('');
  },
  split: ([text, separator, limit]) => {
    if (typeof text !== 'string' || separator !== '' || isPlain(text)) return undefined;
    const characters = [...text];
    const count = limit === undefined || Number(limit) < 0 ? characters.length : Number(limit);
    return count >= characters.length ? characters : count === 0 ? [] : [...characters.slice(0, count - 1), characters.slice(count - 1).join('')];
  },
  replace: ([text, from, to, limit], budget) => {
    if (typeof text !== 'string' || typeof from !== 'string' || typeof to !== 'string') return undefined;
    // Every occurrence of an empty or short text can grow to the length of its replacement.
    budget.charge(((text.length / Math.max(from.length, 1) + 1) * to.length) / 16);
    return from === '' && !isPlain(text) ? insertBetween([...text], to, limit === undefined || Number(limit) < 0 ? Infinity : Number(limit)) : undefined;
  },
  quote: ([, text], budget) => {
    if (typeof text === 'string') budget.charge(text.length >> 2);
    return undefined;
  },
  join: ([list, separator], budget) => {
    if (!Array.isArray(list)) return undefined;
    for (const item of list) budget.charge(weight(item) + 1);
    budget.charge(list.length * (1 + weight(separator)));
    return undefined;
  },
  format: ([template, args], budget) => {
    // Numbers take up to some hundred characters, and every verb looks at its argument once.
    if (typeof template === 'string' && Array.isArray(args)) budget.charge(treeSize(args) * stepsPerFormatted);
    return undefined;
  },
  range: ([, count], budget) => {
    if (typeof count === 'bigint' && count > 0n) budget.charge(Number(count));
    return undefined;
  },
  sort: ([list], budget) => chargeList(list, budget, (length) => length * 4 * Math.ceil(Math.log2(length + 1))),
  distinct: ([list], budget) => chargeList(list, budget, (length) => length * treeSize(list)),
  contains: ([, list, sublist], budget) => chargePairs(list, sublist, budget),
  equivalent: ([, list, other], budget) => {
    chargePairs(list, other, budget);
    return chargePairs(list, other, budget);
  },
  intersects: ([, list, other], budget) => chargePairs(list, other, budget),
  flatten: ([list], budget) => chargeList(list, budget, () => 4 * treeSize(list)),
  ...Object.fromEntries(
    ['isSorted', 'sum', 'min', 'max', 'reverse', 'slice', 'unwrapOpt'].map((name) => [name, ([list]: unknown[], budget: StepBudget) => chargeList(list, budget, (length) => length * 2)]),
  ),
};

const stepsPerFormatted = 50;
/** Taking a match, besides looking for it. */
const stepsPerMatch = 10;

function chargeList(list: unknown, budget: StepBudget, steps: (length: number) => number): undefined {
  if (Array.isArray(list)) budget.charge(steps(list.length));
}

/** Every element of one list may be compared with every element of the other. */
function chargePairs(left: unknown, right: unknown, budget: StepBudget): undefined {
  if (Array.isArray(left) && Array.isArray(right)) budget.charge(right.length * treeSize(left) + left.length * treeSize(right));
}

/** True for a text whose characters are one unit each, which is where JavaScript counts as CEL does. */
function isPlain(text: string): boolean {
  return !/[\ud800-\udfff]/.test(text);
}

/** Text before, between and after characters, from the front and at most so many times. */
function insertBetween(characters: readonly string[], text: string, limit: number): string {
  return characters.map((character, index) => (index < limit ? text + character : character)).join('') + (characters.length < limit ? text : '');
}

type Find = (text: readonly string[] | string, part: readonly string[] | string, from: number | undefined) => number;

/** The place of a part in a text, in characters; of an element in a list elsewhere. */
function findText([text, part, from]: unknown[], budget: StepBudget, find: Find): bigint | undefined {
  if (Array.isArray(text)) budget.charge(4 * treeSize(text));
  if (typeof text !== 'string' || typeof part !== 'string') return undefined;
  if (typeof from === 'bigint' && from < 0n) throw new CelFault('the index is out of range');
  if (part === '' && typeof from === 'bigint') return from;
  const start = from === undefined ? undefined : Number(from);
  return BigInt(isPlain(text) ? find(text, part, start) : find([...text], [...part], start));
}

function indexOfPart(text: readonly string[] | string, part: readonly string[] | string, from: number, by: 1 | -1): number {
  if (typeof text === 'string' && typeof part === 'string') return by > 0 ? text.indexOf(part, from) : from < 0 ? -1 : text.lastIndexOf(part, from);
  for (let at = by > 0 ? from : Math.min(from, text.length - part.length); at >= 0 && at + part.length <= text.length; at += by) {
    let same = 0;
    while (same < part.length && text[at + same] === part[same]) same++;
    if (same === part.length) return at;
  }
  return -1;
}

/** Without the white space around it. Go and JavaScript differ about two characters. */
function trim(text: string): string {
  if (!/[\u0085\ufeff]/.test(text)) return text.trim();
  let [start, end] = [0, text.length];
  while (start < end && isSpace(text.charAt(start))) start++;
  while (end > start && isSpace(text.charAt(end - 1))) end--;
  return text.slice(start, end);
}

function isSpace(character: string): boolean {
  return character === '\u0085' || (character !== '\ufeff' && character.trim() === '');
}

function utf8Text(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new CelFault('the bytes are not UTF-8');
  }
}

/** Code points, without taking the text apart. */
function countCharacters(text: string): number {
  let count = text.length;
  for (let i = 0; i < text.length - 1; i++) {
    if ((text.charCodeAt(i) & 0xfc00) === 0xd800 && (text.charCodeAt(i + 1) & 0xfc00) === 0xdc00) count--;
  }
  return count;
}

function decimal(text: unknown, form: RegExp): undefined {
  if (typeof text === 'string' && !form.test(text)) throw new CelFault('the text is not an integer');
  return undefined;
}

function searched<T>(text: unknown, pattern: unknown, budget: StepBudget, regexes: Map<string, CelRegex>, search: (regex: CelRegex) => T): T | undefined {
  if (typeof text !== 'string' || typeof pattern !== 'string') return undefined;
  let regex = regexes.get(pattern);
  if (regex === undefined) {
    // Compiling takes some ten microseconds for an ordinary pattern.
    budget.charge(1000 + pattern.length * 20);
    regex = compileRegex(pattern);
    // Patterns that come from objects must not pile up.
    if (regexes.size >= 16) regexes.clear();
    regexes.set(pattern, regex);
  }
  budget.charge(20 + (text.length * regex.programSize) / 3);
  return search(regex);
}

/** Of 64 bits of nanoseconds. Longer ones have thousands of zeros. */
const longestDuration = 1_000;

/** Zero needs no unit. What is no duration is refused here: cel-js looks for a unit behind every digit, which takes the cube of their number. */
function durationOf(text: string): Duration | undefined {
  if (/^[-+]?0$/.test(text)) return new Duration(0n, 0);
  if (text.length > longestDuration || !/^[-+]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(text)) throw new CelFault('the text is not a duration such as 1h30m');
  return undefined;
}
