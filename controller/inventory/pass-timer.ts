/** Longer timers fire at once; waking early costs nothing. */
const longestTimerMs = 2 ** 31 - 1;
/** What was due when the last work began, and was not done by it, is looked at again after this time. */
const overdueMs = 100;

export interface PassTimerOptions {
  /** Does what is due; never rejects. */
  run: () => Promise<void>;
  /** Monotonic milliseconds of other work that becomes due by itself. */
  dueAt: () => number;
}

/** When a binding works next, and that it does one thing at a time. All times are monotonic, in milliseconds. */
export class PassTimer {
  readonly #options: PassTimerOptions;
  #timer: NodeJS.Timeout | undefined;
  #armedAt = Infinity;
  #wantedAt = Infinity;
  #notBefore = 0;
  /** When the last work began. */
  #begunAt = -Infinity;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(options: PassTimerOptions) {
    this.#options = options;
  }

  get isRunning(): boolean {
    return this.#running !== undefined;
  }

  /** Works after this time at the latest. */
  want(delayMs: number): void {
    this.#wantedAt = Math.min(this.#wantedAt, performance.now() + delayMs);
    this.arm();
  }

  /** Does nothing before this time is over, whatever is wanted. */
  hold(delayMs: number): void {
    this.#notBefore = performance.now() + delayMs;
  }

  release(): void {
    this.#notBefore = 0;
  }

  /** To be called when something becomes due sooner than before. */
  arm(): void {
    if (this.#running || this.#closed) return;
    const dueAt = this.#options.dueAt();
    const at = Math.max(Math.min(this.#wantedAt, dueAt > this.#begunAt ? dueAt : this.#begunAt + overdueMs), this.#notBefore);
    if (at === Infinity || at >= this.#armedAt) return;
    clearTimeout(this.#timer);
    this.#armedAt = at;
    this.#timer = setTimeout(() => {
      this.#armedAt = Infinity;
      this.#wantedAt = Infinity;
      this.#begunAt = performance.now();
      // What is wanted from the first moment of it on waits for its end: two passes at once would write in any order.
      this.#running = Promise.resolve()
        .then(() => this.#options.run())
        .finally(() => {
          this.#running = undefined;
          this.arm();
        });
    }, Math.min(longestTimerMs, Math.max(0, at - performance.now())));
  }

  /** Resolves when what was under way has ended. Nothing is begun any more. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#running;
  }
}
