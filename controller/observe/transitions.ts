import type { Condition } from '../../shared/api/meta.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';

/** One event for each change that a person would want to hear of: trouble when it begins or changes, and the return to health. */
export function recordTransition(events: EventRecorder, object: KubeObject, before: Condition | undefined, after: Condition): void {
  if (after.type === 'Degraded' && after.status === 'True') events.event(object, 'Warning', after.reason, after.message);
  if (after.type === 'Synced' && after.reason === 'PartialExport') events.event(object, 'Warning', after.reason, after.message);
  if (after.type === 'Ready' && after.status === 'True' && before?.status !== 'True') {
    events.event(object, 'Normal', after.reason === 'Exported' ? 'ExportSucceeded' : after.reason, after.message);
  }
}
