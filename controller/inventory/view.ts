import type { SnapshotDigest } from '../collect/digest.ts';
import type { Row } from '../collect/row.ts';
import { ChangeLog } from './change-log.ts';

/** A log above this share of the rows costs more than comparing everything once; small inventories always keep theirs. */
const logShareOfRows = 0.1;
const logMinimum = 10_000;

/** What a view has of one target: all of its rows, which is the target itself, or some of them. */
export interface ViewTarget {
  readonly namespace: string;
  readonly name: string;
  /** Rows, and their digest. */
  readonly count: number;
  readonly digest: SnapshotDigest;
  /** Whether there are objects that have no row, or not that of what they are now. */
  readonly refused: { any: boolean; count: number; more: boolean };
  /** Uids of those of them that are known: all, unless there are `more`. */
  refusedUids(): Iterable<string>;
  /** Rows that lists removed so far, though nobody saw their objects go and no edit was the reason. */
  readonly swept: number;
  /** Such a list is being evaluated. */
  readonly isSwept: boolean;
  /** Namespaces of which there are rows. */
  namespaces(): Iterable<string>;
  /** The rows as they are now, or those of one namespace, in arrays. */
  pieces(namespace?: string): (readonly Row[])[];
  /** The row of an object. */
  get(namespace: string, uid: string): Row | undefined;
  /** Whether this very row is one of them. */
  holds(row: Row): boolean;
}

/** A reader's place in the view. Changes after its revision are kept for it. */
export interface Reader {
  revision: number;
  /** Targets whose changes it reads; of others it will read everything once. */
  targets: ReadonlySet<ViewTarget>;
  /** Those of them that it has read. */
  confirmed: ReadonlySet<ViewTarget>;
  /** Monotonic milliseconds of the oldest change that it lacks, when the log does not reach back to it any more. */
  lostSince?: number | undefined;
}

/** What a reader has to do to catch up. */
export interface Delta {
  revision: number;
  upserts: Row[];
  deletes: { targetName: string; uid: string }[];
}

/** The rows of one inventory, by target, and what changed in them. It stores no rows of its own. */
export class InventoryView {
  readonly namespace: string;
  readonly #targets = new Set<ViewTarget>();
  readonly #log = new ChangeLog();
  readonly #readers = new Set<Reader>();
  readonly #onChange: () => void;
  #revision = 0;
  #isTurning = false;
  /** Changes up to here are not in the log any more. */
  #floor = 0;

  /** @param namespace of the targets, `''` for cluster targets */
  constructor(namespace: string, onChange: () => void) {
    this.namespace = namespace;
    this.#onChange = onChange;
  }

  get revision(): number {
    return this.#revision;
  }

  get count(): number {
    let count = 0;
    for (const target of this.#targets) count += target.count;
    return count;
  }

  get targets(): ReadonlySet<ViewTarget> {
    return this.#targets;
  }

  /** Its rows are on their way from one choice to another and as yet neither: nobody exports them. */
  get isTurning(): boolean {
    return this.#isTurning;
  }

  turn(): void {
    this.#isTurning = true;
  }

  turned(): void {
    this.#isTurning = false;
    this.#onChange();
  }

  addTarget(target: ViewTarget): void {
    this.#targets.add(target);
    this.#revision++;
    this.#onChange();
  }

  removeTarget(target: ViewTarget): void {
    if (!this.#targets.delete(target)) return;
    this.#log.dropTarget(target);
    this.#revision++;
    this.#onChange();
  }

  /** A row came into the view, left it, or is another one. */
  rowChanged(target: ViewTarget, before: Row | undefined, after: Row | undefined): void {
    if (!this.#targets.has(target)) return;
    this.#revision++;
    if (this.#isFollowed(target)) this.#record(target, (after ?? before)!.uid, after);
    this.#onChange();
  }

  /** An object that has no row is gone: a row of it from before may be where rows were sent. */
  rowLeft(target: ViewTarget, uid: string): void {
    if (!this.#targets.has(target)) return;
    this.#revision++;
    if (this.#isFollowed(target)) this.#record(target, uid, undefined);
    this.#onChange();
  }

  /** Keeps changes from now on for a reader. */
  read(targets: ReadonlySet<ViewTarget>): Reader {
    const reader = { revision: this.#revision, targets, confirmed: targets };
    this.#readers.add(reader);
    return reader;
  }

  /** The reader has confirmed everything up to a revision. */
  confirm(reader: Reader, revision: number, targets: ReadonlySet<ViewTarget>): void {
    reader.revision = revision;
    reader.targets = targets;
    reader.confirmed = targets;
    if (revision >= this.#floor) reader.lostSince = undefined;
    this.#trim();
  }

  release(reader: Reader): void {
    this.#readers.delete(reader);
    this.#trim();
  }

  /** Whether every reader has read all of a target once. */
  isRead(target: ViewTarget): boolean {
    return this.#readers.values().every(({ confirmed }) => confirmed.has(target));
  }

  /** What changed for a reader in its targets; undefined when the log does not reach back that far. */
  changesSince(reader: Reader): Delta | undefined {
    if (reader.revision < this.#floor) return undefined;
    const delta: Delta = { revision: this.#revision, upserts: [], deletes: [] };
    for (const { target, uid, row } of this.#log.after(reader.revision)) {
      if (!reader.targets.has(target)) continue;
      if (row) delta.upserts.push(row);
      else delta.deletes.push({ targetName: target.name, uid });
    }
    return delta;
  }

  /** How far a reader is behind: rows, which are all of them once the log is cut, and the age in milliseconds of the oldest change it lacks. */
  lag(reader: Reader): { rows: number; ms: number } {
    const now = performance.now();
    if (reader.lostSince !== undefined) return { rows: this.count, ms: now - reader.lostSince };
    if (reader.revision >= this.#revision) return { rows: 0, ms: 0 };
    let rows = 0;
    for (const _ of this.#log.after(reader.revision)) rows++;
    return { rows, ms: now - Math.min(now, this.#oldestSince(reader)) };
  }

  #oldestSince(reader: Reader): number {
    let oldest = Infinity;
    for (const { since } of this.#log.after(reader.revision)) oldest = Math.min(oldest, since);
    return oldest;
  }

  #isFollowed(target: ViewTarget): boolean {
    for (const reader of this.#readers) if (reader.targets.has(target)) return true;
    return false;
  }

  #trim(): void {
    let slowest = this.#revision;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.revision);
    this.#log.trim(slowest);
  }

  #record(target: ViewTarget, uid: string, row: Row | undefined): void {
    this.#log.record(target, uid, row, this.#revision, performance.now());
    if (this.#log.size <= logMinimum || this.#log.size <= this.count * logShareOfRows) return;
    for (const reader of this.#readers) reader.lostSince ??= this.#oldestSince(reader);
    this.#log.clear();
    this.#floor = this.#revision;
  }
}
