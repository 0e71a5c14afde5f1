import type { ExportRow, RejectedRow } from '../contract.ts';

/** A row that gets no place in what is written. */
export function rejection({ targetName, namespace, uid, hash }: ExportRow, code: string, message: string): RejectedRow {
  return { key: { targetName, uid }, namespace, hash, code, message };
}
