import type { KollectClusterInventorySpec, KollectClusterInventoryStatus } from '../../shared/api/kollect-cluster-inventory.ts';
import type { Verdict } from '../observe/conditions.ts';
import type { RollupFacts } from './inventory-rows.ts';
import type { InventoryView } from './view.ts';

/** Namespaces told one by one; of the others it is told how many there are. */
const listedShards = 100;
/** Targets named in a message; the rest is counted. */
const listedTargets = 10;

type Counts = Pick<KollectClusterInventoryStatus, 'targetCount' | 'namespaceShardCount' | 'namespaceShards'>;

/** What status tells of a rollup beside what it tells of every inventory. */
export function rollupCounts({ shardCount, shards }: RollupFacts, view: InventoryView): Counts {
  return { targetCount: view.targets.size, namespaceShardCount: shardCount, namespaceShards: shards(listedShards) };
}

/** What stands in the way because of the targets, worst first. */
export function targetTrouble(spec: KollectClusterInventorySpec, { problems }: RollupFacts, view: InventoryView): { reason: 'NoTargets' | 'TargetDegraded'; message: string } | undefined {
  if (view.targets.size === 0) return { reason: 'NoTargets', message: `${noTargets(spec)}; create a KollectClusterTarget, or correct spec.targetRefs or spec.targetSelector` };
  const troubled = problems();
  if (troubled.length === 0) return undefined;
  const more = troubled.length > listedTargets ? ` and ${troubled.length - listedTargets} more` : '';
  const names = troubled.slice(0, listedTargets).map(({ name, reason }) => `${name} (${reason})`).join(', ');
  return { reason: 'TargetDegraded', message: `target(s) ${names}${more} are not ready: what they have is exported, and nothing of theirs is deleted by comparison` };
}

/** Whether the last exports succeeded, as older scripts ask for it. */
export function exportSucceeded(exported: number, failed: number, { reason, message }: Verdict): Verdict[] {
  const type = 'ExportSucceeded';
  if (exported === 0 && failed === 0) return [];
  if (exported === 0) return [{ type, status: 'False', reason, message }];
  const text = `the last export to ${exported} of ${exported + failed} sink(s) succeeded`;
  return [{ type, status: 'True', reason: failed === 0 ? 'Exported' : 'PartiallySynced', message: text }];
}

function noTargets({ targetRefs = [], targetSelector }: KollectClusterInventorySpec): string {
  if (targetRefs.length > 0) return `none of the targets of spec.targetRefs exists: ${targetRefs.slice(0, listedTargets).join(', ')}`;
  return targetSelector ? 'spec.targetSelector selects no KollectClusterTarget' : 'there is no KollectClusterTarget';
}
