import { Turns } from '../../../shared/in-turns.ts';
import type { ExportRow, RejectedRow } from '../contract.ts';
import type { Contents, Part } from './document.ts';
import { envelopeEnd, envelopeStart } from './json-document.ts';
import { rejection } from './rejection.ts';
import { itemsChecksum, slicesOf, type Snapshot } from './snapshot.ts';

export interface Partition {
  /** One without a number when all rows fit into it. */
  parts: readonly (Snapshot & { part?: Part })[];
  /** Rows that are too large for any part. */
  rejected: readonly RejectedRow[];
}

/**
 * Divides the rows of a snapshot among documents that, as envelopes, are no larger than allowed, in canonical order, each as full as can be.
 *
 * @param maxBytes undefined for no limit
 */
export async function partition(snapshot: Snapshot, { identity, exportedAt }: Pick<Contents, 'identity' | 'exportedAt'>, maxBytes: number | undefined): Promise<Partition> {
  if (maxBytes === undefined) return { parts: [snapshot], rejected: [] };
  const { rows, checksum } = snapshot;
  // As if there were as many parts as rows: numbers are never longer than that.
  const part = { index: rows.length, total: rows.length };
  const frame = (of?: Part): number => Buffer.byteLength(envelopeStart({ identity, exportedAt, rows, checksum, part: of })) + envelopeEnd.length;
  const most = maxBytes - frame(part);
  const groups: ExportRow[][] = [[]];
  const rejected: RejectedRow[] = [];
  const turns = new Turns();
  let all = 0;
  let bytes = 0;
  for (const slice of slicesOf(rows)) {
    for (const row of slice) {
      const size = Buffer.byteLength(row.payload);
      if (size > most) {
        rejected.push(rejection(row, 'PayloadTooLarge', `has ${size} bytes, and a document may have ${maxBytes}`));
        continue;
      }
      all += size + 1;
      bytes += size + 1;
      if (bytes - 1 > most) {
        groups.push([]);
        bytes = size + 1;
      }
      groups.at(-1)!.push(row);
    }
    if (turns.isOver) await turns.next();
  }
  const sent = groups.flat();
  if (groups.length === 1 || all - 1 + frame() <= maxBytes) return { parts: [rejected.length === 0 ? snapshot : { rows: sent, checksum: await itemsChecksum(sent) }], rejected };
  const parts: Partition['parts'][number][] = [];
  for (const [at, group] of groups.entries()) parts.push({ rows: group, checksum: await itemsChecksum(group), part: { index: at + 1, total: groups.length } });
  return { parts, rejected };
}
