import type { TableName } from './settings.ts';

/** What a statement needs to know of the table. */
export interface TableLayout {
  /** It has `payload_sha256`. */
  hashed: boolean;
  /** It has `installation`. */
  owned: boolean;
}

export type ColumnType = 'STRING' | 'JSON' | 'TIMESTAMP' | 'BYTES';

export const columns: Readonly<Record<string, ColumnType>> = {
  inventory_namespace: 'STRING',
  inventory_name: 'STRING',
  target_name: 'STRING',
  source_uid: 'STRING',
  cluster: 'STRING',
  resource_namespace: 'STRING',
  payload: 'JSON',
  exported_at: 'TIMESTAMP',
};
/** A table of somebody else may lack them. */
export const optionalColumns: Readonly<Record<string, ColumnType>> = { payload_sha256: 'BYTES', installation: 'STRING' };

/** The statement that `ensure` creates the table with. */
export function createTableStatement({ sql }: TableName): string {
  const required = Object.entries(columns).map(([name, type]) => `  ${name} ${type} NOT NULL`);
  const optional = Object.entries(optionalColumns).map(([name, type]) => `  ${name} ${type}`);
  return `CREATE TABLE IF NOT EXISTS ${sql} (
${[...required, ...optional].join(',\n')}
)
PARTITION BY DATE(exported_at)
CLUSTER BY cluster, inventory_namespace, inventory_name, resource_namespace`;
}

/** Adds the columns that a table of an older version lacks. */
export function addColumnsStatement({ sql }: TableName): string {
  return `ALTER TABLE ${sql} ${Object.entries(optionalColumns)
    .map(([name, type]) => `ADD COLUMN IF NOT EXISTS ${name} ${type}`)
    .join(', ')}`;
}

/** Columns of what rows are sent as: parameters, and the staging table in this order. */
export const sentColumns = { target_name: 'STRING', source_uid: 'STRING', resource_namespace: 'STRING', operation: 'STRING', payload: 'STRING', payload_sha256: 'STRING' } as const;

export type Operation = 'write' | 'delete' | 'keep';

/** Text in an error of a statement that met rows of another installation. */
export const foreignRows = 'kollect: rows of another installation';

const scope = 'T.inventory_namespace = @inventory_namespace AND T.inventory_name = @inventory_name AND T.cluster = @cluster';
const isForeign = 'T.installation IS NOT NULL AND T.installation IS DISTINCT FROM @installation';

/** What is compared, beside the rows that are named. */
export interface Comparison {
  /** The parameter `@known_targets` is there. */
  knows: boolean;
  /** The parameter `@spared` is there. */
  spares: boolean;
  /** Only rows of `@exempt_targets` may go. */
  onlyExempt: boolean;
}

/**
 * The one statement of an export: inserts rows, replaces those whose content differs, deletes those that are known to be gone and, where a comparison is asked for, what
 * nobody named. Rows are in the parameter `@rows` or in a staging table. It fails when it meets rows of another installation.
 */
export function mergeStatement({ sql }: TableName, layout: TableLayout, { staging, compares }: { staging: TableName | undefined; compares: Comparison | undefined }): string {
  const changed = layout.hashed ? `COALESCE(T.payload_sha256 != S.payload_sha256, ${textDiffers})` : textDiffers;
  const written = { resource_namespace: 'S.resource_namespace', payload: 'S.payload', exported_at: '@exported_at', ...(layout.hashed && { payload_sha256: 'S.payload_sha256' }), ...(layout.owned && { installation: '@installation' }) };
  const inserted = { inventory_namespace: '@inventory_namespace', inventory_name: '@inventory_name', target_name: 'S.target_name', source_uid: 'S.source_uid', cluster: '@cluster', ...written };
  const refused = `UPDATE SET cluster = ERROR('${foreignRows}')`;
  return [
    `MERGE ${sql} AS T`,
    `USING (${sentRows(staging)}) AS S`,
    `ON ${scope} AND T.target_name = S.target_name AND T.source_uid = S.source_uid`,
    ...(layout.owned ? [`WHEN MATCHED AND ${isForeign} THEN ${refused}`] : []),
    "WHEN MATCHED AND S.operation = 'delete' THEN DELETE",
    `WHEN MATCHED AND S.operation = 'write' AND (${changed} OR T.resource_namespace != S.resource_namespace) THEN UPDATE SET ${assignments(written)}`,
    `WHEN NOT MATCHED BY TARGET AND S.operation = 'write' THEN INSERT (${Object.keys(inserted).join(', ')}) VALUES (${Object.values(inserted).join(', ')})`,
    ...(layout.owned ? [`WHEN NOT MATCHED BY SOURCE AND ${scope} AND ${isForeign} THEN ${refused}`] : []),
    ...(compares ? [`WHEN NOT MATCHED BY SOURCE AND ${scope} AND ${isStale(compares)} THEN DELETE`] : []),
  ].join('\n');
}

/** How many rows such a statement would delete because nobody named them, those of `@exempt_targets` aside. */
export function countStaleStatement({ sql }: TableName, { staging, compares }: { staging: TableName | undefined; compares: Comparison }): string {
  return `SELECT COUNT(*) AS stale FROM ${sql} AS T
LEFT JOIN (SELECT R.target_name, R.source_uid FROM ${sentFrom(staging)} AS R) AS S ON T.target_name = S.target_name AND T.source_uid = S.source_uid
WHERE ${scope} AND S.source_uid IS NULL AND ${isStale(compares)} AND T.target_name NOT IN UNNEST(@exempt_targets)`;
}

/** What the table holds of an inventory: rows, how many keys they have, whose they are, and what their hashes amount to. */
export function surveyStatement({ sql }: TableName, layout: TableLayout): string {
  const words = layout.hashed ? Array.from({ length: 8 }, (_, index) => `SUM(CAST(CONCAT('0x', SUBSTR(TO_HEX(T.payload_sha256), ${index * 8 + 1}, 8)) AS INT64)) AS word${index}`) : [];
  const owners = layout.owned ? ['COUNTIF(T.installation IS NULL) AS unowned', `COUNTIF(${isForeign}) AS others`] : [];
  const hashed = layout.hashed ? ['COUNT(T.payload_sha256) AS hashed'] : [];
  const counted = ['COUNT(*) AS held', "COUNT(DISTINCT CONCAT(T.target_name, '/', T.source_uid)) AS distinct_keys"];
  return `SELECT ${[...counted, ...owners, ...hashed, ...words].join(', ')}\nFROM ${sql} AS T WHERE ${scope}`;
}

/** Deletes rows whose key is there twice: nothing in BigQuery keeps two writers from inserting one each. */
export function deleteDuplicatesStatement({ sql }: TableName): string {
  return `DELETE FROM ${sql} AS T WHERE ${scope} AND CONCAT(T.target_name, '/', T.source_uid) IN (
  SELECT CONCAT(D.target_name, '/', D.source_uid) FROM ${sql} AS D
  WHERE D.inventory_namespace = @inventory_namespace AND D.inventory_name = @inventory_name AND D.cluster = @cluster
  GROUP BY 1 HAVING COUNT(*) > 1)`;
}

/** Makes rows ours that nobody owns. */
export function claimStatement({ sql }: TableName): string {
  return `UPDATE ${sql} AS T SET installation = @installation WHERE ${scope} AND T.installation IS NULL`;
}

/** Deletes all of an inventory that is ours, and what nobody owns when `withUnowned`. */
export function removeStatement({ sql }: TableName, layout: TableLayout, withUnowned: boolean): string {
  const owned = layout.owned ? ` AND (T.installation = @installation${withUnowned ? ' OR T.installation IS NULL' : ''})` : '';
  return `DELETE FROM ${sql} AS T WHERE ${scope}${owned}`;
}

/** All rows of an inventory, without their content. */
export function heldStatement({ sql }: TableName, layout: TableLayout): string {
  const ofObject = (name: string): string => `JSON_VALUE(T.payload, '$.${name}') AS object_${name}`;
  return `SELECT T.target_name, T.source_uid, ${['kind', 'group', 'namespace', 'name'].map(ofObject).join(', ')}${layout.hashed ? ', TO_HEX(T.payload_sha256) AS hash' : ''}
FROM ${sql} AS T WHERE ${scope} ORDER BY T.target_name, T.source_uid`;
}

/** Numbers with more digits than a JSON column can hold are rounded rather than refused. */
const parsed = "PARSE_JSON(R.payload, wide_number_mode => 'round')";
const textDiffers = 'TO_JSON_STRING(T.payload) != TO_JSON_STRING(S.payload)';

function sentFrom(staging: TableName | undefined): string {
  return staging?.sql ?? 'UNNEST(@rows)';
}

/** Of a key that was sent twice the last counts; in a parameter no key is twice. */
function sentRows(staging: TableName | undefined): string {
  const select = `SELECT R.target_name, R.source_uid, R.resource_namespace, R.operation, ${parsed} AS payload, FROM_HEX(R.payload_sha256) AS payload_sha256 FROM ${sentFrom(staging)} AS R`;
  return staging ? `${select} WHERE TRUE QUALIFY ROW_NUMBER() OVER (PARTITION BY R.target_name, R.source_uid ORDER BY R.position DESC) = 1` : select;
}

function isStale({ knows, spares, onlyExempt }: Comparison): string {
  const compared = knows ? '(T.target_name IN UNNEST(@complete_targets) OR T.target_name NOT IN UNNEST(@known_targets))' : 'T.target_name IN UNNEST(@complete_targets)';
  return `${compared}${spares ? ` AND ${isNotSpared}` : ''}${onlyExempt ? ' AND T.target_name IN UNNEST(@exempt_targets)' : ''}`;
}

// Rows of a target that is gone are spared by nobody: their target is not among those that spare.
const kindOf = "IF(COALESCE(JSON_VALUE(T.payload, '$.kind'), '') = '', '?', CONCAT(LOWER(COALESCE(JSON_VALUE(T.payload, '$.group'), '')), '.', LOWER(JSON_VALUE(T.payload, '$.kind'))))";
const sparedAs = (namespace: string): string => `CONCAT(T.target_name, '/', ${kindOf}, '/', ${namespace}) NOT IN UNNEST(@spared)`;
const isNotSpared = `${sparedAs("'*'")} AND ${sparedAs("COALESCE(JSON_VALUE(T.payload, '$.namespace'), '')")}`;

function assignments(values: Readonly<Record<string, string>>): string {
  return Object.entries(values)
    .map(([name, value]) => `${name} = ${value}`)
    .join(', ');
}
