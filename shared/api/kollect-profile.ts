import { z } from 'zod';
import { ageColumn, objectOf, type KindDefinition } from './kind.ts';
import { conditionList, GroupVersionKind } from './meta.ts';

const strings = (description: string) => z.array(z.string()).optional().meta({ description, 'x-kubernetes-list-type': 'atomic' });

export const KollectProfileSpec = z.object({
  targetGVK: GroupVersionKind.meta({ description: 'Kind that is collected.' }),
  attributes: z
    .array(
      z.object({
        name: z.string().meta({ description: 'Name of the attribute in a row.' }),
        path: z.string().meta({ description: 'JSONPath such as $.spec.replicas, or CEL such as cel:object.spec.replicas.' }),
        type: z.string().optional().meta({ description: 'string, int, float, bool, list or map: the value is converted, or refused.' }),
        optional: z.boolean().optional().meta({ description: 'A missing value is no failure; the attribute is left out.' }),
      }),
    )
    .optional()
    .meta({ description: 'What is extracted of each object.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  export: z
    .object({
      mode: z.enum(['Attributes', 'Resource']).default('Attributes').meta({ description: 'Attributes only, or the object as well.' }),
      as: z.string().default('resource').meta({ description: 'Attribute that holds the object.' }),
      include: z
        .enum(['MetadataOnly', 'SpecOnly', 'StatusOnly', 'SpecAndStatus', 'All'])
        .default('SpecAndStatus')
        .meta({ description: 'Parts of the object that are kept.' }),
      dedupeIdentity: z.boolean().optional().meta({ description: 'Leave out name, namespace and uid, which the row has.' }),
      prune: z
        .object({
          defaults: z.boolean().optional().meta({ description: 'Leave out fields that change without meaning.' }),
          jsonPointers: strings('RFC 6901 pointers to leave out.'),
          jsonPaths: strings('Paths to leave out.'),
          scrubKeys: strings('Keys whose values are redacted, at any depth.'),
          cel: strings('CEL predicates to leave out.'),
        })
        .optional()
        .meta({ description: 'What is left out or redacted.' }),
    })
    .optional()
    .meta({ description: 'Export of whole objects.' }),
  metrics: z
    .array(
      z.object({
        name: z.string().meta({ description: 'Name of the series.' }),
        path: z.string().meta({ description: 'Attribute whose numbers are summed.' }),
        labels: z.array(z.string()).optional().meta({ description: 'Attributes that become labels, at most 5.', 'x-kubernetes-list-type': 'set' }),
      }),
    )
    .optional()
    .meta({ description: 'Series made of attributes.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
});
export type KollectProfileSpec = z.infer<typeof KollectProfileSpec>;

export const KollectProfileStatus = z.object({ conditions: conditionList });
export type KollectProfileStatus = z.infer<typeof KollectProfileStatus>;

export const KollectProfile = objectOf('KollectProfile', KollectProfileSpec, KollectProfileStatus);
export type KollectProfile = z.infer<typeof KollectProfile>;

export const kollectProfile: KindDefinition = {
  kind: 'KollectProfile',
  plural: 'kollectprofiles',
  singular: 'kollectprofile',
  shortNames: ['kprof'],
  scope: 'Namespaced',
  description: 'What to extract from the objects of one kind.',
  spec: KollectProfileSpec,
  status: KollectProfileStatus,
  columns: [{ name: 'Kind', type: 'string', jsonPath: '.spec.targetGVK.kind' }, ageColumn],
};
