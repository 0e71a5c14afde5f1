/**
 * Answers that hold for a while, at most `size` of them: the one that was not asked for the longest makes room.
 *
 * @example const cache = new AnswerCache<boolean>(1000); cache.set('key', true, 10_000); cache.get('key') // true, for ten seconds
 */
export class AnswerCache<T> {
  readonly #size: number;
  readonly #answers = new Map<string, { value: T; until: number }>();

  constructor(size: number) {
    this.#size = size;
  }

  get(key: string): T | undefined {
    const answer = this.#answers.get(key);
    if (answer === undefined) return undefined;
    this.#answers.delete(key);
    if (answer.until <= performance.now()) return undefined;
    this.#answers.set(key, answer);
    return answer.value;
  }

  set(key: string, value: T, milliseconds: number): void {
    this.#answers.delete(key);
    this.#answers.set(key, { value, until: performance.now() + milliseconds });
    const [oldest] = this.#answers.keys();
    if (this.#answers.size > this.#size && oldest !== undefined) this.#answers.delete(oldest);
  }
}
