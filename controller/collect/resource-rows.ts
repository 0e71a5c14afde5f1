import { hash } from 'node:crypto';
import type { CompiledProfile } from '../../shared/extract/compile-profile.ts';
import { inTurns } from '../../shared/in-turns.ts';
import { RefusedObjects } from './refused-objects.ts';
import { RowMap } from './row-map.ts';
import type { RowFacts, StoredRow } from './row.ts';

/** The target that rows of a resource belong to. */
export interface RowOwner {
  readonly namespace: string;
  readonly name: string;
  /** True when there is no room for a row that is new or larger than the one before; the payload is empty while it is not known. */
  refuses(rows: ResourceRows, namespace: string, uid: string, payload: string): boolean;
  /** A row came, went, or is another one. */
  changed(rows: ResourceRows, before: StoredRow | undefined, after: StoredRow | undefined): void;
  /** Attributes of a row that stays fail, or do not fail any more. */
  failing(row: StoredRow, failures: number): void;
  /** An object without a row of its own, or with an older one, is gone or not wanted any more. */
  left(namespace: string, uid: string): void;
  /** A change of an object changed nothing of its row. */
  unchanged(): void;
}

/**
 * The rows that one target has of one resource, by namespace and uid. Lists of a resource say nothing of the rows of another one.
 *
 * What removes many rows removes the first at once and the rest in turns with everybody else. Rows that are seen meanwhile stay.
 */
export class ResourceRows {
  /** What the rows are made by; undefined until they are collected. Stays when collecting is suspended, as the rows do. */
  profile: CompiledProfile | undefined;
  /** What exists and has no row, or an older one because there was no room for what it became. */
  readonly refused: RefusedObjects;
  /** Rows that lists removed, though nobody saw their objects go and no edit was the reason. Only grows. */
  swept = 0;
  #sweeps = 0;
  readonly #owner: RowOwner;
  readonly #namespaces = new Map<string, RowMap>();
  /** Namespaces whose rows leave, each with the list since which one must have been seen to stay. */
  readonly #leaving = new Map<string, number>();
  #isEmptying = false;
  #emptied = Promise.resolve();
  #epoch = 0;

  constructor(owner: RowOwner) {
    this.#owner = owner;
    this.refused = new RefusedObjects((uid, namespace) => owner.left(namespace, uid));
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

  /** A list is complete, and what it did not name is being removed. */
  get isSwept(): boolean {
    return this.#sweeps > 0;
  }

  get isEmpty(): boolean {
    return this.#namespaces.size === 0;
  }

  /** The rows by namespace. */
  byNamespace(): Iterable<Pick<RowMap, 'size' | 'values' | 'pieces'>> {
    return this.#namespaces.values();
  }

  /** Those of one namespace, in arrays. */
  pieces(namespace: string): (readonly StoredRow[])[] {
    return this.#namespaces.get(namespace)?.pieces() ?? [];
  }

  /** Namespaces of which there are rows. */
  namespaces(): Iterable<string> {
    return this.#namespaces.keys();
  }

  /** True when an object is known or there may be room for it; otherwise it is refused, and needs no extraction. */
  admits(namespace: string, uid: string): boolean {
    return this.get(namespace, uid) !== undefined || !this.#refuses(namespace, uid, '');
  }

  /** Stores what was seen. An equal payload is no change, and nobody is told. When there is no room for it a new row is refused, and a larger one leaves the one before. */
  upsert(facts: RowFacts): 'created' | 'updated' | 'unchanged' | 'refused' {
    let rows = this.#namespaces.get(facts.namespace);
    const before = rows?.get(facts.uid);
    if (before?.payload !== facts.payload && this.#refuses(facts.namespace, facts.uid, facts.payload)) {
      if (before) {
        before.resourceVersion = facts.resourceVersion;
        before.epoch = this.#epoch;
      }
      return 'refused';
    }
    if (!rows) this.#namespaces.set(facts.namespace, (rows = new RowMap()));
    if (before !== undefined && before.payload === facts.payload) {
      this.refused.delete(facts.uid);
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
    this.refused.leave(uid);
    const rows = this.#namespaces.get(namespace);
    const before = rows?.get(uid);
    if (!rows || !before) return false;
    rows.delete(uid);
    if (rows.size === 0) this.#namespaces.delete(namespace);
    this.#owner.changed(this, before, undefined);
    return true;
  }

  /** Removes all rows: something proves that the target may have none of this resource. */
  async clear(): Promise<void> {
    this.refused.clear();
    await this.#empty(this.#namespaces.keys());
  }

  /** Removes the rows of a namespace that the target does not select any more. Returns how many there are. */
  removeNamespace(namespace: string): number {
    this.refused.deleteNamespace(namespace);
    const count = this.#namespaces.get(namespace)?.size ?? 0;
    if (count > 0) void this.#empty([namespace]);
    return count;
  }

  /** A list begins; what is seen from here on counts as confirmed. The result names this list to `completeList`. */
  beginList(): number {
    return ++this.#epoch;
  }

  /**
   * The object exists, but what it says now could not become a row: the one from before stays.
   *
   * @param epoch the list that told so; lists that began later may know better. When unset, it is so now
   */
  confirm(namespace: string, uid: string, epoch = this.#epoch): void {
    const row = this.get(namespace, uid);
    if (row) row.epoch = Math.max(row.epoch, epoch);
  }

  /** The object exists, and is more than a row can hold: it is left out, or its row from before stays. */
  refuse(namespace: string, uid: string): void {
    this.refused.add(uid, namespace, this.#epoch, true);
    this.confirm(namespace, uid);
  }

  /** Each row of a namespace, or of all, that nobody saw since a list began; undefined for those that were seen, so that who looks can pause. */
  *unconfirmed(epoch: number, namespace?: string): Generator<StoredRow | undefined> {
    for (const name of namespace === undefined ? this.#namespaces.keys() : [namespace]) {
      for (const row of this.#namespaces.get(name)?.values() ?? []) yield row.epoch < epoch ? row : undefined;
    }
  }

  /**
   * The list is complete: what nobody saw since it began is gone, but for `spared` uids, which exist and could not be read. A list of one
   * namespace says so of that namespace only. Of several lists of the same, complete the one that began last. Resolves to the number of rows removed.
   *
   * @param explained an edit is the reason for what goes
   */
  async completeList(epoch: number, spared?: ReadonlySet<string>, namespace?: string, explained = false): Promise<number> {
    this.refused.listed(epoch, spared, namespace);
    this.#sweeps++;
    try {
      const removed = await this.#sweep(namespace === undefined ? this.#namespaces.keys() : [namespace], epoch, spared);
      if (!explained) this.swept += removed;
      return removed;
    } finally {
      this.#sweeps--;
    }
  }

  /** Removes what is there now. However often it is called and for how many namespaces, one removal is under way; resolves when it is done. */
  #empty(namespaces: Iterable<string>): Promise<void> {
    const epoch = this.beginList();
    for (const namespace of namespaces) {
      // Behind the others, so that rows that came back behind a removal under way are looked at again.
      this.#leaving.delete(namespace);
      this.#leaving.set(namespace, epoch);
    }
    if (!this.#isEmptying) {
      this.#isEmptying = true;
      this.#emptied = inTurns(this.#leavingRows(), ({ row, epoch: until }) => {
        if (row.epoch < until && this.get(row.namespace, row.uid) === row) this.remove(row.namespace, row.uid);
      });
    }
    return this.#emptied;
  }

  *#leavingRows(): Generator<{ row: StoredRow; epoch: number }> {
    try {
      for (const [namespace, epoch] of this.#leaving) {
        for (const row of this.#rowsOf([namespace])) yield { row, epoch };
        if (this.#leaving.get(namespace) === epoch) this.#leaving.delete(namespace);
      }
    } finally {
      this.#isEmptying = false;
    }
  }

  async #sweep(namespaces: Iterable<string>, epoch: number, spared?: ReadonlySet<string>): Promise<number> {
    let swept = 0;
    await inTurns(this.#rowsOf(namespaces), (row) => {
      // Another one may have taken its place.
      const isStale = row.epoch < epoch && !spared?.has(row.uid) && this.get(row.namespace, row.uid) === row;
      if (isStale && this.remove(row.namespace, row.uid)) swept++;
    });
    return swept;
  }

  *#rowsOf(namespaces: Iterable<string>): Generator<StoredRow> {
    for (const namespace of namespaces) yield* this.#namespaces.get(namespace)?.values() ?? [];
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
