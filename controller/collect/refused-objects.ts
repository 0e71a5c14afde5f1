/** Refused objects that are remembered by name; of more than these it is only known that there are some. */
const remembered = 10_000;

/**
 * The objects that exist and have no row, because a limit was reached. The target is incomplete while there are any: what its rows lack is not gone.
 */
export class RefusedObjects {
  readonly #objects = new Map<string, { namespace: string; epoch: number }>();
  /** The list during which objects were refused that are not remembered. */
  #furtherSince: number | undefined;

  /** Objects known to be refused; `more` when there are others. */
  get count(): number {
    return this.#objects.size;
  }

  get more(): boolean {
    return this.#furtherSince !== undefined;
  }

  get any(): boolean {
    return this.count > 0 || this.more;
  }

  add(key: string, namespace: string, epoch: number): void {
    if (this.#objects.size < remembered || this.#objects.has(key)) this.#objects.set(key, { namespace, epoch });
    else this.#furtherSince = epoch;
  }

  /** The object has a row now, is gone, or is not wanted any more. */
  delete(key: string): void {
    if (this.#objects.size > 0) this.#objects.delete(key);
  }

  clear(): void {
    this.#objects.clear();
  }

  deleteNamespace(namespace: string): void {
    for (const [key, object] of this.#objects) if (object.namespace === namespace) this.#objects.delete(key);
  }

  /** A list is complete: it refused again what still has to be, but for the `spared`, which it did not look at. */
  listed(epoch: number, spared: ReadonlySet<string> | undefined): void {
    for (const [key, object] of this.#objects) if (object.epoch !== epoch && !spared?.has(key)) this.#objects.delete(key);
    if (this.#furtherSince !== epoch) this.#furtherSince = undefined;
  }
}
