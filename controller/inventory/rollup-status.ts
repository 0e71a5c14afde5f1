import type { KollectClusterInventorySpec, KollectClusterInventoryStatus } from '../../shared/api/kollect-cluster-inventory.ts';
import type { Verdict } from '../observe/conditions.ts';
import type { RollupFacts } from './inventory-rows.ts';
import type { InventoryView } from './view.ts';

/** Namespaces told one by one; of the others it is told how many there are. */
const listedShards = 100;
/** Targets named in a message. */
const listedTargets = 10;

type Counts = Pick<KollectClusterInventoryStatus, 'targetCount' | 'namespaceShardCount' | 'namespaceShards'>;

/** What status tells of a rollup beside what it tells of every inventory. */
export function rollupCounts({ shardCount, shards }: RollupFacts, view: InventoryView): Counts {
  return { targetCount: view.targets.size, namespaceShardCount: shardCount, namespaceShards: shards(listedShards) };
}

/** What stands in the way when there is nothing to roll up. */
export function noTargets(spec: KollectClusterInventorySpec, isEarly: boolean): { reason: 'AwaitingSync' | 'NoTargets'; message: string } {
  if (isEarly) return { reason: 'AwaitingSync', message: `${missingTargets(spec)} yet, and the inventory is new` };
  return { reason: 'NoTargets', message: `${missingTargets(spec)}; create a KollectClusterTarget, or correct spec.targetRefs or spec.targetSelector` };
}

/** Whether the last exports succeeded, as older scripts ask for it. */
export function exportSucceeded(exported: number, failed: number, { reason, message }: Verdict): Verdict[] {
  const type = 'ExportSucceeded';
  if (exported === 0 && failed === 0) return [];
  if (exported === 0) return [{ type, status: 'False', reason, message }];
  const text = `the last export to ${exported} of ${exported + failed} sink(s) succeeded`;
  return [{ type, status: 'True', reason: failed === 0 ? 'Exported' : 'PartiallySynced', message: text }];
}

function missingTargets({ targetRefs = [], targetSelector }: KollectClusterInventorySpec): string {
  if (targetRefs.length > 0) return `none of the targets of spec.targetRefs exists: ${targetRefs.slice(0, listedTargets).join(', ')}`;
  return targetSelector ? 'spec.targetSelector selects no KollectClusterTarget' : 'there is no KollectClusterTarget';
}
