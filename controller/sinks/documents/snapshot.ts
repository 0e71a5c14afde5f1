import { createHash } from 'node:crypto';
import { compareUtf8 } from '../../../shared/extract/compare-utf8.ts';
import { Turns } from '../../../shared/in-turns.ts';
import type { ExportRow } from '../contract.ts';

/** All rows of an inventory in canonical order. It holds references to the rows, and nothing of what they say. */
export interface Snapshot {
  rows: readonly ExportRow[];
  /** SHA-256 of the canonical JSON of all rows, in hex. */
  checksum: string;
}

/** Puts the rows of a pass in order, a few milliseconds at a time. */
export async function snapshotOf(upserts: Iterable<readonly ExportRow[]>): Promise<Snapshot> {
  const rows = await sorted(upserts);
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

/** Rows that are sorted at once: one to two milliseconds. */
const runRows = 2_048;

/** Sorts runs, then merges neighbours until one is left. */
async function sorted(upserts: Iterable<readonly ExportRow[]>): Promise<readonly ExportRow[]> {
  const turns = new Turns();
  let runs: ExportRow[][] = [];
  for (const slice of upserts) {
    for (let start = 0; start < slice.length; start += runRows) {
      runs.push(slice.slice(start, start + runRows).sort(compareRows));
      if (turns.isOver) await turns.next();
    }
  }
  while (runs.length > 1) {
    const merged: ExportRow[][] = [];
    for (let index = 0; index < runs.length; index += 2) merged.push(await merge(runs[index]!, runs[index + 1] ?? [], turns));
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge(left: ExportRow[], right: ExportRow[], turns: Turns): Promise<ExportRow[]> {
  if (right.length === 0) return left;
  const merged = Array.from<ExportRow>({ length: left.length + right.length });
  let [l, r] = [0, 0];
  for (let at = 0; at < merged.length; at++) {
    const isLeft = r === right.length || (l < left.length && compareRows(left[l]!, right[r]!) <= 0);
    merged[at] = isLeft ? left[l++]! : right[r++]!;
    if (at % runRows === 0 && turns.isOver) await turns.next();
  }
  return merged;
}
