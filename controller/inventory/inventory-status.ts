import type { KollectClusterInventorySpec } from '../../shared/api/kollect-cluster-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { maxSinkExports } from '../../shared/api/inventory-common.ts';
import type { KollectInventory, KollectInventoryStatus } from '../../shared/api/kollect-inventory.ts';
import type { KollectError } from '../../shared/errors.ts';
import { conditionsOf } from '../observe/conditions.ts';
import type { Binding } from './binding.ts';
import { placeOf, rowsThere } from './binding-state.ts';
import { exportedSink, ownFingerprint, referencedSinks, removingEntry } from './cleanup.ts';
import type { RollupFacts } from './inventory-rows.ts';
import { inventoryVerdicts, sinkVerdict, type ExportFacts } from './inventory-verdicts.ts';
import { pastTime } from './past-time.ts';
import { exportSucceeded, noTargets, rollupCounts } from './rollup-status.ts';
import { targetsDegraded, type TargetProblem } from './target-problems.ts';
import type { InventoryView } from './view.ts';

/** Data that is being removed because its reference left the spec, or because the inventory is deleted. */
export interface RemovalState {
  key: string;
  namespace: string;
  /** See `ExportedSink`. */
  fingerprint: string | undefined;
  /** It waits until deletions are not paused any more. */
  isPaused: boolean;
  error: KollectError | undefined;
}

export interface InventoryFacts extends Omit<ExportFacts, 'trouble' | 'isCluster'> {
  inventory: KollectInventory;
  /** The status last written or read. */
  previous: KollectInventoryStatus | undefined;
  view: InventoryView;
  /** Targets that are not ready. */
  problems: readonly TargetProblem[];
  /** Of a KollectClusterInventory. */
  rollup: RollupFacts | undefined;
  bindings: readonly Binding[];
  removals: readonly RemovalState[];
  /** There are no targets, and may be some soon. */
  isEarly: boolean;
  /** Value of the annotation that asked for a comparison last. */
  asked: string | undefined;
}

/** Computes the whole status of an inventory. */
export function inventoryStatus(facts: InventoryFacts, now: string): KollectInventoryStatus {
  const { inventory, previous, view, rollup, bindings } = facts;
  const generation = observedGeneration(facts);
  const handled = !isIdle(facts) && isCompared(facts) ? facts.asked : previous?.lastHandledReconcile;
  const trouble = rollup && view.targets.size === 0 ? noTargets(inventory.spec as KollectClusterInventorySpec, facts.isEarly) : targetsDegraded(facts.problems);
  const found = inventoryVerdicts({ ...facts, trouble, isCluster: rollup !== undefined });
  const countOf = (phase: Binding['state']['phase']): number => bindings.filter(({ state }) => state.phase === phase).length;
  const outcome = rollup ? exportSucceeded(countOf('Exported'), countOf('Failed'), found[0]!) : [];
  const lastExportTime = latest(bindings.map((binding) => binding.state.lastExportTime)) ?? pastTime(previous?.lastExportTime, now);
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

/** Nothing is exported, or not yet. */
function isIdle({ blocked, isEarly, bindings }: InventoryFacts): boolean {
  return blocked !== undefined || (isEarly && bindings.length === 0);
}

/** Every sink was compared with the rows of every target that nothing is wrong with. */
function isCompared({ view, problems, bindings }: InventoryFacts): boolean {
  const troubled = new Set(problems.map(({ name }) => name));
  return bindings.every(({ compared }) => compared) && view.targets.values().every((target) => troubled.has(target.name) || view.isRead(target));
}

/** Of an edit, conditions speak once every sink has answered to it; until then they are those of the spec before. */
function observedGeneration({ inventory, bindings }: InventoryFacts): number | undefined {
  const { generation } = inventory.metadata;
  const answered = bindings.flatMap(({ state }) => (state.phase === 'Waiting' ? [] : state.generation));
  return generation === undefined ? undefined : Math.min(generation, ...answered);
}

function sinkEntries(facts: InventoryFacts, now: string): SinkExport[] {
  const { bindings, removals, blocked } = facts;
  const removing = removals.map((removal) => removingEntry(removal, blocked?.reason === 'Suspended')).slice(0, maxSinkExports);
  const active = isIdle(facts) ? keptEntries(facts) : bindings.map((binding) => sinkExport(binding, facts, now));
  // Nobody else remembers what is to be removed. Of a sink without an entry everything is compared after a restart.
  return [...active.slice(0, maxSinkExports - removing.length), ...removing];
}

/** While nothing is exported the entries stay: they say what the sinks still hold. */
function keptEntries({ inventory, previous, blocked }: InventoryFacts): SinkExport[] {
  const entries = previous?.sinkExports ?? [];
  // Nobody knows what it names.
  if (blocked?.reason === 'InvalidSpec') return entries.filter(({ phase }) => phase !== 'Removing');
  const named = new Set(referencedSinks(inventory as unknown as KubeObject).map(placeOf));
  const kept = entries.filter((entry) => named.has(placeOf(exportedSink(entry))));
  return kept.map((entry) => (entry.phase === 'Removing' ? { ...entry, phase: 'Active', lastError: undefined } : entry));
}

type SinkExport = NonNullable<KollectInventoryStatus['sinkExports']>[number];

function sinkExport(binding: Binding, { previous }: InventoryFacts, now: string): SinkExport {
  const { state, lag } = binding;
  const { namespace } = binding.options;
  const fingerprint = ownFingerprint(binding);
  const rows = rowsThere(state);
  const before = previous?.sinkExports?.find((entry) => entry.name === binding.key && entry.namespace === namespace);
  return {
    name: binding.key,
    namespace,
    phase: 'Active',
    dirty: binding.dirty,
    ...(fingerprint === undefined ? {} : { fingerprint }),
    ...(state.lastExportTime === undefined ? {} : { lastExportTime: state.lastExportTime }),
    ...(state.lastChecksum === undefined ? {} : { lastChecksum: state.lastChecksum }),
    ...(rows === undefined ? {} : { rows }),
    lagRows: lag.rows,
    lagSeconds: Math.floor(lag.ms / 1000),
    rejectedRows: state.rejected.length,
    ...(state.error ? { lastError: state.error.message } : {}),
    conditions: conditionsOf([sinkVerdict(binding)], before?.conditions, state.generation, now),
  };
}

function latest(times: readonly (string | undefined)[]): string | undefined {
  return times.reduce((newest, time) => (newest === undefined || (time !== undefined && time > newest) ? time : newest), undefined);
}
