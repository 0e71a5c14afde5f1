import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KollectInventoryStatus } from '../../shared/api/kollect-inventory.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import { isTold } from '../observe/transitions.ts';

/**
 * An event for each sink that is in trouble since the status before, where nothing of the inventory's own conditions tells of it: those keep their reason when a
 * second sink fails beside the first.
 */
export function recordSinkTrouble(events: EventRecorder, object: KubeObject, before: KollectInventoryStatus | undefined, after: KollectInventoryStatus): void {
  if (after.conditions?.some((condition) => isTold(before?.conditions?.find(({ type }) => type === condition.type), condition))) return;
  for (const entry of after.sinkExports ?? []) {
    const [trouble] = entry.conditions ?? [];
    const [former] = before?.sinkExports?.find(({ name, namespace }) => name === entry.name && namespace === entry.namespace)?.conditions ?? [];
    if (trouble?.status !== 'False' || trouble.reason === 'AwaitingSync' || trouble.reason === former?.reason) continue;
    // It was seen before it was tried.
    if (before?.conditions?.some(({ message }) => message.includes(`${entry.name}: ${trouble.message}`))) continue;
    events.event(object, 'Warning', trouble.reason, `${entry.name} in namespace ${entry.namespace}: ${trouble.message}`);
  }
}
