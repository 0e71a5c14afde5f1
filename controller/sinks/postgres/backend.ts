import { createHash } from 'node:crypto';
import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { Backend, CheckResult, ExportRow, HeldRow, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { findPortions } from './adoption.ts';
import { ChunkedWrite, chunkLimit, deleteAll, isWhole } from './chunked-write.ts';
import { isTooSlow, postgresError, sqlState } from './errors.ts';
import { inventoryTransaction, scopeValues } from './inventory-rows.ts';
import { maxSessions, SessionPool } from './pool.ts';
import { previewTable } from './preview.ts';
import { probeTable } from './probe.ts';
import { RowIndex } from '../runtime/row-index.ts';
import { addOptionalColumns, createStateTable, createTable, inspectTable, missingTable, verifyCreation, verifyTable, type TableLayout } from './schema.ts';
import type { Session } from './session.ts';
import { readSettings, type ResolvedSettings } from './settings.ts';
import { foreignOwner, forgetState, readState } from './state.ts';
import { tableChanges } from './table-changes.ts';
import type { WriteTarget } from './upsert.ts';
import { countRows, differingRows, heldRows, writeDelta } from './write.ts';

/** Up to here a delta is one transaction. */
const maxDeltaRows = 5_000;
/** Up to here a check counts rows after a change, which takes some milliseconds. Of more it believes the table of states. */
const maxCountedRows = 100_000;
/** After this time an interrupted pass begins anew: others may have written to the table. */
const maxInterruptionMs = 600_000;

/** One row per collected object in a table of PostgreSQL. */
export const postgres: Backend<KollectDatabaseSinkSpec> = {
  type: 'postgres',
  family: 'database',
  capabilities: { granularity: 'row', concurrency: maxSessions },
  secretRef: (spec) => {
    if (spec.postgres === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.postgres is missing: set databaseRef and table');
    return spec.postgres.databaseRef;
  },
  destination: (context) => {
    const { dsn, table } = readSettings(context);
    return JSON.stringify([dsn.host.toLowerCase(), dsn.port, dsn.database, table.schema, table.table]);
  },
  place: (context) => readSettings(context).table.title,
  server: (context) => {
    const { dsn } = readSettings(context);
    return JSON.stringify([dsn.host.toLowerCase(), dsn.port, dsn.database]);
  },
  // The table of states has the number of the leader who wrote last, beside the installation's uid.
  refusesLateWrites: (context) => context.installation !== undefined && readSettings(context).mode === 'ensure',
  open: async (context) => new PostgresSink(context),
  preview: async (spec) => previewTable(spec),
};

class PostgresSink implements Sink {
  readonly #context: OpenContext<KollectDatabaseSinkSpec>;
  readonly #settings: ResolvedSettings;
  readonly #pool: SessionPool;
  readonly #release: () => Promise<void>;
  /** What was verified; undefined until then, and again when the server contradicts it. */
  #layout: TableLayout | undefined;
  /** The table was there: if it is not any more, what was exported is lost. */
  #seen = false;
  readonly #limit = { ...chunkLimit };
  /** Rows of an inventory as they were counted last, and what the server told of the table. */
  #counted: { scope: string; rows: number; changes: string | undefined } | undefined;
  /** What a large pass had confirmed when it failed, and in which table. */
  #interrupted: { identity: string; incarnation: string; rows: readonly ExportRow[]; at: number } | undefined;
  #forgetting: NodeJS.Timeout | undefined;

  constructor(context: OpenContext<KollectDatabaseSinkSpec>) {
    this.#context = context;
    this.#settings = readSettings(context);
    const { value, release } = context.shared.lease(poolKey(this.#settings, context), () => new SessionPool(this.#settings, context.dialer));
    this.#pool = value;
    this.#release = release;
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    return await this.#use(signal, (session) => probeTable(session, this.#settings));
  }

  async check(identity: InventoryIdentity, signal: AbortSignal, counts = false): Promise<CheckResult> {
    return await this.#use(signal, async (session) => {
      const state = await this.#stateOf(session, identity);
      if (state !== undefined && this.#isForeign(state.installation)) throw foreignOwner(this.#target(identity));
      const rows = await session.transaction(() => this.#rowsOf(session, identity, counts ? undefined : { told: state?.rows })).catch((error: unknown) => {
        if (!isTooSlow(error, session)) throw error;
        return undefined;
      });
      return { rows, digest: state?.digest, owned: await this.#tells(session) ? state !== undefined : undefined };
    });
  }

  async *held(identity: InventoryIdentity, signal: AbortSignal): AsyncGenerator<HeldRow> {
    yield* await this.#use(signal, async (session) => {
      const { table } = this.#settings;
      const facts = await inspectTable(session, table);
      if (facts.table === null) return [];
      const layout = verifyTable(this.#settings, facts, facts.table);
      return await session.transaction(() => heldRows(session, { table, identity, layout }));
    });
  }

  async differing(identity: InventoryIdentity, rows: readonly ExportRow[], signal: AbortSignal): Promise<readonly ExportRow[]> {
    return await this.#use(signal, async (session) => {
      const { table } = this.#settings;
      const facts = this.#layout ? undefined : await inspectTable(session, table);
      if (facts?.table === null) throw this.#lost();
      const layout = this.#layout ?? verifyTable(this.#settings, facts!, facts!.table!);
      return await session.transaction(() => differingRows(session, { table, identity, layout }, rows));
    });
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { upsertCount, deletes, identity } = change;
    const size = upsertCount + deletes.length;
    if (size === 0 && isDelta(change)) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    this.#counted = undefined;
    return await this.#use(signal, async (session) => {
      // What was confirmed is only good for the table that is there now.
      if (this.#interrupted) this.#layout = undefined;
      const layout = (this.#layout ??= await this.#prepare(session, change));
      this.#seen = true;
      const target = { ...this.#target(identity), layout };
      if (!isDelta(change) || size > maxDeltaRows) return await this.#writeInChunks(session, target, change);
      this.#interrupted = undefined;
      const rows = [...change.upserts].flat();
      try {
        return await writeDelta(session, target, { ...change, upserts: [rows] });
      } catch (error) {
        if (!isTooSlow(error, session)) throw error;
      }
      return await this.#writeInChunks(session, target, { ...change, upserts: [rows] });
    });
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    this.#interrupted = this.#counted = undefined;
    return await this.#use(signal, async (session) => {
      const { table } = this.#settings;
      const facts = await inspectTable(session, table);
      if (facts.table === null) return { deleted: 0 };
      const state = await this.#stateOf(session, identity, facts.stateUsable);
      // Rows that are somebody else's under these names, or nobody's, are not ours to remove.
      const isOurs = state ? !this.#isForeign(state.installation) : isOwn;
      if (!isOurs) return { deleted: 0 };
      const target = { ...this.#target(identity), layout: verifyTable(this.#settings, facts, facts.table) };
      let deleted = await deleteAll(session, target, this.#limit);
      // Only a table of states tells portions from inventories of other people.
      for (const portion of state ? await session.transaction(() => findPortions(session, target)) : []) deleted += await deleteAll(session, { ...target, identity: portion }, this.#limit);
      if (target.layout.state) await inventoryTransaction(session, target, () => forgetState(session, target));
      return { deleted };
    }).catch((error: unknown) => {
      // No database, no rows.
      if (error instanceof KollectError && sqlState(error.cause) === '3D000') return { deleted: 0 };
      throw error;
    });
  }

  async close(): Promise<void> {
    clearTimeout(this.#forgetting);
    this.#interrupted = undefined;
    await this.#release();
  }

  async #use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const { table } = this.#settings;
    try {
      return await this.#pool.use(signal, work);
    } catch (cause) {
      if (sqlState(cause) === '42P01') throw this.#lost(cause);
      const error = postgresError(cause, table);
      if (error.code === 'KOL_SINK_SCHEMA') this.#layout = undefined;
      throw error;
    }
  }

  /** A pass that failed goes on where it was, unless too much time has passed or something else happened in between. */
  async #writeInChunks(session: Session, target: WriteTarget, change: SinkChange): Promise<WriteResult> {
    const identity = JSON.stringify([target.identity.namespace, target.identity.name, target.identity.cluster]);
    const { incarnation } = target.layout;
    const interrupted = this.#interrupted;
    this.#interrupted = undefined;
    const resumes = interrupted?.identity === identity && interrupted.incarnation === incarnation && performance.now() - interrupted.at < maxInterruptionMs;
    const work = new ChunkedWrite(session, target, change, this.#limit, resumes ? await RowIndex.of(interrupted.rows) : new RowIndex());
    try {
      return await work.run();
    } catch (error) {
      this.#interrupted = { identity, incarnation, rows: work.confirmed, at: resumes ? interrupted.at : performance.now() };
      // They are many, and while the database is away nobody comes for them.
      clearTimeout(this.#forgetting);
      this.#forgetting = setTimeout(() => (this.#interrupted = undefined), maxInterruptionMs).unref();
      throw error;
    }
  }

  /** Counts them, unless a `cheap` answer will do: they are as they were counted, or so many that the table of states is believed. */
  async #rowsOf(session: Session, identity: InventoryIdentity, cheap: { told: number | undefined } | undefined): Promise<number> {
    const { table } = this.#settings;
    const scope = JSON.stringify(scopeValues(identity));
    // Asked first: what happens while they are counted is a change the next time.
    const changes = await tableChanges(session, table);
    const known = this.#counted;
    if (cheap && changes !== undefined && known?.scope === scope && known.changes === changes) return known.rows;
    if (cheap?.told !== undefined && cheap.told > maxCountedRows) return cheap.told;
    const rows = await countRows(session, table, identity);
    this.#counted = { scope, rows, changes };
    return rows;
  }

  #target(identity: InventoryIdentity): Omit<WriteTarget, 'layout'> {
    const { fence, epoch, installation } = this.#context;
    return { table: this.#settings.table, identity, fence, epoch, installation };
  }

  /** There is a table of states, or there will be. */
  async #tells(session: Session): Promise<boolean> {
    if (!this.#keepsStates) return false;
    if (this.#layout) return this.#layout.state;
    const { stateUsable, schemaCreate } = await inspectTable(session, this.#settings.table);
    return stateUsable ?? schemaCreate;
  }

  /** Owners are written down where there is a table of states. */
  get #keepsStates(): boolean {
    return this.#settings.mode === 'ensure' && this.#context.installation !== undefined;
  }

  /** Also where it is not known which installation this is. */
  #isForeign(installation: string): boolean {
    return installation !== this.#context.installation;
  }

  async #stateOf(session: Session, identity: InventoryIdentity, usable?: boolean | null): ReturnType<typeof readState> {
    const { table, mode } = this.#settings;
    if (mode === 'existing') return undefined;
    if (!(this.#layout?.state ?? usable ?? (await inspectTable(session, table)).stateUsable)) return undefined;
    return await session.transaction(() => readState(session, table, identity));
  }

  /** Makes sure that the table can be written, creating it when it may be created and nothing can be missed by that. */
  async #prepare(session: Session, change: SinkChange): Promise<TableLayout> {
    const { table, mode } = this.#settings;
    let facts = await inspectTable(session, table);
    if (facts.table === null) {
      if (this.#seen ? !isWhole(change) : isDelta(change)) throw this.#lost();
      if (mode === 'existing') throw missingTable(table);
      verifyCreation(table, facts);
      await createTable(session, this.#settings);
    }
    if (mode === 'ensure' && facts.stateUsable === null && facts.schemaCreate && this.#context.installation !== undefined) await createStateTable(session, this.#settings);
    if (facts.table === null || facts.stateUsable === null) facts = await inspectTable(session, table);
    if (facts.table === null) throw this.#lost();
    const layout = verifyTable(this.#settings, facts, facts.table);
    if (mode === 'ensure' && !layout.hashed && facts.table.owned) layout.hashed = await addOptionalColumns(session, this.#settings);
    return layout;
  }

  /** The engine's cursor is void, under both modes; only a complete pass may fill a new table. */
  #lost(cause?: unknown): KollectError {
    const { table, mode } = this.#settings;
    this.#layout = undefined;
    this.#interrupted = undefined;
    this.#seen = false;
    return mode === 'ensure'
      ? new KollectError('KOL_SINK_DESTINATION_LOST', `${table.title} is gone: it will be created anew and filled completely`, { retryAfterMs: 100, cause })
      : new KollectError('KOL_SINK_DESTINATION_LOST', `${table.title} is gone: create it, or set spec.provisioning.mode to ensure`, { class: 'terminal', cause });
  }
}

function isDelta({ completeTargets, knownTargets }: SinkChange): boolean {
  return completeTargets.length === 0 && knownTargets === undefined;
}

/** Sinks share sessions when nothing of what makes a session differs; the key is a digest, since it covers the password. */
function poolKey({ dsn, tls, applicationName, begin }: ResolvedSettings, { ca, clientCertificate }: OpenContext<KollectDatabaseSinkSpec>): string {
  const parts = [dsn, tls.use, tls.title, ca, applicationName, begin, clientCertificate];
  return `postgres ${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`;
}
