import { setImmediate as turn } from 'node:timers/promises';
import { KollectError } from '../../../shared/errors.ts';
import { rowName, type ExportRow, type InventoryIdentity, type RejectedRow, type RowKey, type SinkChange, type WriteResult } from '../contract.ts';
import { payloadBytes, portions, withoutDuplicates, withoutOversize } from '../runtime/rows.ts';
import { RowIndex } from '../runtime/row-index.ts';
import type { HeldRow } from '../runtime/spared.ts';
import { deleteStale } from '../runtime/stale-rows.ts';
import { findAdoption } from './adoption.ts';
import { isRowError, isTooSlow } from './errors.ts';
import { inventoryTransaction, scope, scopeValues, type InventoryRows } from './inventory-rows.ts';
import { copyLines, maxRowBytes } from './rows.ts';
import type { Session } from './session.ts';
import { recordState } from './state.ts';
import { upsertFrom, type WriteTarget } from './upsert.ts';
import { countRows, deleteKeys, inStatements, upsertAcceptable, upsertRows, type Tally } from './write.ts';

/** Rows and characters of one transaction: long enough that the round trips vanish, short enough for a timeout of some seconds. */
export const chunkLimit: ChunkLimit = { rows: 10_000, characters: 32_000_000, streak: 0 };
/** Smaller chunks do not help a database that cannot write these in time. */
const minChunkRows = 100;
/** Full chunks in a row after which larger ones are tried: each that is too large costs a timeout. */
const growAfterChunks = 8;
/** Rows that are turned into text at a time, so that the event loop is not held for longer than a few milliseconds. */
const encodeRows = 500;
/** Keys that are read at a time: some hundred kilobytes. */
const pageRows = 5_000;

const staging = 'pg_temp.kollect_staging';

export interface ChunkLimit {
  rows: number;
  characters: number;
  /** Chunks of that many rows that were taken, in a row. */
  streak: number;
}

/**
 * Writes a large change in chunks of one transaction each, and deletes nothing before all of them are in: first what is known to be
 * gone, then what nobody named. Nothing is kept in the session between transactions, so that a pooler may give each another one.
 * Interrupted, it is repeated with what `confirmed` had, and does not send that again.
 */
export class ChunkedWrite {
  readonly #session: Session;
  readonly #target: WriteTarget;
  readonly #change: SinkChange;
  /** Lowered when a chunk takes too long, raised again later; the caller keeps it for the next pass. */
  readonly #limit: ChunkLimit;
  readonly #earlier: RowIndex;
  /** Rows that the table holds for sure, those of an interrupted pass first. */
  readonly confirmed: ExportRow[] = [];
  #rejected: RejectedRow[] = [];
  /** Chunks of which no row was accepted, as far as they were tried: others go first. */
  readonly #refused: { rows: readonly ExportRow[]; error: KollectError }[] = [];
  #bytes = 0;
  /** Rows that nobody owns become ours. */
  #claims = false;

  constructor(session: Session, target: WriteTarget, change: SinkChange, limit: ChunkLimit, earlier: RowIndex) {
    this.#session = session;
    this.#target = target;
    this.#change = change;
    this.#limit = limit;
    this.#earlier = earlier;
  }

  async run(): Promise<WriteResult> {
    const { deletes, completeTargets, knownTargets, staleLimit, after, upsertCount } = this.#change;
    const compares = completeTargets.length > 0 || knownTargets !== undefined;
    const adoption = compares ? await findAdoption(this.#session, this.#target) : undefined;
    // While rows of somebody else wait for consent they are not called ours, so that a process that starts anew waits for it, too.
    this.#claims = compares && (adoption === undefined || staleLimit === undefined);
    let written = 0;
    for (const chunk of portions(await this.#pending(), () => this.#limit)) {
      const { fitting, oversize } = withoutOversize(withoutDuplicates(chunk), maxRowBytes);
      this.#rejected.push(...oversize);
      written += await this.#adaptively(fitting, (part) => this.#writeChunk(part));
    }
    written += await this.#writeRefused();
    let deleted = await this.#delete(deletes);
    let held = 0;
    if (compares) {
      const stale = await this.deleteStale();
      const portions = adoption ? await this.#deletePortions(adoption.portions) : { deleted: 0, held: 0 };
      deleted += stale.deleted + portions.deleted;
      held = stale.held + portions.held;
    }
    const rejected = this.#rejected;
    const state = rejected.length + held === 0 ? after : undefined;
    this.#claims ||= state !== undefined;
    if (this.#target.layout.state) await inventoryTransaction(this.#session, this.#target, () => recordState(this.#session, this.#target, state, this.#claims));
    return { confirmed: upsertCount - rejected.length, written, deleted, held, bytes: this.#bytes, rejected };
  }

  /** Rows that the interrupted pass did not confirm. Taking out the others takes a millisecond a slice. */
  async #pending(): Promise<Iterable<readonly ExportRow[]>> {
    if (this.#earlier.size === 0) return this.#change.upserts;
    const pending: (readonly ExportRow[])[] = [];
    for (const slice of this.#change.upserts) {
      const rest = slice.filter((row) => !this.#earlier.holds(row));
      if (rest.length < slice.length) for (const row of slice) if (this.#earlier.holds(row)) this.confirmed.push(row);
      pending.push(rest);
      await turn();
    }
    return pending;
  }

  /** Tries all at once, and in halves when the statement timeout is too short; the following chunks are of that size then. */
  async #adaptively<T>(items: readonly T[], attempt: (part: readonly T[]) => Promise<number>): Promise<number> {
    if (items.length === 0) return 0;
    try {
      const count = await attempt(items);
      this.#grow(items.length);
      return count;
    } catch (error) {
      if (!isTooSlow(error, this.#session) || items.length <= minChunkRows) throw error;
    }
    const half = Math.max(minChunkRows, Math.ceil(items.length / 2));
    this.#limit.rows = Math.min(this.#limit.rows, half);
    this.#limit.streak = 0;
    let count = 0;
    for (let start = 0; start < items.length; start += half) count += await this.#adaptively(items.slice(start, start + half), attempt);
    return count;
  }

  #grow(rows: number): void {
    const limit = this.#limit;
    if (rows < limit.rows || ++limit.streak < growAfterChunks) return;
    limit.rows = Math.min(chunkLimit.rows, limit.rows * 2);
    limit.streak = 0;
  }

  async #writeChunk(rows: readonly ExportRow[]): Promise<number> {
    try {
      const written = await this.#transaction(() => (this.#target.layout.staging ? this.#copyAndMerge(rows) : this.#upsert(rows)));
      for (const row of rows) this.confirmed.push(row);
      this.#bytes += payloadBytes(rows);
      return written;
    } catch (error) {
      if (!isRowError(error)) throw error;
    }
    return await this.#writeAcceptable(rows);
  }

  async #writeAcceptable(rows: readonly ExportRow[]): Promise<number> {
    const tally: Tally = { accepted: this.confirmed.length, rejected: [...this.#rejected] };
    let written: number;
    try {
      written = await this.#transaction(() => upsertAcceptable(this.#session, this.#target, rows, tally));
    } catch (error) {
      if (!(error instanceof KollectError) || error.code !== 'KOL_SINK_SCHEMA') throw error;
      this.#refused.push({ rows, error });
      return 0;
    }
    const refused = new Set(tally.rejected.slice(this.#rejected.length).map(({ key }) => rowName(key)));
    for (const row of rows) if (!refused.has(rowName(row))) this.confirmed.push(row);
    this.#rejected = tally.rejected;
    this.#bytes += payloadBytes(rows);
    return written;
  }

  /** The table is at fault if it accepted nothing else either. If it did, each row is searched for that it does not accept. */
  async #writeRefused(): Promise<number> {
    let written = 0;
    for (const { rows, error } of this.#refused.splice(0)) {
      if (this.confirmed.length === 0) throw error;
      written += await this.#adaptively(rows, (part) => this.#writeAcceptable(part));
    }
    return written;
  }

  /** Until all is done nobody can tell what the table holds. */
  async #transaction(work: () => Promise<number>): Promise<number> {
    return await inventoryTransaction(this.#session, this.#target, async () => {
      const count = await work();
      await recordState(this.#session, this.#target, undefined, this.#claims);
      return count;
    });
  }

  /** Leaving out unchanged rows beforehand would save the row locks and take longer than they do. */
  async #copyAndMerge(rows: readonly ExportRow[]): Promise<number> {
    const { identity } = this.#target;
    await this.#session.query('CREATE TEMPORARY TABLE kollect_staging (t text, u text, n text, p jsonb, h bytea) ON COMMIT DROP');
    await this.#session.copyIn(`COPY ${staging} FROM STDIN`, encoded(rows, identity.namespace));
    return await upsertFrom(this.#session, this.#target, { relation: `${staging} AS r`, values: [], count: rows.length });
  }

  async #upsert(rows: readonly ExportRow[]): Promise<number> {
    let written = 0;
    for (const part of inStatements(rows)) written += await upsertRows(this.#session, this.#target, part);
    return written;
  }

  async #delete(keys: readonly RowKey[]): Promise<number> {
    let deleted = 0;
    for (let start = 0, page: readonly RowKey[]; start < keys.length; start += page.length) {
      page = keys.slice(start, start + Math.min(pageRows, this.#limit.rows));
      deleted += await this.#adaptively(page, (part) => this.#transaction(() => deleteKeys(this.#session, this.#target, part)));
    }
    return deleted;
  }

  /**
   * Reads the keys that the table holds, page by page, and deletes those that are stale: an anti-join on the server would need all keys
   * there, and one statement that outlasts any timeout. Where there is a limit, they are counted first.
   */
  async deleteStale(): Promise<{ deleted: number; held: number }> {
    const { completeTargets, knownTargets, spared = [] } = this.#change;
    if (await this.#holdsNoOthers()) return { deleted: 0, held: 0 };
    const known = await RowIndex.of(this.confirmed);
    // Refused rows exist in the cluster: what the table holds of them is old, not stale.
    for (const { key } of this.#rejected) known.add(key);
    return await deleteStale({ change: this.#change, known, pages: () => pagesOfKeys(this.#session, this.#target, completeTargets, knownTargets, spared.length > 0), remove: (keys) => this.#delete(keys) });
  }

  /** What was written under other names, for the same inventory. */
  async #deletePortions(portions: readonly InventoryIdentity[]): Promise<{ deleted: number; held: number }> {
    let deleted = 0;
    let held = 0;
    for (const identity of portions) {
      const target = { ...this.#target, identity };
      if (this.#change.staleLimit) for await (const page of pagesOfKeys(this.#session, target, [], [], false)) held += page.length;
      else deleted += await deleteAll(this.#session, target, this.#limit);
    }
    return { deleted, held };
  }

  /** When every row of the inventory was named, and the table holds as many, then it holds those. */
  async #holdsNoOthers(): Promise<boolean> {
    const { table, identity } = this.#target;
    if (!isWhole(this.#change) || this.#rejected.length > 0) return false;
    try {
      return (await inventoryTransaction(this.#session, this.#target, () => countRows(this.#session, table, identity))) === this.confirmed.length;
    } catch (error) {
      // Page by page they are read in any time.
      if (!isTooSlow(error, this.#session)) throw error;
      return false;
    }
  }
}

/** The change holds every row of the inventory. */
export function isWhole({ completeTargets, knownTargets }: SinkChange): boolean {
  return knownTargets !== undefined && knownTargets.every((target) => completeTargets.includes(target));
}

/**
 * Keys of rows in the given targets and, when `known` is given, in all targets outside it. Read behind the lock: rows of a commit that
 * is still on its way would be missed.
 */
async function* pagesOfKeys(
  session: Session,
  inventory: InventoryRows,
  complete: readonly string[],
  known: readonly string[] | undefined,
  withKind: boolean,
): AsyncGenerator<(RowKey & HeldRow)[]> {
  const { table, identity } = inventory;
  const ofObject = withKind ? `, t.payload->>'kind' AS kind, t.payload->>'group' AS "group", t.payload->>'namespace' AS namespace` : '';
  const text = `SELECT t.target_name::text AS "targetName", t.source_uid::text AS uid${ofObject} FROM ${table.sql} AS t
WHERE ${scope('t')} AND (t.target_name::text, t.source_uid::text) > ($4, $5) AND (t.target_name::text = ANY ($6::text[]) OR t.target_name::text <> ALL ($7::text[]))
ORDER BY t.target_name::text, t.source_uid::text LIMIT ${pageRows}`;
  let last: RowKey = { targetName: '', uid: '' };
  for (;;) {
    const values = [...scopeValues(identity), last.targetName, last.uid, complete, known ?? null];
    const { rows } = await inventoryTransaction(session, inventory, () => session.query<RowKey & HeldRow & Record<string, string>>({ text, values }));
    if (rows.length > 0) yield rows;
    if (rows.length < pageRows) return;
    last = rows.at(-1) ?? last;
  }
}

/** Deletes every row of the inventory and cluster. */
export async function deleteAll(session: Session, target: WriteTarget, limit: ChunkLimit): Promise<number> {
  const nothing: SinkChange = { identity: target.identity, upserts: [], upsertCount: 0, deletes: [], completeTargets: [], keep: [], knownTargets: [] };
  return (await new ChunkedWrite(session, target, nothing, limit, new RowIndex()).deleteStale()).deleted;
}

function* encoded(rows: readonly ExportRow[], inventoryNamespace: string): Generator<string> {
  for (let start = 0; start < rows.length; start += encodeRows) yield copyLines(rows.slice(start, start + encodeRows), inventoryNamespace);
}
