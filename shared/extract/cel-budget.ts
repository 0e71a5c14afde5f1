import { CelFault } from './cel-fault.ts';

/**
 * Steps that one evaluation may take, a step being about 50 ns: enough for loops over some ten thousand elements, and an end to any
 * expression within about 50 ms, so that nothing else in the process waits for longer.
 */
const stepsPerEvaluation = 1_000_000;

/** Counts the work of one evaluation after the other. */
export interface CelBudget {
  /** @throws CelFault when the steps are used up; every later charge of the same evaluation throws as well */
  charge(steps: number): void;
  /** True when the evaluation ran out, even if the expression swallowed the error. */
  exhausted(): boolean;
  reset(): void;
}

export function createBudget(): CelBudget {
  let left = stepsPerEvaluation;
  // One instance: taking a stack trace each time would cost more than the work that is refused.
  const fault = new CelFault('the expression takes too many steps on this object; loop over less');
  return {
    charge: (steps) => {
      left -= steps;
      if (left < 0) throw fault;
    },
    exhausted: () => left < 0,
    reset: () => {
      left = stepsPerEvaluation;
    },
  };
}

/** Steps to read or build a value once, without what lies below it. */
export function weight(value: unknown): number {
  if (typeof value === 'string') return value.length >> 4;
  return Array.isArray(value) ? value.length >> 2 : 0;
}

/** Number of values in a tree, counted up to a limit. */
export function treeSize(value: unknown, limit: number): number {
  const open: unknown[] = [value];
  let count = 0;
  while (open.length > 0 && count <= limit) {
    const next = open.pop();
    count++;
    if (typeof next === 'object' && next !== null) for (const key in next) open.push((next as Record<string, unknown>)[key]);
    else if (typeof next === 'string') count += next.length >> 4;
  }
  return count;
}
