import type { SparedRows } from '../contract.ts';

/** What a destination holds: a row of a target, and what its payload says of the object. */
export interface HeldRow {
  targetName: string;
  kind?: string | null;
  group?: string | null;
  namespace?: string | null;
}

/** Whether a row that a pass does not name stays all the same. */
export function isSpared({ targetName, kind, group, namespace }: HeldRow, spared: readonly SparedRows[]): boolean {
  return spared.some(
    (rows) =>
      rows.targetName === targetName &&
      (!kind || (rows.kind === kind.toLowerCase() && rows.group === (group ?? '').toLowerCase())) &&
      (rows.namespace === undefined || rows.namespace === (namespace ?? '')),
  );
}
