import { Recent } from '../shared/recent.ts';

/**
 * Answers that hold for a while, at most `size` of them.
 *
 * @example const cache = new AnswerCache<boolean>(1000); cache.set('key', true, 10_000); cache.get('key') // true, for ten seconds
 */
export class AnswerCache<T> {
  readonly #answers: Recent<string, { value: T; until: number }>;
  readonly #now: () => number;

  /** @param now monotonic milliseconds */
  constructor(size: number, now = (): number => performance.now()) {
    this.#answers = new Recent(size);
    this.#now = now;
  }

  get(key: string): T | undefined {
    const answer = this.#answers.get(key);
    return answer === undefined || answer.until <= this.#now() ? undefined : answer.value;
  }

  set(key: string, value: T, milliseconds: number): void {
    this.#answers.set(key, { value, until: this.#now() + milliseconds });
  }
}
