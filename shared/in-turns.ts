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

/** Turns of several works together: however many there are, they have one turn between two of everybody else. Who waits longest goes first. */
export class SharedTurns {
  readonly #waiting: (() => void)[] = [];
  /** When the turn ends that is being taken, in monotonic milliseconds; undefined between two. */
  #endsAt: number | undefined;

  get isOver(): boolean {
    return performance.now() >= (this.#endsAt ??= this.#begin());
  }

  /** To be called when the turn `isOver`. */
  next(): Promise<void> {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  #begin(): number {
    setImmediate(() => {
      this.#endsAt = undefined;
      const next = this.#waiting.shift();
      if (!next) return;
      this.#endsAt = this.#begin();
      next();
    });
    return performance.now() + turnMs;
  }
}

/**
 * Works on items a few milliseconds at a time, the first of them at once if the turn is not over, and gives everybody else a turn in between. Ends early when
 * `ended` says so. What is iterated must bear changes meanwhile, as a Map does. Rejects with what `work` throws.
 */
export async function inTurns<T>(items: Iterable<T>, work: (item: T) => void, ended: () => boolean = () => false, turns: Turns | SharedTurns = new Turns()): Promise<void> {
  if (turns.isOver) await turns.next();
  for (const item of items) {
    if (ended()) return;
    work(item);
    if (turns.isOver) await turns.next();
  }
}
