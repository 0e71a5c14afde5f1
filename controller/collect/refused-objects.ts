/** Refused objects that are remembered by name; of more than these it is only known that there are some. */
const remembered = 10_000;

/**
 * The objects that exist and have no row, or not that of what they are now, because a limit was reached. The target is incomplete while there are any: what its rows lack is not gone.
 */
export class RefusedObjects {
  readonly #objects = new Map<string, { namespace: string; epoch: number; tooLarge: boolean }>();
  #tooLarge = 0;
  /** Namespaces with refused objects that are not remembered, and the last list that refused some. */
  readonly #further = new Map<string, number>();
  readonly #onLeave: (key: string, namespace: string) => void;

  /** @param onLeave is told of each object that is gone, or not wanted any more */
  constructor(onLeave: (key: string, namespace: string) => void) {
    this.#onLeave = onLeave;
  }

  /** Objects known to be refused; `more` when there are others. */
  get count(): number {
    return this.#objects.size;
  }

  /** Those of them that no room would bring back, because a row cannot hold what is collected of them. */
  get tooLarge(): number {
    return this.#tooLarge;
  }

  get more(): boolean {
    return this.#further.size > 0;
  }

  get any(): boolean {
    return this.count > 0 || this.more;
  }

  /** Those that are known, of all namespaces or of those that are asked for. */
  *keys(selects: (namespace: string) => boolean = () => true): Generator<string> {
    for (const [key, { namespace }] of this.#objects) if (selects(namespace)) yield key;
  }

  add(key: string, namespace: string, epoch: number, tooLarge = false): void {
    this.delete(key);
    if (this.#objects.size >= remembered) {
      this.#further.set(namespace, epoch);
      return;
    }
    this.#objects.set(key, { namespace, epoch, tooLarge });
    if (tooLarge) this.#tooLarge++;
  }

  /** The object has a row now. */
  delete(key: string): void {
    if (this.#objects.size === 0) return;
    if (this.#objects.get(key)?.tooLarge) this.#tooLarge--;
    this.#objects.delete(key);
  }

  /** The object is gone, or not wanted any more. */
  leave(key: string): void {
    const object = this.#objects.get(key);
    if (!object) return;
    this.delete(key);
    this.#onLeave(key, object.namespace);
  }

  clear(): void {
    this.#further.clear();
    for (const key of this.#objects.keys()) this.leave(key);
  }

  deleteNamespace(namespace: string): void {
    this.#further.delete(namespace);
    for (const [key, object] of this.#objects) if (object.namespace === namespace) this.leave(key);
  }

  /** A list of everything, or of one namespace, is complete: it refused again what still has to be, but for the `spared`, which it did not look at. */
  listed(epoch: number, spared: ReadonlySet<string> | undefined, namespace?: string): void {
    const covers = (object: { namespace: string; epoch: number }): boolean => object.epoch < epoch && (namespace === undefined || object.namespace === namespace);
    for (const [key, object] of this.#objects) if (covers(object) && !spared?.has(key)) this.leave(key);
    for (const [name, since] of this.#further) if (covers({ namespace: name, epoch: since })) this.#further.delete(name);
  }
}
