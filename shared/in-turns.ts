import { setImmediate as nextTurn } from 'node:timers/promises';

/** Longer turns delay whoever waits for a watch event or an answer. */
const turnMs = 5;

/** Work that is done a few milliseconds at a time, between which everybody else has a turn. */
export class Turns {
  #since = performance.now();

  /** The turn has taken its time: `next` is due. */
  get isOver(): boolean {
    return performance.now() - this.#since >= turnMs;
  }

  async next(): Promise<void> {
    await nextTurn();
    this.#since = performance.now();
  }
}

/**
 * Works on items a few milliseconds at a time, the first of them at once, and gives everybody else a turn in between. Ends early when `ended` says so. What is
 * iterated must bear changes meanwhile, as a Map does. Rejects with what `work` throws.
 */
export async function inTurns<T>(items: Iterable<T>, work: (item: T) => void, ended: () => boolean = () => false): Promise<void> {
  const turns = new Turns();
  for (const item of items) {
    if (ended()) return;
    work(item);
    if (turns.isOver) await turns.next();
  }
}
