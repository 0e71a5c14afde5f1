import { KollectError } from '../../../shared/errors.ts';
import type { ExportRow, SinkChange, WriteResult } from '../contract.ts';
import { isRowError, sqlState } from './errors.ts';
import { copyLines, payloadBytes, portions, withoutDuplicates } from './rows.ts';
import type { Session } from './session.ts';
import { columnList, countRows, deleteKeys, onConflict, scope, scopeValues, upsertAcceptable, type Tally, type WriteTarget } from './write.ts';

/** Rows and characters of one transaction: long enough that the round trips vanish, short enough for a timeout of some seconds. */
const chunkLimit = { rows: 10_000, characters: 32_000_000 };
/** Smaller chunks do not help a database that cannot write these in time. */
const minChunkRows = 100;
/** Rows that are turned into text at a time, so that the event loop is not held for longer than a few milliseconds. */
const encodeRows = 500;

const staging = 'pg_temp.kollect_staging';
const keys = 'pg_temp.kollect_keys';

/**
 * Writes complete targets in chunks of one transaction each: COPY into a staging table, then a merge that touches only rows that
 * differ. Their keys gather in a table of the session, and after the last chunk one transaction deletes what is known to be gone and
 * what nobody named: nothing is deleted before everything is in. Interrupted, it is repeated from the beginning and finds its work
 * done. Where the inventory has no rows yet nothing can be stale, and the keys are not gathered.
 */
export async function writeComplete(session: Session, target: WriteTarget, change: SinkChange): Promise<WriteResult> {
  const { table, identity } = target;
  const first = await session.transaction(async () => {
    await session.query(`DROP TABLE IF EXISTS ${staging}, ${keys};
CREATE TEMPORARY TABLE kollect_staging (target_name text, source_uid text, resource_namespace text, payload jsonb, payload_sha256 bytea) ON COMMIT DELETE ROWS;
CREATE TEMPORARY TABLE kollect_keys (target_name text, source_uid text)`);
    const found = await session.query({ text: `SELECT FROM ${table.sql} AS t WHERE ${scope('t')} LIMIT 1`, values: scopeValues(identity) });
    return found.rowCount === 0;
  });
  try {
    return await new CompleteWrite(session, target, change, first).run();
  } finally {
    if (!session.broken) await session.query(`DROP TABLE IF EXISTS ${staging}, ${keys}`).catch(() => (session.broken = true));
  }
}

class CompleteWrite {
  readonly #session: Session;
  readonly #target: WriteTarget;
  readonly #change: SinkChange;
  /** The inventory had no rows. */
  readonly #first: boolean;
  readonly #limit = { ...chunkLimit };
  readonly #tally: Tally = { accepted: 0, rejected: [] };
  #written = 0;
  #bytes = 0;

  constructor(session: Session, target: WriteTarget, change: SinkChange, first: boolean) {
    this.#session = session;
    this.#target = target;
    this.#change = change;
    this.#first = first;
  }

  async run(): Promise<WriteResult> {
    for (const chunk of portions(this.#change.upserts, () => this.#limit)) {
      const rows = withoutDuplicates(chunk);
      this.#written += await this.#writeChunk(rows);
      this.#bytes += payloadBytes(rows);
    }
    const deleted = this.#first ? await this.#expectNoOthers() : await this.#session.transaction(() => this.#deleteStale());
    return { written: this.#written, deleted, bytes: this.#bytes, rejected: this.#tally.rejected };
  }

  async #writeChunk(rows: readonly ExportRow[]): Promise<number> {
    try {
      const written = await this.#session.transaction(() => this.#copyAndMerge(rows));
      this.#tally.accepted += rows.length;
      return written;
    } catch (error) {
      if (isRowError(error)) return await this.#writeAcceptable(rows);
      if (sqlState(error) !== '57014' || this.#session.broken || rows.length <= minChunkRows) throw error;
    }
    // Too much for the statement timeout, and so would be the following ones of this size.
    const half = Math.max(minChunkRows, Math.ceil(rows.length / 2));
    this.#limit.rows = Math.min(this.#limit.rows, half);
    let written = 0;
    for (let start = 0; start < rows.length; start += half) written += await this.#writeChunk(rows.slice(start, start + half));
    return written;
  }

  /** Leaving out unchanged rows beforehand would save the row locks and take longer than they do. */
  async #copyAndMerge(rows: readonly ExportRow[]): Promise<number> {
    const { table, layout, identity } = this.#target;
    const session = this.#session;
    await session.copyIn(`COPY ${staging} FROM STDIN`, encoded(rows, identity.namespace));
    const { rowCount } = await session.query({
      text: `INSERT INTO ${table.sql} AS old ${columnList(layout)}
SELECT $1, $2, s.target_name, s.source_uid, $3, s.resource_namespace, s.payload, now()${layout.hashed ? ', s.payload_sha256' : ''}
FROM ${staging} s
${onConflict(layout)}`,
      values: scopeValues(identity),
    });
    if (!this.#first) await session.query(`INSERT INTO ${keys} SELECT target_name, source_uid FROM ${staging}`);
    return rowCount;
  }

  async #writeAcceptable(rows: readonly ExportRow[]): Promise<number> {
    return await this.#session.transaction(async () => {
      const written = await upsertAcceptable(this.#session, this.#target, rows, this.#tally);
      if (this.#first) return written;
      // Refused rows exist in the cluster: what the table holds of them is old, not stale.
      await this.#session.query({
        text: `INSERT INTO ${keys} SELECT * FROM unnest($1::text[], $2::text[])`,
        values: [rows.map((row) => row.targetName), rows.map((row) => row.uid)],
      });
      return written;
    });
  }

  /** Somebody may have written the inventory at the same time. Repeating finds rows, gathers keys and deletes what is stale of his. */
  async #expectNoOthers(): Promise<number> {
    const { table, identity } = this.#target;
    const rows = await this.#session.transaction(() => countRows(this.#session, table, identity));
    if (rows > this.#written) throw new KollectError('KOL_SINK_UNAVAILABLE', `another process wrote rows of this inventory to ${table.title} at the same time`);
    return 0;
  }

  async #deleteStale(): Promise<number> {
    const { table, identity } = this.#target;
    const { deletes, completeTargets, knownTargets } = this.#change;
    let deleted = await deleteKeys(this.#session, this.#target, deletes);
    if (completeTargets.length > 0) {
      // Without statistics the planner takes the keys for few and compares each with each.
      await this.#session.query(`ANALYZE ${keys}`);
      const { rowCount } = await this.#session.query({
        text: `DELETE FROM ${table.sql} AS t WHERE ${scope('t')} AND t.target_name = ANY ($4::text[])
  AND NOT EXISTS (SELECT FROM ${keys} k WHERE k.target_name = t.target_name AND k.source_uid = t.source_uid)`,
        values: [...scopeValues(identity), [...completeTargets]],
      });
      deleted += rowCount;
    }
    if (knownTargets !== undefined) {
      const { rowCount } = await this.#session.query({
        text: `DELETE FROM ${table.sql} AS t WHERE ${scope('t')} AND t.target_name <> ALL ($4::text[])`,
        values: [...scopeValues(identity), [...knownTargets]],
      });
      deleted += rowCount;
    }
    return deleted;
  }
}

function* encoded(rows: readonly ExportRow[], inventoryNamespace: string): Generator<string> {
  for (let start = 0; start < rows.length; start += encodeRows) yield copyLines(rows.slice(start, start + encodeRows), inventoryNamespace);
}
