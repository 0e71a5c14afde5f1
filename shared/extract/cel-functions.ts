import { CelFault } from './cel-fault.ts';
import { compileRegex } from './cel-regex.ts';
import type { CelRegex } from './cel-regex.ts';
import { weight } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/**
 * Functions of cel-js that differ from CEL, or whose cost does not follow the size of their operands. Each gives the result, or undefined to leave the
 * call to cel-js, with its error for operands of other types.
 */
export const celFunctions: Record<string, (operands: unknown[], budget: StepBudget, regexes: Map<string, CelRegex>) => unknown> = {
  matches: ([text, pattern], budget, regexes) =>
    typeof text === 'string' && typeof pattern === 'string' ? matches(text, pattern, budget, regexes) : undefined,
  lowerAscii: ([text]) => (typeof text === 'string' ? text.replace(/[A-Z]+/g, (found) => found.toLowerCase()) : undefined),
  upperAscii: ([text]) => (typeof text === 'string' ? text.replace(/[a-z]+/g, (found) => found.toUpperCase()) : undefined),
  size: ([text]) => (typeof text === 'string' ? BigInt(countCharacters(text)) : undefined),
  int: ([text]) => decimal(text, /^[-+]?\d+$/),
  uint: ([text]) => decimal(text, /^\d+$/),
  replace: ([text, from, to], budget) => {
    // Every occurrence of an empty or short text can grow to the length of its replacement.
    if (typeof text === 'string' && typeof from === 'string' && typeof to === 'string') {
      budget.charge(((text.length / Math.max(from.length, 1) + 1) * to.length) / 16);
    }
    return undefined;
  },
  join: ([list, separator], budget) => {
    if (!Array.isArray(list)) return undefined;
    for (const item of list) budget.charge(weight(item) + 1);
    budget.charge(list.length * (1 + weight(separator)));
    return undefined;
  },
};

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

function matches(text: string, pattern: string, budget: StepBudget, regexes: Map<string, CelRegex>): boolean {
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
  return regex.test(text);
}
