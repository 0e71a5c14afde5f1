import { SnapshotDigest } from '../../controller/collect/digest.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { Row } from '../../controller/collect/row.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { planPass, type Cursor } from '../../controller/inventory/pass.ts';
import { Rollup, type RollupOptions, type RollupSelection } from '../../controller/inventory/rollup.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import { atOnce } from './paces.ts';

export const of = (target: TargetRows) => target.resource('/v1/configmap');
const identity = { namespace: 'cluster', name: 'rollup', cluster: '', generation: 1 };

/** A rollup over a store, and a destination that passes are applied to as a sink would. */
export function startRollup(selection: RollupSelection, { failing = new Set<string>(), ...options }: Partial<RollupOptions> & { failing?: Set<string> } = {}) {
  const store = new RowStore();
  const synced = new Set<string>();
  const view = new InventoryView('', () => undefined);
  const rollup = new Rollup({ view, selection, isListed: ({ name }) => synced.has(name), isAwaited: ({ name }) => !synced.has(name) && !failing.has(name), patienceMs: 0, pace: atOnce, anewMs: 100, ...options });
  store.subscribe({
    row: (...change) => rollup.rowChanged(...change),
    left: (target, uid) => rollup.rowLeft(target, uid),
    opened: (target) => rollup.addTarget(target),
    closed: (target) => rollup.removeTarget(target),
  });
  const held = new Map<string, Map<string, string>>();
  const of = (targetName: string) => held.get(targetName) ?? held.set(targetName, new Map()).get(targetName)!;
  let cursor: Cursor | undefined;
  const plan = () => planPass({ view, identity, cursor, granularity: 'row', mayHoldRows: true, isSynced: (target) => rollup.takesPart(target) && synced.has(target.name) });
  /** Tells what the pass was, and what it took away. */
  const pass = () => {
    const planned = plan();
    if (!planned) return undefined;
    const { change, reached } = planned;
    const written = [...change.upserts].flat();
    for (const name of change.completeTargets) of(name).clear();
    if (change.knownTargets) for (const name of held.keys()) if (!change.knownTargets.includes(name)) held.delete(name);
    for (const { targetName, uid } of change.deletes) of(targetName).delete(uid);
    for (const row of written) of(row.targetName).set(row.uid, row.payload);
    const reader = cursor?.reader ?? view.read(reached.targets);
    view.confirm(reader, planned.revision, reached.targets);
    cursor = { ...reached, reader, fingerprint: 'f', isHeld: false };
    const told = ({ targetName, uid }: { targetName: string; uid: string }) => `${targetName}/${uid}`;
    return { mode: planned.mode, upserts: written.map(told).sort(), deletes: change.deletes.map(told).sort() };
  };
  const rows = (name?: string) => [...held].flatMap(([target, rowsOf]) => (name === undefined || name === target ? [...rowsOf].map(([uid, payload]) => `${target}/${uid}=${payload}`) : [])).sort();
  const open = (name: string, uids: readonly string[], namespace = 'shop') => {
    const target = store.open('', name);
    for (const uid of uids) upsert(target, namespace, uid);
    synced.add(name);
    rollup.targetsListed();
    return target;
  };
  return { store, synced, view, rollup, plan, pass, rows, open, forgetCursor: () => (cursor = undefined) };
}

/** By uid; the payload is the uid when unset. */
export function upsert(target: TargetRows, namespace: string, uid: string, payload = uid): void {
  of(target).upsert({ namespace, name: uid, uid, payload, resourceVersion: payload, failures: 0 });
}

export function digestOf(rows: readonly Row[]): string {
  const digest = new SnapshotDigest();
  for (const row of rows) digest.add(row.hash);
  return digest.toString();
}
