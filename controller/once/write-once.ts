import { KollectError } from '../../shared/errors.ts';
import { DeletionHold, lookAt } from '../inventory/deletion-hold.ts';
import type { FrozenRows } from '../collect/collector.ts';
import { planPass, type PassPlan } from '../inventory/pass.ts';
import type { InventoryView } from '../inventory/view.ts';
import type { InventoryIdentity, WriteResult } from '../sinks/contract.ts';
import { writeDocument, type DocumentSettings } from '../sinks/documents/formats.ts';
import { snapshotOf, type Snapshot } from '../sinks/documents/snapshot.ts';
import type { OpenedSink } from '../sinks/runtime/open-sink.ts';

/** All rows of a view in canonical order. */
export async function rowsOf(view: InventoryView): Promise<Snapshot> {
  return await snapshotOf([...view.targets].flatMap((target) => target.pieces()));
}

/** The document of all rows of a view, in pieces. */
export async function* documentOf(view: InventoryView, identity: InventoryIdentity, settings: DocumentSettings, exportedAt: Date): AsyncGenerator<Uint8Array> {
  const { rows, checksum } = await rowsOf(view);
  yield* writeDocument(settings, { identity, exportedAt, rows, checksum });
}

export interface WriteOnceOptions {
  view: InventoryView;
  identity: InventoryIdentity;
  opened: OpenedSink;
  maxDocumentBytes: number | undefined;
  /** Kinds of targets, by name, of which nobody knows whether there are objects: what the destination holds of them stays. */
  absent: ReadonlyMap<string, readonly FrozenRows[]>;
  /** Whatever is stale goes, however much it is. */
  allowsDeletes: boolean;
  signal: AbortSignal;
}

/** Makes a destination what a view says, as the first pass of a controller does that knows it for its own. Throws `KollectError`, also when more rows would be deleted than may. */
export async function writeOnce({ view, identity, opened, maxDocumentBytes, absent, allowsDeletes, signal }: WriteOnceOptions): Promise<WriteResult> {
  const hold = new DeletionHold();
  if (allowsDeletes) void hold.allow(view);
  const { granularity } = opened;
  const planned = (kinds: WriteOnceOptions['absent']): PassPlan | undefined =>
    planPass({ view, identity, isSynced: ({ name }) => !kinds.has(name), frozen: ({ name }) => kinds.get(name), granularity, cursor: undefined, mayHoldRows: true, deletions: hold.deletions });
  let plan = planned(absent);
  if (!plan && absent.size > 0) {
    // Whole documents cannot keep a part of what they held.
    if ((await lookAt(opened, { identity, signal, isCompared: false })).rows !== 0) {
      throw new KollectError('KOL_EXPORT_INPUT', `${opened.place} holds rows in whole documents, and may lose those of kinds that the objects lack; with --allow-deletes they go`);
    }
    plan = planned(new Map());
  }
  if (!plan) throw new KollectError('KOL_INTERNAL', 'there is nothing to decide by what is to be written');
  plan.change.maxDocumentBytes = maxDocumentBytes;
  // Consent to deletions is none to write what is another's.
  if (allowsDeletes) await lookAt(opened, { identity, signal, isCompared: false });
  await hold.limit(opened, plan, view, { identity, signal, isKnown: false, isCompared: false, isOwn: true, held: undefined, told: undefined });
  const result = await opened.sink.write(plan.change, signal);
  if (result.held) {
    throw new KollectError('KOL_EXPORT_INPUT', `${result.held} rows of the destination would be deleted, and nothing explains that so many are gone; are the objects complete? With --allow-deletes they go`);
  }
  return result;
}
