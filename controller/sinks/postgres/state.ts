import { KollectError } from '../../../shared/errors.ts';
import type { InventoryIdentity, SnapshotState } from '../contract.ts';
import { unknownInstallation } from '../runtime/errors.ts';
import { scopeValues } from './inventory-rows.ts';
import type { Session } from './session.ts';
import { quoted, type TableName } from './settings.ts';
import type { WriteTarget } from './upsert.ts';

/** One table a schema, beside the tables with rows. */
export const stateTable = 'kollect_state';
export const stateColumns = ['table_name', 'inventory_namespace', 'inventory_name', 'cluster', 'installation', 'row_count', 'digest', 'changed_at', 'epoch'] as const;

/** For SQL. */
export function stateName(schema: string): string {
  return `${quoted(schema)}.${stateTable}`;
}

/**
 * The statement that `ensure` creates the table with. A row says who owns the rows of an inventory, and what the last confirmed write
 * left; `digest` is null while a pass is under way or rows are in quarantine. `epoch` numbers the leaders of an installation.
 */
export function createStateStatement({ schema }: TableName): string {
  return `CREATE TABLE IF NOT EXISTS ${stateName(schema)} (
  table_name text NOT NULL,
  inventory_namespace text NOT NULL,
  inventory_name text NOT NULL,
  cluster text NOT NULL,
  installation text NOT NULL,
  row_count bigint,
  digest text,
  changed_at timestamptz NOT NULL,
  epoch bigint,
  PRIMARY KEY (table_name, inventory_namespace, inventory_name, cluster)
)`;
}

const conditions = 'inventory_namespace = $1 AND inventory_name = $2 AND cluster = $3 AND table_name = $4';

interface StateRow extends Partial<SnapshotState> {
  installation: string;
}

/** What the table says of an inventory; undefined when nothing. */
export async function readState(session: Session, { schema, table }: TableName, identity: InventoryIdentity): Promise<StateRow | undefined> {
  const text = `SELECT installation, row_count AS rows, digest FROM ${stateName(schema)} WHERE ${conditions}`;
  const { rows } = await session.query<{ installation: string; rows: string | null; digest: string | null }>({ text, values: [...scopeValues(identity), table] });
  const [row] = rows;
  if (row === undefined) return undefined;
  if (row.rows === null || row.digest === null) return { installation: row.installation };
  return { installation: row.installation, rows: Number(row.rows), digest: row.digest };
}

/**
 * Writes down, in the transaction of the rows, what they amount to now; `undefined` when that cannot be told. Rows that nobody owns
 * become ours if `claims`. Throws `KOL_SINK_OWNER` when they are another installation's, and `KOL_LEADER_LOST` when a later leader has written since.
 */
export async function recordState(session: Session, target: WriteTarget, state: SnapshotState | undefined, claims: boolean): Promise<void> {
  const { table, layout, identity, installation, epoch } = target;
  if (!layout.state) return;
  if (installation === undefined) {
    if ((await readState(session, table, identity)) !== undefined) throw foreignOwner(target);
    return;
  }
  const values = [...scopeValues(identity), table.table, installation, state?.rows, state?.digest, epoch?.current()];
  if (!claims) {
    const text = `UPDATE ${stateName(table.schema)} AS old SET row_count = $6, digest = $7, changed_at = now(), epoch = coalesce($8::bigint, old.epoch)
WHERE ${conditions} AND old.installation = $5 AND ($8::bigint >= old.epoch) IS NOT FALSE`;
    const { rowCount } = await session.query({ text, values });
    if (rowCount === 0 && (await readState(session, table, identity)) !== undefined) throw await refusal(session, target);
    return;
  }
  const text = `INSERT INTO ${stateName(table.schema)} AS old (inventory_namespace, inventory_name, cluster, table_name, installation, row_count, digest, epoch, changed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, now())
ON CONFLICT (table_name, inventory_namespace, inventory_name, cluster) DO UPDATE SET row_count = excluded.row_count, digest = excluded.digest, changed_at = excluded.changed_at,
  epoch = coalesce(excluded.epoch, old.epoch)
WHERE old.installation = excluded.installation AND (excluded.epoch >= old.epoch) IS NOT FALSE`;
  const { rowCount } = await session.query({ text, values });
  if (rowCount === 0) throw await refusal(session, target);
}

async function refusal(session: Session, target: WriteTarget): Promise<KollectError> {
  const { table, identity, installation, epoch } = target;
  const text = `SELECT installation, epoch FROM ${stateName(table.schema)} WHERE ${conditions}`;
  const { rows } = await session.query<{ installation: string; epoch: string | null }>({ text, values: [...scopeValues(identity), table.table] });
  const [row] = rows;
  if (row === undefined || row.installation !== installation) return foreignOwner(target);
  epoch?.outrank(Number(row.epoch));
  return new KollectError('KOL_LEADER_LOST', `${table.title} was written by leader ${row.epoch} since, and this process was leader ${epoch?.current()}: it writes again if it still leads`);
}

/** Forgets an inventory of ours whose rows are gone. */
export async function forgetState(session: Session, { table, identity, installation }: Omit<WriteTarget, 'layout'>): Promise<void> {
  const text = `DELETE FROM ${stateName(table.schema)} WHERE ${conditions} AND installation = $5`;
  await session.query({ text, values: [...scopeValues(identity), table.table, installation] });
}

/** The error of rows that another installation wrote under the same names. */
export function foreignOwner({ table: { schema, title }, identity: { namespace, name, cluster }, installation }: Pick<WriteTarget, 'table' | 'identity' | 'installation'>): KollectError {
  const which = `inventory ${namespace}/${name} of ${cluster === '' ? 'a cluster without a name' : `cluster ${JSON.stringify(cluster)}`}`;
  if (installation === undefined) return new KollectError('KOL_SINK_OWNER', `${title} holds rows of ${which} that an installation wrote, and nobody knows whether it is this one: ${unknownInstallation}`);
  return new KollectError(
    'KOL_SINK_OWNER',
    `${title} holds rows of ${which} that another installation wrote: give each cluster a name of its own in spec.cluster, or delete the entry in ${stateName(schema)} if that installation is gone`,
  );
}
