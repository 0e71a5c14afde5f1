import type { Limits } from '../../shared/api/collection-filter.ts';
import { SnapshotDigest } from './digest.ts';
import { ResourceRows } from './resource-rows.ts';
import type { RowOwner } from './resource-rows.ts';
import type { Row, StoredRow } from './row.ts';

/** What the store tells whoever follows it: `before` without `after` is a removal. */
export type RowListener = (target: TargetRows, before: Row | undefined, after: Row | undefined) => void;

/** What keeps new objects, and rows that grow, out of a target. */
export type Shortage = 'maxRows' | 'maxBytes' | 'memory' | 'maxRowBytes';

/** What a target needs of the store that it is in. */
interface Surroundings {
  notify: RowListener;
  left(target: TargetRows, uid: string): void;
  /** The process has no memory for another row of this target. */
  lacksMemoryFor(target: TargetRows): boolean;
  /** The process has no memory for larger rows of any target. */
  lacksMemory(): boolean;
}

/** By this share of the limit rows that are there may grow beyond it: they go on saying what their objects are. New ones are refused before. */
const growthShare = 0.1;

/**
 * The rows of one target. The object is the identity of one life of a target; a target that is deleted and created again gets another.
 *
 * An object may be served by several resources, such as two versions of a kind. Where a target collects more than one of them, the row of the first
 * by key is the row of the object, whatever the order in which they were seen; the others stand behind it and take its place when it leaves.
 */
export class TargetRows {
  readonly namespace: string;
  readonly name: string;
  readonly digest = new SnapshotDigest();
  /** Ends of growth. At them objects that are not known are refused; rows grow a tenth beyond, and change from then on as long as they grow no larger. */
  limits: Limits = {};
  /** What the last refusal was for. */
  #shortage: Shortage | undefined;
  #unchanged = 0;
  #revision = 0;
  #count = 0;
  #bytes = 0;
  #failing = 0;
  /** By resources that were dropped. */
  #sweptBefore = 0;
  /** In the order of their keys. */
  #resources = new Map<string, ResourceRows>();
  /** Keys of those that the target collects. */
  #retained: ReadonlySet<string> = new Set();
  /** Rows that stand behind another one of their object. */
  readonly #behind = new Set<StoredRow>();
  readonly #surroundings: Surroundings;
  readonly #owner: RowOwner;

  constructor(namespace: string, name: string, surroundings: Surroundings) {
    this.namespace = namespace;
    this.name = name;
    this.#surroundings = surroundings;
    this.#owner = {
      namespace,
      name,
      refuses: (rows, inNamespace, uid, payload) => this.#refuses(rows, inNamespace, uid, payload),
      changed: (rows, before, after) => this.#changed(rows, before, after),
      failing: (row, failures) => {
        if (!this.#behind.has(row)) this.#failing += sign(failures) - sign(row.failures);
      },
      left: (inNamespace, uid) => {
        const exists = this.#resources.values().some((rows) => rows.get(inNamespace, uid) !== undefined);
        if (!exists) surroundings.left(this, uid);
      },
      unchanged: () => void this.#unchanged++,
    };
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

  /** The objects that are left out: how many are known, how many of them because they are too large for any row, and whether there are more. */
  get refused(): { count: number; tooLarge: number; more: boolean; any: boolean } {
    let count = 0;
    let tooLarge = 0;
    let more = false;
    for (const { refused } of this.#resources.values()) {
      count += refused.count;
      tooLarge += refused.tooLarge;
      more ||= refused.more;
    }
    return { count, tooLarge, more, any: more || count > 0 };
  }

  /** Uids of the objects that are left out, as far as they are known, of all namespaces or of those that are asked for. */
  *refusedUids(selects?: (namespace: string) => boolean): Generator<string> {
    for (const { refused } of this.#resources.values()) yield* refused.keys(selects);
  }

  /** Why objects are left out; undefined when none is. */
  get shortage(): Shortage | undefined {
    const { any, count, tooLarge, more } = this.refused;
    if (!any) return undefined;
    return more || count > tooLarge ? (this.#shortage ?? 'maxRowBytes') : 'maxRowBytes';
  }

  /** See `ResourceRows`. Those that the target collects no more count as well. */
  get swept(): number {
    let swept = this.#sweptBefore;
    for (const rows of this.#resources.values()) swept += rows.swept;
    return swept;
  }

  /** See `ResourceRows`. */
  get isSwept(): boolean {
    return this.#resources.values().some((rows) => rows.isSwept);
  }

  /** Length of all payloads in UTF-8. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Rows with at least one attribute that could not be extracted. */
  get failing(): number {
    return this.#failing;
  }

  /** The rows of one resource, opened when they are new. */
  resource(key: string): ResourceRows {
    let rows = this.#resources.get(key);
    if (!rows) this.#keep(key, (rows = new ResourceRows(this.#owner)));
    return rows;
  }

  /**
   * Removes the rows of all resources but these: the target does not collect the others any more. A kind that is collected in another version than
   * before keeps its rows, until a list has looked at each object again.
   *
   * @param keys as `gvkKey` gives them
   */
  retain(keys: ReadonlySet<string>): void {
    this.#retained = keys;
    for (const [key, rows] of this.#resources) {
      if (keys.has(key)) continue;
      const heir = this.#behind.size > 0 ? undefined : keys.values().find((other) => kindOf(other) === kindOf(key) && !this.#resources.has(other));
      if (heir === undefined) {
        void this.#drop(key, rows);
        continue;
      }
      this.#resources.delete(key);
      this.#keep(heir, rows);
    }
  }

  /** Keys of the resources that there are rows of. */
  get keys(): string[] {
    return [...this.#resources.keys()];
  }

  /** Removes the rows of a resource in namespaces that are not allowed. Objects without a namespace are in none. */
  bound(key: string, allows: (namespace: string) => boolean): void {
    const rows = this.#resources.get(key);
    for (const namespace of rows?.namespaces() ?? []) if (namespace !== '' && !allows(namespace)) rows?.removeNamespace(namespace);
  }

  /** Removes all rows: something proves that the target may have none. */
  clear(): void {
    for (const rows of this.#resources.values()) void rows.clear();
  }

  /** Rows that may be added, as far as those that are there tell how large a row is. */
  get room(): number {
    if (this.#surroundings.lacksMemoryFor(this)) return 0;
    const { maxRows = Infinity, maxBytes = Infinity } = this.limits;
    const bytesOfRow = this.#count === 0 ? 1 : this.#bytes / this.#count;
    return Math.max(0, Math.min(maxRows - this.#count, Math.floor((maxBytes - this.#bytes) / bytesOfRow)));
  }

  /** Namespaces of which there are rows. */
  namespaces(): ReadonlySet<string> {
    return new Set([...this.#resources.values()].flatMap((resource) => [...resource.namespaces()]));
  }

  /** One row of each object. */
  *rows(): Generator<Row> {
    for (const resource of this.#resources.values()) yield* this.#rowsOf(resource);
  }

  /** The same by resource, each with the number of its rows. */
  *byResource(): Generator<{ resource: ResourceRows; count: number; rows: Iterable<Row> }> {
    for (const resource of this.#resources.values()) {
      let count = 0;
      for (const rows of resource.byNamespace()) count += rows.size;
      for (const row of this.#behind) if (resource.get(row.namespace, row.uid) === row) count--;
      yield { resource, count, rows: this.#rowsOf(resource) };
    }
  }

  /** The row of an object. */
  get(namespace: string, uid: string): Row | undefined {
    for (const resource of this.#resources.values()) {
      const row = resource.get(namespace, uid);
      if (row) return row;
    }
    return undefined;
  }

  /** Whether this very row is that of its object now. */
  holds(row: Row): boolean {
    return this.get(row.namespace, row.uid) === row;
  }

  /** The same, or those of one namespace, as they are now, in arrays: a tenth of the time that it takes to walk through them. */
  pieces(namespace?: string): (readonly Row[])[] {
    const pieces = [...this.#resources.values()].flatMap((resource): (readonly Row[])[] =>
      namespace === undefined ? [...resource.byNamespace()].flatMap((rows) => rows.pieces()) : resource.pieces(namespace),
    );
    const behind: ReadonlySet<Row> = this.#behind;
    return behind.size === 0 ? pieces : pieces.map((rows) => rows.filter((row) => !behind.has(row)));
  }

  *#rowsOf(resource: ResourceRows): Generator<Row> {
    for (const rows of resource.byNamespace()) {
      if (this.#behind.size === 0) yield* rows.values();
      else yield* rows.values().filter((row) => !this.#behind.has(row));
    }
  }

  #keep(key: string, rows: ResourceRows): void {
    this.#resources = new Map([...this.#resources, [key, rows] as const].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  async #drop(key: string, rows: ResourceRows): Promise<void> {
    await rows.clear();
    // The target may collect it again by now.
    if (!this.#retained.has(key) && this.#resources.get(key) === rows && rows.isEmpty) {
      this.#resources.delete(key);
      this.#sweptBefore += rows.swept;
    }
  }

  #refuses(rows: ResourceRows, namespace: string, uid: string, payload: string): boolean {
    // What another resource knows of already is no further row.
    const known = rows.get(namespace, uid) ?? this.#resources.values().find((other) => other.get(namespace, uid) !== undefined)?.get(namespace, uid);
    const shortage = this.#shortageOf(payload, known);
    if (shortage === undefined) return false;
    this.#shortage = shortage;
    return true;
  }

  #shortageOf(payload: string, known: Row | undefined): Shortage | undefined {
    const { maxRows, maxBytes } = this.limits;
    if (known === undefined && maxRows !== undefined && this.#count >= maxRows) return 'maxRows';
    const lacksMemory = known === undefined ? this.#surroundings.lacksMemoryFor(this) : this.#surroundings.lacksMemory();
    if (maxBytes === undefined && !lacksMemory) return undefined;
    const growth = known === undefined ? Math.max(1, Buffer.byteLength(payload)) : Buffer.byteLength(payload) - Buffer.byteLength(known.payload);
    if (growth <= 0) return undefined;
    if (maxBytes !== undefined && this.#bytes + growth > (known === undefined ? maxBytes : maxBytes * (1 + growthShare))) return 'maxBytes';
    return lacksMemory ? 'memory' : undefined;
  }

  /** One resource has another row of an object than before. It is told as far as it is the row of the object. */
  #changed(rows: ResourceRows, before: StoredRow | undefined, after: StoredRow | undefined): void {
    if (this.#resources.size === 1) return this.#account(before, after);
    const { namespace, uid } = (after ?? before)!;
    let firstBefore: StoredRow | undefined;
    let firstAfter: StoredRow | undefined;
    for (const resource of this.#resources.values()) {
      const other = resource === rows ? undefined : resource.get(namespace, uid);
      firstBefore ??= other ?? (resource === rows ? before : undefined);
      firstAfter ??= other ?? (resource === rows ? after : undefined);
    }
    if (before) this.#behind.delete(before);
    if (after && after !== firstAfter) this.#behind.add(after);
    if (firstBefore === firstAfter) return;
    if (firstBefore && firstBefore !== before) this.#behind.add(firstBefore);
    if (firstAfter) this.#behind.delete(firstAfter);
    this.#account(firstBefore, firstAfter);
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

/** Without the version. */
function kindOf(key: string): string {
  const [group, , kind] = key.split('/');
  return `${group}/${kind}`;
}

const sign = (count: number): number => (count > 0 ? 1 : 0);
