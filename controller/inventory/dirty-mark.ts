import { setTimeout as sleep } from 'node:timers/promises';
import { KollectError } from '../../shared/errors.ts';

/** After this time without a write nothing is on its way to the destination any more. */
const quietMs = 10_000;
/** An API server that does not answer holds up nobody else at the destination for longer; */
const longestMarkMs = 5_000;
/** and for no longer than this when it did so before. */
const nextMarkMs = 500;

export interface DirtyMarkOptions {
  /** What status said when this process began. */
  dirty: boolean;
  /** Resolves when status says that there may be writes which it does not tell of. */
  mark: () => Promise<void>;
  /** Nothing was written for a while, and what is there is known: status may say so again. */
  onQuiet: () => void;
  quietMs?: number | undefined;
  /** How long the first write waits for `mark`, in milliseconds; 5 s when unset. */
  markMs?: number | undefined;
}

/**
 * Says in status that a destination is being written to, before the first write after a while, and takes it back when there was none for a while. Whoever
 * starts after a crash knows by that whether a write may be missing, half done or still on its way. A destination that keeps a record of its own needs no such word.
 */
export class DirtyMark {
  readonly #options: DirtyMarkOptions;
  dirty: boolean;
  /** Status says so, or need not. */
  #isMarked: boolean;
  #marking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: DirtyMarkOptions) {
    this.#options = options;
    this.dirty = this.#isMarked = options.dirty;
  }

  /**
   * To be called before each write. Throws `KOL_STATUS_WRITE` when status cannot be written in time and nobody else would know of the write.
   *
   * @param keepsRecord whether the destination tells by itself what was written to it last
   */
  async beforeWrite(keepsRecord: () => Promise<boolean>): Promise<void> {
    clearTimeout(this.#timer);
    this.dirty = true;
    if (this.#isMarked) return;
    const waitMs = this.#marking ? nextMarkMs : (this.#options.markMs ?? longestMarkMs);
    // Asked anew each time, because status is written at once then.
    const marking = this.#options.mark().then(() => {
      if (this.#marking === marking) this.#isMarked = true;
    });
    this.#marking = marking;
    await Promise.race([marking, sleep(waitMs, undefined, { ref: false })]);
    if (this.#isMarked) return;
    if (!(await keepsRecord())) {
      throw new KollectError('KOL_STATUS_WRITE', 'nothing is written before the status of the inventory says so, because the destination keeps no record of it: the API server does not take the status');
    }
    this.#isMarked = true;
  }

  /** A write was confirmed, and it is known what the destination holds now. */
  confirmed(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      this.dirty = this.#isMarked = false;
      this.#marking = undefined;
      this.#options.onQuiet();
    }, this.#options.quietMs ?? quietMs);
  }

  close(): void {
    clearTimeout(this.#timer);
  }
}
