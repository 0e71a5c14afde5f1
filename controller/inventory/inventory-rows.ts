import type { Row } from '../collect/row.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { NamespaceShard } from './namespace-shards.ts';
import type { TargetProblem } from './target-problems.ts';
import type { InventoryView, ViewTarget } from './view.ts';

/** What belongs to an inventory, told to its view. */
export interface InventoryRows {
  readonly view: InventoryView;
  /** Takes the spec of the inventory, which keeps all rules. */
  select(inventory: KubeObject): void;
  opened(target: TargetRows): void;
  closed(target: TargetRows): void;
  row(target: TargetRows, before: Row | undefined, after: Row | undefined): void;
  left(target: TargetRows, uid: string): void;
  /** Whether the view has what there is of a target, so that it can be exported once its lists are complete. */
  takesPart(target: ViewTarget): boolean;
  /** A target appeared, went, or has other labels or another status. */
  targetChanged(name: string): void;
  /** Some targets may have completed their lists. */
  targetsListed(): void;
  /** Nobody wants to hear of it any more. */
  close(): void;
  /** Targets that are not ready, by name. */
  problems(): TargetProblem[];
  /** What only the status of a rollup tells; undefined for others. */
  readonly rollup: RollupFacts | undefined;
}

export interface RollupFacts {
  /** Namespaces with rows. */
  shardCount: number;
  /** The first of them by name. */
  shards(limit: number): NamespaceShard[];
}
