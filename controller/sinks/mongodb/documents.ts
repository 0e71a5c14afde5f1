import { Binary, BSON, Long, type Document } from 'mongodb';
import type { ExportRow, InventoryIdentity, RejectedRow } from '../contract.ts';
import { rejection } from '../documents/rejection.ts';

/** What tells documents from each other, in the order of the unique index. */
export const keyFields = ['inventory_namespace', 'inventory_name', 'target_name', 'source_uid'] as const;

/** A document, without what it is about. */
export interface RowDocument extends Document {
  inventory_namespace: string;
  inventory_name: string;
  target_name: string;
  source_uid: string;
  cluster: string;
  resource_namespace: string;
  payload: Document;
  /** SHA-256 of the row, as 32 bytes. */
  payload_sha256: Binary;
  exported_at: Date;
}

/** What a server takes as one document, less what surrounds the payload. */
export const maxRowBytes = 16 * 1024 * 1024 - 16 * 1024;
/** A number of one digit has two bytes in JSON, and up to seventeen here. */
const growth = 17;

/** The documents of one inventory and cluster. */
export function scopeOf({ namespace, name, cluster }: InventoryIdentity): { inventory_namespace: string; inventory_name: string; cluster: string } {
  return { inventory_namespace: namespace, inventory_name: name, cluster };
}

/** The row as it is stored, or why it cannot be. */
export function documentOf(row: ExportRow, { namespace, name, cluster }: InventoryIdentity, exportedAt: Date): RowDocument | RejectedRow {
  const payload = payloadOf(row.payload);
  const document: RowDocument = {
    inventory_namespace: namespace,
    inventory_name: name,
    target_name: row.targetName,
    source_uid: row.uid,
    cluster,
    resource_namespace: row.namespace || namespace,
    payload,
    payload_sha256: new Binary(Buffer.from(row.hash, 'latin1')),
    exported_at: exportedAt,
  };
  // Names of fields end with this character where they are stored.
  if (row.payload.includes('\\u0000') && hasBadName(payload)) return rejection(row, 'InvalidFieldName', 'has a field with the character U+0000 in its name');
  if (row.payload.length * growth > maxRowBytes) {
    const bytes = row.payload.length > maxRowBytes ? row.payload.length : BSON.calculateObjectSize(document);
    if (bytes > maxRowBytes) return rejection(row, 'PayloadTooLarge', `has ${bytes} bytes, and a document may have ${maxRowBytes}`);
  }
  return document;
}

/**
 * The payload with every number as it is written: integers of more than 15 digits are 64 bits wide where they fit, and else the text of their digits, since no number
 * holds them.
 *
 * @param payload canonical JSON of a row
 */
export function payloadOf(payload: string): Document {
  if (!/\d{16}/.test(payload)) return JSON.parse(payload) as Document;
  const exact = (_key: string, value: unknown, { source = '' }: { source?: string } = {}): unknown => {
    if (typeof value !== 'number' || Number.isSafeInteger(value) || !/^-?\d+$/.test(source)) return value;
    const integer = BigInt(source);
    return integer === BigInt.asIntN(64, integer) ? Long.fromBigInt(integer) : source;
  };
  return JSON.parse(payload, exact) as Document;
}


function hasBadName(value: unknown): boolean {
  if (typeof value !== 'object' || value === null || value instanceof Long) return false;
  return Object.entries(value).some(([name, inner]) => (!Array.isArray(value) && name.includes('\0')) || hasBadName(inner));
}
