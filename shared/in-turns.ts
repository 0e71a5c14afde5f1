import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longer turns delay whoever waits for a watch event or an answer. */
const turnMs = 5;

/**
 * Works on items a few milliseconds at a time, the first of them at once, and gives everybody else a turn in between. Ends early when `ended` says so. What is
 * iterated must bear changes meanwhile, as a Map does. Rejects with what `work` throws.
 */
export async function inTurns<T>(items: Iterable<T>, work: (item: T) => void, ended: () => boolean = () => false): Promise<void> {
  let since = performance.now();
  for (const item of items) {
    if (ended()) return;
    work(item);
    if (performance.now() - since < turnMs) continue;
    await nextTurn();
    since = performance.now();
  }
}
