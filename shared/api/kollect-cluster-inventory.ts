import { z } from 'zod';
import { inventoryColumns, inventoryCommonFields, inventoryStatusFields } from './inventory-common.ts';
import { objectOf, type KindDefinition } from './kind.ts';
import { LabelSelector, NamespacedObjectReference } from './meta.ts';

export const KollectClusterInventorySpec = z.object({
  profileRef: NamespacedObjectReference.optional().meta({ description: 'KollectProfile by name and namespace; reserved.' }),
  targetRefs: z.array(z.string()).optional().meta({ description: 'Names of cluster targets; all, or those of targetSelector, when empty.', 'x-kubernetes-list-type': 'atomic' }),
  targetSelector: LabelSelector.optional().meta({ description: 'Cluster targets by label, when targetRefs is empty.', 'x-kubernetes-map-type': 'atomic' }),
  namespaces: z
    .array(z.string().max(63).meta({ pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$' }))
    .optional()
    .meta({ description: 'Only rows of these namespaces.', 'x-kubernetes-list-type': 'set' }),
  namespaceSelector: LabelSelector.optional().meta({ description: 'Only rows of namespaces with these labels.', 'x-kubernetes-map-type': 'atomic' }),
  sinkNamespace: z.string().default('kollect-system').meta({ description: 'Namespace of sinks whose reference names none.' }),
  dedupe: z.enum(['keepAll', 'byResourceUID']).default('keepAll').meta({ description: 'Keep the rows of all targets, or one for each object.' }),
  ...inventoryCommonFields,
});
export type KollectClusterInventorySpec = z.infer<typeof KollectClusterInventorySpec>;

export const KollectClusterInventoryStatus = z.object({
  ...inventoryStatusFields,
  targetCount: z.number().int().optional().meta({ description: 'Cluster targets that take part.', format: 'int64' }),
  namespaceShardCount: z.number().int().optional().meta({ description: 'Namespaces with rows.', format: 'int64' }),
  namespaceShards: z
    .array(
      z.object({
        namespace: z.string().meta({ description: 'Namespace.' }),
        itemCount: z.number().int().optional().meta({ description: 'Rows.', format: 'int64' }),
        targetCount: z.number().int().optional().meta({ description: 'Targets with rows.', format: 'int64' }),
        checksum: z.string().optional().meta({ description: 'Digest of the rows.' }),
      }),
    )
    .max(100)
    .optional()
    .meta({ description: 'Rows by namespace, at most 100.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['namespace'] }),
});

export const KollectClusterInventory = objectOf('KollectClusterInventory', KollectClusterInventorySpec, KollectClusterInventoryStatus);
export type KollectClusterInventory = z.infer<typeof KollectClusterInventory>;

export const kollectClusterInventory: KindDefinition = {
  kind: 'KollectClusterInventory',
  plural: 'kollectclusterinventories',
  singular: 'kollectclusterinventory',
  shortNames: ['kcinv'],
  scope: 'Cluster',
  description: 'Exports the rows of cluster targets to sinks.',
  spec: KollectClusterInventorySpec,
  status: KollectClusterInventoryStatus,
  columns: inventoryColumns,
};
