import type { Row } from '../collect/row.ts';
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
  /** The rest of the target that is being looked at. Uids and no rows: a round takes long, and would keep all that are replaced meanwhile. */
  #rest: { target: ViewTarget; namespaces: string[]; namespace: string; uids: string[] } | undefined;

  /** @param intervalMs mean time between the end of one round and the next; 0: never */
  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
    this.restart();
  }

  /** Everything is as good as looked at: the next round comes after the interval. */
  restart(): void {
    this.#targets = this.#rest = undefined;
    // Inventories that began together do not ask together for ever.
    this.dueAt = this.#intervalMs > 0 ? performance.now() + this.#intervalMs * (0.5 + Math.random()) : Infinity;
  }

  /**
   * Looks at the next rows of `targets`, all of which the destination has confirmed as they are now. Gives those that it does not hold, and whether they
   * were the last of this round.
   *
   * @param ask which of these rows the destination does not hold
   */
  async step(targets: Iterable<ViewTarget>, ask: (rows: readonly ExportRow[]) => Promise<readonly ExportRow[]>): Promise<{ differing: ExportRow[]; isLast: boolean }> {
    const began = performance.now();
    const current = new Set(targets);
    this.#targets ??= [...current];
    const next = this.#next(current);
    const asked = next === undefined || next.rows.length === 0 ? [] : await ask(next.rows);
    // What changed while it was being asked is exported by itself.
    const differing = (asked as readonly Row[]).filter((row) => next?.target.holds(row));
    const isLast = next === undefined;
    if (isLast) this.restart();
    else this.dueAt = performance.now() + (performance.now() - began) * (1 / duty - 1);
    return { differing, isLast };
  }

  #next(current: ReadonlySet<ViewTarget>): { target: ViewTarget; rows: Row[] } | undefined {
    let rest = this.#rest;
    while (rest === undefined || (rest.uids.length === 0 && rest.namespaces.length === 0) || !current.has(rest.target)) {
      const target = this.#targets?.pop();
      if (target === undefined) return undefined;
      this.#rest = rest = { target, namespaces: [...target.namespaces()], namespace: '', uids: [] };
    }
    const rows: Row[] = [];
    for (let looked = 0, characters = 0; looked < question.rows && characters < question.characters; looked++) {
      while (rest.uids.length === 0 && rest.namespaces.length > 0) {
        rest.namespace = rest.namespaces.pop()!;
        rest.uids = rest.target.pieces(rest.namespace).flatMap((piece) => piece.map(({ uid }) => uid));
      }
      const uid = rest.uids.pop();
      if (uid === undefined) break;
      const row = rest.target.get(rest.namespace, uid);
      if (row === undefined) continue;
      rows.push(row);
      characters += row.payload.length;
    }
    return { target: rest.target, rows };
  }
}
