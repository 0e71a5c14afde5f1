import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';

/** A change of one row. `before` without `after` is a removal. */
export interface RowChange {
  target: TargetRows;
  before: Row | undefined;
  after: Row | undefined;
}

/** Rows as they were at some moment, though they change: it keeps what has changed since. */
export class EarlierRows {
  readonly #changed = new Map<TargetRows, Map<string, { namespace: string; row: Row | undefined }>>();

  /** A row changes. */
  note(target: TargetRows, before: Row | undefined, after: Row | undefined): void {
    const { namespace, uid } = (after ?? before)!;
    let rows = this.#changed.get(target);
    if (!rows) this.#changed.set(target, (rows = new Map()));
    if (!rows.has(uid)) rows.set(uid, { namespace, row: before });
  }

  /** The row that a target had of an object. */
  get(target: TargetRows, namespace: string, uid: string): Row | undefined {
    const changed = this.#changed.get(target)?.get(uid);
    return changed ? changed.row : target.get(namespace, uid);
  }

  /** Nobody asks any more what they were. */
  clear(): void {
    this.#changed.clear();
  }

  /** What changed since, each object once. What was handed over is seen as it is now; at the end everything is. */
  *catchUp(): Generator<RowChange> {
    for (const [target, rows] of this.#changed) {
      for (const [uid, { namespace, row: before }] of rows) {
        rows.delete(uid);
        const after = target.get(namespace, uid);
        if (before !== after) yield { target, before, after };
      }
      this.#changed.delete(target);
    }
  }
}
