import { setTimeout as sleep } from 'node:timers/promises';

/** After this time without a write nothing is on its way to the destination any more. */
const quietMs = 10_000;
/** An API server that does not answer holds up no sink for longer. */
const longestMarkMs = 5_000;

export interface DirtyMarkOptions {
  /** What status said when this process began. */
  dirty: boolean;
  /** Resolves when status says that there may be writes which it does not tell of. */
  mark: () => Promise<void>;
  /** Nothing was written for a while, and what is there is known: status may say so again. */
  onQuiet: () => void;
  quietMs?: number | undefined;
}

/**
 * Says in status that a destination is being written to, before the first write after a while, and takes it back when there was none for a while. Whoever
 * starts after a crash knows by that whether a write may be missing, half done or still on its way.
 */
export class DirtyMark {
  readonly #options: DirtyMarkOptions;
  dirty: boolean;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DirtyMarkOptions) {
    this.#options = options;
    this.dirty = options.dirty;
  }

  async beforeWrite(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.dirty) return;
    this.dirty = true;
    await Promise.race([this.#options.mark(), sleep(longestMarkMs, undefined, { ref: false })]);
  }

  /** A write was confirmed, and it is known what the destination holds now. */
  confirmed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.dirty = false;
      this.#options.onQuiet();
    }, this.#options.quietMs ?? quietMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
