import { annotations } from '../../shared/api/annotations.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KollectError } from '../../shared/errors.ts';
import type { Binding } from './binding.ts';
import type { InventoryRows } from './inventory-rows.ts';
import type { Removal } from './removal.ts';

/** What runs for one inventory. */
export interface InventoryRuntime<Rows extends InventoryRows = InventoryRows> {
  object: KubeObject;
  rows: Rows;
  /** By place. */
  bindings: Map<string, Binding>;
  removals: Map<string, Removal>;
  /** Why sinks may not be used, by place. */
  denials: Map<string, KollectError>;
  /** Epoch milliseconds until which it is too early to say that there are no targets: they may be applied after the inventory. */
  graceUntil: number;
  /** Nothing is begun before there are targets, or the time is over. */
  waiting: boolean;
  /** The inventory is being deleted: nothing is exported any more, and all removals were begun. */
  cleaning: boolean;
  blocked: { reason: string; message: string } | undefined;
  /** Generation that the bindings were built for. */
  generation: number;
  /** Value of the annotation that asked for a comparison last. */
  asked: string | undefined;
  /** What became of the consent to delete that the object carries. */
  consent: 'none' | 'given' | 'used';
  statusTimer: NodeJS.Timeout | undefined;
}

/** Whether there are no targets, and may be some soon. */
export function isEarly({ rows, graceUntil }: InventoryRuntime): boolean {
  return rows.view.targets.size === 0 && Date.now() < graceUntil;
}

/** Whether rows stay at sinks that the spec names no more. Whoever deletes a suspended inventory wants to be rid of it. */
export function pausesRemovals({ object, cleaning, blocked }: InventoryRuntime): boolean {
  return isSet(object, annotations.pauseDeletes) || (!cleaning && blocked?.reason === 'Suspended');
}

/** Whether an annotation of an object says so. */
export function isSet({ metadata }: KubeObject, annotation: string): boolean {
  return metadata.annotations?.[annotation] === 'true';
}
