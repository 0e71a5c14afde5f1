import type { Condition } from '../../shared/api/meta.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';

/** One event for each change that a person would want to hear of: trouble when it begins or changes, and the return to health. */
export function recordTransition(events: EventRecorder, object: KubeObject, before: Condition | undefined, after: Condition): void {
  if (isTrouble(after)) events.event(object, 'Warning', after.reason, after.message);
  if (after.type === 'Ready' && after.status === 'True' && before?.status !== 'True') {
    events.event(object, 'Normal', after.reason === 'Exported' ? 'ExportSucceeded' : after.reason, after.message);
  }
}

/** Whether a condition is trouble that an event tells of, because it was none before or another. */
export function isTold(before: Condition | undefined, after: Condition): boolean {
  return isTrouble(after) && (before?.status !== after.status || before.reason !== after.reason);
}

function isTrouble({ type, status, reason }: Condition): boolean {
  return (type === 'Degraded' && status === 'True') || (type === 'Synced' && reason === 'PartialExport');
}
