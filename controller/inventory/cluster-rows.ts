import { selectsAll } from '../../shared/admission/rules/label-selectors.ts';
import type { KollectClusterInventorySpec } from '../../shared/api/kollect-cluster-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { matchesSelector } from '../../shared/api/label-selector.ts';
import type { RowStore } from '../collect/row-store.ts';
import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import type { NamespaceFacts } from '../collect/selection.ts';
import type { InventoryRows, RollupFacts } from './inventory-rows.ts';
import { Rollup, type RollupOptions, type RollupSelection } from './rollup.ts';
import { targetProblem, type TargetProblem } from './target-problems.ts';
import { InventoryView, type ViewTarget } from './view.ts';

/** Where cluster inventories look things up. Objects without a namespace are found under `/<name>`. */
export interface ClusterSources {
  /** KollectClusterTargets. */
  targets: { get(key: string): KubeObject | undefined };
  namespaces: { get(key: string): NamespaceFacts | undefined };
  store: RowStore;
  /** Whether the rows of a target can be exported. */
  isListed: (target: ViewTarget) => boolean;
  /** See `RollupOptions`. */
  pace?: RollupOptions['pace'];
  /** See `RollupOptions`. */
  turns?: RollupOptions['turns'];
  /** See `RollupOptions`. */
  onFault?: RollupOptions['onFault'];
}

/** Time for the first lists of targets of the largest clusters. */
const patienceMs = 60_000;

const nothing: RollupSelection = { includes: () => false, dedupe: false };

/** The rows of cluster targets that a KollectClusterInventory selects, by target and by namespace. */
export class ClusterRows implements InventoryRows {
  readonly view: InventoryView;
  readonly #sources: ClusterSources;
  readonly #rollup: Rollup;
  readonly #onChange: () => void;
  /** Targets that the rollup has. */
  readonly #members = new Set<TargetRows>();
  #spec: KollectClusterInventorySpec | undefined;

  constructor(sources: ClusterSources, onChange: () => void) {
    this.#sources = sources;
    this.#onChange = onChange;
    this.view = new InventoryView('', onChange);
    const { isListed, pace, turns, onFault } = sources;
    this.#rollup = new Rollup({ view: this.view, selection: nothing, isListed, isAwaited: (target) => !isListed(target) && !this.#trouble(target.name), patienceMs, pace, turns, onFault });
  }

  get rollup(): RollupFacts {
    return { shardCount: this.#rollup.shardCount, shards: (limit) => this.#rollup.shards(limit) };
  }

  select({ spec }: KubeObject): void {
    const selected = spec as KollectClusterInventorySpec;
    if (JSON.stringify(selected) === JSON.stringify(this.#spec)) return;
    this.#spec = selected;
    for (const target of this.#members) if (!this.#selects(target.name)) this.#remove(target);
    this.#rollup.select(selectionOf(selected, this.#sources.namespaces));
    for (const target of this.#sources.store.targets()) if (target.namespace === '') this.opened(target);
  }

  opened(target: TargetRows): void {
    if (this.#members.has(target) || !this.#selects(target.name)) return;
    this.#members.add(target);
    this.#rollup.addTarget(target);
  }

  closed(target: TargetRows): void {
    this.#remove(target);
  }

  row(target: TargetRows, before: Row | undefined, after: Row | undefined): void {
    this.#rollup.rowChanged(target, before, after);
  }

  left(target: TargetRows, uid: string): void {
    this.#rollup.rowLeft(target, uid);
  }

  takesPart(target: ViewTarget): boolean {
    return this.#rollup.takesPart(target);
  }

  targetsListed(): void {
    this.#rollup.targetsListed();
  }

  close(): void {
    this.#rollup.close();
  }

  targetChanged(name: string): void {
    const target = this.#sources.store.get('', name);
    if (target && this.#selects(name)) this.opened(target);
    else if (target) this.#remove(target);
    this.#rollup.targetsListed();
    this.#onChange();
  }

  /** The namespace appeared, went, or has other labels. */
  namespaceChanged(namespace: string): void {
    this.#rollup.namespaceChanged(namespace);
  }

  problems(): TargetProblem[] {
    const { targetRefs = [] } = this.#spec ?? {};
    const { targets } = this.#sources;
    const missing = targetRefs.filter((name) => !targets.get(`/${name}`)).map((name) => ({ name, reason: 'NotFound' }));
    const failing = [...this.#members].flatMap(({ name }) => this.#trouble(name) ?? []);
    return [...missing, ...failing].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  #remove(target: TargetRows): void {
    if (this.#members.delete(target)) this.#rollup.removeTarget(target);
  }

  #selects(name: string): boolean {
    return this.#spec !== undefined && selectsTarget(this.#spec, name, this.#sources.targets.get(`/${name}`));
  }

  #trouble(name: string): TargetProblem | undefined {
    return targetProblem(name, this.#sources.targets.get(`/${name}`));
  }
}

/** Whether a cluster inventory rolls up the rows of a target; undefined stands for one that is not there. */
export function selectsTarget({ targetRefs = [], targetSelector }: KollectClusterInventorySpec, name: string, target: KubeObject | undefined): boolean {
  if (targetRefs.length > 0) return targetRefs.includes(name);
  return target !== undefined && matchesSelector(targetSelector, target.metadata.labels);
}

/** Both `namespaces` and `namespaceSelector` must hold where they are set. Objects without a namespace belong to a rollup that neither of them bounds. */
function selectionOf(spec: KollectClusterInventorySpec, known: ClusterSources['namespaces']): RollupSelection {
  const names = spec.namespaces?.length ? new Set(spec.namespaces) : undefined;
  const namespaceSelector = selectsAll(spec.namespaceSelector) ? undefined : spec.namespaceSelector;
  return {
    dedupe: spec.dedupe === 'byResourceUID',
    includes: (namespace) => {
      if (names && !names.has(namespace)) return false;
      if (!namespaceSelector) return true;
      const facts = known.get(`/${namespace}`);
      return facts !== undefined && matchesSelector(namespaceSelector, facts.labels);
    },
  };
}
