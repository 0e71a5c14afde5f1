import type { InitialListStatus } from '../../shared/api/collection-filter.ts';
import type { KollectTargetStatus } from '../../shared/api/kollect-target.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { maxRowBytes } from '../../shared/extract/step-budget.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import type { CollectionState, ResourceState } from './collector.ts';
import type { Problem } from './resource-planner.ts';
import type { Shortage, TargetRows } from './target-rows.ts';

/** Names listed in status; the rest is counted in the message. */
const listedNamespaces = 100;
/** Resources named in a message. */
const listedResources = 5;

/** Why a target does not collect, or how far it is, and why not with all of its kinds. `degraded` keeps its rows, `denied` may have none. */
export type TargetOutcome =
  | { kind: 'degraded' | 'denied'; problems: readonly Problem[] }
  | { kind: 'collecting'; state: CollectionState; problems: readonly Problem[] };

/** Computes the whole status of a target. */
export function targetStatus(
  target: KubeObject,
  previous: KollectTargetStatus | undefined,
  outcome: TargetOutcome,
  rows: TargetRows,
  now: string,
  /** Whether the sinks that the rows go to can be reached; unset where nobody exports them. */
  sinkReachable?: Verdict,
  initialList?: InitialListStatus,
): KollectTargetStatus {
  const { generation } = target.metadata;
  // A count that was never measured since the start does not overwrite the one that was.
  const isMeasured = outcome.kind === 'collecting' ? outcome.state.synced : outcome.kind === 'denied';
  const counted = !isMeasured && rows.count === 0 ? previous?.collectedCount : rows.count;
  const status: KollectTargetStatus = {
    conditions: conditionsOf([...verdicts(outcome, rows), ...(sinkReachable ? [sinkReachable] : [])], previous?.conditions, generation, now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(initialList === undefined ? {} : { initialList }),
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

/** The status of a target whose first list is about to begin. All else that it says is as old as before. */
export function startingStatus({ metadata: { generation } }: KubeObject, previous: KollectTargetStatus | undefined, initialList: InitialListStatus | undefined, now: string): KollectTargetStatus {
  const begun = conditionsOf(awaitingSync('the first list since the controller started is not complete'), previous?.conditions, generation, now);
  const others = previous?.conditions?.filter(({ type }) => !begun.some((condition) => condition.type === type)) ?? [];
  return { ...previous, conditions: [...begun, ...others], ...(generation === undefined ? {} : { observedGeneration: generation }), initialList };
}

function firstByName(names: readonly string[]): string[] {
  return [...names].sort().slice(0, listedNamespaces);
}

function verdicts(outcome: TargetOutcome, rows: TargetRows): Verdict[] {
  if (outcome.kind !== 'collecting') return failed(outcome.problems);
  const { state } = outcome;
  const problems = [...outcome.problems, ...state.resources.flatMap(problemOf)];
  if (problems.length > 0) return failed(problems);
  const what = few(state.resources.map(({ resource }) => qualified(resource)), ', ');
  if (!state.synced) {
    const unlisted = state.resources.filter(({ synced }) => !synced).map(({ resource }) => qualified(resource));
    return awaitingSync(`the first list of ${few(unlisted, ', ')} is not complete`);
  }
  if (rows.shortage) return failed([{ reason: rows.shortage === 'maxRowBytes' ? 'PayloadTooLarge' : 'QuotaExceeded', message: quotaMessage(rows, rows.shortage) }]);
  const message = `collecting ${what}${state.resources.some(({ resource }) => resource.namespaced) ? places(state) : ''}${polling(state)}`;
  const ready: Verdict = { type: 'Ready', status: 'True', reason: 'Collecting', message };
  const fine: Verdict = { type: 'Degraded', status: 'False', reason: 'Collecting', message };
  const leftOut = state.resources.flatMap(({ watch }) => (watch.reason === 'Forbidden' ? (watch.message ?? '') : []));
  if (leftOut.length > 0) {
    return [ready, { type: 'Synced', status: 'True', reason: 'ScopeForbidden', message: `${message}; left out: ${few(leftOut, '; ')}` }, fine];
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

/** What comes late, and how late. */
function polling({ resources }: CollectionState): string {
  const polled = resources.filter((of) => of.polled.namespaces > 0);
  if (polled.length === 0) return '';
  const each = polled.map((of) => `${qualified(of.resource)} in ${of.polled.namespaces}`);
  return `; listed every ${polled[0]!.polled.everyMs / 1_000} s instead of watched, as there are more than --max-namespace-watches: ${few(each, ', ')}`;
}

function quotaMessage(rows: TargetRows, shortage: Shortage): string {
  const { count, more } = rows.refused;
  const left = `${more ? 'more than ' : ''}${count} object(s) are left out or kept as they were`;
  if (shortage === 'maxRowBytes') return `${left}, because a row has at most ${maxRowBytes} bytes; select less of each object`;
  if (shortage === 'memory') return `${left}, because this is the largest target and the controller is short of memory; select less, extract less, or give the controller more memory`;
  const held = shortage === 'maxRows' ? `${rows.count} of at most ${rows.limits.maxRows} rows` : `${rows.bytes} of at most ${rows.limits.maxBytes} bytes`;
  return `the target holds ${held}, and ${left}; select less, or raise ${shortage} in spec.limits of the target or its scope`;
}

function awaitingSync(message: string): Verdict[] {
  return (['Ready', 'Synced', 'Degraded'] as const).map((type) => ({ type, status: 'False', reason: 'AwaitingSync', message }));
}

/** The first problem gives the reason, and all of them the message. */
function failed(problems: readonly Problem[]): Verdict[] {
  const reason = problems[0]!.reason;
  const message = few(problems.map((problem) => problem.message), '; ');
  return [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Synced', status: 'False', reason, message },
    { type: 'Degraded', status: 'True', reason, message },
  ];
}

function problemOf({ resource, watch }: ResourceState): Problem[] {
  if (watch.phase !== 'Failed') return [];
  return [{ reason: 'InformerRegistrationFailed', message: `${qualified(resource)} cannot be listed and watched: ${watch.message ?? watch.reason ?? 'unknown error'}` }];
}

/** `deployments.apps` */
function qualified({ plural, group }: ApiResource): string {
  return `${plural}${group && `.${group}`}`;
}

function few(texts: readonly string[], separator: string): string {
  const rest = texts.length - listedResources;
  return texts.slice(0, listedResources).join(separator) + (rest > 0 ? `${separator}and ${rest} more` : '');
}
