import { rowName, type ExportRow, type RejectedRow, type RowKey } from '../sinks/contract.ts';
import type { Row } from '../collect/row.ts';
import type { PassPlan } from './pass.ts';
import type { ViewTarget } from './view.ts';

/**
 * Rows that a destination refused because of their content. They are not sent again until their content is another, or until all are tried
 * once more; there are never more of them than rows.
 */
export class Quarantine {
  /** By target and uid: a pass asks for each of its rows, and a name that is made for each takes a microsecond. */
  readonly #targets = new Map<string, Map<string, RejectedRow>>();
  #retries = false;

  get size(): number {
    return this.#targets.values().reduce((size, rows) => size + rows.size, 0);
  }

  rows(): readonly RejectedRow[] {
    return this.#targets.values().flatMap((rows) => rows.values()).toArray();
  }

  /** Rows of a target, as they are now, whose objects had one refused. Costs what was refused, however many rows there are. */
  rowsOf(target: ViewTarget): Row[] {
    const refused = this.#targets.get(target.name)?.values() ?? [];
    return Array.from(refused).flatMap(({ namespace, key }) => target.get(namespace, key.uid) ?? []);
  }

  /** Whether a row was refused with the content that it has. */
  holds(row: ExportRow): boolean {
    return !this.#retries && this.#get(row)?.hash === row.hash;
  }

  /** Passes try all of them again that they compare, until all were. */
  retry(): void {
    this.#retries = true;
  }

  retried(): void {
    this.#retries = false;
  }

  add(rejected: readonly RejectedRow[]): void {
    for (const row of rejected) {
      const { targetName, uid } = row.key;
      let rows = this.#targets.get(targetName);
      if (!rows) this.#targets.set(targetName, (rows = new Map()));
      rows.set(uid, row);
    }
  }

  /** Those that a pass does not touch. */
  left({ change, partial, skipped }: PassPlan): ReadonlySet<RejectedRow> {
    if (this.#targets.size === 0) return new Set();
    const touched = new Set<RejectedRow | undefined>();
    for (const key of [...partial, ...change.deletes]) touched.add(this.#get(key));
    const stays = (row: RejectedRow): boolean => {
      const { targetName } = row.key;
      if (touched.has(row) || change.knownTargets?.includes(targetName) === false) return false;
      return !change.completeTargets.includes(targetName) || skipped.has(rowName(row.key));
    };
    return new Set(this.rows().filter(stays));
  }

  /** A pass is confirmed. */
  settle(plan: PassPlan, rejected: readonly RejectedRow[]): void {
    const left = this.left(plan);
    this.#targets.clear();
    this.add([...left, ...rejected]);
  }

  #get({ targetName, uid }: RowKey): RejectedRow | undefined {
    return this.#targets.get(targetName)?.get(uid);
  }
}
