import { z } from 'zod';
import { collectionFilterFields, collectionStatusFields, Limits } from './collection-filter.ts';
import { ageColumn, conditionColumn, objectOf, type KindDefinition } from './kind.ts';
import { conditionList, LabelSelector } from './meta.ts';

export const KollectTargetSpec = z.object({
  profileRef: z.string().meta({ description: 'KollectProfile in the same namespace.' }),
  namespaceSelector: LabelSelector.optional().meta({
    description: 'Namespaces to collect from. Without it and includedNamespaces: the own namespace; empty: all.',
    'x-kubernetes-map-type': 'atomic',
  }),
  ...collectionFilterFields,
  labelSelector: LabelSelector.optional().meta({ description: 'Only objects with these labels.', 'x-kubernetes-map-type': 'atomic' }),
  names: z.array(z.string()).optional().meta({ description: 'Only objects with these names.', 'x-kubernetes-list-type': 'atomic' }),
  suspend: z.boolean().optional().meta({ description: 'Stop collecting; rows stay as they are.' }),
  watchMode: z.enum(['All', 'OptIn']).default('All').meta({ description: 'Collect all, or only where the label kollect.dev/watch says enabled.' }),
  limits: Limits.optional().meta({ description: 'Bounds of the rows.' }),
});
export type KollectTargetSpec = z.infer<typeof KollectTargetSpec>;

export const KollectTargetStatus = z.object({
  conditions: conditionList,
  observedGeneration: z.number().int().optional().meta({ description: 'Generation of the spec that was judged.', format: 'int64' }),
  ...collectionStatusFields,
});
export type KollectTargetStatus = z.infer<typeof KollectTargetStatus>;

export const KollectTarget = objectOf('KollectTarget', KollectTargetSpec, KollectTargetStatus);
export type KollectTarget = z.infer<typeof KollectTarget>;

export const kollectTarget: KindDefinition = {
  kind: 'KollectTarget',
  plural: 'kollecttargets',
  singular: 'kollecttarget',
  shortNames: ['ktgt'],
  scope: 'Namespaced',
  description: 'Where to collect the objects of a profile.',
  spec: KollectTargetSpec,
  status: KollectTargetStatus,
  columns: [
    conditionColumn('Ready', 'Ready'),
    { name: 'Collected', type: 'integer', jsonPath: '.status.collectedCount' },
    { name: 'Updated', type: 'date', jsonPath: '.status.collectedCountUpdatedAt' },
    ageColumn,
  ],
};
