import { KollectError } from '../../../shared/errors.ts';
import type { ExportRow } from '../contract.ts';
import { scope, scopeValues, type InventoryRows } from './inventory-rows.ts';
import { recordset } from './rows.ts';
import type { TableLayout } from './schema.ts';
import type { Session } from './session.ts';

/** What all statements of a pass share. */
export interface WriteTarget extends InventoryRows {
  layout: TableLayout;
}

/** Rows to be written, as a relation `r` with target `t`, uid `u`, namespace `n`, payload `p` and hash `h`. No key is in it twice. */
export interface Source {
  relation: string;
  /** Parameters of the relation, from `$4` on. */
  values: readonly unknown[];
  count: number;
}

/** Rows that are sent as JSON. */
export function jsonSource(rows: readonly ExportRow[], inventoryNamespace: string): Source {
  return { relation: 'json_to_recordset($4::json) AS r(t text, u text, n text, p jsonb, h bytea)', values: [recordset(rows, inventoryNamespace)], count: rows.length };
}

/**
 * Inserts rows, and replaces those whose content differs, so that `exported_at` tells when that content was written. Gives the number of rows that were really
 * written. Numbers may be equal and written differently (1.0 and 1): where the hash is stored it decides too. Throws `KOL_SINK_OWNER` when a row of another
 * cluster is in the place of one of them, and `KOL_SINK_ROW` when the table has left one out, whichever it is.
 */
export async function upsertFrom(session: Session, target: WriteTarget, source: Source): Promise<number> {
  const { table, layout, identity } = target;
  const hash = layout.hashed ? ', payload_sha256 = excluded.payload_sha256' : '';
  const changed = differs(layout, { payload: 'excluded.payload', namespace: 'excluded.resource_namespace::text', hash: 'excluded.payload_sha256' });
  // A key without the cluster finds rows of other clusters, too. What is nobody's is taken over.
  const [set, condition] = layout.key.includes('cluster')
    ? ['', changed]
    : ['cluster = excluded.cluster, ', `(${changed} OR old.cluster::text IS DISTINCT FROM $3) AND coalesce(old.cluster::text, '') IN ('', $3)`];
  const insert = async (where: string): Promise<number> => {
    const text = `INSERT INTO ${table.sql} AS old ${columnList(layout)}
SELECT $1, $2, r.t, r.u, $3, r.n, r.p, now()${layout.hashed ? ', r.h' : ''} FROM ${source.relation}
ON CONFLICT (${layout.key.join(', ')}) DO UPDATE SET ${set}resource_namespace = excluded.resource_namespace, payload = excluded.payload, exported_at = excluded.exported_at${hash}
WHERE ${where}`;
    return (await session.query({ text, values: [...scopeValues(identity), ...source.values] })).rowCount;
  };
  const written = await insert(condition);
  // Equal rows are not written, and that is nearly always why there are fewer.
  const other = written < source.count && (await leavesOut(session, target)) ? await findOther(session, target, source) : undefined;
  if (other === undefined) return written;
  if (other.cluster && other.cluster !== identity.cluster) throw clusterInTheWay(target, other.target, other.uid, other.cluster);
  // What a trigger makes of it may be there already.
  if (source.count === 1 && other.isThere && (await insert('true')) === 1) return 1;
  throw new KollectError('KOL_SINK_ROW', 'left out by the database, without an error: look at the triggers of the table');
}

/** A statement may succeed without some of its rows: rows of another cluster have their keys, or a trigger before each row (bits 1 and 2, with 4 or 16) says so. */
async function leavesOut(session: Session, { table, layout }: WriteTarget): Promise<boolean> {
  if (!layout.key.includes('cluster')) return true;
  const text = `SELECT FROM pg_trigger WHERE (tgrelid = $1::regclass OR tgrelid IN (SELECT relid FROM pg_partition_tree($1::regclass)))
  AND NOT tgisinternal AND tgenabled <> 'D' AND tgtype & 3 = 3 AND tgtype & 20 <> 0 LIMIT 1`;
  return (await session.query({ text, values: [table.sql] })).rows.length > 0;
}

/** A row that is not in the table as it was sent, though the statement before has succeeded. Asks for each by its key: joined as a whole, tables that the planner knows nothing of are read from end to end. */
async function findOther(session: Session, { table, layout, identity }: WriteTarget, { relation, values }: Source): Promise<{ target: string; uid: string; cluster: string | null; isThere: boolean } | undefined> {
  const place = layout.key.includes('cluster') ? scope('held') : 'held.inventory_namespace::text = $1 AND held.inventory_name::text = $2';
  const changed = `old.payload IS DISTINCT FROM r.p`;
  const text = `SELECT r.t AS target, r.u AS uid, old.cluster::text AS cluster, old.source_uid IS NOT NULL AS "isThere" FROM ${relation}
LEFT JOIN LATERAL (SELECT held.* FROM ${table.sql} AS held WHERE ${place} AND held.target_name::text = r.t AND held.source_uid::text = r.u LIMIT 1) AS old ON true
WHERE old.source_uid IS NULL OR old.cluster::text IS DISTINCT FROM $3 OR (${layout.hashed ? `coalesce(old.payload_sha256 <> r.h, ${changed})` : changed} AND old.exported_at IS DISTINCT FROM now()) LIMIT 1`;
  const { rows } = await session.query<{ target: string; uid: string; cluster: string | null; isThere: boolean }>({ text, values: [...scopeValues(identity), ...values] });
  return rows[0];
}

function clusterInTheWay({ table, identity }: WriteTarget, target: string, uid: string, other: string): KollectError {
  const { namespace, name, cluster } = identity;
  const own = cluster === '' ? 'a cluster without a name' : `cluster ${JSON.stringify(cluster)}`;
  return new KollectError(
    'KOL_SINK_OWNER',
    `${table.title} holds row ${target}/${uid} of inventory ${namespace}/${name} for cluster ${JSON.stringify(other)}, and its key has no cluster, so that there is no room beside it for ${own}: ` +
      'add cluster to the key, export to another table, or delete those rows if nobody needs them',
  );
}

/** Whether the row `old` has another content. */
export function differs(layout: TableLayout, { payload, namespace, hash }: Record<'payload' | 'namespace' | 'hash', string>): string {
  return `old.payload IS DISTINCT FROM ${payload} OR old.resource_namespace::text IS DISTINCT FROM ${namespace}${layout.hashed ? ` OR old.payload_sha256 <> ${hash}` : ''}`;
}

export function columnList(layout: TableLayout): string {
  return `(inventory_namespace, inventory_name, target_name, source_uid, cluster, resource_namespace, payload, exported_at${layout.hashed ? ', payload_sha256' : ''})`;
}
