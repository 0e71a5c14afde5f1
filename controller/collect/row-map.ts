import type { StoredRow } from './row.ts';

/** One map of a million rows stops the process for 60 ms whenever it grows or shrinks; a map of this many, or sixteen of a million, for a few. */
const largestSingleMap = 16_384;
const manyMaps = 16;

/** Rows by uid, in one map while they are few and in several from then on. May be changed while somebody walks through `values`. */
export class RowMap {
  #maps: readonly Map<string, StoredRow>[] = [new Map()];
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(uid: string): StoredRow | undefined {
    return this.#of(uid).get(uid);
  }

  set(uid: string, row: StoredRow): void {
    const map = this.#of(uid);
    const before = map.size;
    map.set(uid, row);
    this.#size += map.size - before;
    if (this.#size > largestSingleMap && this.#maps.length === 1) this.#split();
  }

  delete(uid: string): void {
    if (this.#of(uid).delete(uid)) this.#size--;
  }

  /** Whoever walks while the map is split goes on with the rows of that moment. */
  *values(): Generator<StoredRow> {
    for (const map of this.#maps) yield* map.values();
  }

  /** All rows as they are now, in arrays: a tenth of the time that it takes to walk through them. */
  pieces(): StoredRow[][] {
    return this.#maps.map((map) => [...map.values()]);
  }

  #of(uid: string): Map<string, StoredRow> {
    if (this.#maps.length === 1) return this.#maps[0]!;
    // The last characters of a uid are random. One that is too short for that has a map all the same.
    return this.#maps[((uid.charCodeAt(uid.length - 1) + 7 * uid.charCodeAt(uid.length - 2)) | 0) % manyMaps]!;
  }

  #split(): void {
    const [all] = this.#maps;
    this.#maps = Array.from({ length: manyMaps }, () => new Map<string, StoredRow>());
    for (const row of all!.values()) this.#of(row.uid).set(row.uid, row);
  }
}
