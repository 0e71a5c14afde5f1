import { z } from 'zod';
import { collectionFilterFields, collectionStatusFields, Limits } from './collection-filter.ts';
import { objectOf, type KindDefinition } from './kind.ts';
import { conditionList, LabelSelector, NamespacedObjectReference, observedGeneration } from './meta.ts';
import { targetColumns } from './target-columns.ts';

export const KollectClusterTargetSpec = z.object({
  profileRef: NamespacedObjectReference.meta({ description: 'KollectProfile by name and namespace; both are required.' }),
  namespaceSelector: LabelSelector.optional().meta({ description: 'Collect from namespaces with these labels. Required, with at least one label.' }),
  ...collectionFilterFields,
  suspend: z.boolean().optional().meta({ description: 'Stop collecting; the rows stay as they are.' }),
  limits: Limits.optional().meta({ description: 'How much the target may keep.' }),
});
export type KollectClusterTargetSpec = z.infer<typeof KollectClusterTargetSpec>;

export const KollectClusterTargetStatus = z.object({
  conditions: conditionList,
  observedGeneration,
  ...collectionStatusFields,
});
export type KollectClusterTargetStatus = z.infer<typeof KollectClusterTargetStatus>;

export const KollectClusterTarget = objectOf('KollectClusterTarget', KollectClusterTargetSpec, KollectClusterTargetStatus);
export type KollectClusterTarget = z.infer<typeof KollectClusterTarget>;

export const kollectClusterTarget: KindDefinition = {
  kind: 'KollectClusterTarget',
  plural: 'kollectclustertargets',
  singular: 'kollectclustertarget',
  shortNames: ['kctgt'],
  scope: 'Cluster',
  description: 'Collects the objects that a profile describes from many namespaces, for cluster inventories.',
  spec: KollectClusterTargetSpec,
  status: KollectClusterTargetStatus,
  columns: targetColumns,
};
