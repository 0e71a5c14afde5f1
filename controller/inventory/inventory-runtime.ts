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
  /** For targets, for a while after its creation. */
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

/** Whether an annotation of an object says so. */
export function isSet({ metadata }: KubeObject, annotation: string): boolean {
  return metadata.annotations?.[annotation] === 'true';
}
