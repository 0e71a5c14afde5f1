import { hash } from 'node:crypto';
import { canonicalJson } from '../../../shared/extract/canonical-json.ts';
import { inTurns, Turns } from '../../../shared/in-turns.ts';
import { clusterLabel, documentPath } from '../../../shared/layout/document-path.ts';
import { effectiveLayout, layoutOf, type EffectiveLayout, type LaidOutSpec, type Layout } from '../../../shared/layout/layout.ts';
import { sortInTurns } from '../../../shared/sort-in-turns.ts';
import { KollectError } from '../../../shared/errors.ts';
import { rowName, type ExportRow, type HeldRow, type InventoryIdentity, type RejectedRow, type SinkChange } from '../contract.ts';
import { compressed } from './compression.ts';
import { countItems } from './count-items.ts';
import type { Contents } from './document.ts';
import type { FileStore } from './file-store.ts';
import { writeDocument } from './formats.ts';
import { envelopeStart, schemaVersion } from './json-document.ts';
import { partition } from './parts.ts';
import { layoutKey, manifestPath, readManifest, writeManifest, type SetManifest } from './set-manifest.ts';
import { rowOfFile, rowsOfDocument } from './held-rows.ts';
import { compareRows, slicesOf, snapshotOf, type Snapshot } from './snapshot.ts';
import { isManifest, treeFile } from './tree-file.ts';
import type { TreeIndex } from './tree-index.ts';
import { planTree, planTreeChange, type TreePlan } from './tree-plan.ts';
import { yamlValue } from './yaml.ts';

/** A file as it is to be. */
export interface PlannedFile {
  path: string;
  /** The row that it is of, whose hash tells whether it is another than before; undefined for documents, indexes and manifests. */
  row?: ExportRow | undefined;
  /** Of a document: how many rows it has, and a text that is equal when it says the same, whenever it was written. */
  document?: { rows: number; content: string } | undefined;
  /** Its bytes, in pieces; made when they are asked for, once. */
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

/** What a pass does to the files of an inventory, and to no others. */
export interface FilesPlan {
  mode: EffectiveLayout['mode'];
  /** Files to be there as they are said here, most of which may be so already. Can be read again. */
  files: AsyncIterable<PlannedFile>;
  /** Files that are to be gone, and may be so already. Where not all happens at once, they go when `files` are there. */
  removes: readonly string[];
  /** Says whose the files are. Where not all happens at once, it comes last: what it does not list is never removed. */
  manifest?: PlannedFile | undefined;
  /** Rows that are written. */
  confirmed: number;
  /** Rows of which nothing is known to have changed are not among them: the others are as they were. */
  isChangeOnly: boolean;
  rejected: readonly RejectedRow[];
  /** More rows would be gone than may: nothing is to be done. */
  held: number;
}

export interface FilesInput {
  change: SinkChange;
  store: FileStore;
  /** Rows of the inventory that the destination holds, when it knows. */
  heldRows: number | undefined;
  exportedAt: Date;
}

/**
 * The files that the rows of inventories become, as a sink lays them out: what is shared by all destinations that have files. It remembers the trees that it
 * planned, so that a change costs as much as what changed.
 *
 * @example
 * const files = new InventoryFiles(spec, installation);
 * await files.write({ change, store, heldRows, exportedAt: new Date() }, async (plan) => { for await (const { path, bytes } of plan.files) … });
 */
export class InventoryFiles {
  readonly #layout: Layout;
  readonly #installation: string | undefined;
  readonly #trees = new Map<string, Tree>();

  /** @param installation uid of this installation, which owns what it writes; undefined when it is not known */
  constructor(spec: LaidOutSpec, installation: string | undefined) {
    this.#layout = layoutOf(spec);
    this.#installation = installation;
  }

  /** Plans a pass and hands it to `carryOut`. The plan counts as confirmed when that resolves. */
  async write<T>(input: FilesInput, carryOut: (plan: FilesPlan) => Promise<T>): Promise<T> {
    const key = JSON.stringify([input.change.identity.namespace, input.change.identity.name, input.change.identity.cluster]);
    const former = this.#trees.get(key);
    const { plan, tree, undo } = await this.#plan(input, former);
    if (plan.held > 0) return await carryOut(plan);
    try {
      const result = await carryOut(plan);
      if (tree) this.#trees.set(key, tree);
      else this.#trees.delete(key);
      return result;
    } catch (error) {
      undo?.();
      throw error;
    }
  }

  /**
   * Paths of all files of an inventory that are there, for its removal in this order. None when another installation wrote them, or nobody is known to have, unless `isOwn`.
   */
  async owned(identity: InventoryIdentity, store: FileStore, isOwn: boolean): Promise<readonly string[]> {
    const manifest = await this.#manifest(identity, store);
    const isOurs = manifest?.installation === undefined ? isOwn : manifest.installation === this.#installation;
    if (!isOurs) return [];
    const tree = manifest ? [...manifest.paths, ...this.#indexPath(identity, effectiveLayout(this.#layout, true))] : [];
    // Whoever is stopped in between needs the list still.
    return [...new Set([...tree, ...(await this.documents(identity, store)), ...(manifest ? [manifestPath(this.#layout, identity)] : [])])];
  }

  /** Rows that the files of an inventory hold, as far as they tell. It reads them, and so costs as much as there is. */
  async rows(identity: InventoryIdentity, store: FileStore): Promise<number> {
    let rows = (await this.#manifest(identity, store))?.paths.length ?? 0;
    for (const path of await this.documents(identity, store)) rows += countItems((await store.read(path)) ?? new Uint8Array(), this.#layout);
    return rows;
  }

  /** The same rows. Throws `KOL_SINK_CONFIG` where files do not say which rows they are of. */
  async *held(identity: InventoryIdentity, store: FileStore): AsyncGenerator<HeldRow> {
    const manifest = await this.#manifest(identity, store);
    const { content } = effectiveLayout(this.#layout, manifest !== undefined);
    if (manifest && manifest.paths.length > 0 && content !== 'item') throw new KollectError('KOL_SINK_CONFIG', `files of ${content} cannot be compared by row: they do not say which row they are of`);
    for await (const [path, file] of store.readAll(manifest?.paths ?? [])) yield rowOfFile(path, file, this.#layout);
    for (const path of await this.documents(identity, store)) yield* rowsOfDocument(path, (await store.read(path)) ?? new Uint8Array(), this.#layout);
  }

  async #plan(input: FilesInput, former: Tree | undefined): Promise<Planned> {
    const { change } = input;
    const isLasting = former && (this.#layout.mode !== undefined || (change.since?.upserts.every(({ payload }) => isManifest(payload)) && former.index.size > 0));
    if (change.since && isLasting) {
      const rows = former.effective.hasIndex ? await sortInTurns(change.upserts, compareRows) : [];
      const tree = await planTreeChange({ change, layout: this.#layout, content: former.effective.content, former });
      return await this.#treePlan(input, tree, former.effective, { rows, isChangeOnly: true });
    }
    const snapshot = await snapshotOf(change.upserts);
    const effective = effectiveLayout(this.#layout, this.#layout.mode === undefined && snapshot.rows.length > 0 && (await areManifests(snapshot.rows)));
    if (effective.mode === 'document') return await this.#documentPlan(input, snapshot);
    const { identity } = change;
    const manifest = await this.#manifest(identity, input.store, true);
    const reserved = [manifestPath(this.#layout, identity), ...this.#indexPath(identity, effective)];
    const documents = this.#layout.mode === undefined ? await this.documents(identity, input.store) : [];
    const tree = await planTree({ change, layout: this.#layout, content: effective.content, reserved, former }, snapshot.rows, [...(manifest?.paths ?? []), ...documents]);
    return await this.#treePlan(input, tree, effective, { rows: snapshot.rows, isChangeOnly: false });
  }

  async #documentPlan(input: FilesInput, snapshot: Snapshot): Promise<Planned> {
    const { change, store, heldRows, exportedAt } = input;
    const { identity, staleLimit, since } = change;
    const layout = this.#layout;
    const gone = since ? since.deletes.filter(({ targetName }) => !staleLimit?.exempt.includes(targetName)).length : heldRows && staleLimit && heldRows > staleLimit.rows ? await this.#gone(input, snapshot, heldRows) : 0;
    if (staleLimit && gone > staleLimit.rows) return { plan: { ...nothing, mode: 'document', held: gone } };
    const { parts, rejected } = await partition(snapshot, { identity, exportedAt }, change.maxDocumentBytes);
    const named = parts.map((part) => ({ ...part, path: documentPath(layout.document, layout.extension, identity, part.part) }));
    const paths = new Set(named.map(({ path }) => path));
    const manifest = layout.mode === undefined ? await this.#manifest(identity, store, true) : undefined;
    const owned = [...(await this.documents(identity, store)), ...(manifest ? [...manifest.paths, manifestPath(layout, identity)] : [])];
    async function* files(): AsyncGenerator<PlannedFile> {
      for (const { path, ...contents } of named) {
        const whole = { identity, exportedAt, ...contents };
        const former = layout.format === 'json' && layout.compression === 'none' ? await store.read(path, headBytes) : undefined;
        // Equal rows make an equal document, of the time when it was first written.
        const since = former && sameTime(former, (time) => envelopeStart({ ...whole, exportedAt: time }));
        yield { path, document: { rows: contents.rows.length, content: contentOf(layout, whole) }, bytes: writeDocument(layout, { ...whole, exportedAt: since ?? exportedAt }) };
      }
    }
    const confirmed = snapshot.rows.length - rejected.length;
    return { plan: { mode: 'document', files: { [Symbol.asyncIterator]: files }, removes: owned.filter((path) => !paths.has(path)), confirmed, isChangeOnly: false, rejected, held: 0 } };
  }

  /** Rows of the document that the snapshot lacks, but for those that may go. Where they cannot be read, as many as there are fewer. */
  async #gone({ change: { identity, staleLimit }, store }: FilesInput, { rows }: Snapshot, heldRows: number): Promise<number> {
    const named = new Set(rows.map(rowName));
    const turns = new Turns();
    let gone = 0;
    try {
      for await (const { key } of this.held(identity, store)) {
        if (!named.has(rowName(key)) && !staleLimit?.exempt.includes(key.targetName)) gone++;
        if (turns.isOver) await turns.next();
      }
      return gone;
    } catch (error) {
      if (error instanceof KollectError && error.code === 'KOL_SINK_CONFIG') return Math.max(0, heldRows - rows.length);
      throw error;
    }
  }

  async #treePlan({ change, store, exportedAt }: FilesInput, tree: TreePlan & { undo?(): void }, effective: EffectiveLayout, { rows, isChangeOnly }: { rows: readonly ExportRow[]; isChangeOnly: boolean }): Promise<Planned> {
    const { identity } = change;
    const layout = this.#layout;
    const { mode, content } = effective;
    if (tree.held > 0) return { plan: { ...nothing, mode, held: tree.held } };
    // It holds the checksum of all rows.
    const index = await this.#index(change, tree, effective, rows);
    const manifest = tree.isOtherSet ? await this.#setManifest(identity, tree) : undefined;
    async function* listed({ path, render, compression }: List): AsyncGenerator<Uint8Array> {
      const former = compression === 'none' ? await store.read(path) : undefined;
      const time = (former && sameTime(former, render)) ?? exportedAt;
      // To write a hundred thousand paths takes longer than a turn.
      await new Turns().next();
      const bytes = Buffer.from(render(time));
      if (compression === 'gzip' || compression === 'zstd') yield* compressed([bytes], compression);
      else yield bytes;
    }
    function* fileOf({ payload }: ExportRow): Generator<Uint8Array> {
      yield treeFile(payload, content, layout)!;
    }
    async function* files(): AsyncGenerator<PlannedFile> {
      if (index) yield { path: index.path, bytes: listed(index) };
      const turns = new Turns();
      for (const { path, row } of tree.writes) {
        yield { path, row, bytes: fileOf(row) };
        if (turns.isOver) await turns.next();
      }
    }
    const last = manifest && { path: manifest.path, bytes: listed(manifest) };
    const plan: FilesPlan = { mode, files: { [Symbol.asyncIterator]: files }, removes: tree.removes, manifest: last, confirmed: tree.writes.length, isChangeOnly, rejected: tree.rejected, held: 0 };
    return { plan, tree: { index: tree.index, unknown: tree.unknown, effective }, undo: tree.undo };
  }

  async #setManifest(identity: InventoryIdentity, { index, unknown }: TreePlan): Promise<List> {
    const paths = await sortInTurns([[...new Set([...index.paths(), ...unknown])]], (a, b) => (a < b ? -1 : 1));
    const manifest: SetManifest = { cluster: clusterLabel(identity), generation: identity.generation, layout: layoutKey(this.#layout), installation: this.#installation, paths };
    return { path: manifestPath(this.#layout, identity), compression: 'none', render: (time) => writeManifest(manifest, identity, seconds(time)) };
  }

  /** @param rows in the order that the index has */
  async #index({ identity, after }: Pick<SinkChange, 'identity' | 'after'>, tree: TreePlan, effective: EffectiveLayout, rows: readonly ExportRow[]): Promise<List | undefined> {
    const { format, compression } = this.#layout;
    const [path] = this.#indexPath(identity, effective);
    if (path === undefined) return undefined;
    const paths: string[] = [];
    await inTurns(rows, (row) => {
      const of = tree.index.pathOf(row);
      if (of !== undefined) paths.push(of);
    });
    const facts = { schemaVersion, itemCount: paths.length, ...(after ? { checksum: after.digest } : {}) };
    const render = (time: Date): string => {
      const index = { ...facts, exportedAt: seconds(time), cluster: clusterLabel(identity), paths };
      if (format === 'yaml') return yamlValue(canonicalJson(index));
      return format === 'json' ? `${JSON.stringify(index, null, 2)}\n` : `${JSON.stringify(index)}\n`;
    };
    return { path, compression, render };
  }

  async #manifest(identity: InventoryIdentity, store: FileStore, isToWrite = false): Promise<SetManifest | undefined> {
    if (this.#layout.mode === 'document') return undefined;
    const path = manifestPath(this.#layout, identity);
    return await readManifest(await store.read(path), { layout: layoutKey(this.#layout), identity, installation: this.#installation, path, isToWrite });
  }

  /** Documents of the inventory that are there: the whole, and parts of any number. */
  async documents(identity: InventoryIdentity, store: FileStore): Promise<string[]> {
    const { document, extension, mode } = this.#layout;
    if (mode !== 'document' && mode !== undefined) return [];
    const whole = documentPath(document, extension, identity);
    const numbered = documentPath(document, extension, identity, { index: 1, total: 1 });
    const at = whole.lastIndexOf('/') + 1;
    const [before = '', after = ''] = numbered.slice(at).split('.part-0001-of-0001');
    const names = await store.list(whole.slice(0, Math.max(0, at - 1)), before);
    const isPart = (name: string): boolean => name.startsWith(before) && name.endsWith(after) && /^\.part-\d{4,}-of-\d{4,}$/.test(name.slice(before.length, name.length - after.length));
    return names.filter((name) => name === whole.slice(at) || isPart(name)).map((name) => whole.slice(0, at) + name);
  }

  #indexPath(identity: InventoryIdentity, { hasIndex }: EffectiveLayout): string[] {
    return hasIndex ? [documentPath(this.#layout.index, this.#layout.extension, identity)] : [];
  }
}

interface Tree {
  index: TreeIndex;
  unknown: ReadonlySet<string>;
  effective: EffectiveLayout;
}

interface Planned {
  plan: FilesPlan;
  tree?: Tree;
  undo?: (() => void) | undefined;
}

interface List {
  path: string;
  compression: Layout['compression'];
  render: (exportedAt: Date) => string;
}

/** More than stands before the rows in any envelope. */
const headBytes = 1_024;

const nothing: Omit<FilesPlan, 'mode' | 'held'> = { files: { async *[Symbol.asyncIterator]() {} }, removes: [], confirmed: 0, isChangeOnly: true, rejected: [] };

/** All that a document depends on but the time. */
function contentOf({ format, compression, hotAttributes }: Layout, { identity: { namespace, name, cluster, generation }, checksum, part }: Omit<Contents, 'rows'>): string {
  return hash('sha256', JSON.stringify([schemaVersion, format, compression, hotAttributes ?? [], namespace, name, cluster, generation, checksum, part ?? {}]));
}

async function areManifests(rows: readonly ExportRow[]): Promise<boolean> {
  const turns = new Turns();
  for (const slice of slicesOf(rows)) {
    if (!slice.every(({ payload }) => isManifest(payload))) return false;
    if (turns.isOver) await turns.next();
  }
  return true;
}

/** The time in a file that is otherwise what would be written now. */
function sameTime(former: Uint8Array, render: (time: Date) => string): Date | undefined {
  const bytes = Buffer.from(former.buffer, former.byteOffset, former.byteLength);
  const time = new Date(/"?exportedAt"?: ?"?([0-9T:.-]+Z)/.exec(bytes.toString('utf8', 0, headBytes))?.[1] ?? Number.NaN);
  if (Number.isNaN(time.getTime())) return undefined;
  const start = Buffer.from(render(time));
  return bytes.subarray(0, start.length).equals(start) ? time : undefined;
}

function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d{3}Z$/, 'Z');
}
