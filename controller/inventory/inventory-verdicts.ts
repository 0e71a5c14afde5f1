import { annotations } from '../../shared/api/annotations.ts';
import type { Reason } from '../../shared/api/conditions.ts';
import type { Verdict } from '../observe/conditions.ts';
import type { Binding } from './binding.ts';
import { pausedRemoval } from './cleanup.ts';
import type { RemovalState } from './inventory-status.ts';
import type { SinkObstacle } from './sink-directory.ts';

/** Names of targets and keys of rows shown in a message; the rest is counted. */
const listed = 10;

/** What the conditions of an inventory follow from. */
export interface ExportFacts {
  bindings: readonly Pick<Binding, 'key' | 'place' | 'state'>[];
  /** Sinks whose rows are being removed. */
  removals: readonly RemovalState[];
  /** What speaks against sinks that were not written to yet, by place of the binding. */
  obstacles: ReadonlyMap<string, SinkObstacle>;
  /** What is wrong with the targets; `AwaitingSync`: there is none yet. */
  trouble: { reason: 'AwaitingSync' | 'NoTargets' | 'TargetDegraded'; message: string } | undefined;
  /** Names of targets whose list is not complete, and that nothing else is known of. */
  awaiting: readonly string[];
  /** Names of targets that leave out objects. */
  incomplete: readonly string[];
  /** Why nothing is exported at all, such as a spec that breaks a rule. */
  blocked: { reason: string; message: string } | undefined;
  isCluster: boolean;
}

/** Of several problems the first of these gives the reason: what somebody has to mend comes before what may pass by itself. */
const severity: readonly string[] = [
  'ScopeSinkDenied',
  'SinkNamespaceDenied',
  'ExportUnavailable',
  'SinkNotFound',
  'SinkForbidden',
  'SecretResolveFailed',
  'ExportTerminal',
  'ScopeLookupFailed',
  'SinkLookupFailed',
  'SinkUnreachable',
  'Progressing',
] satisfies Reason[];

interface Problem {
  key: string;
  reason: string;
  message: string;
}

/** The conditions of an inventory of either kind. */
export function inventoryVerdicts(facts: ExportFacts): Verdict[] {
  const { bindings, obstacles, trouble, awaiting, incomplete, isCluster } = facts;
  const blocked = facts.blocked ?? (trouble?.reason === 'NoTargets' || bindings.length === 0 ? trouble : undefined);
  if (blocked) return verdictsOf({ ready: blocked, sinkReachable: { status: 'Unknown', ...blocked } });
  if (bindings.length === 0) {
    const ready = { reason: isCluster ? 'RolledUp' : 'NoExport', message: 'no sink is referenced; rows are collected only' };
    return verdictsOf({ ready, isReady: true, synced: unsynced(removalProblems(facts.removals)), sinkReachable: { status: 'True', reason: 'NoSinksConfigured', message: ready.message } });
  }
  const exported = bindings.filter(({ state }) => state.phase === 'Exported').length;
  const problems = bindings.flatMap((binding) => problemOf(binding, facts) ?? []);
  if (problems.length > 0) return broken(facts, problems, exported);
  const [untested] = bindings.flatMap(({ key, place, state }) => (state.phase === 'Waiting' && obstacles.has(place) ? [{ key, ...obstacles.get(place)! }] : []));
  const sinkReachable: Omit<Verdict, 'type'> = untested
    ? { status: 'False', reason: untested.reason, message: `${untested.key}: ${untested.message}` }
    : exported === bindings.length
      ? { status: 'True', reason: 'ExportSucceeded', message: `the last export to ${exported} sink(s) succeeded` }
      : { status: 'True', reason: 'SinksReachable', message: `nothing speaks against ${bindings.length} sink(s)` };
  // What waits for lists is told of the targets.
  const held = bindings.filter(({ state }) => state.held && state.held.reason !== 'unlisted');
  const deletionHeld = { reason: 'DeletionHeld', message: heldDeletions(held) };
  if (held.some(({ state }) => state.held?.reason !== 'paused')) return verdictsOf({ ready: beside(deletionHeld, trouble), sinkReachable });
  if (trouble) return verdictsOf({ ready: trouble, sinkReachable });
  if (awaiting.length > 0 || exported < bindings.length) return verdictsOf({ ready: { reason: 'AwaitingSync', message: waiting(awaiting) }, sinkReachable });
  if (incomplete.length > 0) {
    const message = `target(s) ${few(incomplete)} leave out objects: what they have is exported, and what the sinks hold of the others stays as it is`;
    return verdictsOf({ ready: { reason: 'TargetDegraded', message }, sinkReachable });
  }
  const refusing = bindings.filter(({ state }) => state.rejected.length > 0);
  const refusals = refusing.map((binding) => `${binding.key}: ${refusedRows(binding)}`).join('; ');
  const tooLarge = refusing.some(({ state }) => state.rejected.some(({ code }) => code === 'PayloadTooLarge'));
  if (tooLarge) return verdictsOf({ ready: { reason: 'PayloadTooLarge', message: refusals }, sinkReachable });
  const ready = { reason: 'Exported', message: `all rows are in ${bindings.length} sink(s)` };
  const synced = unsynced([
    ...(held.length > 0 ? [deletionHeld] : []),
    ...(refusing.length > 0 ? [{ reason: 'PartialExport', message: refusals }] : []),
    ...removalProblems(facts.removals),
  ]);
  const untouched = held.filter(({ state }) => state.held?.isUntouched);
  const lacking = new Set([...refusing, ...untouched]).size;
  const why = [...(refusing.length > 0 ? [refusals] : []), ...(untouched.length > 0 ? [heldDeletions(untouched)] : [])].join('; ');
  if (lacking > 0) ready.message = `${bindings.length - lacking} of ${bindings.length} sink(s) hold all rows; ${why}`;
  return verdictsOf({ ready, isReady: true, synced, sinkReachable });
}

/** What sinks hold that the spec names no more. */
function removalProblems(removals: readonly RemovalState[]): { reason: string; message: string }[] {
  const paused = removals.filter(({ isPaused }) => isPaused);
  // Of one that was never exported to it is only told in its entry.
  const failed = removals.filter(({ isPaused, error, fingerprint }) => !isPaused && error && fingerprint !== undefined);
  return [
    ...(paused.length > 0 ? [{ reason: 'DeletionHeld', message: `${few(paused.map(({ key }) => key))}: not referenced any more, and ${pausedRemoval}` }] : []),
    ...(failed.length > 0 ? [{ reason: 'Progressing', message: few(failed.map(({ key, error }) => `${key}: not referenced any more, and its rows could not be removed, which is tried again: ${error!.message}`), '; ') }] : []),
  ];
}

/** `Synced` of an inventory that is ready all the same. */
function unsynced(problems: readonly { reason: string; message: string }[]): Omit<Verdict, 'type'> | undefined {
  const [first] = problems;
  return first && { status: 'False', reason: first.reason, message: problems.map(({ message }) => message).join('; ') };
}

/** The condition of one entry of `status.sinkExports`. */
export function sinkVerdict(binding: Pick<Binding, 'key' | 'state'>): Verdict {
  const { phase, error, held, rejected } = binding.state;
  if (phase === 'Failed') return { type: 'Synced', status: 'False', reason: 'ExportFailed', message: error?.message ?? 'export failed' };
  if (phase === 'Waiting') return { type: 'Synced', status: 'False', reason: 'AwaitingSync', message: 'nothing was exported since the controller started' };
  if (held?.reason === 'unlisted') return { type: 'Synced', status: 'False', reason: 'AwaitingSync', message: 'rows that went while no controller ran go when all targets are listed' };
  if (held) return { type: 'Synced', status: 'False', reason: 'DeletionHeld', message: heldDeletions([binding]) };
  if (rejected.length > 0) return { type: 'Synced', status: 'False', reason: 'PartialExport', message: refusedRows(binding) };
  return { type: 'Synced', status: 'True', reason: 'Exported', message: 'export completed' };
}

/** What is known of one sink of some inventory. */
export interface SinkState {
  /** `KollectInventory "audit"`, for the message. */
  inventory: string;
  key: string;
  state: Binding['state'] | undefined;
  obstacle: SinkObstacle | undefined;
}

/** The condition of a target: whether the sinks that its rows go to can be reached. It says nothing of whether they are collected. */
export function targetSinkVerdict(sinks: readonly SinkState[]): Verdict {
  const type = 'SinkReachable';
  if (sinks.length === 0) return { type, status: 'True', reason: 'NoSinksInNamespace', message: 'no KollectInventory of the namespace names a sink' };
  const problems = sinks.flatMap(({ inventory, key, state, obstacle }): Problem[] => {
    if (state?.phase === 'Exported' || (state?.error && state.error.reason === 'Progressing')) return [];
    if (!state?.error) return obstacle ? [{ key: `${inventory}, ${key}`, ...obstacle }] : [];
    const { reason, message } = state.error;
    return [{ key: `${inventory}, ${key}`, reason: targetReasons.has(reason) ? reason : 'SinkUnreachable', message }];
  });
  if (problems.length === 0) return { type, status: 'True', reason: 'SinksReachable', message: `nothing speaks against ${sinks.length} sink(s)` };
  const [{ reason }] = problems.toSorted((a, b) => rank(a) - rank(b)) as [Problem];
  return { type, status: 'False', reason, message: few(problems.map((problem) => `${problem.key}: ${problem.message}`), '; ') };
}

const targetReasons: ReadonlySet<string> = new Set(['SinkForbidden', 'SinkLookupFailed', 'SinkNotFound']);

function problemOf({ key, place, state }: ExportFacts['bindings'][number], { obstacles }: ExportFacts): Problem | undefined {
  if (state.phase === 'Failed') return { key, reason: state.error?.reason ?? 'Progressing', message: state.error?.message ?? 'the export failed' };
  const obstacle = state.phase === 'Waiting' ? obstacles.get(place) : undefined;
  // What a connection test found may be mended by now, and an export will tell.
  return obstacle && obstacle.reason !== 'SinkUnreachable' ? { key, ...obstacle } : undefined;
}

function broken(facts: ExportFacts, problems: readonly Problem[], exported: number): Verdict[] {
  const [{ reason }] = problems.toSorted((a, b) => rank(a) - rank(b)) as [Problem];
  const message = problems.map((problem) => `${problem.key}: ${problem.message}`).join('; ');
  const partly = exported > 0 ? { reason: 'PartiallySynced', message: `${exported}/${facts.bindings.length} sinks exported; ${message}` } : undefined;
  return verdictsOf({
    ready: beside({ reason, message }, facts.trouble),
    ...(partly && { synced: { status: 'False', ...partly } }),
    // An export that will be tried again says little of the sink.
    sinkReachable: { status: 'False', reason: reason === 'Progressing' ? 'ExportFailed' : reason, message },
  });
}

/** A message names what is wrong with targets, too. */
function beside({ reason, message }: Judgement['ready'], trouble: ExportFacts['trouble']): Judgement['ready'] {
  return { reason, message: trouble ? `${message}; ${trouble.message}` : message };
}

interface Judgement {
  ready: { reason: string; message: string };
  isReady?: boolean;
  /** As `ready` when unset. */
  synced?: Omit<Verdict, 'type'> | undefined;
  sinkReachable: Omit<Verdict, 'type'>;
}

function verdictsOf({ ready, isReady = false, synced, sinkReachable }: Judgement): Verdict[] {
  const whole: Omit<Verdict, 'type'> = { status: isReady ? 'True' : 'False', ...ready };
  return [
    { type: 'Ready', ...whole },
    { type: 'Synced', ...(synced ?? whole) },
    { type: 'Degraded', ...ready, status: isReady || ready.reason === 'AwaitingSync' ? 'False' : 'True' },
    { type: 'SinkReachable', ...sinkReachable },
  ];
}

function rank({ reason }: Problem): number {
  const index = severity.indexOf(reason);
  return index < 0 ? severity.length : index;
}

function refusedRows({ state: { rejected } }: Pick<Binding, 'state'>): string {
  const keys = rejected.slice(0, listed).map(({ key, code, message }) => `${key.targetName}/${key.uid} (${message}, ${code})`);
  return `${rejected.length} row(s) were refused by the sink, and are tried again when they change: ${keys.join(', ')}${rejected.length > listed ? ' …' : ''}`;
}

function heldDeletions(bindings: readonly Pick<Binding, 'key' | 'state'>[]): string {
  const holds = bindings.flatMap(({ key, state: { held } }) => (held ? [{ key, ...held }] : []));
  const text = holds.map(({ key, stale, rows, isUntouched }) => `${key} holds ${stale} row(s)${rows === undefined ? '' : ` of ${rows}`} that would be deleted${isUntouched ? ' (no change is written meanwhile)' : ''}`).join('; ');
  const consent = `set the annotation ${annotations.allowDeletes}: "true" to delete them`;
  if (holds.some(({ reason }) => reason === 'foreign')) return `${text}, which somebody else wrote: look whether anybody still needs them, then ${consent}`;
  return holds.some(({ reason }) => reason === 'guard')
    ? `${text}, more than can be explained: look whether the objects are really gone, then ${consent}`
    : `${text}, and are kept as long as the annotation ${annotations.pauseDeletes} is "true"`;
}

function waiting(names: readonly string[]): string {
  if (names.length === 0) return 'waiting for the first export';
  return `waiting for the first complete list of target(s) ${few(names)}; nothing of theirs is deleted meanwhile`;
}

function few(names: readonly string[], separator = ', '): string {
  const more = names.length > listed ? ` and ${names.length - listed} more` : '';
  return `${names.slice(0, listed).join(separator)}${more}`;
}
