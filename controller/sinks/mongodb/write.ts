import { isDeepStrictEqual } from 'node:util';
import { MongoBulkWriteError, type AnyBulkWriteOperation, type Collection, type MongoClient, type ObjectId } from 'mongodb';
import { Turns } from '../../../shared/in-turns.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { ExportRow, InventoryIdentity, OpenContext, RejectedRow, RowKey, SinkChange, WriteResult } from '../contract.ts';
import { rejection } from '../documents/rejection.ts';
import { commitMs } from '../runtime/deadline.ts';
import { payloadBytes, portions, withoutDuplicates } from '../runtime/rows.ts';
import { RowIndex } from '../runtime/row-index.ts';
import type { HeldRow } from '../runtime/spared.ts';
import { deleteStale } from '../runtime/stale-rows.ts';
import { documentOf, payloadOf, scopeOf, type RowDocument } from './documents.ts';
import { codes, isDocumentError } from './errors.ts';
import { readState, recordState, verifyWriter, type Writer } from './state.ts';

/** Rows and characters that are sent together: few round trips, and some megabytes at most. */
const batch = { rows: 1_000, characters: 4_000_000 };
/** Keys that are read at a time: some hundred kilobytes. */
const pageRows = 5_000;
/** After so many refused rows, and none that was accepted, the collection is at fault and not the rows. */
const maxRejectedFirstRows = 50;

/** Documents that somebody else inserted at the same moment are looked at once more. */
const attempts = 3;

export interface WriteTarget extends Writer {
  client: MongoClient;
  fence: OpenContext<unknown>['fence'];
  /** There is a record of who wrote what. */
  keepsStates: boolean;
}

type Rows = Collection<RowDocument>;

/**
 * Writes a change: first all rows, a batch at a time, then what is known to be gone, and when all is in what nobody named. Rows that are as they should be are not written.
 * Repeated, it ends in the same.
 */
export class CollectionWrite {
  readonly #target: WriteTarget;
  readonly #change: SinkChange;
  readonly #rows: Rows;
  readonly #rejected: RejectedRow[] = [];
  /** For the comparison with what the collection holds; undefined where there is none. */
  readonly #known: RowIndex | undefined;
  #accepted = 0;
  #written = 0;
  #bytes = 0;
  /** Nothing was there when the pass began. */
  #isNew = false;

  constructor(target: WriteTarget, change: SinkChange) {
    this.#target = target;
    this.#change = change;
    this.#rows = rowsOf(target);
    const compares = change.completeTargets.length > 0 || change.knownTargets !== undefined;
    this.#known = compares ? new RowIndex() : undefined;
  }

  async run(): Promise<WriteResult> {
    const { client, identity, keepsStates, settings } = this.#target;
    const { deletes, staleLimit, after, upsertCount, upserts } = this.#change;
    const state = settings.mustExist ? undefined : await readState(client, this.#target);
    verifyWriter(state, this.#target);
    this.#isNew = this.#known !== undefined && (await this.#rows.findOne(scopeOf(identity), { projection: { _id: 1 } })) === null;
    // While rows of somebody else wait for consent they are not called ours, so that a process that starts anew waits for it, too.
    let claims = keepsStates && (state !== undefined || (this.#known !== undefined && (this.#isNew || staleLimit === undefined)));
    // Until all is done nobody can tell what the collection holds.
    if (claims) await this.#record(undefined);
    for (const rows of portions(upserts, () => batch)) await this.#upsert(withoutDuplicates(rows));
    let deleted = await this.#delete(deletes);
    const stale = this.#known ? await this.#deleteStale(this.#known) : { deleted: 0, held: 0 };
    deleted += stale.deleted;
    const reached = this.#rejected.length + stale.held === 0 ? after : undefined;
    claims ||= keepsStates && this.#known !== undefined && reached !== undefined;
    if (claims) await this.#record(reached);
    return { confirmed: upsertCount - this.#rejected.length, written: this.#written, deleted, held: stale.held, bytes: this.#bytes, rejected: this.#rejected };
  }

  async #record(state: SinkChange['after']): Promise<void> {
    this.#target.fence(commitMs);
    await recordState(this.#target.client, this.#target, state);
  }

  async #upsert(rows: readonly ExportRow[]): Promise<void> {
    const exportedAt = new Date();
    const turns = new Turns();
    let left: { row: ExportRow; document: RowDocument }[] = [];
    for (const row of rows) {
      const document = documentOf(row, this.#target.identity, exportedAt);
      if ('key' in document && 'code' in document) this.#refuse(document as RejectedRow);
      else left.push({ row, document: document as RowDocument });
      if (turns.isOver) await turns.next();
    }
    for (let attempt = 1; left.length > 0; attempt++) {
      const held = this.#isNew && attempt === 1 ? new Map<string, HeldDocument>() : await heldDocuments(this.#rows, this.#target.identity, left.map(({ row }) => row));
      const changed = left.filter(({ row }) => !isSame(held.get(nameOf(row)), row, this.#target.identity));
      this.#accept(left.filter((one) => !changed.includes(one)).map(({ row }) => row), false);
      if (changed.length === 0) return;
      this.#target.fence(commitMs);
      const failed = await writeDocuments(this.#rows, changed.map(({ row, document }) => operation(document, held.get(nameOf(row)))));
      this.#accept(changed.filter((_one, at) => !failed.has(at)).map(({ row }) => row), true);
      left = [];
      for (const [at, { code }] of failed) {
        const one = changed[at]!;
        // Nobody has to have read it: it is there now.
        if (code === codes.duplicateKey && !held.has(nameOf(one.row)) && attempt < attempts) left.push(one);
        else this.#refuse(rejection(one.row, String(code), 'the collection refuses the document'));
      }
    }
  }

  #accept(rows: readonly ExportRow[], isWritten: boolean): void {
    this.#accepted += rows.length;
    this.#bytes += payloadBytes(rows);
    if (isWritten) this.#written += rows.length;
    for (const row of rows) this.#known?.add(row);
  }

  #refuse(row: RejectedRow): void {
    this.#rejected.push(row);
    // What the collection holds of it is old, not stale.
    this.#known?.add(row.key);
    if (this.#accepted > 0 || this.#rejected.length <= maxRejectedFirstRows || row.code === 'PayloadTooLarge') return;
    throw new KollectError('KOL_SINK_SCHEMA', `${this.#target.settings.title} refuses every row, the last one with code ${row.code}: look at its validator and its indexes`);
  }

  async #delete(keys: readonly RowKey[]): Promise<number> {
    let deleted = 0;
    for (const [target_name, uids] of byTarget(keys)) {
      for (let start = 0; start < uids.length; start += batch.rows) {
        this.#target.fence(commitMs);
        deleted += (await this.#rows.deleteMany({ ...scopeOf(this.#target.identity), target_name, source_uid: { $in: uids.slice(start, start + batch.rows) } })).deletedCount;
      }
    }
    return deleted;
  }

  /** Reads the keys that the collection holds, page by page, and deletes those that are stale. Where there is a limit, they are counted first. */
  async #deleteStale(known: RowIndex): Promise<{ deleted: number; held: number }> {
    const { completeTargets, knownTargets } = this.#change;
    if (this.#isNew && this.#rejected.length === 0) return { deleted: 0, held: 0 };
    return await deleteStale({ change: this.#change, known, pages: () => pagesOfKeys(this.#rows, this.#target.identity, completeTargets, knownTargets), remove: (keys) => this.#delete(keys) });
  }
}

interface HeldDocument {
  _id: ObjectId;
  cluster: string;
  hash: string;
}

/** Deletes all documents of an inventory and cluster. */
export async function deleteAll(target: WriteTarget): Promise<number> {
  target.fence(commitMs);
  return (await rowsOf(target).deleteMany(scopeOf(target.identity))).deletedCount;
}

/** Which of these rows the collection does not hold as they are. */
export async function differingRows(target: Pick<WriteTarget, 'client' | 'settings' | 'identity'>, rows: readonly ExportRow[]): Promise<ExportRow[]> {
  const { identity } = target;
  const found: ExportRow[] = [];
  for (const [target_name, some] of groupedByTarget(rows)) {
    const held = await rowsOf(target).find({ ...scopeOf(identity), target_name, source_uid: { $in: some.map(({ uid }) => uid) } }).toArray();
    const byUid = new Map(held.map((document) => [document.source_uid, document]));
    for (const row of some) {
      const document = byUid.get(row.uid);
      if (!document || hashOf(document) !== row.hash || document.resource_namespace !== (row.namespace || identity.namespace) || !isDeepStrictEqual(document.payload, payloadOf(row.payload))) found.push(row);
    }
  }
  const differing = new Set(found);
  return rows.filter((row) => differing.has(row));
}

/** The documents of an inventory and cluster, in the order of their keys. */
export async function* heldRows(target: Pick<WriteTarget, 'client' | 'settings' | 'identity'>): AsyncGenerator<{ key: RowKey; kind: string; namespace: string; name: string; hash: string | undefined }> {
  const fields = { target_name: 1, source_uid: 1, 'payload.kind': 1, 'payload.namespace': 1, 'payload.name': 1, payload_sha256: 1 };
  for await (const document of rowsOf(target).find(scopeOf(target.identity), { projection: fields, sort: { target_name: 1, source_uid: 1 } })) {
    const { kind = '', namespace = '', name = '' } = (document.payload ?? {}) as { kind?: string; namespace?: string; name?: string };
    yield { key: { targetName: document.target_name, uid: document.source_uid }, kind, namespace, name, hash: hashOf(document) };
  }
}

export async function countRows(target: Pick<WriteTarget, 'client' | 'settings' | 'identity'>): Promise<number> {
  return await rowsOf(target).countDocuments(scopeOf(target.identity));
}

function rowsOf({ client, settings: { database, collection } }: Pick<WriteTarget, 'client' | 'settings'>): Rows {
  return client.db(database).collection<RowDocument>(collection);
}

/** What the collection holds of some rows, whatever cluster it says they are of: the key does not hold that. */
async function heldDocuments(rows: Rows, { namespace, name }: InventoryIdentity, keys: readonly RowKey[]): Promise<Map<string, HeldDocument>> {
  const held = new Map<string, HeldDocument>();
  for (const [target_name, uids] of byTarget(keys)) {
    const filter = { inventory_namespace: namespace, inventory_name: name, target_name, source_uid: { $in: uids } };
    for await (const document of rows.find(filter, { projection: { source_uid: 1, cluster: 1, payload_sha256: 1 } })) {
      held.set(nameOf({ targetName: target_name, uid: document.source_uid }), { _id: document._id, cluster: document.cluster, hash: hashOf(document) ?? '' });
    }
  }
  return held;
}

function isSame(held: HeldDocument | undefined, row: ExportRow, { cluster }: InventoryIdentity): boolean {
  return held?.hash === row.hash && held.cluster === cluster;
}

/** The client puts an id into what it inserts. */
function operation(document: RowDocument, held: HeldDocument | undefined): AnyBulkWriteOperation<RowDocument> {
  return held ? { updateOne: { filter: { _id: held._id }, update: { $set: document }, upsert: true } } : { insertOne: { document: { ...document } } };
}

/** Gives the documents that were refused because of themselves, by their place. */
async function writeDocuments(rows: Rows, operations: AnyBulkWriteOperation<RowDocument>[]): Promise<ReadonlyMap<number, { code: number }>> {
  try {
    await rows.bulkWrite(operations, { ordered: false });
    return new Map();
  } catch (error) {
    if (!(error instanceof MongoBulkWriteError) || error.result.getWriteConcernError() !== undefined) throw error;
    const failed = [error.writeErrors].flat();
    if (failed.length === 0 || !failed.every(isDocumentError)) throw error;
    return new Map(failed.map(({ index, code }) => [index, { code }]));
  }
}

/** Keys of rows in the given targets and, when `known` is given, in all targets outside it. */
async function* pagesOfKeys(rows: Rows, identity: InventoryIdentity, complete: readonly string[], known: readonly string[] | undefined): AsyncGenerator<(RowKey & HeldRow)[]> {
  const ofTargets = [{ target_name: { $in: [...complete] } }, ...(known ? [{ target_name: { $nin: [...known] } }] : [])];
  const projection = { _id: 0, target_name: 1, source_uid: 1, 'payload.kind': 1, 'payload.group': 1, 'payload.namespace': 1 };
  let last: RowKey | undefined;
  for (;;) {
    const behind = last ? [{ $or: [{ target_name: { $gt: last.targetName } }, { target_name: last.targetName, source_uid: { $gt: last.uid } }] }] : [];
    const found = await rows.find({ ...scopeOf(identity), $and: [{ $or: ofTargets }, ...behind] }, { projection, sort: { target_name: 1, source_uid: 1 }, limit: pageRows, batchSize: pageRows }).toArray();
    if (found.length > 0) yield found.map(({ target_name, source_uid, payload }) => ({ ...(payload as HeldRow | undefined), targetName: target_name, uid: source_uid }));
    const end = found.at(-1);
    if (found.length < pageRows || !end) return;
    last = { targetName: end.target_name, uid: end.source_uid };
  }
}

function hashOf({ payload_sha256: hash }: Partial<Pick<RowDocument, 'payload_sha256'>>): string | undefined {
  return hash === undefined ? undefined : Buffer.from(hash.value()).toString('latin1');
}

function nameOf({ targetName, uid }: RowKey): string {
  return `${targetName}/${uid}`;
}

function byTarget(keys: readonly RowKey[]): Map<string, string[]> {
  return new Map([...groupedByTarget(keys)].map(([target, some]) => [target, some.map(({ uid }) => uid)]));
}

function groupedByTarget<T extends RowKey>(keys: readonly T[]): Map<string, T[]> {
  return Map.groupBy(keys, ({ targetName }) => targetName);
}
