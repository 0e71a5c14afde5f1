import { hash } from 'node:crypto';
import { RefusedObjects } from './refused-objects.ts';
import type { RowFacts, StoredRow } from './row-store.ts';

/** The target that rows of a resource belong to. */
export interface RowOwner {
  readonly namespace: string;
  readonly name: string;
  /** True when there is no room for a row, of an object that this resource has none of; the payload is empty while it is not known. */
  refuses(rows: ResourceRows, namespace: string, uid: string, payload: string): boolean;
  /** A row came, went, or is another one. */
  changed(rows: ResourceRows, before: StoredRow | undefined, after: StoredRow | undefined): void;
  /** Attributes of a row that stays fail, or do not fail any more. */
  failing(row: StoredRow, failures: number): void;
  /** A change of an object changed nothing of its row. */
  unchanged(): void;
}

/**
 * The rows that one target has of one resource, in maps by namespace and uid: one large map would stop the process for tens of milliseconds when it
 * grows. Lists of a resource say nothing of the rows of another one.
 */
export class ResourceRows {
  /** What exists and has no row. */
  readonly refused = new RefusedObjects();
  readonly #owner: RowOwner;
  readonly #namespaces = new Map<string, Map<string, StoredRow>>();
  #epoch = 0;

  constructor(owner: RowOwner) {
    this.#owner = owner;
  }

  /** Namespace of the target. */
  get namespace(): string {
    return this.#owner.namespace;
  }

  /** Name of the target. */
  get name(): string {
    return this.#owner.name;
  }

  get(namespace: string, uid: string): StoredRow | undefined {
    return this.#namespaces.get(namespace)?.get(uid);
  }

  /** The rows by namespace. */
  byNamespace(): Iterable<ReadonlyMap<string, StoredRow>> {
    return this.#namespaces.values();
  }

  /** Namespaces of which there are rows. */
  namespaces(): Iterable<string> {
    return this.#namespaces.keys();
  }

  /** True when an object is known or there may be room for it; otherwise it is refused, and needs no extraction. */
  admits(namespace: string, uid: string): boolean {
    return this.get(namespace, uid) !== undefined || !this.#refuses(namespace, uid, '');
  }

  /** Stores what was seen. An equal payload is no change, and nobody is told. A new row is refused when there is no room for it. */
  upsert(facts: RowFacts): 'created' | 'updated' | 'unchanged' | 'refused' {
    let rows = this.#namespaces.get(facts.namespace);
    const before = rows?.get(facts.uid);
    if (before === undefined && this.#refuses(facts.namespace, facts.uid, facts.payload)) return 'refused';
    if (!rows) this.#namespaces.set(facts.namespace, (rows = new Map()));
    if (before !== undefined && before.payload === facts.payload) {
      // A list tells of objects that did not change at all.
      if (before.resourceVersion !== facts.resourceVersion) this.#owner.unchanged();
      if (before.failures !== facts.failures) this.#owner.failing(before, facts.failures);
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
    this.#owner.changed(this, before, after);
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
    this.#owner.changed(this, before, undefined);
    return true;
  }

  /** Removes all rows: something proves that the target may have none of this resource. */
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
    const row = this.get(namespace, uid);
    if (row) row.epoch = this.#epoch;
  }

  /** Each row of a namespace, or of all, that nobody saw since a list began; undefined for those that were seen, so that who looks can pause. */
  *unconfirmed(epoch: number, namespace?: string): Generator<StoredRow | undefined> {
    for (const name of namespace === undefined ? this.#namespaces.keys() : [namespace]) {
      for (const row of this.#namespaces.get(name)?.values() ?? []) yield row.epoch < epoch ? row : undefined;
    }
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

  #refuses(namespace: string, uid: string, payload: string): boolean {
    if (!this.#owner.refuses(this, namespace, uid, payload)) {
      this.refused.delete(uid);
      return false;
    }
    this.refused.add(uid, namespace, this.#epoch);
    return true;
  }
}
