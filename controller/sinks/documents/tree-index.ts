import { rowName, type RowKey } from '../contract.ts';

/** Which row has which file. */
export class TreeIndex {
  readonly #paths = new Map<string, string>();
  readonly #taken: Set<string>;
  /** Paths that more than one row asked for. */
  readonly contested = new Set<string>();

  /** @param taken paths of other files */
  constructor(taken: Iterable<string> = []) {
    this.#taken = new Set(taken);
  }

  get size(): number {
    return this.#paths.size;
  }

  pathOf(key: RowKey): string | undefined {
    return this.#paths.get(rowName(key));
  }

  has(path: string): boolean {
    return this.#taken.has(path);
  }

  /** Paths of files of rows, in no order. */
  paths(): MapIterator<string> {
    return this.#paths.values();
  }

  /** Those of the rows of one target. It looks at all. */
  *pathsOf(targetName: string): Generator<string> {
    for (const [key, path] of this.#paths) if (key.startsWith(`${targetName}/`)) yield path;
  }

  /** Gives a row its path. Undefined when that is another's. */
  assign(key: RowKey, path: string): string | undefined {
    if (this.#taken.has(path)) {
      this.contested.add(path);
      return undefined;
    }
    this.#taken.add(path);
    this.#paths.set(rowName(key), path);
    return path;
  }

  /** The row has no file any more; gives the path that it had. */
  release(key: RowKey): string | undefined {
    const path = this.pathOf(key);
    if (path === undefined) return undefined;
    this.#paths.delete(rowName(key));
    this.#taken.delete(path);
    return path;
  }
}
