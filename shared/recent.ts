/**
 * A map of at most `limit` entries, an even number: those that were not asked for lately make room. It keeps two halves and forgets the older one as a
 * whole, so that asking for what was asked for lately changes nothing.
 *
 * @example const recent = new Recent<string, number>(200); recent.set('a', 1); recent.get('a') // 1
 */
export class Recent<K, V> {
  readonly #half: number;
  #newer = new Map<K, V>();
  #older = new Map<K, V>();

  constructor(limit: number) {
    this.#half = limit / 2;
  }

  get(key: K): V | undefined {
    const value = this.#newer.get(key);
    if (value !== undefined) return value;
    const older = this.#older.get(key);
    if (older !== undefined) this.set(key, older);
    return older;
  }

  set(key: K, value: V): void {
    if (this.#newer.size >= this.#half && !this.#newer.has(key)) {
      this.#older = this.#newer;
      this.#newer = new Map();
    }
    this.#newer.set(key, value);
    this.#older.delete(key);
  }
}
