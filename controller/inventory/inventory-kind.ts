import { finalizers } from '../../shared/api/annotations.ts';
import { sinkNamespaceOf } from '../../shared/api/kollect-cluster-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';

/** In what the two inventory kinds differ by name. */
export interface InventoryKind {
  kind: 'KollectInventory' | 'KollectClusterInventory';
  plural: string;
  finalizer: string;
}

export const namespacedInventories: InventoryKind = { kind: 'KollectInventory', plural: 'kollectinventories', finalizer: finalizers.inventory };

export const clusterInventories: InventoryKind = { kind: 'KollectClusterInventory', plural: 'kollectclusterinventories', finalizer: finalizers.clusterInventory };

/** The namespace under which sinks hold the rows of an inventory. No KollectInventory can be in a namespace of the name that stands for none. */
export function exportNamespace({ metadata }: KubeObject): string {
  return metadata.namespace ?? 'cluster';
}

/** The namespace of a sink that an inventory refers to. */
export function sinkNamespace({ metadata, spec }: KubeObject, ref: { namespace?: string | undefined }): string {
  return metadata.namespace ?? (ref.namespace?.trim() || sinkNamespaceOf((spec ?? {}) as { sinkNamespace?: string }));
}
