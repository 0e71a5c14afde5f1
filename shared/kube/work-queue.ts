import type { Logger } from '../log.ts';

const firstRetryMs = 500;
const lastRetryMs = 60_000;

export interface WorkQueueOptions<K extends string> {
  name: string;
  /** Makes the world what the key says. A rejection is retried with growing delays. */
  reconcile: (key: K) => Promise<void>;
  logger: Logger;
  /** Keys worked on at a time. */
  concurrency?: number;
  /**
   * For work that may wait long for others: how many of these keys may be such that come back by themselves. They come after all that was added, of which the
   * newest is first, since somebody looks at it. Unset: all keys take turns.
   */
  repeats?: number | undefined;
}

/** Works on keys: never on one key twice at a time, and once for any number of reasons that came while it waited. */
export class WorkQueue<K extends string> {
  readonly #options: WorkQueueOptions<K>;
  readonly #waiting = new Set<K>();
  /** Keys that come back by themselves, where these come last. */
  readonly #repeated = new Set<K>();
  readonly #running = new Map<K, { end: Promise<void>; isRepeat: boolean }>();
  readonly #timers = new Map<K, { at: number; timer: NodeJS.Timeout }>();
  readonly #failures = new Map<K, number>();
  #stopped = false;

  constructor(options: WorkQueueOptions<K>) {
    this.#options = options;
  }

  add(key: K): void {
    if (this.#stopped) return;
    this.#repeated.delete(key);
    this.#waiting.add(key);
    this.#next();
  }

  /** Adds a key later; of two times the earlier one holds. */
  addAfter(key: K, ms: number): void {
    if (this.#stopped) return;
    const at = performance.now() + ms;
    const known = this.#timers.get(key);
    if (known && known.at <= at) return;
    clearTimeout(known?.timer);
    const timer = setTimeout(() => {
      this.#timers.delete(key);
      this.#repeat(key);
    }, ms);
    this.#timers.set(key, { at, timer });
  }

  #repeat(key: K): void {
    if (this.#options.repeats === undefined || this.#waiting.has(key)) return this.add(key);
    if (this.#stopped) return;
    this.#repeated.add(key);
    this.#next();
  }

  /** Forgets failures and plans of a key that is gone. */
  forget(key: K): void {
    this.#failures.delete(key);
    this.#repeated.delete(key);
    clearTimeout(this.#timers.get(key)?.timer);
    this.#timers.delete(key);
  }

  /** Takes nothing new and waits for what runs. */
  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting.clear();
    this.#repeated.clear();
    for (const { timer } of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    await Promise.all([...this.#running.values()].map(({ end }) => end));
  }

  #next(): void {
    const { concurrency = 4, repeats } = this.#options;
    if (this.#running.size >= concurrency) return;
    const waiting = repeats === undefined ? this.#waiting : [...this.#waiting].reverse();
    for (const key of waiting) {
      if (this.#running.size >= concurrency) return;
      if (!this.#running.has(key)) this.#take(key, false);
    }
    let running = [...this.#running.values()].filter(({ isRepeat }) => isRepeat).length;
    for (const key of this.#repeated) {
      if (this.#running.size >= concurrency || running >= (repeats ?? 0)) return;
      if (this.#running.has(key)) continue;
      this.#take(key, true);
      running++;
    }
  }

  #take(key: K, isRepeat: boolean): void {
    this.#waiting.delete(key);
    this.#repeated.delete(key);
    this.#running.set(key, { end: this.#work(key), isRepeat });
  }

  async #work(key: K): Promise<void> {
    // Callers of add() never run reconcilers on their own stack.
    await Promise.resolve();
    try {
      await this.#options.reconcile(key);
      this.#failures.delete(key);
    } catch (error) {
      const failures = (this.#failures.get(key) ?? 0) + 1;
      this.#failures.set(key, failures);
      // Anywhere up to the limit: keys that failed together, such as all of one sink, do not come back together.
      const delayMs = Math.random() * Math.min(lastRetryMs, firstRetryMs * 2 ** (failures - 1));
      this.#options.logger.warn('reconcile failed, will be repeated', { controller: this.#options.name, key, error, retryInMs: Math.round(delayMs) });
      this.addAfter(key, delayMs);
    } finally {
      this.#running.delete(key);
      if (!this.#stopped) this.#next();
    }
  }
}
