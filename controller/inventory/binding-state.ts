import type { KollectError } from '../../shared/errors.ts';
import type { RejectedRow } from '../sinks/contract.ts';
import type { HeldDeletions } from './deletion-guard.ts';
import { pastTime } from './past-time.ts';

/** What status shows of a binding. */
export interface BindingState {
  phase: 'Waiting' | 'Exported' | 'Failed';
  /** Of the inventory when this was found. */
  generation: number;
  error: KollectError | undefined;
  fingerprint: string | undefined;
  /** Where the last export of this process went, for people. */
  destination: string | undefined;
  lastExportTime: string | undefined;
  lastChecksum: string | undefined;
  /** Of those that were collected. */
  rows: number | undefined;
  rejected: readonly RejectedRow[];
  /** Deletions that wait for consent, or for the end of a pause. */
  held: HeldDeletions | undefined;
}

/** What status says of an export. */
export interface PreviousState {
  dirty?: boolean | undefined;
  fingerprint?: string | undefined;
  lastExportTime?: string | undefined;
  lastChecksum?: string | undefined;
  rows?: number | undefined;
  conditions?: readonly { reason: string }[] | undefined;
}

/** Before anything was tried. */
export function firstState(generation: number, previous: PreviousState | undefined): BindingState {
  return {
    phase: 'Waiting',
    generation,
    error: undefined,
    fingerprint: undefined,
    destination: undefined,
    lastExportTime: pastTime(previous?.lastExportTime, new Date().toISOString()),
    lastChecksum: previous?.lastChecksum,
    rows: previous?.rows,
    rejected: [],
    held: undefined,
  };
}

/** Rows that the destination holds: what was collected, and beside it what is held back. */
export function rowsThere({ rows, held }: Pick<BindingState, 'held' | 'rows'>): number | undefined {
  return rows === undefined ? undefined : rows + (held?.stale ?? 0);
}

/** A sink within an inventory: references may lead to sinks of the same name in several namespaces. */
export function placeOf({ key, namespace }: { key: string; namespace: string }): string {
  return `${namespace}/${key}`;
}
