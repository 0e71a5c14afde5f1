import type { ExportRow, RowKey } from '../contract.ts';

/** Rows of a target by uid; undefined for those that readers may have in some form. */
export type TargetRows = Map<string, ExportRow | undefined>;

/**
 * What readers of a stream have of one inventory, as far as this process has told them. It holds references to rows, and nothing of what they say. A process that begins
 * knows nothing, until it has published all rows of a target.
 */
export class PublishedRows {
  readonly #targets = new Map<string, TargetRows>();
  /** Targets of which nothing is known; undefined: all that are not told of. */
  #unknown: Set<string> | undefined;
  /** Readers were told that there is no such inventory. */
  isRemoved = false;

  /** All that readers have of a target; undefined when that is not known. */
  of(target: string): TargetRows | undefined {
    const rows = this.#targets.get(target);
    if (rows || !this.#unknown || this.#unknown.has(target)) return rows;
    const none: TargetRows = new Map();
    this.#targets.set(target, none);
    return none;
  }

  get targets(): ReadonlyMap<string, TargetRows> {
    return this.#targets;
  }

  /** Readers may have rows of targets that are not among these, and of which nothing is known. */
  mayHaveOthers(targets: readonly string[]): boolean {
    return !this.#unknown || [...this.#unknown].some((target) => !targets.includes(target));
  }

  /** Rows of all targets that are known. */
  get size(): number {
    return this.#targets.values().reduce((size, rows) => size + rows.size, 0);
  }

  get isKnown(): boolean {
    return this.#unknown?.size === 0;
  }

  /** While rows are on their way nobody knows which ones readers have. */
  doubt({ targetName, uid }: RowKey): void {
    this.of(targetName)?.set(uid, undefined);
  }

  /** Readers have the row, or have it no more. */
  settle({ targetName, uid }: RowKey, row: ExportRow | undefined): void {
    if (row) this.of(targetName)?.set(uid, row);
    else this.of(targetName)?.delete(uid);
  }

  /** Readers have these rows of a target and no others. */
  replace(target: string, rows: TargetRows): void {
    this.#targets.set(target, rows);
    this.#unknown?.delete(target);
  }

  /** Nothing is known of a target. */
  forget(target: string): void {
    this.#targets.delete(target);
    this.#unknown?.add(target);
  }

  /** Readers have no rows of other targets than these. */
  limit(targets: readonly string[]): void {
    this.#unknown = new Set(targets.filter((target) => !this.#targets.has(target) && (!this.#unknown || this.#unknown.has(target))));
    for (const target of this.#targets.keys()) if (!targets.includes(target) && this.#targets.get(target)!.size === 0) this.#targets.delete(target);
  }
}
