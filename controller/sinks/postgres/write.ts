import { KollectError } from '../../../shared/errors.ts';
import type { ExportRow, HeldRow, InventoryIdentity, RejectedRow, RowKey, SinkChange, WriteResult } from '../contract.ts';
import { payloadBytes, portions, withoutDuplicates, withoutOversize } from '../runtime/rows.ts';
import { isRowError, rowRefusal } from './errors.ts';
import { inventoryTransaction, scope, scopeValues, type InventoryRows } from './inventory-rows.ts';
import { maxRowBytes } from './rows.ts';
import type { Session } from './session.ts';
import type { TableName } from './settings.ts';
import { recordState } from './state.ts';
import { columnList, differs, jsonSource, upsertFrom, type WriteTarget } from './upsert.ts';

/** Rows and characters of one statement: few round trips, and parameters of some megabytes at most. */
const statementLimit = { rows: 2_000, characters: 4_000_000 };
/** After so many refused rows, and none that was accepted, others are tried before each is searched for: the table may be at fault, and not the rows. */
const maxRejectedFirstRows = 50;
/** What became of rows that are tried one part at a time. */
export interface Tally {
  accepted: number;
  rejected: RejectedRow[];
}

/**
 * Writes a small delta in one transaction: rows are inserted or, where their content differs, replaced; rows that are known to be gone
 * are deleted by their keys. The cost follows the change, whatever the size of the table.
 */
export async function writeDelta(session: Session, target: WriteTarget, change: SinkChange): Promise<WriteResult> {
  const { fitting, oversize } = withoutOversize([...change.upserts].flat(), maxRowBytes);
  const batches = [...inStatements(fitting)].map(withoutDuplicates);
  const bytes = batches.reduce((sum, rows) => sum + payloadBytes(rows), 0);
  const upsertAll = async (): Promise<number> => {
    let written = 0;
    for (const rows of batches) written += await upsertRows(session, target, rows);
    return written;
  };
  const write = async (tally: Tally, upsert: () => Promise<number>): Promise<WriteResult> => {
    const deleted = await deleteKeys(session, target, change.deletes);
    const written = await upsert();
    await recordState(session, target, tally.rejected.length === 0 ? change.after : undefined, false);
    return { confirmed: change.upsertCount - tally.rejected.length, written, deleted, bytes, rejected: tally.rejected };
  };
  try {
    const tally: Tally = { accepted: 0, rejected: oversize };
    return await inventoryTransaction(session, target, () => write(tally, upsertAll));
  } catch (error) {
    if (!isRowError(error)) throw error;
  }
  const tally: Tally = { accepted: 0, rejected: [...oversize] };
  return await inventoryTransaction(session, target, () => write(tally, () => upsertAcceptable(session, target, fitting, tally)));
}

/** Cuts rows into what one statement takes. */
export function inStatements(rows: readonly ExportRow[]): Iterable<ExportRow[]> {
  return portions([rows], () => statementLimit);
}

/** Writes rows that no statement of which has a key twice. See `upsertFrom`. */
export async function upsertRows(session: Session, target: WriteTarget, rows: readonly ExportRow[]): Promise<number> {
  return await upsertFrom(session, target, jsonSource(rows, target.identity.namespace));
}

/**
 * Writes the rows that the table accepts, inside the caller's transaction. Parts with others among them are halved. Throws
 * `KOL_SINK_SCHEMA` when the table refuses whatever it is tried with.
 */
export async function upsertAcceptable(session: Session, target: WriteTarget, rows: readonly ExportRow[], tally: Tally): Promise<number> {
  // A deferred constraint would speak up at the commit only, when nobody can tell which row it means.
  await session.query('SET CONSTRAINTS ALL IMMEDIATE; SAVEPOINT part');
  let written = 0;
  const refusal = async (attempt: () => Promise<number>): Promise<unknown> => {
    try {
      const count = await attempt();
      await session.query('RELEASE SAVEPOINT part; SAVEPOINT part');
      written += count;
      return undefined;
    } catch (error) {
      if (!isRowError(error)) throw error;
      await session.query('ROLLBACK TO SAVEPOINT part');
      return error;
    }
  };
  const upsert = (part: readonly ExportRow[]): Promise<unknown> => refusal(() => upsertRows(session, target, part));
  const acceptsOthers = async (): Promise<boolean> => {
    for (const row of spread(rows)) if ((await upsert([row])) === undefined) return true;
    for (const key of await heldKeys(session, target, rows)) if ((await refusal(() => repeatRow(session, target, key))) === undefined) return true;
    return false;
  };
  const refuse = async (row: ExportRow, error: unknown): Promise<void> => {
    const { code, message } = rowRefusal(error);
    tally.rejected.push({ key: { targetName: row.targetName, uid: row.uid }, namespace: row.namespace, hash: row.hash, code, message });
    if (tally.accepted > 0 || tally.rejected.length <= maxRejectedFirstRows) return;
    if (!(await acceptsOthers())) {
      throw new KollectError('KOL_SINK_SCHEMA', `${target.table.title} refuses every row, the last one with code ${code} (${message}): look at its constraints and triggers`);
    }
    tally.accepted++;
  };
  for (const statement of inStatements(rows)) {
    const part = withoutDuplicates(statement);
    // Where many are refused they come singly, and where few are soon many at a time again.
    for (let start = 0, size = part.length; start < part.length; ) {
      const some = part.slice(start, start + size);
      const error = await upsert(some);
      if (error === undefined) tally.accepted += some.length;
      else if (some.length > 1) {
        size = Math.ceil(some.length / 2);
        continue;
      } else await refuse(some[0]!, error);
      start += some.length;
      if (error === undefined) size *= 2;
    }
  }
  return written;
}

/** Some rows of each kind that there may be: of each target one, and others from end to end. */
function spread(rows: readonly ExportRow[]): Iterable<ExportRow> {
  const step = Math.ceil(rows.length / maxRejectedFirstRows);
  const ofTargets = new Map(rows.map((row) => [row.targetName, row])).values().take(maxRejectedFirstRows);
  return new Set([...ofTargets, ...rows.filter((_, index) => (rows.length - 1 - index) % step === 0)]);
}

/** Some rows that the table holds of the inventory, first of all one of a target that none of `rows` is of. */
async function heldKeys(session: Session, { table, identity }: WriteTarget, rows: readonly ExportRow[]): Promise<RowKey[]> {
  const held = `SELECT t.target_name::text AS "targetName", t.source_uid::text AS uid FROM ${table.sql} AS t WHERE ${scope('t')}`;
  const text = `(${held} AND t.target_name::text <> ALL ($4::text[]) LIMIT 1) UNION ALL (${held} LIMIT ${maxRejectedFirstRows})`;
  const targets = [...new Set(rows.map(({ targetName }) => targetName))];
  return (await session.query<RowKey & Record<string, string>>({ text, values: [...scopeValues(identity), targets] })).rows;
}

/** Inserts a row once more that the table holds, which changes nothing, and is refused if every row is. */
async function repeatRow(session: Session, { table, layout, identity }: WriteTarget, { targetName, uid }: RowKey): Promise<number> {
  const columns = columnList(layout);
  const text = `INSERT INTO ${table.sql} ${columns} SELECT ${columns.slice(1, -1)} FROM ${table.sql} AS t
WHERE ${scope('t')} AND t.target_name::text = $4 AND t.source_uid::text = $5 ON CONFLICT (${layout.key.join(', ')}) DO NOTHING`;
  return (await session.query({ text, values: [...scopeValues(identity), targetName, uid] })).rowCount;
}

/**
 * Deletes rows of the inventory by their keys. One statement for each target: with `= ANY` all columns of the key are conditions of the
 * index, whereas a join with the keys reads the whole inventory when the planner has no statistics yet.
 */
export async function deleteKeys(session: Session, { table, identity }: InventoryRows, keys: readonly RowKey[]): Promise<number> {
  const targets = new Map<string, string[]>();
  for (const { targetName, uid } of keys) {
    const uids = targets.get(targetName);
    if (uids === undefined) targets.set(targetName, [uid]);
    else uids.push(uid);
  }
  const text = `DELETE FROM ${table.sql} AS t WHERE ${scope('t')} AND t.target_name::text = $4 AND t.source_uid::text = ANY ($5::text[])`;
  let deleted = 0;
  for (const [targetName, uids] of targets) {
    for (let start = 0; start < uids.length; start += statementLimit.rows) {
      const values = [...scopeValues(identity), targetName, uids.slice(start, start + statementLimit.rows)];
      deleted += (await session.query({ text, values })).rowCount;
    }
  }
  return deleted;
}

/** Which of these rows the table does not hold as they are. The server compares, because only it knows what its form of a payload is equal to. */
export async function differingRows(session: Session, { table, identity, layout }: Pick<WriteTarget, 'table' | 'identity' | 'layout'>, rows: readonly ExportRow[]): Promise<ExportRow[]> {
  const text = `SELECT r.i FROM ROWS FROM (json_to_recordset($4::json) AS (t text, u text, n text, p jsonb, h bytea)) WITH ORDINALITY AS r(t, u, n, p, h, i)
LEFT JOIN ${table.sql} AS old ON ${scope('old')} AND old.target_name::text = r.t AND old.source_uid::text = r.u
WHERE old.source_uid IS NULL OR ${differs(layout, { payload: 'r.p', namespace: 'r.n', hash: 'r.h' })}`;
  const found = await session.query<{ i: string }>({ text, values: [...scopeValues(identity), ...jsonSource(rows, identity.namespace).values] });
  return found.rows.map(({ i }) => rows[Number(i) - 1]!);
}

/** The rows that the table holds of the inventory and cluster, in the order of their keys, sorted once. Within a transaction. */
export async function heldRows(session: Session, { table, identity, layout }: Pick<WriteTarget, 'table' | 'identity' | 'layout'>): Promise<HeldRow[]> {
  const order = `t.target_name::text COLLATE "C", t.source_uid::text COLLATE "C"`;
  const text = `DECLARE kollect_held NO SCROLL CURSOR FOR
SELECT t.target_name::text AS target, t.source_uid::text AS uid, t.payload->>'kind' AS kind, t.payload->>'namespace' AS namespace, t.payload->>'name' AS name, ${layout.hashed ? 't.payload_sha256' : 'NULL::bytea'} AS hash
FROM ${table.sql} AS t WHERE ${scope('t')} ORDER BY ${order}`;
  await session.query({ text, values: scopeValues(identity) });
  const held: HeldRow[] = [];
  for (let count = -1; held.length > count; ) {
    count = held.length;
    const { rows } = await session.query<{ target: string; uid: string; kind: string | null; namespace: string | null; name: string | null; hash: Buffer | null }>({ text: `FETCH ${heldPage} FROM kollect_held`, values: [] });
    for (const { target, uid, kind, namespace, name, hash } of rows) held.push({ key: { targetName: target, uid }, kind: kind ?? '', namespace: namespace ?? '', name: name ?? '', hash: hash?.toString('latin1') });
  }
  await session.query({ text: 'CLOSE kollect_held', values: [] });
  return held;
}

const heldPage = 5_000;

/** Rows that the table holds of the inventory and cluster. */
export async function countRows(session: Session, table: TableName, identity: InventoryIdentity): Promise<number> {
  const { rows } = await session.query<{ count: string }>({ text: `SELECT count(*) AS count FROM ${table.sql} AS t WHERE ${scope('t')}`, values: scopeValues(identity) });
  return Number(rows[0]?.count ?? 0);
}
