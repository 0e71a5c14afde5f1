import { z } from 'zod';
import { inventoryColumns, inventoryCommonFields, inventoryStatusFields } from './inventory-common.ts';
import { objectOf, type KindDefinition } from './kind.ts';
import { count, LabelSelector, NamespacedObjectReference } from './meta.ts';
import { bounds, nameText, namespaceText } from './text.ts';

export const defaultSinkNamespace = 'kollect-system';

/** Namespace of the sinks of a cluster inventory whose reference names none. */
export function sinkNamespaceOf(spec: { readonly sinkNamespace?: string | undefined }): string {
  return spec.sinkNamespace?.trim() || defaultSinkNamespace;
}

export const KollectClusterInventorySpec = z.object({
  profileRef: NamespacedObjectReference.optional().meta({ description: 'KollectProfile by name and namespace; reserved, it has no effect yet.' }),
  targetRefs: z
    .array(nameText)
    .max(bounds.list)
    .optional()
    .meta({ description: 'Names of the KollectClusterTargets to roll up; when empty those of targetSelector, else all.', 'x-kubernetes-list-type': 'atomic' }),
  targetSelector: LabelSelector.optional().meta({ description: 'KollectClusterTargets to roll up by label, when targetRefs is empty.' }),
  namespaces: z
    .array(namespaceText)
    .max(bounds.list)
    .optional()
    .meta({ description: 'Only rows of these namespaces. Together with namespaceSelector, both must hold.', 'x-kubernetes-list-type': 'set' }),
  namespaceSelector: LabelSelector.optional().meta({ description: 'Only rows of namespaces with these labels.' }),
  sinkNamespace: nameText.default(defaultSinkNamespace).meta({ description: 'Namespace of the sinks whose reference names none.' }),
  dedupe: z
    .enum(['keepAll', 'byResourceUID'])
    .default('keepAll')
    .meta({ description: 'When several targets collect the same object: keepAll keeps a row for each target, byResourceUID one row.' }),
  ...inventoryCommonFields,
});
export type KollectClusterInventorySpec = z.infer<typeof KollectClusterInventorySpec>;

const NamespaceShard = z.object({
  namespace: z.string().meta({ description: 'Namespace of the rows.' }),
  itemCount: count('Rows.'),
  targetCount: count('Cluster targets with rows.'),
  checksum: z.string().optional().meta({ description: 'Digest of the rows: the sum of their SHA-256 modulo 2^256.' }),
});

export const KollectClusterInventoryStatus = z.object({
  ...inventoryStatusFields,
  targetCount: count('Cluster targets that are rolled up.'),
  namespaceShardCount: count('Namespaces with rows.'),
  namespaceShards: z
    .array(NamespaceShard)
    .max(100)
    .optional()
    .meta({ description: 'Rows by namespace, at most 100 of namespaceShardCount.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['namespace'] }),
});
export type KollectClusterInventoryStatus = z.infer<typeof KollectClusterInventoryStatus>;

export const KollectClusterInventory = objectOf('KollectClusterInventory', KollectClusterInventorySpec, KollectClusterInventoryStatus);
export type KollectClusterInventory = z.infer<typeof KollectClusterInventory>;

export const kollectClusterInventory: KindDefinition = {
  kind: 'KollectClusterInventory',
  plural: 'kollectclusterinventories',
  singular: 'kollectclusterinventory',
  shortNames: ['kcinv'],
  scope: 'Cluster',
  description: 'Rolls up the rows of cluster targets and exports them to sinks, and keeps the sinks equal to them.',
  spec: KollectClusterInventorySpec,
  status: KollectClusterInventoryStatus,
  columns: inventoryColumns,
};
