import { createHash } from 'node:crypto';
import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { Backend, CheckResult, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { writeComplete } from './bulk.ts';
import { losesSessions, postgresError, sqlState } from './errors.ts';
import { maxSessions, SessionPool } from './pool.ts';
import { probeTable } from './probe.ts';
import { addOptionalColumns, createTable, inspectTable, missingTable, verifyCreation, verifyTable, type TableLayout } from './schema.ts';
import type { Session } from './session.ts';
import { readSettings, type ResolvedSettings } from './settings.ts';
import { countRows, deleteAll, writeDelta } from './write.ts';

/** One row per collected object in a table of PostgreSQL. */
export const postgres: Backend<KollectDatabaseSinkSpec> = {
  type: 'postgres',
  family: 'database',
  capabilities: { cost: 'delta', granularity: 'row', concurrency: maxSessions },
  secretRef: (spec) => {
    if (spec.postgres === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.postgres is missing: set databaseRef and table');
    return spec.postgres.databaseRef;
  },
  destination: (context) => {
    const { dsn, table } = readSettings(context);
    return JSON.stringify([dsn.host.toLowerCase(), dsn.port, dsn.database, table.schema, table.table]);
  },
  open: async (context) => new PostgresSink(context),
};

class PostgresSink implements Sink {
  readonly #settings: ResolvedSettings;
  readonly #pool: SessionPool;
  readonly #release: () => Promise<void>;
  /** What was verified; undefined until then, and again when the server contradicts it. */
  #layout: TableLayout | undefined;
  /** The table was there: if it is not any more, what was exported is lost. */
  #seen = false;

  constructor(context: OpenContext<KollectDatabaseSinkSpec>) {
    this.#settings = readSettings(context);
    const { value, release } = context.shared.lease(poolKey(this.#settings, context), () => new SessionPool(this.#settings, context.dialer));
    this.#pool = value;
    this.#release = release;
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    return await this.#use(signal, (session) => probeTable(session, this.#settings));
  }

  async check(identity: InventoryIdentity, signal: AbortSignal): Promise<CheckResult> {
    return await this.#use(signal, (session) => session.transaction(async () => ({ rows: await countRows(session, this.#settings.table, identity) })));
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { upsertCount, deletes, completeTargets, knownTargets, identity } = change;
    const complete = completeTargets.length > 0 || knownTargets !== undefined;
    if (upsertCount === 0 && deletes.length === 0 && !complete) return { written: 0, deleted: 0, bytes: 0, rejected: [] };
    return await this.#use(signal, async (session) => {
      const layout = (this.#layout ??= await this.#prepare(session, change));
      this.#seen = true;
      const target = { table: this.#settings.table, layout, identity };
      return complete ? await writeComplete(session, target, change) : await writeDelta(session, target, change);
    });
  }

  async remove(identity: InventoryIdentity, signal: AbortSignal): Promise<{ deleted: number }> {
    return await this.#use(signal, async (session) => {
      const { table } = this.#settings;
      if ((await inspectTable(session, table)).table === null) return { deleted: 0 };
      return { deleted: await session.transaction(() => deleteAll(session, table, identity)) };
    }).catch((error: unknown) => {
      // No database, no rows.
      if (error instanceof KollectError && sqlState(error.cause) === '3D000') return { deleted: 0 };
      throw error;
    });
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #use<T>(signal: AbortSignal, work: (session: Session) => Promise<T>): Promise<T> {
    const { table } = this.#settings;
    try {
      return await this.#pool.use(signal, work);
    } catch (cause) {
      if (sqlState(cause) === '42P01' && !losesSessions(cause)) throw this.#lost(cause);
      const error = postgresError(cause, table);
      if (error.code === 'KOL_SINK_SCHEMA') this.#layout = undefined;
      throw error;
    }
  }

  /** Makes sure that the table can be written, creating it when it may be created and nothing can be missed by that. */
  async #prepare(session: Session, change: SinkChange): Promise<TableLayout> {
    const { table, mode } = this.#settings;
    let state = await inspectTable(session, table);
    if (state.table === null) {
      if (this.#seen ? !isWhole(change) : isDelta(change)) throw this.#lost();
      if (mode === 'existing') throw missingTable(table);
      verifyCreation(table, state);
      await createTable(session, this.#settings);
      state = await inspectTable(session, table);
      if (state.table === null) throw this.#lost();
    }
    const layout = verifyTable(table, state, state.table);
    if (mode === 'ensure' && !layout.hashed && state.table.owned) return { ...layout, hashed: await addOptionalColumns(session, this.#settings) };
    return layout;
  }

  /** The engine's cursor is void, under both modes; only a complete pass may fill a new table. */
  #lost(cause?: unknown): KollectError {
    const { table, mode } = this.#settings;
    this.#layout = undefined;
    this.#seen = false;
    return mode === 'ensure'
      ? new KollectError('KOL_SINK_DESTINATION_LOST', `${table.title} is gone: it will be created anew and filled completely`, { retryAfterMs: 100, cause })
      : new KollectError('KOL_SINK_DESTINATION_LOST', `${table.title} is gone: create it, or set spec.provisioning.mode to ensure`, { class: 'terminal', cause });
  }
}

function isDelta({ completeTargets, knownTargets }: SinkChange): boolean {
  return completeTargets.length === 0 && knownTargets === undefined;
}

/** The change holds every row of the inventory. */
function isWhole({ completeTargets, knownTargets }: SinkChange): boolean {
  return knownTargets !== undefined && knownTargets.every((target) => completeTargets.includes(target));
}

/** Sinks share sessions when nothing of what makes a session differs; the key is a digest, since it covers the password. */
function poolKey({ dsn, tls, applicationName, begin }: ResolvedSettings, { ca, clientCertificate }: OpenContext<KollectDatabaseSinkSpec>): string {
  const parts = [dsn, tls.use, tls.title, ca, applicationName, begin, clientCertificate];
  return `postgres ${createHash('sha256').update(JSON.stringify(parts)).digest('hex')}`;
}
