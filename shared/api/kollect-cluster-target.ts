import { z } from 'zod';
import { collectionFilterFields, collectionStatusFields, Limits } from './collection-filter.ts';
import { ageColumn, conditionColumn, objectOf, type KindDefinition } from './kind.ts';
import { conditionList, LabelSelector, NamespacedObjectReference } from './meta.ts';

export const KollectClusterTargetSpec = z.object({
  profileRef: NamespacedObjectReference.meta({ description: 'KollectProfile by name and namespace.' }),
  namespaceSelector: LabelSelector.optional().meta({ description: 'Namespaces to collect from.', 'x-kubernetes-map-type': 'atomic' }),
  ...collectionFilterFields,
  suspend: z.boolean().optional().meta({ description: 'Stop collecting; rows stay as they are.' }),
  limits: Limits.optional().meta({ description: 'Bounds of the rows.' }),
});
export type KollectClusterTargetSpec = z.infer<typeof KollectClusterTargetSpec>;

export const KollectClusterTargetStatus = z.object({
  conditions: conditionList,
  observedGeneration: z.number().int().optional().meta({ description: 'Generation of the spec that was judged.', format: 'int64' }),
  ...collectionStatusFields,
});

export const KollectClusterTarget = objectOf('KollectClusterTarget', KollectClusterTargetSpec, KollectClusterTargetStatus);
export type KollectClusterTarget = z.infer<typeof KollectClusterTarget>;

export const kollectClusterTarget: KindDefinition = {
  kind: 'KollectClusterTarget',
  plural: 'kollectclustertargets',
  singular: 'kollectclustertarget',
  shortNames: ['kctgt'],
  scope: 'Cluster',
  description: 'Where in the whole cluster to collect the objects of a profile.',
  spec: KollectClusterTargetSpec,
  status: KollectClusterTargetStatus,
  columns: [
    conditionColumn('Ready', 'Ready'),
    { name: 'Collected', type: 'integer', jsonPath: '.status.collectedCount' },
    { name: 'Updated', type: 'date', jsonPath: '.status.collectedCountUpdatedAt' },
    ageColumn,
  ],
};
