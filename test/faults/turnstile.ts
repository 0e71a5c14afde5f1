import { setTimeout as pause } from 'node:timers/promises';

/** Lets calls pass, and holds them back while it is closed. */
export class Turnstile {
  #closed: Promise<void> | undefined;
  #inside = 0;

  /** The same object, each call of whose methods passes this. */
  guard<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, key) => {
        const value: unknown = Reflect.get(object, key, object);
        return typeof value === 'function' ? (...args: unknown[]) => this.#pass(() => value.apply(object, args) as unknown) : value;
      },
    });
  }

  /** Does something that no call is to notice: those that are under way end before, and others begin afterwards. */
  async closed<T>(work: () => Promise<T>): Promise<T> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    try {
      while (this.#inside > 0) await pause(5);
      return await work();
    } finally {
      this.#closed = undefined;
      resolve();
    }
  }

  async #pass(work: () => unknown): Promise<unknown> {
    while (this.#closed) await this.#closed;
    this.#inside++;
    try {
      return await work();
    } finally {
      this.#inside--;
    }
  }
}
