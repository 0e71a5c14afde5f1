import { createHash, randomUUID } from 'node:crypto';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import { documentPath } from '../../../shared/layout/document-path.ts';
import { layoutOf, type Layout } from '../../../shared/layout/layout.ts';
import type { CheckResult, HeldRow, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import type { FileStore } from '../documents/file-store.ts';
import { documentType } from '../documents/formats.ts';
import { InventoryFiles, type FilesPlan, type PlannedFile } from '../documents/inventory-files.ts';
import { commitMs } from '../runtime/deadline.ts';
import { unknownInstallation } from '../runtime/errors.ts';
import { concurrently } from './concurrently.ts';
import { documentLayout } from './document-layout.ts';
import { ConditionFailed, partBytes, type ObjectFacts, type ObjectStore, type PutOptions } from './object-store.ts';
import { inventoryKey, isEqual, metadataOf, stateOf, together, type DocumentState } from './object-state.ts';
import { send } from './send.ts';

export interface ObjectPlace {
  store: ObjectStore;
  /** What all keys begin with, without slashes around it. */
  prefix: string;
  /** The bucket, for messages. */
  title: string;
  release(): Promise<void>;
}

/** Small objects that are asked about or sent at the same time. */
const maxRequests = 24;
/** Documents, each of which may have a part in memory. */
const maxDocuments = 2;

/** Inventories as objects of a bucket. A document tells by its metadata whose it is and which snapshot it holds; what was not looked at is not overwritten. */
export class ObjectSink implements Sink {
  readonly #context: OpenContext<KollectSnapshotSinkSpec>;
  readonly #place: ObjectPlace;
  readonly #layout: Layout;
  readonly #files: InventoryFiles;
  /** Paths of the documents of inventories as they were last written or found. */
  readonly #documents = new Map<string, readonly string[]>();

  constructor(context: OpenContext<KollectSnapshotSinkSpec>, place: ObjectPlace) {
    const spec = documentLayout(context.spec);
    this.#context = context;
    this.#place = place;
    this.#layout = layoutOf(spec);
    this.#files = new InventoryFiles(spec, context.installation);
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    const { store, prefix } = this.#place;
    return { message: await store.probe(prefix === '' ? '' : `${prefix}/`, signal) };
  }

  async check(identity: InventoryIdentity, signal: AbortSignal): Promise<CheckResult> {
    if (this.#layout.mode !== 'document') return { rows: await this.#files.rows(identity, this.#store(signal)), digest: undefined };
    const found = await this.#found(identity, signal);
    if (found.length === 0) return { rows: 0, digest: undefined, owned: false };
    const states = found.flatMap(({ state }) => state ?? []);
    // Somebody else made them.
    if (states.length < found.length) return { rows: undefined, digest: undefined, owned: false };
    const isWhole = this.#paths(identity, states.length).every((path, index) => found[index]?.path === path);
    return { ...together(states, isWhole), owned: states.every(({ installation }) => installation !== undefined) };
  }

  held(identity: InventoryIdentity, signal: AbortSignal): AsyncIterable<HeldRow> {
    return this.#files.held(identity, this.#store(signal));
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { identity, upsertCount, completeTargets, knownTargets, staleLimit, since } = change;
    if (upsertCount + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    const heldRows = staleLimit && !since ? (await this.check(identity, signal)).rows : undefined;
    return await this.#files.write({ change, store: this.#store(signal), heldRows, exportedAt: new Date() }, (plan) => this.#carryOut(plan, change, signal));
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    const found = this.#layout.mode === 'document' ? await this.#found(identity, signal, false) : [];
    if (found.some(({ state }) => this.#isForeign(state))) return { deleted: 0 };
    const store = this.#store(signal);
    const isKnown = found.length > 0 && found.every(({ state }) => state?.installation !== undefined);
    const paths = await this.#files.owned(identity, store, isOwn || isKnown);
    if (paths.length === 0) return { deleted: 0 };
    const deleted = found.length > 0 ? found.reduce((sum, { state }) => sum + (state?.rows ?? 0), 0) : await this.#files.rows(identity, store);
    const last = paths.at(-1)!;
    await concurrently(paths.slice(0, -1), maxRequests, (path) => this.#remove(path, undefined, signal));
    await this.#remove(last, undefined, signal);
    this.#documents.delete(inventoryKey(identity));
    return { deleted };
  }

  async close(): Promise<void> {
    await this.#place.release();
  }

  async #carryOut(plan: FilesPlan, change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { confirmed, rejected, held, mode, removes, manifest } = plan;
    const { identity, after } = change;
    const result = { confirmed, written: 0, deleted: 0, bytes: 0, rejected, held };
    if (held > 0) return { ...result, confirmed: 0 };
    const key = inventoryKey(identity);
    const about = { inventory: key, installation: this.#context.installation, digest: rejected.length === 0 ? after?.digest : undefined };
    const documents: string[] = [];
    const put = async (file: PlannedFile): Promise<void> => {
      if (file.document) documents.push(file.path);
      const { bytes, isOther } = await this.#put(file, { ...about, rows: file.document?.rows ?? 0 }, plan.isChangeOnly, signal);
      result.bytes += bytes;
      if (isOther) result.written += file.row ? 1 : mode === 'document' ? confirmed : 0;
    };
    this.#documents.delete(key);
    await concurrently(plan.files, mode === 'document' ? maxDocuments : maxRequests, put);
    result.written = Math.min(result.written, confirmed);
    await concurrently(removes, maxRequests, async (path) => {
      await this.#removeOwn(path, identity, mode === 'document', signal);
      result.deleted++;
    });
    if (manifest) await put(manifest);
    if (documents.length > 0) this.#documents.set(key, documents.sort());
    return result;
  }

  /** Leaves an object that says the same. */
  async #put(file: PlannedFile, about: Omit<DocumentState, 'content'>, isChange: boolean, signal: AbortSignal): Promise<{ bytes: number; isOther: boolean }> {
    const { store } = this.#place;
    const key = this.#key(file.path);
    const { content, bytes } = await namedContent(file);
    const wanted: DocumentState = { ...about, content };
    // Nothing is known of the row's object but that it is another.
    const facts = file.row && isChange ? undefined : await store.head(key, signal);
    const former = facts && this.#own(facts, file.path, about.inventory);
    if (former && isEqual(former, wanted)) return { bytes: 0, isOther: false };
    const replaces: PutOptions['replaces'] = file.row && isChange ? 'any' : facts ? { version: facts.version } : 'none';
    const contentType = typeOf(file.path, this.#layout);
    try {
      const sent = await send(store, key, bytes, { replaces, contentType, metadata: metadataOf(wanted) }, () => this.#fence(), signal);
      return { bytes: sent, isOther: former?.content !== content };
    } catch (error) {
      if (!(error instanceof ConditionFailed)) throw error;
      const now = await store.head(key, signal);
      const state = now && this.#own(now, file.path, about.inventory);
      // It arrived, and the answer did not.
      if (state && isEqual(state, wanted)) return { bytes: 0, isOther: true };
      throw this.#changed(file.path);
    }
  }

  async #removeOwn(path: string, { cluster, namespace, name }: InventoryIdentity, isDocument: boolean, signal: AbortSignal): Promise<void> {
    // Whose the files of a tree are, its manifest says.
    if (!isDocument) return await this.#remove(path, undefined, signal);
    const facts = await this.#place.store.head(this.#key(path), signal);
    if (!facts) return;
    this.#own(facts, path, inventoryKey({ cluster, namespace, name, generation: 0 }));
    await this.#remove(path, facts.version, signal);
  }

  async #remove(path: string, version: string | undefined, signal: AbortSignal): Promise<void> {
    this.#fence();
    try {
      await this.#place.store.remove(this.#key(path), version, signal);
    } catch (error) {
      throw error instanceof ConditionFailed ? this.#changed(path) : error;
    }
  }

  /** Documents of the inventory that are there, in the order of their paths. Throws `KOL_SINK_OWNER` unless everybody's are asked for. */
  async #found(identity: InventoryIdentity, signal: AbortSignal, verifies = true): Promise<{ path: string; state: DocumentState | undefined }[]> {
    const key = inventoryKey(identity);
    // A list tells of parts that nobody knows of any more, and costs ten times as much as a look at a document.
    const paths = this.#documents.get(key) ?? (await this.#files.documents(identity, this.#store(signal))).toSorted();
    const found: { path: string; state: DocumentState | undefined }[] = [];
    await concurrently(paths, maxRequests, async (path) => {
      const facts = await this.#place.store.head(this.#key(path), signal);
      if (facts) found.push({ path, state: verifies ? this.#own(facts, path, key) : stateOf(facts.metadata) });
    });
    if (found.length === paths.length) this.#documents.set(key, paths);
    else this.#documents.delete(key);
    return found.sort((a, b) => (a.path < b.path ? -1 : 1));
  }

  /** Those that a snapshot becomes when it has so many. */
  #paths(identity: InventoryIdentity, total: number): string[] {
    const { document, extension } = this.#layout;
    if (total === 1) return [documentPath(document, extension, identity)];
    return Array.from({ length: total }, (_, index) => documentPath(document, extension, identity, { index: index + 1, total })).sort();
  }

  /** What an object tells of itself. Throws `KOL_SINK_OWNER` for another's. */
  #own({ metadata }: Pick<ObjectFacts, 'metadata'>, path: string, inventory: string): DocumentState | undefined {
    const state = stateOf(metadata);
    const { installation } = this.#context;
    const what = `${path} of ${this.#place.title}`;
    if (this.#isForeign(state)) {
      if (installation === undefined) throw new KollectError('KOL_SINK_OWNER', `${what} was written by an installation, and nobody knows whether it is this one: ${unknownInstallation}`);
      throw new KollectError('KOL_SINK_OWNER', `${what} was written by another installation: give each cluster a name of its own in spec.cluster, and put {cluster} into spec.pathTemplate; if that installation is gone, remove the object`);
    }
    if (state && state.inventory !== inventory && (installation === undefined || state.installation === undefined)) {
      throw new KollectError('KOL_SINK_OWNER', `${what} holds the inventory ${state.inventory}: put {cluster}, {namespace} and {name} into spec.pathTemplate`);
    }
    return state;
  }

  /** Also where it is not known which installation this is. */
  #isForeign(state: DocumentState | undefined): boolean {
    return state?.installation !== undefined && state.installation !== this.#context.installation;
  }

  #store(signal: AbortSignal): FileStore {
    const { store } = this.#place;
    const read: FileStore['read'] = (path, maxBytes) => store.read(this.#key(path), maxBytes, signal);
    return {
      read,
      async *readAll(paths) {
        for (let at = 0; at < paths.length; at += maxRequests) {
          const some = paths.slice(at, at + maxRequests);
          const files = await Promise.all(some.map((path) => read(path)));
          for (const [index, file] of files.entries()) if (file) yield [some[index]!, file];
        }
      },
      list: async (folder, start) => {
        const before = this.#key(folder === '' ? '' : `${folder}/`);
        const names: string[] = [];
        for await (const page of store.list(before + start, signal)) for (const key of page) names.push(key.slice(before.length));
        return names;
      },
    };
  }

  #key(path: string): string {
    const { prefix } = this.#place;
    return prefix === '' ? path : `${prefix}/${path}`;
  }

  #fence(): void {
    this.#context.fence(commitMs);
  }

  #changed(path: string): KollectError {
    return new KollectError('KOL_SINK_BUSY', `somebody else wrote ${path} of ${this.#place.title} at the same time`);
  }
}

/** Of the file as it is, compressed or not: it is not to be unpacked on the way, as its name would be wrong then. */
function typeOf(path: string, layout: Layout): string {
  if (path.endsWith('.json')) return 'application/json';
  const { contentType, contentEncoding } = documentType(layout);
  return contentEncoding === undefined ? contentType : `application/${contentEncoding}`;
}

/** What the file says, by a text that is equal when that is; where the file does not come with one, from its bytes, unless they are too many to be kept. */
async function namedContent({ document, bytes }: PlannedFile): Promise<{ content: string; bytes: PlannedFile['bytes'] }> {
  if (document) return { content: document.content, bytes };
  const hash = createHash('sha256');
  const pieces: Uint8Array[] = [];
  let size = 0;
  const iterator = Symbol.asyncIterator in bytes ? bytes[Symbol.asyncIterator]() : bytes[Symbol.iterator]();
  for (;;) {
    const { done, value } = await iterator.next();
    if (done) return { content: hash.digest('hex'), bytes: pieces };
    hash.update(value);
    pieces.push(value);
    size += value.length;
    if (size >= partBytes) break;
  }
  async function* all(): AsyncGenerator<Uint8Array> {
    yield* pieces.splice(0);
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      yield value;
    }
  }
  return { content: `large ${randomUUID()}`, bytes: all() };
}
