import { z } from 'zod';

/** Metadata of any object; fields that we do not name pass through. */
export const ObjectMeta = z.looseObject({
  name: z.string(),
  namespace: z.string().optional(),
  uid: z.string().optional(),
  generation: z.number().optional(),
  resourceVersion: z.string().optional(),
  creationTimestamp: z.string().nullish(),
  deletionTimestamp: z.string().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  annotations: z.record(z.string(), z.string()).optional(),
  finalizers: z.array(z.string()).optional(),
});
export type ObjectMeta = z.infer<typeof ObjectMeta>;

export const Condition = z.object({
  type: z.string().max(316).meta({ description: 'What the condition is about.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  reason: z.string().min(1).max(1024).meta({ description: 'One word for the cause.', pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' }),
  message: z.string().max(32768).meta({ description: 'The cause in a sentence for people.' }),
  lastTransitionTime: z.string().meta({ description: 'When the status last changed.', format: 'date-time' }),
  observedGeneration: z.number().int().min(0).optional().meta({ description: 'Generation of the spec that was judged.', format: 'int64' }),
});
export type Condition = z.infer<typeof Condition>;

export const conditionList = z
  .array(Condition)
  .optional()
  .meta({ description: 'What holds of the object now.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

const LabelRequirement = z.object({
  key: z.string().meta({ description: 'Label key.' }),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).meta({ description: 'Relation of the key to the values.' }),
  values: z.array(z.string()).optional().meta({ description: 'Values for In and NotIn.', 'x-kubernetes-list-type': 'atomic' }),
});
export const matchExpressions = z
  .array(LabelRequirement)
  .optional()
  .meta({ description: 'Requirements that must all hold.', 'x-kubernetes-list-type': 'atomic' });
export const matchLabels = z.record(z.string(), z.string()).optional().meta({ description: 'Labels that must all have these values.' });

export const LabelSelector = z.object({ matchLabels, matchExpressions }).meta({ 'x-kubernetes-map-type': 'atomic' });
export type LabelSelector = z.infer<typeof LabelSelector>;

export const GroupVersionKind = z.object({
  group: z.string().optional().meta({ description: 'API group; empty for the core group.' }),
  version: z.string().meta({ description: 'API version, such as v1.' }),
  kind: z.string().meta({ description: 'Kind, such as Deployment.' }),
});
export type GroupVersionKind = z.infer<typeof GroupVersionKind>;

export const NamespacedObjectReference = z.object({
  name: z.string().meta({ description: 'Name of the object.' }),
  namespace: z.string().optional().meta({ description: 'Namespace of the object.' }),
});
export type NamespacedObjectReference = z.infer<typeof NamespacedObjectReference>;

export const SecretReference = z.object({
  name: z.string().meta({ description: 'Name of the Secret.' }),
  namespace: z.string().optional().meta({ description: 'Namespace of the Secret; that of the referring object when unset.' }),
});
export type SecretReference = z.infer<typeof SecretReference>;
