import { createHash } from 'node:crypto';
import { compareUtf8 } from '../../../shared/extract/compare-utf8.ts';
import { Turns } from '../../../shared/in-turns.ts';
import { sortInTurns } from '../../../shared/sort-in-turns.ts';
import type { ExportRow } from '../contract.ts';

/** All rows of an inventory in canonical order. It holds references to the rows, and nothing of what they say. */
export interface Snapshot {
  rows: readonly ExportRow[];
  /** SHA-256 of the canonical JSON of all rows, in hex. */
  checksum: string;
}

/** Puts the rows of a pass in order, a few milliseconds at a time. */
export async function snapshotOf(upserts: Iterable<readonly ExportRow[]>): Promise<Snapshot> {
  const rows = await sortInTurns(upserts, compareRows);
  return { rows, checksum: await itemsChecksum(rows) };
}

/** The rows of a snapshot, or of a part of it, in slices that are quickly written. */
export function* slicesOf(rows: readonly ExportRow[]): Generator<readonly ExportRow[]> {
  for (let start = 0; start < rows.length; start += sliceRows) yield rows.slice(start, start + sliceRows);
}

/** Some hundred kilobytes, and less than a millisecond of work in most formats. */
const sliceRows = 250;

/**
 * SHA-256 of the canonical JSON array of the rows, in hex; of `[]` when there are none.
 *
 * @param rows in canonical order
 */
export async function itemsChecksum(rows: readonly ExportRow[]): Promise<string> {
  const hash = createHash('sha256').update('[');
  const turns = new Turns();
  let separator = '';
  for (const slice of slicesOf(rows)) {
    hash.update(`${separator}${slice.map(({ payload }) => payload).join(',')}`);
    separator = ',';
    if (turns.isOver) await turns.next();
  }
  return hash.update(']').digest('hex');
}

/** Canonical order: by target, namespace, name and uid, each by its UTF-8 bytes. An object is in a target once, so that no more is needed. */
export function compareRows(a: ExportRow, b: ExportRow): number {
  return (
    compareUtf8(a.targetNamespace, b.targetNamespace) ||
    compareUtf8(a.targetName, b.targetName) ||
    compareUtf8(a.namespace, b.namespace) ||
    compareUtf8(a.name, b.name) ||
    compareUtf8(a.uid, b.uid)
  );
}
