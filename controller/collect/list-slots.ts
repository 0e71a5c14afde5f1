/** Lists beside the watches cost the API server most; it is asked for this many at a time, by the whole process. */
const defaultSlots = 3;

/** Lets a few lists run at a time, in the order in which they came. */
export class ListSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(slots = defaultSlots) {
    this.#free = slots;
  }

  /** Runs `work` when a slot is free. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free++;
    }
  }
}
