import { KollectError } from '../errors.ts';

/**
 * Counts work, so that no path or expression stalls the process. A step is about 50 ns. The count is of work, not of time: whether an
 * evaluation succeeds depends on the object alone.
 */
export interface StepBudget {
  /** @throws KollectError KOL_EXTRACT_EVALUATE when the steps are used up; every later charge throws as well, until a reset */
  charge(steps: number): void;
  /**
   * Counts characters of collected values, of which several may be the same text.
   *
   * @throws KollectError KOL_EXTRACT_SIZE when there are more than a row can hold, until a reset
   */
  collect(characters: number): void;
  /** True when the steps ran out, even if an expression swallowed the error. */
  exhausted(): boolean;
  /** What `charge` throws. */
  readonly fault: KollectError;
  reset(): void;
}

/** Enough for loops over some ten thousand elements, and an end within about 25 ms. */
export const stepsPerEvaluation = 500_000;

/** For all attributes of one object together, about 50 ms. */
export const stepsPerObject = 1_000_000;

/**
 * Bytes of the canonical JSON of one row, and with that the characters of all that is collected of one object. An API server stores objects of up to
 * 1.5 MB; a row is held, hashed and written in one piece.
 */
export const maxRowBytes = 4 * 1024 * 1024;

/** What is thrown for an object of which more is collected than a row can hold. */
export function tooLarge(cause?: unknown): KollectError {
  return new KollectError('KOL_EXTRACT_SIZE', `the row would be larger than ${maxRowBytes} bytes; select less of the object`, { cause });
}

export function createBudget(steps: number): StepBudget {
  let left = steps;
  let collected = 0;
  // One instance, and only when it is needed: taking a stack trace costs more than the work that is refused, or than compiling a path.
  let fault: KollectError | undefined;
  const takeFault = () => (fault ??= new KollectError('KOL_EXTRACT_EVALUATE', 'too many steps on this object; loop over less, or name more of the fields'));
  return {
    charge: (spent) => {
      left -= spent;
      if (left < 0) throw takeFault();
    },
    collect: (characters) => {
      collected += characters;
      if (collected > maxRowBytes) throw tooLarge();
    },
    exhausted: () => left < 0,
    get fault() {
      return takeFault();
    },
    reset: () => {
      left = steps;
      collected = 0;
    },
  };
}

/** Steps to read or build a value once, without what lies below it. */
export function weight(value: unknown): number {
  if (typeof value === 'string') return value.length >> 4;
  return Array.isArray(value) ? value.length >> 2 : 0;
}

/** JavaScript keeps maps of more keys as hash tables, and puts the keys in order whenever somebody asks for them. */
export const maxOrderedKeys = 1000;

/** Counting further would take longer than what is counted for: each value costs four steps at least. */
const countLimit = stepsPerObject / 4 + 1;

/** Number of values in a tree, counted up to a limit. Whoever charges for them charges four steps or more for each. */
export function treeSize(value: unknown, limit: number = countLimit): number {
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
