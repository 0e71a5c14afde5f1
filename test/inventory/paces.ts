import type { inTurns } from '../../shared/in-turns.ts';

type Pace = typeof inTurns;

/** Does everything before anybody else has a turn, however long it takes. */
export const atOnce: Pace = async (items, work) => {
  for (const item of items) work(item);
};

/** Does the first steps of a work at once, and as many of the others as it is told to. */
export function stepByStep(first: number): { pace: Pace; go: (steps: number) => void } {
  let steps: Iterator<unknown> | undefined;
  const go = (count: number): void => {
    for (let step = 0; step < count && steps; step++) if (steps.next().done) steps = undefined;
  };
  const pace: Pace = async (items) => {
    steps = items[Symbol.iterator]();
    go(first);
  };
  return { pace, go };
}
