import type { ExportRow, RejectedRow } from '../contract.ts';

/** No object of Kubernetes is a tenth of it. The database would take up to 1 GB in one message, and this process would hold it three times. */
export const maxRowBytes = 32 * 1024 * 1024;

/** Takes out rows that are too large to be sent. */
export function withoutOversize(rows: readonly ExportRow[]): { fitting: readonly ExportRow[]; oversize: RejectedRow[] } {
  const large = rows.filter(({ payload }) => payload.length > maxRowBytes / 3 && Buffer.byteLength(payload) > maxRowBytes);
  if (large.length === 0) return { fitting: rows, oversize: [] };
  const message = `larger than ${maxRowBytes / 1024 / 1024} MiB`;
  const oversize = large.map(({ targetName, uid, namespace, hash }) => ({ key: { targetName, uid }, namespace, hash, code: 'PayloadTooLarge', message }));
  return { fitting: rows.filter((row) => !large.includes(row)), oversize };
}

/** A row of `target` and uid twice in one statement is an error; the later one counts. */
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
 * The payload without U+0000, which JSON has and jsonb has not. Objects hold it in data that was binary once; a row without the
 * character is worth more than no row. Everything else stays, numbers of any size among it: the text is not parsed.
 */
export function storablePayload(payload: string): string {
  if (!payload.includes('\\u0000')) return payload;
  // Pairs of backslashes are taken first, so that an escaped backslash before `u0000` stays one.
  return payload.replace(/\\\\|\\u0000/g, (escape) => (escape === '\\u0000' ? '' : escape));
}

/** One JSON array for `json_to_recordset`: `t` target, `u` uid, `n` namespace, `p` payload, `h` hash. */
export function recordset(rows: readonly ExportRow[], inventoryNamespace: string): string {
  let text = '[';
  for (const row of rows) {
    const namespace = JSON.stringify(row.namespace || inventoryNamespace);
    text += `${text === '[' ? '' : ','}{"t":${JSON.stringify(row.targetName)},"u":${JSON.stringify(row.uid)},"n":${namespace},"p":${storablePayload(row.payload)},"h":"\\\\x${hex(row.hash)}"}`;
  }
  return `${text}]`;
}

/** Lines in the text format of COPY: target, uid, namespace, payload, hash. */
export function copyLines(rows: readonly ExportRow[], inventoryNamespace: string): string {
  let text = '';
  for (const row of rows) {
    const namespace = row.namespace || inventoryNamespace;
    text += `${copyText(row.targetName)}\t${copyText(row.uid)}\t${copyText(namespace)}\t${copyText(storablePayload(row.payload))}\t\\\\x${hex(row.hash)}\n`;
  }
  return text;
}

function copyText(value: string): string {
  return /[\\\t\n\r]/.test(value) ? value.replace(/[\\\t\n\r]/g, (character) => copyEscapes[character] ?? character) : value;
}

const copyEscapes: Readonly<Record<string, string>> = { '\\': '\\\\', '\t': '\\t', '\n': '\\n', '\r': '\\r' };

function hex(hash: string): string {
  return Buffer.from(hash, 'latin1').toString('hex');
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

export function payloadBytes(rows: readonly ExportRow[]): number {
  let bytes = 0;
  for (const row of rows) bytes += Buffer.byteLength(row.payload);
  return bytes;
}
