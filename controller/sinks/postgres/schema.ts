import { KollectError } from '../../../shared/errors.ts';
import { sqlState } from './errors.ts';
import type { Session } from './session.ts';
import { quoted, type ResolvedSettings, type TableName } from './settings.ts';
import { createStateStatement, stateColumns, stateTable } from './state.ts';

/** What a write needs to know of the table. */
export interface TableLayout {
  /** Differs once the table was dropped and created again, or emptied by TRUNCATE. */
  incarnation: string;
  /** Columns of the unique key that upserts go by. */
  key: readonly string[];
  /** The table has `payload_sha256`. */
  hashed: boolean;
  /** Large changes may go through a temporary table. Making one is DDL, which `existing` rules out. */
  staging: boolean;
  /** There is a table of states that we may write. */
  state: boolean;
}

const keyColumns = ['inventory_namespace', 'inventory_name', 'target_name', 'source_uid'] as const;
/**
 * A uid is unique in its cluster only, so the cluster belongs to the key: in front of what differs within an inventory, so that one of many clusters finds its
 * rows without reading those of the others. Tables of older installations lack it there.
 */
const fullKey = ['inventory_namespace', 'inventory_name', 'cluster', 'target_name', 'source_uid'] as const;

const textTypes = ['text', 'character varying'];
const columnTypes: Readonly<Record<string, readonly string[]>> = {
  inventory_namespace: textTypes,
  inventory_name: textTypes,
  target_name: textTypes,
  source_uid: textTypes,
  cluster: textTypes,
  resource_namespace: textTypes,
  payload: ['jsonb'],
  exported_at: ['timestamp with time zone', 'timestamp without time zone'],
};
const optionalTypes: Readonly<Record<string, readonly string[]>> = { payload_sha256: ['bytea'] };

/** The statement that `ensure` creates a table with. */
export function createTableStatement({ sql }: TableName): string {
  return `CREATE TABLE IF NOT EXISTS ${sql} (
  inventory_namespace text NOT NULL,
  inventory_name text NOT NULL,
  target_name text NOT NULL,
  source_uid text NOT NULL,
  cluster text NOT NULL DEFAULT '',
  resource_namespace text NOT NULL DEFAULT '',
  payload jsonb NOT NULL,
  exported_at timestamptz NOT NULL,
  payload_sha256 bytea,
  PRIMARY KEY (${fullKey.join(', ')})
)`;
}

/** What the server says about table and rights, from its catalogue alone: no lock, no write. */
export interface TableState {
  version: string;
  /** It is a standby, or takes no writes for another reason. */
  readOnly: boolean;
  /** The user may make temporary tables, which are the faster way for large changes. */
  temporary: boolean;
  schemaExists: boolean;
  /** The user may create tables in the schema. */
  schemaCreate: boolean;
  schemaUsage: boolean;
  /** Whether the table of states can be written; null when there is none. */
  stateUsable: boolean | null;
  table: TableFacts | null;
}

interface TableFacts {
  kind: string;
  incarnation: string;
  /** The user may alter it. */
  owned: boolean;
  lacking: string[] | null;
  /** What no policy of row security lets the user do; null where none applies to him. */
  barred: string[] | null;
  columns: { name: string; type: string; needsValue: boolean }[];
  keys: string[][] | null;
}

export async function inspectTable(session: Session, { schema, table }: TableName): Promise<TableState> {
  const statement = { text: inspection, values: [schema, table, stateTable, stateColumns] };
  const { rows } = await session.transaction(() => session.query<TableState & Record<string, unknown>>(statement));
  return rows[0]!;
}

const inspection = `
SELECT current_setting('server_version') AS version,
  current_setting('transaction_read_only') = 'on' AS "readOnly",
  has_database_privilege(current_database(), 'TEMPORARY') AS temporary,
  n.oid IS NOT NULL AS "schemaExists",
  coalesce(has_schema_privilege(n.oid, 'CREATE'), false) AS "schemaCreate",
  coalesce(has_schema_privilege(n.oid, 'USAGE'), false) AS "schemaUsage",
  (SELECT s.relkind = 'r' AND has_table_privilege(s.oid, 'SELECT') AND has_table_privilege(s.oid, 'INSERT') AND has_table_privilege(s.oid, 'UPDATE') AND has_table_privilege(s.oid, 'DELETE')
      AND $4::text[] <@ ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = s.oid AND a.attnum > 0 AND NOT a.attisdropped)
    FROM pg_class s WHERE s.relnamespace = n.oid AND s.relname = $3) AS "stateUsable",
  CASE WHEN c.oid IS NOT NULL THEN json_build_object(
    'kind', c.relkind,
    'incarnation', c.oid || '/' || c.relfilenode,
    'owned', pg_has_role(c.relowner, 'USAGE'),
    'lacking', (SELECT json_agg(p) FROM unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) p WHERE NOT has_table_privilege(c.oid, p)),
    'barred', (SELECT json_agg(command) FROM (VALUES ('SELECT', 'r'), ('INSERT', 'a'), ('UPDATE', 'w'), ('DELETE', 'd')) commands (command, code)
      WHERE row_security_active(c.oid) AND NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive AND p.polcmd::text IN ('*', code)
        AND EXISTS (SELECT FROM unnest(p.polroles) AS role WHERE role = 0 OR pg_has_role(role, 'USAGE')))),
    'columns', (SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, NULL),
        'needsValue', a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '') ORDER BY a.attnum)
      FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
    'keys', (SELECT json_agg((SELECT json_agg(a.attname) FROM pg_attribute a
        WHERE a.attrelid = c.oid AND a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])))
      FROM pg_index i WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL)
  ) END AS "table"
FROM (SELECT $1::text AS nspname, $2::text AS relname) wanted
LEFT JOIN pg_namespace n ON n.nspname = wanted.nspname
LEFT JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = wanted.relname AND c.relkind NOT IN ('i', 'I', 't', 'c')`;

/** Throws `KOL_SINK_SCHEMA` or `KOL_SINK_AUTH` with all that an existing table lacks. */
export function verifyTable({ table: { title }, mode }: Pick<ResolvedSettings, 'table' | 'mode'>, state: TableState, table: TableFacts): TableLayout {
  if (table.kind !== 'r' && table.kind !== 'p') throw new KollectError('KOL_SINK_SCHEMA', `${title} is not a table: rows cannot be upserted into a view or foreign table`);
  const found = new Map(table.columns.map((column) => [column.name, column]));
  const problems: string[] = [];
  for (const [name, types] of Object.entries({ ...columnTypes, ...optionalTypes })) {
    const column = found.get(name);
    if (column === undefined) {
      if (Object.hasOwn(columnTypes, name)) problems.push(`column ${name} of type ${types[0]}`);
    } else if (!types.includes(column.type)) problems.push(`type ${types[0]} at column ${name}, which is ${column.type}`);
  }
  for (const { name, needsValue } of table.columns) {
    const known = Object.hasOwn(columnTypes, name) || Object.hasOwn(optionalTypes, name);
    if (needsValue && !known) problems.push(`a default at column ${quoted(name)}, which Kollect does not fill`);
  }
  const key = [keyColumns, fullKey].find((columns) => table.keys?.some((names) => names.length === columns.length && columns.every((name) => names.includes(name))));
  if (key === undefined) problems.push(`a primary key or unique constraint, not deferrable, on (${fullKey.join(', ')}), with or without cluster`);
  if (problems.length > 0) throw new KollectError('KOL_SINK_SCHEMA', `${title} lacks ${problems.join('; ')}`);
  const usage = state.schemaUsage ? [] : ['USAGE on its schema'];
  const lacking = [...usage, ...(table.lacking ?? [])];
  if (lacking.length > 0) throw new KollectError('KOL_SINK_AUTH', `the user of the connection string lacks ${lacking.join(', ')} for ${title}: grant it`);
  if (table.barred) {
    throw new KollectError('KOL_SINK_AUTH', `row security keeps the user of the connection string from ${table.barred.join(', ')} at all rows of ${title}: create policies that let him, or give him BYPASSRLS`);
  }
  const ensure = mode === 'ensure';
  return { incarnation: table.incarnation, key: key ?? fullKey, hashed: found.has('payload_sha256'), staging: ensure && state.temporary, state: ensure && state.stateUsable === true };
}

/** Whether `ensure` would be able to create the table. Throws `KOL_SINK_SCHEMA` or `KOL_SINK_AUTH`. */
export function verifyCreation({ schema, title }: TableName, state: TableState): void {
  if (!state.schemaExists) throw new KollectError('KOL_SINK_SCHEMA', `schema ${quoted(schema)} does not exist: create it, or correct spec.postgres.schema`);
  const lacking = [
    ...(state.schemaUsage ? [] : [`USAGE on schema ${quoted(schema)}`]),
    ...(state.schemaCreate ? [] : [`CREATE on schema ${quoted(schema)}`]),
  ];
  if (lacking.length > 0) throw new KollectError('KOL_SINK_AUTH', `${title} does not exist and the user of the connection string lacks ${lacking.join(', ')}: grant it, or create the table`);
}

/** Throws the error of a table that has to be there and is not. */
export function missingTable({ title }: TableName): KollectError {
  return new KollectError('KOL_SINK_SCHEMA', `${title} does not exist, and spec.provisioning.mode existing creates nothing: create it, or set the mode to ensure`);
}

/** Creates the table under `ensure`, whatever other processes do at the same time. */
export async function createTable(session: Session, { table }: ResolvedSettings): Promise<void> {
  await create(session, table, createTableStatement(table));
}

/** Creates the table of states. */
export async function createStateTable(session: Session, { table }: ResolvedSettings): Promise<void> {
  await create(session, table, createStateStatement(table));
}

async function create(session: Session, { schema }: TableName, statement: string): Promise<void> {
  try {
    await session.transaction(async () => {
      // IF NOT EXISTS looks before it creates; two that look at once would both create.
      await session.query({ text: 'SELECT pg_advisory_xact_lock(hashtextextended($1, 0))', values: [`kollect ${schema}`] });
      await session.query(statement);
    });
  } catch (error) {
    // Somebody who does not know the lock was faster: a name twice in the catalogue, or the table itself.
    if (sqlState(error) !== '23505' && sqlState(error) !== '42P07') throw error;
  }
}

/** Adds the nullable columns that a table of an older version lacks; leaves them out while somebody else holds the table. */
export async function addOptionalColumns(session: Session, { table }: ResolvedSettings): Promise<boolean> {
  try {
    await session.transaction(async () => {
      await session.query(`SET LOCAL lock_timeout = '1s'; ALTER TABLE ${table.sql} ADD COLUMN IF NOT EXISTS payload_sha256 bytea`);
    });
    return true;
  } catch (error) {
    if (sqlState(error) === '55P03') return false;
    throw error;
  }
}
