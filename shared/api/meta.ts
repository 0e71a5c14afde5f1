import { z } from 'zod';
import { bounds, nameText, nonEmptyName } from './text.ts';

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
  ownerReferences: z
    .array(z.looseObject({ apiVersion: z.string(), kind: z.string(), name: z.string(), uid: z.string(), controller: z.boolean().optional() }))
    .optional(),
});
export type ObjectMeta = z.infer<typeof ObjectMeta>;

/** Characters, as conditions of Kubernetes itself have it. */
export const maxConditionMessage = 32_768;

export const Condition = z.object({
  type: z.string().max(316).meta({ description: 'What the condition is about, such as Ready.' }),
  status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Whether it holds.' }),
  reason: z.string().min(1).max(1024).meta({ description: 'The cause in one word.', pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$' }),
  message: z.string().max(maxConditionMessage).meta({ description: 'The cause in a sentence for people.' }),
  lastTransitionTime: z.string().meta({ description: 'When the status last changed.', format: 'date-time' }),
  observedGeneration: z.number().int().min(0).optional().meta({ description: 'Generation of the spec that was judged.', format: 'int64' }),
});
export type Condition = z.infer<typeof Condition>;

export const conditionList = z
  .array(Condition)
  .optional()
  .meta({ description: 'What holds of the object now.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] });

const LabelRequirement = z.object({
  key: z.string().min(1).max(bounds.labelKey).meta({ description: 'Key of the label.' }),
  operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']).meta({ description: 'How the label relates to the values: In, NotIn, Exists or DoesNotExist.' }),
  values: z.array(nameText).max(bounds.shortList).optional().meta({ description: 'Values for In and NotIn; empty for Exists and DoesNotExist.', 'x-kubernetes-list-type': 'atomic' }),
});
export const matchExpressions = z
  .array(LabelRequirement)
  .max(bounds.shortList)
  .optional()
  .meta({ description: 'Requirements on labels that must all hold.', 'x-kubernetes-list-type': 'atomic' });
export const matchLabels = z.record(z.string(), z.string()).optional().meta({ description: 'Labels that must all have these values.' });

/** A label selector. Without requirements it matches everything. */
export const LabelSelector = z.object({ matchLabels, matchExpressions }).meta({ 'x-kubernetes-map-type': 'atomic' });
export type LabelSelector = z.infer<typeof LabelSelector>;

export const GroupVersionKind = z.object({
  group: nameText.optional().meta({ description: 'API group, such as apps; empty for the core group.' }),
  version: nonEmptyName.meta({ description: 'API version, such as v1.' }),
  kind: nonEmptyName.meta({ description: 'Kind, such as Deployment.' }),
});
export type GroupVersionKind = z.infer<typeof GroupVersionKind>;

export const NamespacedObjectReference = z.object({
  name: nonEmptyName.meta({ description: 'Name of the object.' }),
  namespace: nameText.optional().meta({ description: 'Namespace of the object.' }),
});
export type NamespacedObjectReference = z.infer<typeof NamespacedObjectReference>;

export const SecretReference = z.object({
  name: nonEmptyName.meta({ description: 'Name of the Secret.' }),
  namespace: nameText.optional().meta({ description: 'Namespace of the Secret; that of the sink when unset.' }),
});
export type SecretReference = z.infer<typeof SecretReference>;

/** Status field of every kind that has conditions. */
export const observedGeneration = z.number().int().optional().meta({ description: 'Generation of the spec that the status speaks of.', format: 'int64' });

/** A point in time, RFC 3339. */
export const timestamp = (description: string) => z.string().optional().meta({ description, format: 'date-time' });

/** A whole number that a status counts. */
export const count = (description: string) => z.number().int().optional().meta({ description, format: 'int64' });
