import { hash } from 'node:crypto';
import type { CompiledProfile } from '../../shared/extract/compile-profile.ts';
import type { Limits } from '../../shared/api/collection-filter.ts';
import { SnapshotDigest } from './digest.ts';
import type { MemoryLevel } from './memory-watermark.ts';
import { RefusedObjects } from './refused-objects.ts';

/**
 * One collected object as one target sees it. Immutable: a change replaces the row. Its strings come out of `JSON.parse` and
 * `JSON.stringify` only, because a piece cut from a larger string would keep the whole of it alive.
 */
export interface Row {
  readonly targetNamespace: string;
  readonly targetName: string;
  /** Namespace of the object, `""` for cluster-scoped kinds. */
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** Canonical JSON of the whole row. */
  readonly payload: string;
  /** SHA-256 of the payload, 32 bytes in a latin1 string. */
  readonly hash: string;
}

/** A row with the store's own bookkeeping, which is no part of its content. */
interface StoredRow extends Row {
  resourceVersion: string;
  /** The list that last confirmed the row. */
  epoch: number;
  failures: number;
}

/** What the store tells whoever follows it: `before` without `after` is a removal. */
export type RowListener = (target: TargetRows, before: Row | undefined, after: Row | undefined) => void;

export interface RowFacts {
  namespace: string;
  name: string;
  uid: string;
  payload: string;
  resourceVersion: string;
  /** Attributes that could not be extracted. */
  failures: number;
}

/** What keeps new objects out of a target. */
export type Shortage = 'maxRows' | 'maxBytes' | 'memory';

/** What a target needs of the store that it is in. */
interface Surroundings {
  notify: RowListener;
  /** The process has no memory for another row of this target. */
  lacksMemoryFor(target: TargetRows): boolean;
}

/**
 * The rows of one target, in maps by namespace and uid: one large map would stop the process for tens of milliseconds when it grows.
 * The object is the identity of one life of a target; a target that is deleted and created again gets another.
 */
export class TargetRows {
  readonly namespace: string;
  readonly name: string;
  readonly digest = new SnapshotDigest();
  /** What the rows are made by; undefined until the target collects. Stays when collecting is suspended, as the rows do. */
  profile: CompiledProfile | undefined;
  /** Ends of growth. Rows that are known go on beyond them; objects that are not known are refused. */
  limits: Limits = {};
  readonly refused = new RefusedObjects();
  /** What the last refusal was for. */
  #shortage: Shortage | undefined;
  #unchanged = 0;
  #revision = 0;
  #count = 0;
  #bytes = 0;
  #failing = 0;
  readonly #namespaces = new Map<string, Map<string, StoredRow>>();
  #epoch = 0;
  readonly #surroundings: Surroundings;

  constructor(namespace: string, name: string, surroundings: Surroundings) {
    this.namespace = namespace;
    this.name = name;
    this.#surroundings = surroundings;
  }

  /** Another number after every change of a row. */
  get revision(): number {
    return this.#revision;
  }

  get count(): number {
    return this.#count;
  }

  /** Changes of objects that changed nothing of their rows. */
  get unchanged(): number {
    return this.#unchanged;
  }

  /** Why objects are left out; undefined when none is. */
  get shortage(): Shortage | undefined {
    return this.refused.any ? this.#shortage : undefined;
  }

  /** Length of all payloads in UTF-8. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rows with at least one attribute that could not be extracted. */
  get failing(): number {
    return this.#failing;
  }

  /** True when an object is known or there may be room for it; otherwise it is refused, and needs no extraction. */
  admits(namespace: string, uid: string): boolean {
    return this.#namespaces.get(namespace)?.has(uid) === true || !this.#refuses(namespace, uid, 0);
  }

  /** Stores what was seen. An equal payload is no change, and nobody is told. A new row is refused when there is no room for it. */
  upsert(facts: RowFacts): 'created' | 'updated' | 'unchanged' | 'refused' {
    let rows = this.#namespaces.get(facts.namespace);
    const before = rows?.get(facts.uid);
    if (before === undefined && this.#refuses(facts.namespace, facts.uid, this.limits.maxBytes === undefined ? 0 : Buffer.byteLength(facts.payload))) return 'refused';
    if (!rows) this.#namespaces.set(facts.namespace, (rows = new Map()));
    if (before !== undefined && before.payload === facts.payload) {
      // A list tells of objects that did not change at all.
      if (before.resourceVersion !== facts.resourceVersion) this.#unchanged++;
      this.#failing += sign(facts.failures) - sign(before.failures);
      before.failures = facts.failures;
      before.resourceVersion = facts.resourceVersion;
      before.epoch = this.#epoch;
      return 'unchanged';
    }
    const after: StoredRow = {
      targetNamespace: this.namespace,
      targetName: this.name,
      namespace: facts.namespace,
      name: facts.name,
      uid: facts.uid,
      payload: facts.payload,
      hash: hash('sha256', facts.payload, 'binary'),
      resourceVersion: facts.resourceVersion,
      epoch: this.#epoch,
      failures: facts.failures,
    };
    rows.set(facts.uid, after);
    this.#account(before, after);
    return before === undefined ? 'created' : 'updated';
  }

  /** Removes one row; false when there was none. */
  remove(namespace: string, uid: string): boolean {
    this.refused.delete(uid);
    const rows = this.#namespaces.get(namespace);
    const before = rows?.get(uid);
    if (!rows || !before) return false;
    rows.delete(uid);
    if (rows.size === 0) this.#namespaces.delete(namespace);
    this.#account(before, undefined);
    return true;
  }

  /** Namespaces of which there are rows. */
  namespaces(): Iterable<string> {
    return this.#namespaces.keys();
  }

  /** Removes all rows: something proves that the target may have none. */
  clear(): void {
    for (const namespace of this.#namespaces.keys()) this.removeNamespace(namespace);
    this.refused.clear();
  }

  /** Removes the rows of a namespace that the target does not select any more. */
  removeNamespace(namespace: string): number {
    this.refused.deleteNamespace(namespace);
    const rows = this.#namespaces.get(namespace);
    if (!rows) return 0;
    const uids = [...rows.keys()];
    for (const uid of uids) this.remove(namespace, uid);
    return uids.length;
  }

  /** A list begins; what is seen from here on counts as confirmed. The result names this list to `completeList`. */
  beginList(): number {
    return ++this.#epoch;
  }

  /** The object exists, but what it says now could not become a row: the one from before stays. */
  confirm(namespace: string, uid: string): void {
    const row = this.#namespaces.get(namespace)?.get(uid);
    if (row) row.epoch = this.#epoch;
  }

  /**
   * The list is complete: what nobody saw since it began is gone, but for `spared` uids, which exist and could not be read. A list of one
   * namespace says so of that namespace only. Of several lists of the same, complete the one that began last. Returns the number of rows removed.
   */
  completeList(epoch: number, spared?: ReadonlySet<string>, namespace?: string): number {
    this.refused.listed(epoch, spared, namespace);
    let swept = 0;
    for (const name of namespace === undefined ? this.#namespaces.keys() : [namespace]) {
      for (const row of this.#namespaces.get(name)?.values() ?? []) {
        if (row.epoch < epoch && !spared?.has(row.uid) && this.remove(name, row.uid)) swept++;
      }
    }
    return swept;
  }

  /** Rows that may be added, as far as those that are there tell how large a row is. */
  get room(): number {
    if (this.#surroundings.lacksMemoryFor(this)) return 0;
    const { maxRows = Infinity, maxBytes = Infinity } = this.limits;
    const bytesOfRow = this.#count === 0 ? 1 : this.#bytes / this.#count;
    return Math.max(0, Math.min(maxRows - this.#count, Math.floor((maxBytes - this.#bytes) / bytesOfRow)));
  }

  *rows(): Generator<Row> {
    for (const rows of this.#namespaces.values()) yield* rows.values();
  }

  #refuses(namespace: string, uid: string, bytes: number): boolean {
    const shortage = this.#shortageOf(bytes);
    if (shortage === undefined) {
      this.refused.delete(uid);
      return false;
    }
    this.#shortage = shortage;
    this.refused.add(uid, namespace, this.#epoch);
    return true;
  }

  #shortageOf(bytes: number): Shortage | undefined {
    const { maxRows, maxBytes } = this.limits;
    if (maxRows !== undefined && this.#count >= maxRows) return 'maxRows';
    if (maxBytes !== undefined && this.#bytes + Math.max(1, bytes) > maxBytes) return 'maxBytes';
    return this.#surroundings.lacksMemoryFor(this) ? 'memory' : undefined;
  }

  #account(before: StoredRow | undefined, after: StoredRow | undefined): void {
    this.#revision++;
    if (before) {
      this.#count--;
      this.#failing -= sign(before.failures);
      this.#bytes -= Buffer.byteLength(before.payload);
      this.digest.subtract(before.hash);
    }
    if (after) {
      this.#count++;
      this.#failing += sign(after.failures);
      this.#bytes += Buffer.byteLength(after.payload);
      this.digest.add(after.hash);
    }
    this.#surroundings.notify(this, before, after);
  }
}

const sign = (count: number): number => (count > 0 ? 1 : 0);

/** What followers of the store are told. */
export interface RowStoreListener {
  row: RowListener;
  /** A target appeared. */
  opened(target: TargetRows): void;
  /** A target is gone with all its rows, at once: no `row` call is made for them. */
  closed(target: TargetRows): void;
}

/** Another target may be the largest one after this time. */
const largestForMs = 1_000;

/** All rows of the process, by target. */
export class RowStore {
  readonly #targets = new Map<string, TargetRows>();
  readonly #listeners = new Set<RowStoreListener>();
  readonly #memory: { readonly level: MemoryLevel };
  #unchangedBefore = 0;
  #largest: { target: TargetRows | undefined; until: number } = { target: undefined, until: 0 };

  constructor(memory: { readonly level: MemoryLevel } = { level: 'enough' }) {
    this.#memory = memory;
  }

  /** The rows of a target, opened when it is new. */
  open(namespace: string, name: string): TargetRows {
    const key = `${namespace}/${name}`;
    let target = this.#targets.get(key);
    if (!target) {
      target = new TargetRows(namespace, name, {
        notify: (...change) => {
          for (const listener of this.#listeners) listener.row(...change);
        },
        lacksMemoryFor: (rows) => this.#lacksMemoryFor(rows),
      });
      this.#targets.set(key, target);
      for (const listener of this.#listeners) listener.opened(target);
    }
    return target;
  }

  get(namespace: string, name: string): TargetRows | undefined {
    return this.#targets.get(`${namespace}/${name}`);
  }

  /** Forgets a target and its rows. */
  close(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    const target = this.#targets.get(key);
    if (!target) return;
    this.#targets.delete(key);
    this.#unchangedBefore += target.unchanged;
    if (this.#largest.target === target) this.#largest.until = 0;
    for (const listener of this.#listeners) listener.closed(target);
  }

  targets(): IterableIterator<TargetRows> {
    return this.#targets.values();
  }

  get count(): number {
    let count = 0;
    for (const target of this.#targets.values()) count += target.count;
    return count;
  }

  /** Changes of objects that changed nothing of their rows, of all targets there ever were. */
  get unchanged(): number {
    let unchanged = this.#unchangedBefore;
    for (const target of this.#targets.values()) unchanged += target.unchanged;
    return unchanged;
  }

  #lacksMemoryFor(target: TargetRows): boolean {
    const { level } = this.#memory;
    return level === 'full' || (level === 'scarce' && this.#largestTarget() === target);
  }

  #largestTarget(): TargetRows | undefined {
    const now = performance.now();
    if (now < this.#largest.until) return this.#largest.target;
    let target: TargetRows | undefined;
    for (const other of this.#targets.values()) if (target === undefined || other.bytes > target.bytes) target = other;
    this.#largest = { target, until: now + largestForMs };
    return target;
  }

  subscribe(listener: RowStoreListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}
