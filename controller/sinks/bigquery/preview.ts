import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import type { BackendPreview } from '../contract.ts';
import { tableName } from './settings.ts';
import { createTableStatement, mergeStatement } from './statements.ts';

/** The statement that an export creates its table with, or somebody else does under `existing`, and the one that it writes with. */
export function previewTable(spec: KollectDatabaseSinkSpec): BackendPreview {
  const table = tableName(spec);
  const expectedMerge = mergeStatement(table, { hashed: true, owned: true }, { staging: undefined, compares: { knows: true, spares: false, onlyExempt: false } });
  return { bigquery: { expectedDDL: createTableStatement(table), expectedMerge } };
}
