import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import { layoutOf } from '../../../shared/layout/layout.ts';
import type { Backend, CheckResult, HeldRow, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { InventoryFiles, type FilesPlan, type PlannedFile } from '../documents/inventory-files.ts';
import { inventoryKey } from '../objects/object-state.ts';
import { commitMs } from '../runtime/deadline.ts';
import { unknownInstallation } from '../runtime/errors.ts';
import { namedChanges, WrittenRows, type Comparison } from './changes.ts';
import type { FileChanges } from './commits.ts';
import { Connection } from './connection.ts';
import { exportMessage, pathChanges, type CommittedState, type ExportFacts, type NamedChanges } from './message.ts';
import { previewCommit } from './preview.ts';
import { probeRepository } from './probe.ts';
import { gitSecretRef, readSettings, settingsKey, type GitSinkSettings } from './settings.ts';
import type { TipStore } from './tree.ts';

/** Files in a branch of a repository, with a commit for what changed. */
export const git: Backend<KollectSnapshotSinkSpec> = {
  type: 'git',
  family: 'snapshot',
  // All who wait for a branch go with one push, so many may come in.
  capabilities: { granularity: 'document', concurrency: 64 },
  refusesLateWrites: () => false,
  secretRef: gitSecretRef,
  destination: (context) => {
    const { title, branch } = readSettings(context);
    return JSON.stringify([title, branch, layoutOf(context.spec)]);
  },
  place: (context) => placeOf(readSettings(context)),
  server: (context) => readSettings(context).title,
  open: async (context) => new GitSink(context),
  preview: previewCommit,
};

class GitSink implements Sink {
  readonly #context: OpenContext<KollectSnapshotSinkSpec>;
  readonly #settings: GitSinkSettings;
  readonly #connection: Connection;
  readonly #release: () => Promise<void>;
  readonly #files: InventoryFiles;
  /** By inventory. */
  readonly #written = new Map<string, WrittenRows>();

  constructor(context: OpenContext<KollectSnapshotSinkSpec>) {
    const { spec, shared, dialer, installation } = context;
    this.#context = context;
    this.#settings = readSettings(context);
    const { value, release } = shared.lease(settingsKey(this.#settings), () => new Connection(this.#settings, dialer));
    this.#connection = value;
    this.#release = release;
    this.#files = new InventoryFiles(spec, installation);
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    return await probeRepository(this.#connection, this.#settings, signal);
  }

  async check(identity: InventoryIdentity, signal: AbortSignal, counts = false): Promise<CheckResult> {
    const { branch } = this.#connection;
    const { state, isTouched } = await branch.committed(inventoryKey(identity), signal);
    this.#verifyOwner(identity, state);
    const touched = isTouched ? { isTouched } : {};
    if (state?.after && !counts) return { ...state.after, owned: state.installation !== undefined, ...touched };
    // Of files that nobody tells of there may be none; how many rows they are takes reading them.
    const rows = await this.#files.rows(identity, await branch.store(signal));
    if (rows === 0) return { rows, digest: state?.after?.digest, owned: false, ...touched };
    return { rows: counts || state ? rows : undefined, digest: state?.after?.digest, owned: state?.installation === undefined ? undefined : true, ...touched };
  }

  async *held(identity: InventoryIdentity, signal: AbortSignal): AsyncGenerator<HeldRow> {
    yield* this.#files.held(identity, await this.#connection.branch.store(signal));
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { upsertCount, completeTargets, knownTargets } = change;
    if (upsertCount + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    const { branch } = this.#connection;
    const { store, state } = await branch.look(inventoryKey(change.identity), signal);
    this.#verifyOwner(change.identity, state);
    const arrive = branch.announce();
    try {
      return await this.#writeTo(store, arrive, change, signal);
    } finally {
      arrive();
    }
  }

  async #writeTo(store: TipStore, arrive: () => void, change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { identity } = change;
    const exportedAt = new Date();
    const upserts = kept(change.upserts);
    const heldRows = change.staleLimit && !change.since ? await this.#files.rows(identity, store) : undefined;
    const key = inventoryKey(identity);
    const rows = this.#written.get(key) ?? new WrittenRows();
    const comparison = await rows.compare(upserts, change.since);
    const result = await this.#files.write({ change: { ...change, upserts }, store, heldRows, exportedAt }, (plan) => {
      const done = this.#carryOut(plan, change, { comparison, exportedAt, tip: store.commit }, signal);
      arrive();
      return done;
    });
    if ((result.held ?? 0) > 0) return result;
    await comparison.confirm();
    this.#written.set(key, rows);
    return result;
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    const { branch } = this.#connection;
    const key = inventoryKey(identity);
    const { state } = await branch.committed(key, signal);
    if (isForeign(state, this.#context.installation)) return { deleted: 0 };
    const store = await branch.store(signal);
    const removes = await this.#files.owned(identity, store, isOwn || state?.installation !== undefined);
    if (removes.length === 0) return { deleted: 0 };
    const deleted = await this.#files.rows(identity, store);
    const nobodys = { after: undefined, installation: undefined };
    const message = (outcome: FileChanges): string => this.#message(identity, { rows: 0, digest: 'removed', exportedAt: new Date() }, pathChanges(outcome), nobodys);
    await branch.write({ key, files: [], removes, isWhole: true, base: store.commit, message, author: this.#settings.author, state: nobodys, fence: () => this.#context.fence(commitMs) }, signal);
    this.#written.delete(key);
    return { deleted };
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #carryOut(plan: FilesPlan, change: SinkChange, { comparison, exportedAt, tip }: { comparison: Comparison; exportedAt: Date; tip: string | undefined }, signal: AbortSignal): Promise<WriteResult> {
    const { confirmed, rejected, held, mode, isChangeOnly } = plan;
    if (held > 0) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected, held };
    const { identity } = change;
    const state = { after: rejected.length === 0 ? change.after : undefined, installation: this.#context.installation };
    const about = { rows: change.after?.rows ?? change.upsertCount, digest: change.after?.digest ?? 'partial', exportedAt };
    const ofRows = new Set<string>();
    const outcome = await this.#connection.branch.write(
      {
        key: inventoryKey(identity),
        files: noting(plan, ofRows),
        removes: plan.removes,
        isWhole: !isChangeOnly,
        base: tip,
        list: plan.manifest?.path,
        message: (files) => this.#message(identity, about, changesOf(comparison, files, mode), state),
        author: this.#settings.author,
        state,
        fence: () => this.#context.fence(commitMs),
      },
      signal,
    );
    const files = [...outcome.added, ...outcome.changed];
    const written = mode === 'document' ? (files.length > 0 ? confirmed : 0) : files.filter((path) => ofRows.has(path)).length;
    return { confirmed, written, deleted: outcome.removed.length, bytes: outcome.bytes, rejected, held };
  }

  #message(identity: InventoryIdentity, about: ExportFacts, changes: NamedChanges, state: CommittedState): string {
    const { spec, name: sink } = this.#context;
    return exportMessage({ spec, sink, identity }, about, changes, state);
  }

  /** Throws `KOL_SINK_OWNER` when the last commit for the inventory is another installation's. */
  #verifyOwner(identity: InventoryIdentity, state: CommittedState | undefined): void {
    if (!isForeign(state, this.#context.installation)) return;
    const what = `${placeOf(this.#settings)} holds inventory ${identity.namespace}/${identity.name}`;
    if (this.#context.installation === undefined) throw new KollectError('KOL_SINK_OWNER', `${what} of an installation, and nobody knows whether it is this one: ${unknownInstallation}`);
    throw new KollectError(
      'KOL_SINK_OWNER',
      `${what} of another installation: give each cluster a name of its own in spec.cluster, and put {cluster} into the paths; if that installation is gone, push an empty commit to the branch`,
    );
  }
}

/** Also where it is not known which installation this is. */
function isForeign(state: CommittedState | undefined, installation: string | undefined): boolean {
  return state?.installation !== undefined && state.installation !== installation;
}

function placeOf({ branch, title }: GitSinkSettings): string {
  return `branch ${JSON.stringify(branch)} of ${title}`;
}

/** What a commit names: rows where it is known what became of them, else files, of which one that holds all rows tells nothing. */
function changesOf({ changes, isKnown }: Comparison, files: FileChanges, mode: FilesPlan['mode']): NamedChanges {
  // One that was not there before is new as a whole.
  const isNew = files.changed.length + files.removed.length === 0 && (mode === 'document' || files.added.length >= changes.added.count);
  if (isKnown || isNew) return namedChanges(changes);
  return mode === 'document' ? nothingNamed : pathChanges(files);
}

/** All files of a plan. Notes which of them are those of rows, as they are read. */
async function* noting({ files, manifest }: FilesPlan, ofRows: Set<string>): AsyncGenerator<PlannedFile> {
  for await (const file of files) {
    if (file.row) ofRows.add(file.path);
    yield file;
  }
  if (manifest) yield manifest;
}

/** Can be read again. What nobody reads is not made. */
function kept<T>(items: Iterable<T>): Iterable<T> {
  let all: readonly T[] | undefined;
  return { [Symbol.iterator]: () => (all ??= [...items])[Symbol.iterator]() };
}

const none = { count: 0, names: [] };
const nothingNamed: NamedChanges = { added: none, changed: none, removed: none };
