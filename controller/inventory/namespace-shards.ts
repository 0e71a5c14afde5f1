import { SnapshotDigest } from '../collect/digest.ts';
import type { SelectedRows } from './selected-rows.ts';

/** The rows of one namespace, of all targets. */
export interface NamespaceShard {
  namespace: string;
  itemCount: number;
  /** Targets that have some of them. */
  targetCount: number;
  checksum: string;
}

/** What the targets of a rollup have together in each namespace. Costs what changed since it was asked last. */
export class NamespaceShards {
  readonly #members: () => readonly SelectedRows[];
  /** In the order of their names, until another one has rows. */
  #namespaces: readonly string[] | undefined;
  /** Until their rows change. */
  readonly #shards = new Map<string, NamespaceShard>();

  constructor(members: () => readonly SelectedRows[]) {
    this.#members = members;
  }

  /** Namespaces with rows. */
  get count(): number {
    return this.#sorted().length;
  }

  /** The first namespaces by name. */
  first(limit: number): NamespaceShard[] {
    return this.#sorted().slice(0, limit).map((namespace) => {
      let shard = this.#shards.get(namespace);
      if (!shard) this.#shards.set(namespace, (shard = shardOf(namespace, this.#members())));
      return shard;
    });
  }

  /** Rows of a namespace changed; `isOther` when it may have its first ones by that, or none any more. */
  changed(namespace: string, isOther: boolean): void {
    if (this.#shards.size > 0) this.#shards.delete(namespace);
    if (isOther) this.#namespaces = undefined;
  }

  #sorted(): readonly string[] {
    return (this.#namespaces ??= [...new Set(this.#members().flatMap(({ shards }) => [...shards.keys()]))].sort());
  }
}

function shardOf(namespace: string, members: readonly SelectedRows[]): NamespaceShard {
  const digest = new SnapshotDigest();
  let itemCount = 0;
  let targetCount = 0;
  for (const { shards } of members) {
    const shard = shards.get(namespace);
    if (!shard) continue;
    digest.addAll(shard.digest);
    itemCount += shard.count;
    targetCount++;
  }
  return { namespace, itemCount, targetCount, checksum: digest.toString() };
}
