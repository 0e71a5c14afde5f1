import type { Row, TargetRows } from '../collect/row-store.ts';
import { ChangeLog } from './change-log.ts';

/** A log above this share of the rows costs more than comparing everything once; small inventories always keep theirs. */
const logShareOfRows = 0.1;
const logMinimum = 10_000;

/** A reader's place in the view. Changes after its revision are kept for it. */
export interface Reader {
  revision: number;
  /** Targets whose changes it reads; of others it will read everything once. */
  targets: ReadonlySet<TargetRows>;
}

/** What a reader has to do to catch up. */
export interface Delta {
  revision: number;
  upserts: Row[];
  deletes: { targetName: string; uid: string }[];
}

/**
 * The rows of one inventory: those of its targets, with the count kept as they change. It stores no rows of its own.
 */
export class InventoryView {
  readonly namespace: string;
  readonly #targets = new Set<TargetRows>();
  readonly #log = new ChangeLog();
  readonly #readers = new Set<Reader>();
  readonly #onChange: () => void;
  #revision = 0;
  #count = 0;
  /** Changes up to here are not in the log any more. */
  #floor = 0;

  constructor(namespace: string, onChange: () => void) {
    this.namespace = namespace;
    this.#onChange = onChange;
  }

  get revision(): number {
    return this.#revision;
  }

  get count(): number {
    return this.#count;
  }

  get targets(): ReadonlySet<TargetRows> {
    return this.#targets;
  }

  addTarget(target: TargetRows): void {
    this.#targets.add(target);
    this.#count += target.count;
    this.#revision++;
    this.#onChange();
  }

  removeTarget(target: TargetRows): void {
    if (!this.#targets.delete(target)) return;
    this.#count -= target.count;
    this.#log.dropTarget(target);
    this.#revision++;
    this.#onChange();
  }

  rowChanged(target: TargetRows, before: Row | undefined, after: Row | undefined): void {
    if (!this.#targets.has(target)) return;
    this.#revision++;
    this.#count += (after ? 1 : 0) - (before ? 1 : 0);
    if (this.#isRead(target)) {
      this.#log.record(target, (after ?? before)!.uid, after, this.#revision, performance.now());
      if (this.#log.size > Math.max(logMinimum, this.#count * logShareOfRows)) this.#overflow();
    }
    this.#onChange();
  }

  /** Keeps changes from now on for a reader. */
  read(targets: ReadonlySet<TargetRows>): Reader {
    const reader = { revision: this.#revision, targets };
    this.#readers.add(reader);
    return reader;
  }

  /** The reader has confirmed everything up to a revision. */
  confirm(reader: Reader, revision: number, targets: ReadonlySet<TargetRows>): void {
    reader.revision = revision;
    reader.targets = targets;
    this.#trim();
  }

  release(reader: Reader): void {
    this.#readers.delete(reader);
    this.#trim();
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

  /** How far a reader is behind: rows, and the age in milliseconds of the oldest change it lacks. */
  lag(reader: Reader): { rows: number; ms: number } {
    if (reader.revision >= this.#revision) return { rows: 0, ms: 0 };
    let rows = 0;
    let since = performance.now();
    for (const change of this.#log.after(reader.revision)) {
      rows++;
      since = Math.min(since, change.since);
    }
    return { rows, ms: performance.now() - since };
  }

  #isRead(target: TargetRows): boolean {
    for (const reader of this.#readers) if (reader.targets.has(target)) return true;
    return false;
  }

  #trim(): void {
    let slowest = this.#revision;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.revision);
    this.#log.trim(slowest);
  }

  #overflow(): void {
    this.#log.clear();
    this.#floor = this.#revision;
  }
}
