import { z } from 'zod';
import { collectionFilterFields, collectionStatusFields, Limits } from './collection-filter.ts';
import { objectOf, type KindDefinition } from './kind.ts';
import { conditionList, LabelSelector, observedGeneration } from './meta.ts';
import { targetColumns } from './target-columns.ts';
import { bounds, nameText, nonEmptyName } from './text.ts';

export const KollectTargetSpec = z.object({
  profileRef: nonEmptyName.meta({ description: 'Name of the KollectProfile, in the namespace of the target.' }),
  namespaceSelector: LabelSelector.optional().meta({
    description: 'Collect from namespaces with these labels; {} means all. Without it and includedNamespaces the target collects from its own namespace.',
  }),
  ...collectionFilterFields,
  labelSelector: LabelSelector.optional().meta({ description: 'Only objects with these labels.' }),
  names: z.array(nameText).max(bounds.list).optional().meta({ description: 'Only objects with these names.', 'x-kubernetes-list-type': 'atomic' }),
  suspend: z.boolean().optional().meta({ description: 'Stop collecting; the rows stay as they are.' }),
  watchMode: z
    .enum(['All', 'OptIn'])
    .default('All')
    .meta({ description: 'All collects what does not say kollect.dev/watch: disabled; OptIn only what says enabled, on the object or its namespace.' }),
  limits: Limits.optional().meta({ description: 'How much the target may keep.' }),
});
export type KollectTargetSpec = z.infer<typeof KollectTargetSpec>;

export const KollectTargetStatus = z.object({
  conditions: conditionList,
  observedGeneration,
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
  description: 'Collects the objects that a profile describes, and keeps one row for each.',
  spec: KollectTargetSpec,
  status: KollectTargetStatus,
  columns: targetColumns,
};
