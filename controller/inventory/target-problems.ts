import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Condition } from '../../shared/api/meta.ts';

/** Targets named in a message; the rest is counted. */
const listedTargets = 10;

/** A target that an inventory is to have, and why it is not ready. */
export interface TargetProblem {
  name: string;
  /** Reason of its `Ready` condition, `NotFound` when there is no such target. */
  reason: string;
}

/** Why a target is not ready, as its status says. One that only waits for its lists has no problem. */
export function targetProblem(name: string, target: KubeObject | undefined): TargetProblem | undefined {
  const { conditions = [] } = (target?.['status'] ?? {}) as { conditions?: Condition[] };
  const ready = conditions.find(({ type }) => type === 'Ready');
  return ready?.status === 'False' && ready.reason !== 'AwaitingSync' ? { name, reason: ready.reason } : undefined;
}

/** What an inventory says of targets that are not ready. */
export function targetsDegraded(problems: readonly TargetProblem[]): { reason: 'TargetDegraded'; message: string } | undefined {
  if (problems.length === 0) return undefined;
  const more = problems.length > listedTargets ? ` and ${problems.length - listedTargets} more` : '';
  const names = problems.slice(0, listedTargets).map(({ name, reason }) => `${name} (${reason})`).join(', ');
  return { reason: 'TargetDegraded', message: `target(s) ${names}${more} are not ready: what they have is exported, and nothing of theirs is deleted that is not known to be gone` };
}
