import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { Backend, CheckResult, HeldRow, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { commitMs } from '../runtime/deadline.ts';
import { guardedAgents, type GuardedAgents } from '../runtime/guarded-agent.ts';
import { BigQueryApi } from './api.ts';
import { bigqueryError, isForeignRows, isNotFound } from './errors.ts';
import { Jobs } from './jobs.ts';
import { scopeOf, text } from './parameters.ts';
import { foreignOwner, Pass } from './pass.ts';
import { previewTable } from './preview.ts';
import { probeTable } from './probe.ts';
import { readSettings, tableName, type ResolvedSettings } from './settings.ts';
import { addColumnsStatement, createTableStatement, heldStatement, removeStatement, type TableLayout } from './statements.ts';
import { survey, type Survey } from './survey.ts';
import { findTable, lacksColumns, locationOf, missingTable, verifyTable, type TableFacts } from './table.ts';

/** Statements that change one table wait for each other at BigQuery: a delta beside a large pass, and no more. */
const concurrency = 2;
/** Connections of a sink: one for each pass, for a question that takes long, and for ending it. */
const maxSockets = 8;
/** How long closing waits for jobs that were left to end. */
const settleMs = 3_000;

/** One row per collected object in a table of BigQuery. */
export const bigquery: Backend<KollectDatabaseSinkSpec> = {
  type: 'bigquery',
  family: 'database',
  capabilities: { granularity: 'row', concurrency },
  secretRef: (spec) => {
    if (spec.bigquery === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.bigquery is missing: set project, dataset and table');
    return spec.bigquery.secretRef;
  },
  destination: (context) => destinationOf(context),
  place: ({ spec }) => tableName(spec).title,
  server: (context) => destinationOf(context),
  refusesLateWrites: () => false,
  open: async (context) => new BigQuerySink(context),
  preview: async (spec) => previewTable(spec),
};

class BigQuerySink implements Sink {
  readonly #context: OpenContext<KollectDatabaseSinkSpec>;
  readonly #settings: ResolvedSettings;
  readonly #agents: GuardedAgents;
  readonly #api: BigQueryApi;
  readonly #jobs: Jobs;
  /** What was verified; undefined until then, and again when BigQuery contradicts it. */
  #layout: TableLayout | undefined;
  /** The table was there: if it is not any more, what was exported is lost. */
  #seen = false;
  /** What was found of an inventory last, and when the table had changed before that. */
  #surveyed: { scope: string; changes: string; found: Survey } | undefined;
  /** Digests of inventories as they were written here last. */
  readonly #written = new Map<string, string>();

  constructor(context: OpenContext<KollectDatabaseSinkSpec>) {
    const { spec, dialer, ca, clientCertificate } = context;
    this.#context = context;
    this.#settings = readSettings(context);
    this.#agents = guardedAgents(dialer, { ca, verifies: spec.tls?.insecureSkipVerify !== true, client: clientCertificate }, maxSockets);
    this.#api = new BigQueryApi({ project: this.#settings.table.project, account: this.#settings.account, agent: this.#agents.https });
    this.#jobs = new Jobs(this.#api, this.#settings);
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    return await this.#use(() => probeTable(this.#api, this.#jobs, this.#settings, signal));
  }

  async check(identity: InventoryIdentity, signal: AbortSignal): Promise<CheckResult> {
    const { installation } = this.#context;
    return await this.#use(async () => {
      const facts = await this.#look(signal);
      if (facts === undefined) throw this.#lost();
      const layout = verifyTable(this.#settings.table, facts);
      const { rows, unowned, others, digest } = await this.#survey(identity, layout, facts, signal);
      if (others > 0) throw foreignOwner(this.#settings.table, identity, installation);
      const written = this.#written.get(scopeName(identity));
      return { rows, digest, owned: layout.owned && installation !== undefined ? rows > 0 && unowned === 0 : undefined, isTouched: written !== undefined && digest !== undefined && digest !== written };
    });
  }

  async *held(identity: InventoryIdentity, signal: AbortSignal): AsyncGenerator<HeldRow> {
    const { table } = this.#settings;
    try {
      const facts = await this.#look(signal);
      if (facts === undefined) return;
      for await (const page of this.#jobs.rows({ sql: heldStatement(table, verifyTable(table, facts)), parameters: scopeOf(identity) }, signal)) {
        for (const { target_name, source_uid, object_kind, object_namespace, object_name, hash } of page) {
          const key = { targetName: target_name ?? '', uid: source_uid ?? '' };
          yield { key, kind: object_kind ?? '', namespace: object_namespace ?? '', name: object_name ?? '', hash: hash ? Buffer.from(hash, 'hex').toString('latin1') : undefined };
        }
      }
    } catch (error) {
      throw bigqueryError(error, table);
    }
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    if (change.upsertCount + change.deletes.length === 0 && isDelta(change)) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    this.#surveyed = undefined;
    const scope = scopeName(change.identity);
    this.#written.delete(scope);
    const { installation, fence } = this.#context;
    return await this.#use(async () => {
      await this.#jobs.settle(signal);
      const layout = (this.#layout ??= await this.#prepare(change, signal));
      this.#seen = true;
      try {
        const result = await new Pass({ api: this.#api, jobs: this.#jobs, settings: this.#settings, layout, installation, fence }, change, signal).run();
        if (change.after && layout.hashed && !result.held && result.rejected.length === 0) this.#written.set(scope, change.after.digest);
        return result;
      } catch (error) {
        if (isNotFound(error)) throw this.#lost(error);
        if (isForeignRows(error)) throw foreignOwner(this.#settings.table, change.identity, installation, error);
        throw error;
      }
    });
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    this.#surveyed = undefined;
    this.#written.delete(scopeName(identity));
    const { table } = this.#settings;
    return await this.#use(async () => {
      await this.#jobs.settle(signal);
      const facts = await this.#look(signal);
      if (facts === undefined) return { deleted: 0 };
      const layout = verifyTable(table, facts);
      // Where rows have no owner, the caller has to know.
      if (!layout.owned && !isOwn) return { deleted: 0 };
      this.#context.fence(commitMs);
      const parameters = [...scopeOf(identity), ...(layout.owned ? [text('installation', this.#context.installation)] : [])];
      const { deleted } = await this.#jobs.change({ sql: removeStatement(table, layout, isOwn), parameters }, signal);
      return { deleted };
    });
  }

  async close(): Promise<void> {
    await this.#jobs.settle(AbortSignal.timeout(settleMs)).catch(() => undefined);
    this.#agents.https.destroy();
    this.#agents.http.destroy();
  }

  async #use<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (cause) {
      const error = bigqueryError(cause, this.#settings.table);
      if (error.code === 'KOL_SINK_SCHEMA') this.#layout = undefined;
      throw error;
    }
  }

  /** The table, and where its jobs run. */
  async #look(signal: AbortSignal): Promise<TableFacts | undefined> {
    const facts = await findTable(this.#api, this.#settings.table, signal);
    this.#jobs.location = this.#settings.location ?? facts?.location ?? this.#jobs.location;
    return facts;
  }

  /** What a table holds is asked for once, as long as nothing changes in it: that costs nothing to see. */
  async #survey(identity: InventoryIdentity, layout: TableLayout, { creationTime, lastModifiedTime }: TableFacts, signal: AbortSignal): Promise<Survey> {
    const scope = scopeName(identity);
    const changes = `${creationTime}/${lastModifiedTime}`;
    const known = this.#surveyed;
    if (known?.scope === scope && known.changes === changes && lastModifiedTime !== undefined) return known.found;
    const found = await survey(this.#jobs, this.#settings.table, layout, identity, this.#context.installation, signal);
    this.#surveyed = { scope, changes, found };
    return found;
  }

  /** Makes sure that the table can be written, creating it when it may be created and nothing can be missed by that. */
  async #prepare(change: SinkChange, signal: AbortSignal): Promise<TableLayout> {
    const { table, mode } = this.#settings;
    let facts = await this.#look(signal);
    if (facts === undefined) {
      if (this.#seen ? !isWhole(change) : isDelta(change)) throw this.#lost();
      if (mode === 'existing') throw missingTable(table);
      this.#jobs.location ??= await locationOf(this.#api, table, signal);
      await this.#jobs.change({ sql: createTableStatement(table), parameters: [] }, signal);
      facts = await this.#look(signal);
    }
    if (facts === undefined) throw this.#lost();
    const layout = verifyTable(table, facts);
    if (!lacksColumns(this.#settings, layout)) return layout;
    await this.#jobs.change({ sql: addColumnsStatement(table), parameters: [] }, signal);
    return { hashed: true, owned: true };
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

function destinationOf({ spec }: OpenContext<KollectDatabaseSinkSpec>): string {
  const { project, dataset, table } = tableName(spec);
  return JSON.stringify([project, dataset, table]);
}

function scopeName({ namespace, name, cluster }: InventoryIdentity): string {
  return JSON.stringify([namespace, name, cluster]);
}

function isDelta({ completeTargets, knownTargets }: SinkChange): boolean {
  return completeTargets.length === 0 && knownTargets === undefined;
}

/** The change holds every row of the inventory. */
function isWhole({ completeTargets, knownTargets }: SinkChange): boolean {
  return knownTargets !== undefined && knownTargets.every((target) => completeTargets.includes(target));
}
