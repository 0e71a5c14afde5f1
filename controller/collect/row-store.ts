import type { MemoryLevel } from './memory-watermark.ts';
import { TargetRows, type RowListener } from './target-rows.ts';

/** What followers of the store are told. */
export interface RowStoreListener {
  row: RowListener;
  /** An object that was left out is gone or not wanted any more. It has no row here, but may have an older one wherever rows were sent. */
  left?(target: TargetRows, uid: string): void;
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
        left: (rows, uid) => {
          for (const listener of this.#listeners) listener.left?.(rows, uid);
        },
        lacksMemoryFor: (rows) => this.#lacksMemoryFor(rows),
        lacksMemory: () => this.#memory.level === 'full',
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
