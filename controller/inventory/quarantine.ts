import type { ExportRow, RejectedRow, RowKey } from '../sinks/contract.ts';
import type { PassPlan } from './pass.ts';

/**
 * Rows that a destination refused because of their content. They are not sent again until their content is another, or until all are tried
 * once more; there are never more of them than rows.
 */
export class Quarantine {
  readonly #rows = new Map<string, RejectedRow>();
  #retries = false;

  get size(): number {
    return this.#rows.size;
  }

  rows(): readonly RejectedRow[] {
    return [...this.#rows.values()];
  }

  /** Whether a row was refused with the content that it has. */
  holds(row: ExportRow): boolean {
    return !this.#retries && this.#rows.get(nameOf(row))?.hash === row.hash;
  }

  /** Passes try all of them again that they compare, until all were. */
  retry(): void {
    this.#retries = true;
  }

  retried(): void {
    this.#retries = false;
  }

  add(rejected: readonly RejectedRow[]): void {
    for (const row of rejected) this.#rows.set(nameOf(row.key), row);
  }

  /** Those that a pass does not touch. */
  left({ change, partial, skipped }: PassPlan): ReadonlySet<string> {
    if (this.#rows.size === 0) return new Set();
    const touched = new Set<string>();
    for (const keys of [...partial, change.deletes] as Iterable<readonly RowKey[]>) for (const key of keys) if (this.#rows.has(nameOf(key))) touched.add(nameOf(key));
    const stays = (name: string, { targetName }: RowKey): boolean => {
      if (touched.has(name) || change.knownTargets?.includes(targetName) === false) return false;
      return !change.completeTargets.includes(targetName) || skipped.has(name);
    };
    return new Set([...this.#rows].filter(([name, { key }]) => stays(name, key)).map(([name]) => name));
  }

  /** A pass is confirmed. */
  settle(plan: PassPlan, rejected: readonly RejectedRow[]): void {
    const left = this.left(plan);
    for (const name of this.#rows.keys()) if (!left.has(name)) this.#rows.delete(name);
    this.add(rejected);
  }
}

/** Names of targets have no slash. */
export function nameOf({ targetName, uid }: RowKey): string {
  return `${targetName}/${uid}`;
}
