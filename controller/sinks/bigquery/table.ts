import { KollectError } from '../../../shared/errors.ts';
import type { BigQueryApi } from './api.ts';
import { isNotFound, missingDataset } from './errors.ts';
import type { ResolvedSettings, TableName } from './settings.ts';
import { columns, optionalColumns, type TableLayout } from './statements.ts';

/** A table as the API describes it, the parts that are read. */
export interface TableFacts {
  type?: string;
  location?: string;
  /** Milliseconds; another one after any change of its rows. */
  lastModifiedTime?: string;
  creationTime?: string;
  schema?: { fields?: { name: string; type: string; mode?: string; defaultValueExpression?: string }[] };
  timePartitioning?: { expirationMs?: string; requirePartitionFilter?: boolean };
  requirePartitionFilter?: boolean;
}

/** The table; undefined when there is none in a dataset that is there. Throws `KOL_SINK_SCHEMA` without a dataset. */
export async function findTable(api: BigQueryApi, table: TableName, signal: AbortSignal): Promise<TableFacts | undefined> {
  try {
    return await api.send<TableFacts>({ method: 'GET', path: `${datasetPath(table)}/tables/${encodeURIComponent(table.table)}`, signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

/** Where the jobs of a dataset run. Throws `KOL_SINK_SCHEMA` when there is none. */
export async function locationOf(api: BigQueryApi, table: TableName, signal: AbortSignal): Promise<string | undefined> {
  try {
    return (await api.send<{ location?: string }>({ method: 'GET', path: datasetPath(table), signal })).location;
  } catch (error) {
    throw isNotFound(error) ? missingDataset(table, error) : error;
  }
}

export function datasetPath({ project, dataset }: Pick<TableName, 'project' | 'dataset'>): string {
  return `projects/${encodeURIComponent(project)}/datasets/${encodeURIComponent(dataset)}`;
}

/** The API has older names, too. */
const otherNames: Readonly<Record<string, string>> = { INTEGER: 'INT64', FLOAT: 'FLOAT64', BOOLEAN: 'BOOL', RECORD: 'STRUCT' };

/** Throws `KOL_SINK_SCHEMA` with all that a table lacks. */
export function verifyTable({ title }: TableName, facts: TableFacts): TableLayout {
  if (facts.type !== undefined && facts.type !== 'TABLE') throw new KollectError('KOL_SINK_SCHEMA', `${title} is a ${facts.type.toLowerCase().replaceAll('_', ' ')}: rows are merged into tables only`);
  const found = new Map((facts.schema?.fields ?? []).map((field) => [field.name.toLowerCase(), field]));
  const problems: string[] = [];
  const all = { ...columns, ...optionalColumns };
  for (const [name, type] of Object.entries(all)) {
    const field = found.get(name);
    if (field === undefined) {
      if (Object.hasOwn(columns, name)) problems.push(`column ${name} of type ${type}`);
      continue;
    }
    const actual = field.mode === 'REPEATED' ? `ARRAY<${field.type}>` : (otherNames[field.type] ?? field.type);
    if (actual !== type) problems.push(`type ${type} at column ${name}, which is ${actual}`);
  }
  for (const { name, mode, defaultValueExpression } of found.values()) {
    if (mode === 'REQUIRED' && defaultValueExpression === undefined && !Object.hasOwn(all, name.toLowerCase())) problems.push(`a default at column ${name}, which Kollect does not fill`);
  }
  if (facts.requirePartitionFilter || facts.timePartitioning?.requirePartitionFilter) problems.push('require_partition_filter = FALSE');
  // Rows keep the time when their content was written, so that those which do not change would expire.
  if (facts.timePartitioning?.expirationMs !== undefined) problems.push('partitions that do not expire (partition_expiration_days = NULL)');
  if (problems.length > 0) throw new KollectError('KOL_SINK_SCHEMA', `${title} lacks ${problems.join('; ')}`);
  return { hashed: found.has('payload_sha256'), owned: found.has('installation') };
}

/** Throws the error of a table that has to be there and is not. */
export function missingTable({ title }: TableName): KollectError {
  return new KollectError('KOL_SINK_SCHEMA', `${title} does not exist, and spec.provisioning.mode existing creates nothing: create it, or set the mode to ensure`);
}

export function lacksColumns({ mode }: ResolvedSettings, { hashed, owned }: TableLayout): boolean {
  return mode === 'ensure' && !(hashed && owned);
}
