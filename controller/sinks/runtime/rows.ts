import type { ExportRow, RejectedRow } from '../contract.ts';

/** Takes out rows that are too large to be sent. */
export function withoutOversize(rows: readonly ExportRow[], maxRowBytes: number): { fitting: readonly ExportRow[]; oversize: RejectedRow[] } {
  const large = rows.filter(({ payload }) => payload.length > maxRowBytes / 3 && Buffer.byteLength(payload) > maxRowBytes);
  if (large.length === 0) return { fitting: rows, oversize: [] };
  const message = `larger than ${maxRowBytes / 1024 / 1024} MiB`;
  const oversize = large.map(({ targetName, uid, namespace, hash }) => ({ key: { targetName, uid }, namespace, hash, code: 'PayloadTooLarge', message }));
  return { fitting: rows.filter((row) => !large.includes(row)), oversize };
}

/** A key twice in one statement is an error; the later row counts. */
export function withoutDuplicates(rows: readonly ExportRow[]): readonly ExportRow[] {
  const targets = new Map<string, Map<string, ExportRow>>();
  let count = 0;
  for (const row of rows) {
    let uids = targets.get(row.targetName);
    if (uids === undefined) targets.set(row.targetName, (uids = new Map()));
    uids.set(row.uid, row);
  }
  for (const uids of targets.values()) count += uids.size;
  return count === rows.length ? rows : [...targets.values()].flatMap((uids) => [...uids.values()]);
}

/**
 * The payload without U+0000, which JSON has and the JSON types of databases have not. Objects hold it in data that was binary once; a row without the
 * character is worth more than no row. Everything else stays, numbers of any size among it: the text is not parsed.
 */
export function storablePayload(payload: string): string {
  if (!payload.includes('\\u0000')) return payload;
  // Pairs of backslashes are taken first, so that an escaped backslash before `u0000` stays one.
  return payload.replace(/\\\\|\\u0000/g, (escape) => (escape === '\\u0000' ? '' : escape));
}

/** Of all of them. */
export function payloadBytes(rows: readonly ExportRow[]): number {
  let bytes = 0;
  for (const row of rows) bytes += Buffer.byteLength(row.payload);
  return bytes;
}

/** Cuts arrays of rows so that none exceeds a number of rows or of characters of payload. */
export function* portions(slices: Iterable<readonly ExportRow[]>, limit: () => { rows: number; characters: number }): Generator<ExportRow[]> {
  let portion: ExportRow[] = [];
  let characters = 0;
  for (const slice of slices) {
    for (const row of slice) {
      portion.push(row);
      characters += row.payload.length;
      const most = limit();
      if (portion.length < most.rows && characters < most.characters) continue;
      yield portion;
      portion = [];
      characters = 0;
    }
  }
  if (portion.length > 0) yield portion;
}
