import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import type { BackendPreview } from '../contract.ts';
import { createTableStatement } from './schema.ts';
import { modeOf, tableName } from './settings.ts';
import { createStateStatement } from './state.ts';

/** The statements that an export would create its tables with; under `existing`, those for somebody else to run. */
export function previewTable(spec: KollectDatabaseSinkSpec): BackendPreview {
  const table = tableName(spec);
  return { postgres: { expectedDDL: createTableStatement(table), ...(modeOf(spec) === 'ensure' && { expectedStateDDL: createStateStatement(table) }) } };
}
