import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { Binding } from './binding.ts';
import { cleanupStatus } from './cleanup.ts';
import { isEarly, type InventoryRuntime } from './inventory-runtime.ts';
import { inventoryStatus } from './inventory-status.ts';
import type { SinkDirectory, SinkObstacle } from './sink-directory.ts';
import type { ViewTarget } from './view.ts';

interface StatusContext {
  /** The status last written or read. */
  previous: KollectInventory['status'];
  isSynced: (target: ViewTarget) => boolean;
  sinks: SinkDirectory;
}

/** What status is to say of what runs for an inventory; undefined while there is nothing to say. */
export function runtimeStatus(runtime: InventoryRuntime, { previous, isSynced, sinks }: StatusContext, now: string): KollectInventory['status'] {
  if (runtime.cleaning) {
    const removals = [...runtime.removals.values()];
    const wasPaused = previous?.conditions?.some(({ type, reason }) => type === 'Degraded' && reason === 'DeletionHeld');
    const isToBeTold = wasPaused || removals.some(({ error, isPaused }) => error || isPaused);
    return isToBeTold ? cleanupStatus(runtime.object, previous, removals, now) : undefined;
  }
  // Of a new one nothing was said that is not true any more.
  if (runtime.waiting && !(previous?.conditions && isEarly(runtime))) return undefined;
  const { view, rollup } = runtime.rows;
  const problems = runtime.rows.problems();
  const troubled = new Set(problems.map(({ name }) => name));
  const awaiting = [...view.targets].filter((target) => !isSynced(target) && !troubled.has(target.name)).map((target) => target.name);
  const bindings = [...runtime.bindings.values()];
  return inventoryStatus(
    {
      inventory: runtime.object as unknown as KollectInventory,
      previous,
      view,
      problems,
      rollup,
      bindings,
      obstacles: obstaclesOf(bindings, sinks),
      removals: [...runtime.removals.values()],
      awaiting: awaiting.sort(),
      incomplete: [...view.targets].filter((target) => target.refused.any).map((target) => target.name).sort(),
      blocked: runtime.blocked,
      isEarly: isEarly(runtime),
      asked: runtime.asked,
    },
    now,
  );
}

/** What is known of sinks that were not tried yet. */
function obstaclesOf(bindings: readonly Binding[], sinks: SinkDirectory): Map<string, SinkObstacle> {
  const obstacles = new Map<string, SinkObstacle>();
  for (const { place, state, options } of bindings) {
    const obstacle = state.phase === 'Waiting' ? sinks.obstacle(options.family, options.namespace, options.name) : undefined;
    if (obstacle) obstacles.set(place, obstacle);
  }
  return obstacles;
}
