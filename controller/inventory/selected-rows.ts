import { SnapshotDigest } from '../collect/digest.ts';
import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import type { ViewTarget } from './view.ts';

/** Rows of one namespace. */
export interface Shard {
  count: number;
  readonly digest: SnapshotDigest;
}

/** Those rows of a target that a rollup has: of the namespaces that it selects, without those that another target stands for. */
export class SelectedRows implements ViewTarget {
  readonly target: TargetRows;
  readonly digest = new SnapshotDigest();
  /** By namespace, where there are rows. */
  readonly shards = new Map<string, Shard>();
  /** Rows of selected namespaces that another target stands for. */
  readonly behind = new Set<Row>();
  #count = 0;
  readonly #selects: (namespace: string) => boolean;

  constructor(target: TargetRows, selects: (namespace: string) => boolean) {
    this.target = target;
    this.#selects = selects;
  }

  get namespace(): string {
    return this.target.namespace;
  }

  get name(): string {
    return this.target.name;
  }

  get count(): number {
    return this.#count;
  }

  get refused(): ViewTarget['refused'] {
    const { any, more } = this.target.refused;
    const count = any ? this.refusedUids().toArray().length : 0;
    return { count, more, any: more || count > 0 };
  }

  get swept(): number {
    return this.target.swept;
  }

  get isSwept(): boolean {
    return this.target.isSwept;
  }

  refusedUids(): Generator<string> {
    return this.target.refusedUids(this.#selects);
  }

  namespaces(): Iterable<string> {
    return this.shards.keys();
  }

  pieces(namespace?: string): (readonly Row[])[] {
    const places = namespace === undefined ? [...this.shards.keys()] : this.shards.has(namespace) ? [namespace] : [];
    const pieces = places.flatMap((place) => this.target.pieces(place));
    return this.behind.size === 0 ? pieces : pieces.map((rows) => rows.filter((row) => !this.behind.has(row)));
  }

  get(namespace: string, uid: string): Row | undefined {
    const row = this.shards.has(namespace) ? this.target.get(namespace, uid) : undefined;
    return row && !this.behind.has(row) ? row : undefined;
  }

  holds(row: Row): boolean {
    return this.get(row.namespace, row.uid) === row;
  }

  /** Counts what came, went, or is another one. True when a namespace has its first row by that, or lost its last. */
  account(before: Row | undefined, after: Row | undefined): boolean {
    const { namespace } = (after ?? before)!;
    let shard = this.shards.get(namespace);
    const isNew = shard === undefined;
    if (shard === undefined) this.shards.set(namespace, (shard = { count: 0, digest: new SnapshotDigest() }));
    if (before) {
      this.#count--;
      shard.count--;
      this.digest.subtract(before.hash);
      shard.digest.subtract(before.hash);
    }
    if (after) {
      this.#count++;
      shard.count++;
      this.digest.add(after.hash);
      shard.digest.add(after.hash);
    }
    if (shard.count === 0) this.shards.delete(namespace);
    return isNew || shard.count === 0;
  }
}
