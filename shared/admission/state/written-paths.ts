import { hash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import { inTurns } from '../../in-turns.ts';
import type { KnownClusterInventory, KnownInventory, KnownSink } from '../lookups.ts';
import type { Loose } from '../rule.ts';
import { sinkReferences } from './sink-references.ts';
import { snapshotPaths, snapshotPlace } from './snapshot-destination.ts';
import type { SnapshotPlace } from './snapshot-destination.ts';

export type AnyInventory = KnownInventory | KnownClusterInventory;

/** A reference of an inventory to a snapshot sink. */
export interface SinkUse {
  inventory: AnyInventory;
  /** Where the name of the sink stands. */
  nameField: string;
  sink: { namespace: string; name: string };
}

/** What a use writes. */
export interface WrittenPath extends SnapshotPlace {
  path: string;
}

/** The snapshot sinks that an inventory uses, each once. */
export function snapshotUses(inventory: AnyInventory): SinkUse[] {
  const uses = new Map<string, SinkUse>();
  const { namespace: own = '' } = inventory.metadata;
  for (const { name, namespace, nameField } of sinkReferences(inventory.spec as Loose<KollectInventorySpec>, ['snapshot'])) {
    const sink = { namespace: inventory.kind === 'KollectClusterInventory' ? (namespace ?? sinkNamespaceOf(inventory.spec)) : own, name };
    const key = keyOf(sink);
    if (!uses.has(key)) uses.set(key, { inventory, nameField, sink });
  }
  return [...uses.values()];
}

/** What inventories write through a sink; undefined where nothing can overlap. */
export function writtenPaths(sink: KnownSink): ((inventory: AnyInventory) => WrittenPath) | undefined {
  const place = snapshotPlace(sink);
  if (place === undefined) return undefined;
  const pathOf = snapshotPaths(sink, place);
  // Cluster inventories call themselves so wherever an inventory names its namespace.
  return ({ kind, metadata: { namespace = '', name } }) => ({ ...place, path: pathOf({ namespace: kind === 'KollectClusterInventory' ? 'cluster' : namespace, name }) });
}

/** Who writes where, from one place to the next as objects come, change and go: a review asks for a path and not for all inventories. */
export class WrittenPaths {
  readonly #uses = new Map<string, IndexedUse[]>();
  readonly #users = new Map<string, Map<string, IndexedUse>>();
  readonly #sinks = new Map<string, SinkPaths>();
  readonly #writers = new Map<string, Set<SinkUse>>();

  /** @param known undefined when the inventory is gone */
  inventoryChanged(before: AnyInventory | undefined, known: AnyInventory | undefined): void {
    if (before !== undefined && known !== undefined && isDeepStrictEqual(before.spec, known.spec)) return;
    const inventory = known ?? before;
    if (inventory === undefined) return;
    const key = `${inventory.kind} ${keyOf(inventory.metadata)}`;
    for (const use of this.#uses.get(key) ?? []) {
      this.#forget(use);
      const users = this.#users.get(keyOf(use.sink));
      users?.delete(key);
      if (users?.size === 0) this.#users.delete(keyOf(use.sink));
    }
    this.#uses.delete(key);
    if (known === undefined) return;
    const uses = snapshotUses(known).map((use): IndexedUse => ({ ...use, keys: [] }));
    if (uses.length > 0) this.#uses.set(key, uses);
    for (const use of uses) {
      const sinkKey = keyOf(use.sink);
      const users = this.#users.get(sinkKey) ?? new Map<string, IndexedUse>();
      this.#users.set(sinkKey, users.set(key, use));
      this.#index(use, this.#sinks.get(sinkKey));
    }
  }

  /**
   * Of a sink of thousands of inventories some are known to write where they did until their turn has come, a moment later.
   *
   * @param known undefined when the sink is gone
   */
  sinkChanged(before: KnownSink | undefined, known: KnownSink | undefined): void {
    if (before !== undefined && known !== undefined && isDeepStrictEqual(before.spec, known.spec)) return;
    const sink = known ?? before;
    if (sink === undefined) return;
    const key = keyOf(sink.metadata);
    const paths = known && { of: writtenPaths(known) };
    if (paths === undefined) this.#sinks.delete(key);
    else this.#sinks.set(key, paths);
    const move = (use: IndexedUse): void => {
      this.#forget(use);
      this.#index(use, paths);
    };
    void inTurns(this.#users.get(key)?.values() ?? [], move, () => this.#sinks.get(key) !== paths);
  }

  /** Those that use a snapshot sink. */
  users(sink: SinkUse['sink']): Iterable<SinkUse> {
    return this.#users.get(keyOf(sink))?.values() ?? [];
  }

  /** Those that have the key among their own. */
  writers(key: string): Iterable<SinkUse> {
    return this.#writers.get(key) ?? [];
  }

  #index(use: IndexedUse, paths: SinkPaths | undefined): void {
    const written = paths?.of?.(use.inventory);
    if (written === undefined) return;
    use.keys = pathKeys(use.inventory, written);
    for (const key of use.keys) {
      const writers = this.#writers.get(key);
      if (writers === undefined) this.#writers.set(key, new Set([use]));
      else writers.add(use);
    }
  }

  #forget(use: IndexedUse): void {
    for (const key of use.keys) {
      const writers = this.#writers.get(key);
      writers?.delete(use);
      if (writers?.size === 0) this.#writers.delete(key);
    }
    use.keys = [];
  }
}

/** Another object after each change of a sink. */
interface SinkPaths {
  of: ReturnType<typeof writtenPaths>;
}

interface IndexedUse extends SinkUse {
  keys: readonly string[];
}

/** Longer keys are hashed: a template may have thousands of characters. */
const maxKeyLength = 200;

/**
 * What two uses have in common when they write to the same path: the strictest first. Inventories of one namespace hold the same rows, those of all
 * its targets, so that their trees have the same files; of others nobody can tell beforehand.
 */
export function pathKeys({ kind, metadata: { namespace } }: AnyInventory, { isTree, place, path }: WrittenPath): readonly string[] {
  const text = `${place}\n${path}`;
  const key = text.length > maxKeyLength ? hash('sha256', text, 'base64') : text;
  if (!isTree) return [`file\n${key}`];
  return kind === 'KollectInventory' ? [`${namespace}\n${key}`, `tree\n\n${key}`] : [`tree\n\n${key}`];
}

function keyOf({ namespace = '', name }: { namespace?: string | undefined; name: string }): string {
  return `${namespace}/${name}`;
}
