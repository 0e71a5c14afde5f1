import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { MongoClient } from 'mongodb';
import type { Backend, CheckResult, ExportRow, HeldRow, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { inspectCollection, prepareCollection } from './collection.ts';
import { Connection } from './connection.ts';
import { missingText } from './errors.ts';
import { previewCollection } from './preview.ts';
import { probeCollection } from './probe.ts';
import { concurrency, readSettings, settingsKey, type MongoSinkSettings } from './settings.ts';
import { foreignOwner, forgetState, readState } from './state.ts';
import { CollectionWrite, countRows, deleteAll, differingRows, heldRows, type WriteTarget } from './write.ts';

/** Up to here a check counts documents. Of more it believes the record of the last pass. */
const maxCountedRows = 100_000;

/** One document per collected object in a collection of MongoDB. */
export const mongodb: Backend<KollectDatabaseSinkSpec> = {
  type: 'mongodb',
  family: 'database',
  capabilities: { granularity: 'row', concurrency },
  secretRef: (spec) => {
    if (spec.mongodb === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.mongodb is missing: set databaseRef, database and collection');
    return spec.mongodb.databaseRef;
  },
  destination: (context) => {
    const { servers, database, collection } = readSettings(context);
    return JSON.stringify([servers, database, collection]);
  },
  place: (context) => readSettings(context).title,
  server: (context) => readSettings(context).servers,
  // The number of the leader is compared before a pass, and not with each of its writes.
  refusesLateWrites: () => false,
  open: async (context) => new MongoSink(context),
  preview: async (spec) => previewCollection(spec),
};

class MongoSink implements Sink {
  readonly #context: OpenContext<KollectDatabaseSinkSpec>;
  readonly #settings: MongoSinkSettings;
  readonly #connection: Connection;
  readonly #release: () => Promise<void>;
  /** It was verified; again after each error. */
  #isPrepared = false;
  /** The collection was there: if it is not any more, what was exported is lost. */
  #seen = false;

  constructor(context: OpenContext<KollectDatabaseSinkSpec>) {
    this.#context = context;
    this.#settings = readSettings(context);
    const { value, release } = context.shared.lease(settingsKey(this.#settings), () => new Connection(this.#settings, context.dialer));
    this.#connection = value;
    this.#release = release;
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    return await this.#use(signal, (client) => probeCollection(client, this.#settings));
  }

  async check(identity: InventoryIdentity, signal: AbortSignal, counts = false): Promise<CheckResult> {
    return await this.#use(signal, async (client) => {
      const target = this.#target(client, identity);
      const state = await this.#stateOf(target);
      if (state !== undefined && state.installation !== this.#context.installation) throw foreignOwner(target);
      const told = state?.rows ?? undefined;
      const rows = !counts && told !== undefined && told > maxCountedRows ? told : await countRows(target);
      return { rows, digest: state?.digest ?? undefined, owned: this.#keepsStates ? state !== undefined : undefined };
    });
  }

  async *held(identity: InventoryIdentity, signal: AbortSignal): AsyncGenerator<HeldRow> {
    yield* await this.#use(signal, async (client) => {
      const held: HeldRow[] = [];
      for await (const row of heldRows(this.#target(client, identity))) held.push(row);
      return held;
    });
  }

  async differing(identity: InventoryIdentity, rows: readonly ExportRow[], signal: AbortSignal): Promise<readonly ExportRow[]> {
    return await this.#use(signal, async (client) => {
      if (this.#seen && !(await inspectCollection(client, this.#settings)).isThere) throw this.#lost();
      return await differingRows(this.#target(client, identity), rows);
    });
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    if (change.upsertCount + change.deletes.length === 0 && isDelta(change)) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    return await this.#use(signal, async (client) => {
      await this.#prepare(client, change);
      return await new CollectionWrite(this.#target(client, change.identity), change).run();
    });
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    return await this.#use(signal, async (client) => {
      const target = this.#target(client, identity);
      const state = await this.#stateOf(target);
      // Documents that are somebody else's under these names, or nobody's, are not ours to remove.
      if (!(state ? state.installation === this.#context.installation : isOwn)) return { deleted: 0 };
      if (!(await inspectCollection(client, this.#settings)).isThere) return { deleted: 0 };
      const deleted = await deleteAll(target);
      if (state) await forgetState(client, target);
      return { deleted };
    });
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #use<T>(signal: AbortSignal, work: (client: MongoClient) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.use(signal, work);
    } catch (error) {
      this.#isPrepared = false;
      throw error;
    }
  }

  /** Makes sure that the collection can be written, creating it when it may be created and nothing can be missed by that. */
  async #prepare(client: MongoClient, change: SinkChange): Promise<void> {
    if (this.#isPrepared && isDelta(change) && !(await isThere(client, this.#settings))) throw this.#lost();
    if (this.#isPrepared && isDelta(change)) return;
    const { isThere: found } = await inspectCollection(client, this.#settings);
    if (!found && (this.#seen ? !isWhole(change) : isDelta(change))) throw this.#lost();
    await prepareCollection(client, this.#settings);
    this.#isPrepared = this.#seen = true;
  }

  #target(client: MongoClient, identity: InventoryIdentity): WriteTarget {
    const { fence, epoch, installation } = this.#context;
    return { client, settings: this.#settings, identity, fence, epoch, installation, keepsStates: this.#keepsStates };
  }

  /** Owners are written down under `ensure`. */
  get #keepsStates(): boolean {
    return !this.#settings.mustExist && this.#context.installation !== undefined;
  }

  async #stateOf(target: WriteTarget): ReturnType<typeof readState> {
    return this.#settings.mustExist ? undefined : await readState(target.client, target);
  }

  /** The engine's cursor is void; only a complete pass may fill a new collection. */
  #lost(): KollectError {
    this.#isPrepared = this.#seen = false;
    const { title, mustExist } = this.#settings;
    return mustExist
      ? new KollectError('KOL_SINK_DESTINATION_LOST', missingText(title), { class: 'terminal' })
      : new KollectError('KOL_SINK_DESTINATION_LOST', `${title} is gone: it will be created anew and filled completely`, { retryAfterMs: 100 });
  }
}

async function isThere(client: MongoClient, { database, collection }: MongoSinkSettings): Promise<boolean> {
  return (await client.db(database).listCollections({ name: collection }, { nameOnly: true }).toArray()).length > 0;
}

function isDelta({ completeTargets, knownTargets }: SinkChange): boolean {
  return completeTargets.length === 0 && knownTargets === undefined;
}

/** The change holds every row of the inventory. */
function isWhole({ completeTargets, knownTargets }: SinkChange): boolean {
  return knownTargets !== undefined && knownTargets.every((target) => completeTargets.includes(target));
}
