import { RowStore } from '../../controller/collect/row-store.ts';
import type { ResourceRows } from '../../controller/collect/resource-rows.ts';
import { Binding } from '../../controller/inventory/binding.ts';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { createLogger } from '../../shared/log.ts';
import { eventually } from '../servers/eventually.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';

/** What an open sink says of itself. */
export const memory = { type: 'memory', cluster: '', granularity: 'row' as const, refusesLateWrites: false, fingerprint: 'here', place: 'memory', isCurrent: async () => true };

export const facts = (uid: string, payload = uid) => ({ namespace: 'shop', name: uid, uid, payload, resourceVersion: '1', failures: 0 });

export const until = (holds: () => boolean): Promise<unknown> => eventually(holds, { intervalMs: 5 });

interface FixtureOptions extends Partial<BindingOptions> {
  place?: MemoryPlace;
  sink?: MemorySink;
  /** Names of targets. */
  synced?: readonly string[];
}

/** A process with one binding, which exports the targets of namespace `shop` to a place in memory. */
export function startBinding({ place = new MemoryPlace(), sink = new MemorySink(place, { installation: 'ours' }), synced: firstSynced = [], ...options }: FixtureOptions = {}) {
  const queue = new SinkGate(2);
  const store = new RowStore();
  const view = new InventoryView('shop', () => binding.poke());
  store.subscribe({
    row: (target, before, after) => view.rowChanged(target, before, after),
    left: (target, uid) => view.rowLeft(target, uid),
    opened: (target) => view.addTarget(target),
    closed: (target) => view.removeTarget(target),
  });
  const synced = new Set(firstSynced);
  const turning = new Set<string>();
  /** What the lag was at each failure: the next attempt may follow at once. */
  const failures: Binding['lag'][] = [];
  const binding: Binding = new Binding({
    family: 'database',
    name: 'pg',
    namespace: 'shop',
    view,
    inventory: { namespace: 'shop', name: 'inventory', generation: 1 },
    isSynced: (target) => synced.has(target.name),
    isTurning: (target) => turning.has(target.name),
    open: async () => ({ sink, ...memory, queue }),
    intervalMs: 0,
    previous: undefined,
    logger: createLogger({ level: 'error', format: 'text', name: 'test' }),
    observer: { passed: () => undefined, failed: () => void failures.push(binding.lag) },
    onChange: () => undefined,
    ...options,
  });
  const rowsOf = (target: string): ResourceRows => store.open('shop', target).resource('/v1/configmap');
  const sync = (target: string): void => {
    synced.add(target);
    binding.poke();
  };
  const equal = (): boolean => {
    const expected = [...view.targets].flatMap((target) => target.pieces().flat().map((row) => `${row.targetName}/${row.uid}=${row.payload}`));
    return [...place.held()].map(([key, payload]) => `${key}=${payload}`).sort().join() === expected.sort().join();
  };
  return { store, view, sink, place, binding, synced, turning, failures, queue, rowsOf, sync, equal };
}
