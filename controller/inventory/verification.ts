import type { Row } from '../collect/row-store.ts';
import type { ExportRow } from '../sinks/contract.ts';
import type { ViewTarget } from './view.ts';

/** Rows and characters of one question: some ten milliseconds of the destination, and a few megabytes. */
const question = { rows: 2_000, characters: 4_000_000 };
/** Share of the time that a destination is asked, at most. */
const duty = 0.01;

/**
 * Finds rows that the destination does not hold as it confirmed them, because somebody else wrote there. It walks through all rows in many small
 * steps with long pauses between them; changes are exported meanwhile as ever.
 */
export class Verification {
  readonly #intervalMs: number;
  /** Monotonic milliseconds of the next step. */
  dueAt = Infinity;
  /** Still to be looked at in this round. */
  #targets: ViewTarget[] | undefined;
  #rows: { target: ViewTarget; left: (readonly Row[])[] } | undefined;

  /** @param intervalMs mean time between the end of one round and the next; 0: never */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
    this.restart();
  }

  /** Everything is as good as looked at: the next round comes after the interval. */
  restart(): void {
    this.#targets = this.#rows = undefined;
    // Inventories that began together do not ask together for ever.
    this.dueAt = this.#intervalMs > 0 ? performance.now() + this.#intervalMs * (0.5 + Math.random()) : Infinity;
  }

  /**
   * Looks at the next rows of `targets`, all of which the destination has confirmed; of a target whose rows were taken up in an earlier step, those that are
   * still there. Gives the rows that it does not hold as they are, and whether they were the last of this round.
   *
   * @param ask which of these rows the destination does not hold
   */
  async step(targets: Iterable<ViewTarget>, ask: (rows: readonly ExportRow[]) => Promise<readonly ExportRow[]>): Promise<{ differing: ExportRow[]; isLast: boolean }> {
    const began = performance.now();
    const current = new Set(targets);
    this.#targets ??= [...current];
    const next = this.#next(current);
    const asked = next === undefined || next.rows.length === 0 ? [] : await ask(next.rows);
    // What changed while it was being asked, and since the target was taken up, is exported by itself.
    const differing = (asked as readonly Row[]).filter((row) => next?.target.holds(row));
    const isLast = next === undefined;
    if (isLast) this.restart();
    else this.dueAt = performance.now() + (performance.now() - began) * (1 / duty - 1);
    return { differing, isLast };
  }

  #next(current: ReadonlySet<ViewTarget>): { target: ViewTarget; rows: Row[] } | undefined {
    while (this.#rows === undefined || this.#rows.left.length === 0 || !current.has(this.#rows.target)) {
      const target = this.#targets?.pop();
      if (target === undefined) return undefined;
      this.#rows = { target, left: [...target.pieces()].reverse() };
    }
    const { target, left } = this.#rows;
    const rows: Row[] = [];
    for (let characters = 0, piece = left.pop(); piece !== undefined; piece = left.pop()) {
      let end = 0;
      while (end < piece.length && rows.length < question.rows && characters < question.characters) {
        const row = piece[end++]!;
        if (target.holds(row)) rows.push(row);
        characters += row.payload.length;
      }
      if (end === piece.length) continue;
      left.push(piece.slice(end));
      break;
    }
    return { target, rows };
  }
}
