import type { Row } from '../collect/row.ts';
import type { ViewTarget } from './view.ts';

/** The latest change of one row since somebody last asked. `row` is absent when it left. */
export interface Change {
  readonly target: ViewTarget;
  readonly uid: string;
  row: Row | undefined;
  revision: number;
  /** Monotonic milliseconds of the first change that is still unread. */
  readonly since: number;
  previous: Change | undefined;
  next: Change | undefined;
}

/**
 * What changed in a view, newest last and each row once. It holds only what the slowest reader has not confirmed, so its size follows
 * the changes and not the rows; a reader walks back from the end, so its cost follows what is new to it.
 */
export class ChangeLog {
  readonly #byTarget = new Map<ViewTarget, Map<string, Change>>();
  #oldest: Change | undefined;
  #newest: Change | undefined;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  record(target: ViewTarget, uid: string, row: Row | undefined, revision: number, now: number): void {
    let changes = this.#byTarget.get(target);
    if (!changes) this.#byTarget.set(target, (changes = new Map()));
    const known = changes.get(uid);
    if (known) this.#unlink(known);
    const change: Change = { target, uid, row, revision, since: known?.since ?? now, previous: this.#newest, next: undefined };
    if (this.#newest) this.#newest.next = change;
    else this.#oldest = change;
    this.#newest = change;
    this.#size++;
    changes.set(uid, change);
  }

  /** Changes after a revision, newest first. */
  *after(revision: number): Generator<Change> {
    for (let change = this.#newest; change !== undefined && change.revision > revision; change = change.previous) yield change;
  }

  /** Everybody has read up to this revision. */
  trim(revision: number): void {
    for (let change = this.#oldest; change !== undefined && change.revision <= revision; change = this.#oldest) {
      this.#unlink(change);
      this.#forget(change);
    }
  }

  /** The changes of a target that is gone are covered by its absence. */
  dropTarget(target: ViewTarget): void {
    for (const change of this.#byTarget.get(target)?.values() ?? []) this.#unlink(change);
    this.#byTarget.delete(target);
  }

  clear(): void {
    this.#byTarget.clear();
    this.#oldest = this.#newest = undefined;
    this.#size = 0;
  }

  #unlink(change: Change): void {
    if (change.previous) change.previous.next = change.next;
    else this.#oldest = change.next;
    if (change.next) change.next.previous = change.previous;
    else this.#newest = change.previous;
    this.#size--;
  }

  #forget(change: Change): void {
    const changes = this.#byTarget.get(change.target);
    changes?.delete(change.uid);
    if (changes?.size === 0) this.#byTarget.delete(change.target);
  }
}
