import { annotations } from '../../shared/api/annotations.ts';
import type { KollectClusterInventorySpec } from '../../shared/api/kollect-cluster-inventory.ts';
import { maxSinkExports } from '../../shared/api/inventory-common.ts';
import type { KollectInventory, KollectInventoryStatus } from '../../shared/api/kollect-inventory.ts';
import type { KollectError } from '../../shared/errors.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import type { Binding } from './binding.ts';
import { removingEntry } from './cleanup.ts';
import type { RollupFacts } from './inventory-rows.ts';
import { exportSucceeded, rollupCounts, targetTrouble } from './rollup-status.ts';
import type { InventoryView } from './view.ts';

/** Names of waiting targets shown in a message; the rest is counted. */
const listedTargets = 10;

/** Data that is being removed because its reference left the spec, or because the inventory is deleted. */
export interface RemovalState {
  key: string;
  namespace: string;
  error: KollectError | undefined;
}

export interface InventoryFacts {
  inventory: KollectInventory;
  /** The status last written or read. */
  previous: KollectInventoryStatus | undefined;
  view: InventoryView;
  /** Of a KollectClusterInventory. */
  rollup: RollupFacts | undefined;
  bindings: readonly Binding[];
  removals: readonly RemovalState[];
  /** Names of targets whose list is not complete, and that nothing else is known of. */
  awaiting: readonly string[];
  /** Names of targets that leave out objects. */
  incomplete: readonly string[];
  /** Why nothing is exported at all, such as a spec that breaks a rule. */
  blocked: { reason: string; message: string } | undefined;
  /** Value of the annotation that asked for a comparison last. */
  asked: string | undefined;
}

/** Computes the whole status of an inventory. */
export function inventoryStatus(facts: InventoryFacts, now: string): KollectInventoryStatus {
  const { previous, view, rollup, bindings, blocked } = facts;
  const generation = observedGeneration(facts);
  const handled = !blocked && bindings.every((binding) => binding.compared) ? facts.asked : previous?.lastHandledReconcile;
  const found = verdicts(facts);
  const countOf = (phase: Binding['state']['phase']): number => bindings.filter(({ state }) => state.phase === phase).length;
  const outcome = rollup ? exportSucceeded(countOf('Exported'), countOf('Failed'), found[0]!) : [];
  const lastExportTime = latest(bindings.map((binding) => binding.state.lastExportTime)) ?? previous?.lastExportTime;
  return {
    conditions: conditionsOf([...found, ...outcome], previous?.conditions, generation, now),
    ...(generation === undefined ? {} : { observedGeneration: generation }),
    ...(handled === undefined ? {} : { lastHandledReconcile: handled }),
    itemCount: view.count,
    ...(rollup ? rollupCounts(rollup, view) : {}),
    ...(lastExportTime === undefined ? {} : { lastExportTime }),
    sinkExports: sinkEntries(facts, now),
  };
}

/** Of an edit, conditions speak once every sink has answered to it; until then they are those of the spec before. */
function observedGeneration({ inventory, bindings }: InventoryFacts): number | undefined {
  const { generation } = inventory.metadata;
  const answered = bindings.flatMap(({ state }) => (state.phase === 'Waiting' ? [] : state.generation));
  return generation === undefined ? undefined : Math.min(generation, ...answered);
}

function sinkEntries(facts: InventoryFacts, now: string): SinkExport[] {
  const { previous, bindings, removals, blocked } = facts;
  const removing = removals.map(removingEntry).slice(0, maxSinkExports);
  // While nothing is exported the entries stay: they say what the sinks still hold.
  const active = blocked ? (previous?.sinkExports ?? []).filter(({ phase }) => phase !== 'Removing') : bindings.map((binding) => sinkExport(binding, facts, now));
  // Nobody else remembers what is to be removed. Of a sink without an entry everything is compared after a restart.
  return [...active.slice(0, maxSinkExports - removing.length), ...removing];
}

type SinkExport = NonNullable<KollectInventoryStatus['sinkExports']>[number];

function sinkExport(binding: Binding, { previous }: InventoryFacts, now: string): SinkExport {
  const { state, lag } = binding;
  const { namespace } = binding.options;
  const before = previous?.sinkExports?.find((entry) => entry.name === binding.key && entry.namespace === namespace);
  return {
    name: binding.key,
    namespace,
    phase: 'Active',
    ...(state.fingerprint === undefined ? {} : { fingerprint: state.fingerprint }),
    ...(state.lastExportTime === undefined ? {} : { lastExportTime: state.lastExportTime }),
    ...(state.lastChecksum === undefined ? {} : { lastChecksum: state.lastChecksum }),
    ...(state.rows === undefined ? {} : { rows: state.rows }),
    lagRows: lag.rows,
    lagSeconds: Math.floor(lag.ms / 1000),
    rejectedRows: state.rejected.length,
    ...(state.error ? { lastError: state.error.message } : {}),
    conditions: conditionsOf([sinkVerdict(binding)], before?.conditions, state.generation, now),
  };
}

function sinkVerdict(binding: Binding): Verdict {
  const { state } = binding;
  if (state.phase === 'Failed') return { type: 'Synced', status: 'False', reason: 'ExportFailed', message: state.error?.message ?? 'export failed' };
  if (state.phase === 'Waiting') return { type: 'Synced', status: 'False', reason: 'AwaitingSync', message: 'nothing was exported since the controller started' };
  if (state.held) return { type: 'Synced', status: 'False', reason: 'DeletionHeld', message: holding([binding]) };
  if (state.rejected.length > 0) return { type: 'Synced', status: 'False', reason: 'PartialExport', message: rejection(binding) };
  return { type: 'Synced', status: 'True', reason: 'Exported', message: 'export completed' };
}

function rejection({ state: { rejected } }: Binding): string {
  const keys = rejected.slice(0, 10).map(({ key, code }) => `${key.targetName}/${key.uid} (${code})`);
  return `${rejected.length} row(s) were refused by the sink: ${keys.join(', ')}`;
}

function holding(bindings: readonly Binding[]): string {
  const holds = bindings.flatMap(({ key, state: { held } }) => (held ? [{ key, ...held }] : []));
  const text = holds.map(({ key, stale, rows }) => `${key} holds ${stale} row(s)${rows === undefined ? '' : ` of ${rows}`} that would be deleted`).join('; ');
  return holds.some(({ reason }) => reason === 'guard')
    ? `${text}, more than can be explained: look whether the objects are really gone, then set the annotation ${annotations.allowDeletes}: "true" to delete them`
    : `${text}, and are kept as long as the annotation ${annotations.pauseDeletes} is "true"`;
}

function verdicts(facts: InventoryFacts): Verdict[] {
  const { inventory, view, rollup, bindings, awaiting, blocked } = facts;
  if (blocked) return failed(blocked.reason, blocked.message, 'Unknown');
  const trouble = rollup && targetTrouble(inventory.spec as KollectClusterInventorySpec, rollup, view);
  if (trouble && (trouble.reason === 'NoTargets' || bindings.length === 0)) return failed(trouble.reason, trouble.message, 'Unknown');
  if (bindings.length === 0) {
    const reason = rollup ? 'RolledUp' : 'NoExport';
    const message = 'no sink is referenced; rows are collected only';
    return [
      { type: 'Ready', status: 'True', reason, message },
      { type: 'Synced', status: 'True', reason, message },
      { type: 'Degraded', status: 'False', reason, message },
      { type: 'SinkReachable', status: 'True', reason: 'NoSinksConfigured', message },
    ];
  }
  const broken = bindings.filter((binding) => binding.state.phase === 'Failed');
  const exported = bindings.filter((binding) => binding.state.phase === 'Exported');
  if (broken.length > 0) return brokenVerdicts(broken, exported.length, bindings.length);
  if (trouble) return degradedTargets(trouble.message, exported.length);
  const held = bindings.filter((binding) => binding.state.held);
  if (held.some((binding) => binding.state.held?.reason === 'guard')) return [...failed('DeletionHeld', holding(held), 'False').slice(0, 3), reachable(exported.length)];
  if (awaiting.length > 0 || exported.length < bindings.length) {
    const message = waiting(awaiting);
    return [
      { type: 'Ready', status: 'False', reason: 'AwaitingSync', message },
      { type: 'Synced', status: 'False', reason: 'AwaitingSync', message },
      { type: 'Degraded', status: 'False', reason: 'AwaitingSync', message },
      ...(exported.length > 0 ? [reachable(exported.length)] : []),
    ];
  }
  if (facts.incomplete.length > 0) {
    const message = `target(s) ${listed(facts.incomplete)} leave out objects: what they have is exported, and what the sinks hold of the others stays as it is`;
    return degradedTargets(message, exported.length);
  }
  const partial = bindings.find((binding) => binding.state.rejected.length > 0);
  const message = `all rows are in ${bindings.length} sink(s)`;
  return [
    { type: 'Ready', status: 'True', reason: 'Exported', message },
    held.length > 0
      ? { type: 'Synced', status: 'False', reason: 'DeletionHeld', message: holding(held) }
      : partial
      ? { type: 'Synced', status: 'False', reason: 'PartialExport', message: rejection(partial) }
      : { type: 'Synced', status: 'True', reason: 'Exported', message },
    { type: 'Degraded', status: 'False', reason: 'Exported', message },
    reachable(exported.length),
  ];
}

function degradedTargets(message: string, exported: number): Verdict[] {
  return [
    { type: 'Ready', status: 'False', reason: 'TargetDegraded', message },
    { type: 'Synced', status: 'False', reason: 'TargetDegraded', message },
    { type: 'Degraded', status: 'True', reason: 'TargetDegraded', message },
    ...(exported > 0 ? [reachable(exported)] : []),
  ];
}

function brokenVerdicts(broken: readonly Binding[], exported: number, total: number): Verdict[] {
  const errors = broken.map((binding) => ({ key: binding.key, error: binding.state.error! }));
  const text = errors.map(({ key, error }) => `${key}: ${error.message}`).join('; ');
  const terminal = errors.every(({ error }) => error.class === 'terminal');
  const reasons = new Set(errors.map(({ error }) => error.reason));
  const reason = reasons.size === 1 ? errors[0]!.error.reason : terminal ? 'ExportTerminal' : 'Progressing';
  const reachability: Verdict = {
    type: 'SinkReachable',
    status: 'False',
    reason: reason === 'SinkNotFound' ? 'SinkNotFound' : terminal ? 'ExportTerminal' : 'ExportFailed',
    message: text,
  };
  const degraded: Verdict = { type: 'Degraded', status: 'True', reason, message: text };
  const synced: Verdict =
    exported > 0
      ? { type: 'Synced', status: 'False', reason: 'PartiallySynced', message: `${exported}/${total} sinks exported; ${text}` }
      : { type: 'Synced', status: 'False', reason, message: text };
  return [{ type: 'Ready', status: 'False', reason, message: text }, synced, degraded, reachability];
}

function failed(reason: string, message: string, sinkReachable: 'Unknown' | 'False'): Verdict[] {
  return [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Synced', status: 'False', reason, message },
    { type: 'Degraded', status: 'True', reason, message },
    { type: 'SinkReachable', status: sinkReachable, reason, message },
  ];
}

function reachable(count: number): Verdict {
  return { type: 'SinkReachable', status: 'True', reason: 'ExportSucceeded', message: `the last export to ${count} sink(s) succeeded` };
}

function waiting(names: readonly string[]): string {
  if (names.length === 0) return 'waiting for the first export';
  return `waiting for the first complete list of target(s) ${listed(names)}; nothing of theirs is deleted meanwhile`;
}

function listed(names: readonly string[]): string {
  const more = names.length > listedTargets ? ` and ${names.length - listedTargets} more` : '';
  return `${names.slice(0, listedTargets).join(', ')}${more}`;
}

function latest(times: readonly (string | undefined)[]): string | undefined {
  return times.reduce((newest, time) => (newest === undefined || (time !== undefined && time > newest) ? time : newest), undefined);
}
