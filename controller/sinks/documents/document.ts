import { Turns } from '../../../shared/in-turns.ts';
import type { ExportRow, InventoryIdentity } from '../contract.ts';
import { slicesOf } from './snapshot.ts';

/** What a document is made of: all rows of an inventory, or those of one part of it. */
export interface Contents {
  identity: InventoryIdentity;
  exportedAt: Date;
  /** In canonical order. */
  rows: readonly ExportRow[];
  /** SHA-256 of the canonical JSON of `rows`, in hex. */
  checksum: string;
  /** Unset: it is the whole inventory. */
  part?: Part | undefined;
}

/** `index` counts from 1. */
export interface Part {
  index: number;
  total: number;
}

/** A piece of a document for each slice of rows, with a turn for everybody else whenever some milliseconds have passed. */
export async function* written(rows: readonly ExportRow[], write: (slice: readonly ExportRow[]) => string): AsyncGenerator<Uint8Array> {
  const turns = new Turns();
  for (const slice of slicesOf(rows)) {
    yield Buffer.from(write(slice));
    if (turns.isOver) await turns.next();
  }
}
