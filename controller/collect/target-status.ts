import type { Reason } from '../../shared/api/conditions.ts';
import type { KollectTargetStatus } from '../../shared/api/kollect-target.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import type { CollectionState } from './collector.ts';
import type { Shortage, TargetRows } from './row-store.ts';

/** Names listed in status; the rest is counted in the message. */
const listedNamespaces = 100;

/** Why a target does not collect, or how far it is. `degraded` keeps its rows, `denied` may have none. */
export type TargetOutcome =
  | { kind: 'degraded' | 'denied'; reason: Reason; message: string }
  | { kind: 'collecting'; state: CollectionState };

/** Computes the whole status of a target. */
export function targetStatus(
  target: KubeObject,
  previous: KollectTargetStatus | undefined,
  outcome: TargetOutcome,
  rows: TargetRows,
  now: string,
): KollectTargetStatus {
  const { generation } = target.metadata;
  // A count that was never measured since the start does not overwrite the one that was.
  const counted = outcome.kind === 'degraded' && rows.count === 0 ? previous?.collectedCount : rows.count;
  const status: KollectTargetStatus = {
    conditions: conditionsOf(verdicts(outcome, rows), previous?.conditions, generation, now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(counted === undefined
      ? {}
      : {
          collectedCount: counted,
          collectedCountUpdatedAt: counted === previous?.collectedCount ? (previous?.collectedCountUpdatedAt ?? now) : now,
        }),
  };
  if (outcome.kind === 'collecting') {
    const { matchedNamespaces, effectiveNamespaces } = outcome.state;
    status.matchedNamespaces = firstByName(matchedNamespaces);
    status.effectiveNamespaces = firstByName(effectiveNamespaces);
    status.activeResourceRules = (target['spec'] as { resourceRules?: unknown[] }).resourceRules?.length ?? 0;
    status.extractionFailures = rows.failing;
    if (status.extractionFailures > 0 && outcome.state.lastFailure) status.lastExtractionError = outcome.state.lastFailure;
  }
  return status;
}

function firstByName(names: readonly string[]): string[] {
  return [...names].sort().slice(0, listedNamespaces);
}

function verdicts(outcome: TargetOutcome, rows: TargetRows): Verdict[] {
  if (outcome.kind !== 'collecting') return failed(outcome.reason, outcome.message);
  const { state } = outcome;
  const what = `${state.resource.plural}${state.resource.group && `.${state.resource.group}`}`;
  if (state.watch.phase === 'Failed') {
    return failed('InformerRegistrationFailed', `${what} cannot be listed and watched: ${state.watch.message ?? state.watch.reason ?? 'unknown error'}`);
  }
  if (!state.synced) {
    const message = `the first list of ${what} is not complete`;
    return [
      { type: 'Ready', status: 'False', reason: 'AwaitingSync', message },
      { type: 'Synced', status: 'False', reason: 'AwaitingSync', message },
      { type: 'Degraded', status: 'False', reason: 'AwaitingSync', message },
    ];
  }
  if (rows.shortage) return failed('QuotaExceeded', quotaMessage(rows, rows.shortage));
  const message = `collecting ${what}${state.resource.namespaced ? places(state) : ''}`;
  const ready: Verdict = { type: 'Ready', status: 'True', reason: 'Collecting', message };
  const fine: Verdict = { type: 'Degraded', status: 'False', reason: 'Collecting', message };
  if (state.watch.reason === 'Forbidden') {
    return [ready, { type: 'Synced', status: 'True', reason: 'ScopeForbidden', message: `${message}; left out: ${state.watch.message}` }, fine];
  }
  if (rows.failing > 0) {
    const partial = 'some attributes could not be extracted and are null; see extractionFailures and lastExtractionError';
    return [ready, { type: 'Synced', status: 'True', reason: 'PartialExtraction', message: partial }, fine];
  }
  return [ready, { type: 'Synced', status: 'True', reason: 'Collecting', message }, fine];
}

function places({ matchedNamespaces, effectiveNamespaces, scope }: CollectionState): string {
  const beyond = matchedNamespaces.length - effectiveNamespaces.length;
  const others = beyond === 0 ? '' : `; ${scope} leaves out ${beyond} more`;
  return ` from ${effectiveNamespaces.length} namespace(s)${others}`;
}

function quotaMessage(rows: TargetRows, shortage: Shortage): string {
  const { count, more } = rows.refused;
  const left = `${more ? 'more than ' : ''}${count} object(s) are left out`;
  if (shortage === 'memory') return `${left}, because this is the largest target and the controller is short of memory; select less, extract less, or give the controller more memory`;
  const held = shortage === 'maxRows' ? `${rows.count} of at most ${rows.limits.maxRows} rows` : `${rows.bytes} of at most ${rows.limits.maxBytes} bytes`;
  return `the target holds ${held}, and ${left}; select less, or raise ${shortage} in spec.limits of the target or its scope`;
}

function failed(reason: Reason, message: string): Verdict[] {
  return [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Synced', status: 'False', reason, message },
    { type: 'Degraded', status: 'True', reason, message },
  ];
}
