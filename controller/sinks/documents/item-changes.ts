import { inTurns, Turns } from '../../../shared/in-turns.ts';
import { rowName, type ExportRow, type RejectedRow, type RowKey, type SinkChange } from '../contract.ts';
import type { ItemEvent } from './item-events.ts';
import { rejection } from './rejection.ts';
import { rowText } from './row-text.ts';
import { isSpared } from '../runtime/spared.ts';
import type { PublishedRows, TargetRows } from './published-rows.ts';

/** What a pass tells the readers of a stream. */
export interface ItemPlan {
  /** Row by row. */
  changes: readonly ItemEvent[];
  /** All rows of targets of which it is not known what readers have, between a begin and an end. */
  snapshot: { rows: ReadonlyMap<string, TargetRows>; keeps: readonly RowKey[]; end: Extract<ItemEvent, { type: 'snapshotEnd' }> } | undefined;
  rejected: readonly RejectedRow[];
  held: number;
}

/**
 * Decides what readers have to be told so that they have what the change says. What they have is known of targets that were published as a whole; of others all rows
 * are told, unless deletions are paused, or more are lost than may be: then what readers have beside them stays.
 *
 * Done a few milliseconds at a time.
 *
 * @param maxPayload bytes that a row may have
 */
export async function planItems(change: SinkChange, published: PublishedRows, maxPayload: number): Promise<ItemPlan> {
  const { completeTargets, knownTargets, spared = [], staleLimit } = change;
  const turns = new Turns();
  const inOurTurns = <T>(items: Iterable<T>, work: (item: T) => void): Promise<void> => inTurns(items, work, undefined, turns);
  const { rows, rejected } = await acceptable(change.upserts, maxPayload, turns);
  const keeps = new Map<string, RowKey>();
  const keep = (key: RowKey): unknown => keeps.set(rowName(key), key);
  await inOurTurns(change.keep, keep);
  await inOurTurns(rejected, ({ key }) => keep(key));
  const lost = staleLimit?.lost ?? 0;
  const mayTell = !staleLimit || (staleLimit.rows > 0 && lost <= staleLimit.rows);
  const untold = completeTargets.filter((target) => !published.of(target));
  const isLimiting = knownTargets !== undefined && published.mayHaveOthers(knownTargets);
  const needsSnapshot = untold.length > 0 || isLimiting;
  const whole = new Set(mayTell ? untold : []);

  const changes: ItemEvent[] = [];
  for (const [target, ofTarget] of rows) {
    if (whole.has(target)) continue;
    const former = published.of(target);
    await inOurTurns(ofTarget.values(), (row) => {
      if (former?.get(row.uid)?.hash !== row.hash) changes.push({ type: 'upsert', row });
    });
  }
  const named = new Set<string>();
  await inOurTurns(change.deletes, (key) => {
    const former = published.of(key.targetName);
    if (whole.has(key.targetName) || (former && !former.has(key.uid))) return;
    named.add(rowName(key));
    changes.push({ type: 'delete', key });
  });
  const stale = new Map<string, RowKey[]>();
  for (const [targetName, former] of published.targets) {
    const isGone = knownTargets?.includes(targetName) === false;
    if (!isGone && !completeTargets.includes(targetName)) continue;
    const ofTarget = rows.get(targetName);
    const keys: RowKey[] = [];
    await inOurTurns(former, ([uid, row]) => {
      if (!isGone && ofTarget?.has(uid)) return;
      const key = { targetName, uid };
      const name = rowName(key);
      const stays = !isGone && (keeps.has(name) || (spared.length > 0 && isSpared({ ...(row && rowText(row.payload).head), targetName }, spared)));
      if (!stays && !named.has(name)) keys.push(key);
    });
    if (keys.length > 0) stale.set(targetName, keys);
  }
  const doubtful = [...stale.keys()].filter((target) => !staleLimit?.exempt.includes(target));
  const count = doubtful.reduce((sum, target) => sum + stale.get(target)!.length, 0);
  const heldBack = staleLimit && count > staleLimit.rows ? count : 0;
  for (const [target, keys] of stale) if (heldBack === 0 || !doubtful.includes(target)) await inOurTurns(keys, (key) => changes.push({ type: 'delete', key }));

  if (!needsSnapshot) return { changes, snapshot: undefined, rejected, held: heldBack };
  // How many rows readers have that should be gone is not known: one at least has to be thought of, so that it is looked at again.
  if (!mayTell) return { changes, snapshot: undefined, rejected, held: Math.max(1, lost, heldBack) };
  const sparedHere = spared.filter(({ targetName }) => whole.has(targetName));
  const end = { type: 'snapshotEnd' as const, targets: untold, ...(isLimiting && { knownTargets }), ...(sparedHere.length > 0 && { spared: sparedHere }) };
  return { changes, snapshot: { rows: new Map(untold.map((target) => [target, rows.get(target) ?? new Map()])), keeps: [...keeps.values()].filter(({ targetName }) => whole.has(targetName)), end }, rejected, held: heldBack };
}

/** Rows by target and uid. Of one that comes twice the later counts. */
async function acceptable(upserts: SinkChange['upserts'], maxPayload: number, turns: Turns): Promise<{ rows: Map<string, Map<string, ExportRow>>; rejected: RejectedRow[] }> {
  const rows = new Map<string, Map<string, ExportRow>>();
  const rejected: RejectedRow[] = [];
  for (const slice of upserts) {
    await inTurns(
      slice,
      (row) => {
        // Characters have three bytes at most.
        const size = row.payload.length * 3 > maxPayload ? Buffer.byteLength(row.payload) : 0;
        if (size > maxPayload) return void rejected.push(rejection(row, 'PayloadTooLarge', `has ${size} bytes, and a message may have ${maxPayload}`));
        const ofTarget = rows.get(row.targetName);
        if (ofTarget) ofTarget.set(row.uid, row);
        else rows.set(row.targetName, new Map([[row.uid, row]]));
      },
      undefined,
      turns,
    );
  }
  return { rows, rejected };
}
