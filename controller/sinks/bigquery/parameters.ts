import type { ExportRow, InventoryIdentity, RowKey } from '../contract.ts';
import { storablePayload } from '../runtime/rows.ts';
import { sentColumns, type Operation } from './statements.ts';

/** A row as it is sent. */
export type SentRow = Record<keyof typeof sentColumns, string | null>;

/** As the API takes it. */
export interface QueryParameter {
  name: string;
  parameterType: object;
  parameterValue: object;
}

export function text(name: string, value: string | undefined): QueryParameter {
  return { name, parameterType: { type: 'STRING' }, parameterValue: { value: value ?? null } };
}

export function texts(name: string, values: readonly string[]): QueryParameter {
  return { name, parameterType: { type: 'ARRAY', arrayType: { type: 'STRING' } }, parameterValue: { arrayValues: values.map((value) => ({ value })) } };
}

export function timestamp(name: string, value: Date): QueryParameter {
  return { name, parameterType: { type: 'TIMESTAMP' }, parameterValue: { value: value.toISOString() } };
}

export function sentRows(name: string, rows: readonly SentRow[]): QueryParameter {
  const structTypes = Object.entries(sentColumns).map(([column, type]) => ({ name: column, type: { type } }));
  const arrayValues = rows.map((row) => ({ structValues: Object.fromEntries(Object.entries(row).map(([column, value]) => [column, { value }])) }));
  return { name, parameterType: { type: 'ARRAY', arrayType: { type: 'STRUCT', structTypes } }, parameterValue: { arrayValues } };
}

/** Whose rows a statement is about. */
export function scopeOf({ namespace, name, cluster }: InventoryIdentity): QueryParameter[] {
  return [text('inventory_namespace', namespace), text('inventory_name', name), text('cluster', cluster)];
}

export function written(row: ExportRow, inventoryNamespace: string): SentRow {
  return {
    target_name: row.targetName,
    source_uid: row.uid,
    resource_namespace: row.namespace || inventoryNamespace,
    operation: 'write' satisfies Operation,
    payload: storablePayload(row.payload),
    payload_sha256: Buffer.from(row.hash, 'latin1').toString('hex'),
  };
}

export function named({ targetName, uid }: RowKey, operation: Exclude<Operation, 'write'>): SentRow {
  return { target_name: targetName, source_uid: uid, resource_namespace: null, operation, payload: null, payload_sha256: null };
}
