import { setImmediate as turn } from 'node:timers/promises';
import type { ExportRow, RowKey } from '../contract.ts';

/** Rows that are taken in at a time, so that nobody waits for more than a millisecond or two. */
const sliceRows = 10_000;

/** Finds rows by key. In many small maps, because one of a million blocks for long whenever it grows. */
export class RowIndex {
  readonly #maps = new Map<string, Map<string, ExportRow | undefined>>();
  size = 0;

  static async of(rows: readonly ExportRow[]): Promise<RowIndex> {
    const index = new RowIndex();
    for (const [position, row] of rows.entries()) {
      index.add(row, row);
      if (position % sliceRows === sliceRows - 1) await turn();
    }
    return index;
  }

  add(key: RowKey, row?: ExportRow): void {
    const name = mapName(key);
    let map = this.#maps.get(name);
    if (map === undefined) this.#maps.set(name, (map = new Map()));
    map.set(key.uid, row);
    this.size++;
  }

  has(key: RowKey): boolean {
    return this.#maps.get(mapName(key))?.has(key.uid) === true;
  }

  /** This very row, not only its key: rows are replaced, never edited. */
  holds(row: ExportRow): boolean {
    return this.#maps.get(mapName(row))?.get(row.uid) === row;
  }
}

/** Uids are random, so that their ends spread evenly. */
function mapName({ targetName, uid }: RowKey): string {
  return `${targetName}/${uid.slice(-2)}`;
}
