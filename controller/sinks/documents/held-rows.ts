import { hash } from 'node:crypto';
import { canonicalRow } from '../../../shared/extract/canonical-json.ts';
import type { Json } from '../../../shared/extract/json.ts';
import { KollectError } from '../../../shared/errors.ts';
import { JsonItems } from '../../../shared/dump/json-items.ts';
import { parsed } from '../../../shared/dump/read-object.ts';
import type { Serialization } from '../../../shared/layout/serialization.ts';
import type { HeldRow } from '../contract.ts';
import { decompressed } from './count-items.ts';
import { rowText } from './row-text.ts';

/** The rows of a document that this project wrote. Throws `KOL_SINK_CONFIG` for a format that is not read, and for what somebody else wrote. */
export function* rowsOfDocument(path: string, document: Uint8Array, { format, compression }: Serialization): Generator<HeldRow> {
  if (format === 'csv' || format === 'parquet') throw new KollectError('KOL_SINK_CONFIG', `${path} cannot be compared: rows are read from json, ndjson and yaml`);
  const bytes = bytesOf(path, document, compression);
  const texts = format === 'json' ? itemsOf(path, bytes) : format === 'ndjson' ? linesOf(bytes.toString()) : bytes.toString().split(/^- /m).slice(1).map((text) => `  ${text}`);
  for (const text of texts) yield rowOf(path, text, format);
}

/** The row of a file of a tree. Throws `KOL_SINK_CONFIG` for what somebody else wrote. */
export function rowOfFile(path: string, file: Uint8Array, { format, compression }: Serialization): HeldRow {
  return rowOf(path, bytesOf(path, file, compression).toString(), format);
}

function rowOf(path: string, text: string, format: Serialization['format']): HeldRow {
  try {
    const row = parsed(text, format === 'yaml' ? 'yaml' : 'json') as Parameters<typeof canonicalRow>[0];
    const payload = canonicalRow({ ...row, group: row.group ?? '', attributes: row.attributes as Record<string, Json> | null });
    const { head } = rowText(payload);
    const { targetName, uid, kind, namespace, name } = head;
    if ([targetName, uid, kind, namespace, name].some((value) => typeof value !== 'string')) throw new Error('no row');
    return { key: { targetName, uid }, kind, namespace, name, hash: hash('sha256', payload, 'binary') };
  } catch (cause) {
    throw new KollectError('KOL_SINK_CONFIG', `${path} cannot be compared: it holds something else than rows`, { cause });
  }
}

function bytesOf(path: string, document: Uint8Array, compression: Serialization['compression']): Buffer {
  try {
    return decompressed(document, compression);
  } catch (cause) {
    throw new KollectError('KOL_SINK_CONFIG', `${path} cannot be compared: it cannot be decompressed`, { cause });
  }
}

function itemsOf(path: string, bytes: Buffer): string[] {
  const items: string[] = [];
  const finder = new JsonItems({ item: (_item, given) => void items.push(given.toString()), listed: () => undefined });
  finder.push(bytes);
  try {
    finder.end();
  } catch (cause) {
    throw new KollectError('KOL_SINK_CONFIG', `${path} cannot be compared: it is cut off`, { cause });
  }
  return items;
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
