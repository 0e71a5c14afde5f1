import { z } from 'zod';
import { ageColumn, objectOf, type KindDefinition } from './kind.ts';
import { conditionList, GroupVersionKind } from './meta.ts';
import { bounds, nameText, nonEmpty, nonEmptyName, text } from './text.ts';

const strings = (description: string) => z.array(text).max(bounds.list).optional().meta({ description, 'x-kubernetes-list-type': 'atomic' });

/** Each of their labels multiplies the series. */
const maxMetrics = 50;

const Attribute = z.object({
  name: nonEmptyName.meta({ description: 'Name of the attribute in the row.' }),
  path: nonEmpty.meta({
    description: 'What is extracted: JSONPath such as $.spec.replicas, CEL such as cel:size(object.spec.containers), or helm:release.chartVersion. A path with a wildcard, slice or filter gives a list.',
  }),
  type: nameText.optional().meta({ description: 'string, int, float, bool, list or map: the value is converted, and is a failure when that is not possible.' }),
  optional: z.boolean().optional().meta({ description: 'A missing value is no failure; the row then lacks the attribute.' }),
});

const Prune = z.object({
  defaults: z.boolean().optional().meta({ description: 'Leave out what changes without meaning, such as managedFields and resourceVersion; true when unset.' }),
  jsonPointers: strings('Parts to leave out, as RFC 6901 pointers such as /metadata/annotations.'),
  jsonPaths: strings('Parts to leave out, as paths such as $.spec.template.metadata.'),
  scrubKeys: strings('Keys whose values are redacted, at any depth, in any case.'),
  cel: strings('Parts to leave out, as CEL over path, key and value of a member of a map, such as key.startsWith("internal."). Without the prefix cel:.'),
});

export const KollectProfileSpec = z.object({
  targetGVK: GroupVersionKind.meta({ description: 'Kind of the objects that are collected.' }),
  attributes: z
    .array(Attribute)
    .max(bounds.list)
    .optional()
    .meta({ description: 'What is extracted from each object.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
  export: z
    .object({
      mode: z.enum(['Attributes', 'Resource']).default('Attributes').meta({ description: 'Attributes exports the attributes, Resource also the object itself.' }),
      as: nameText.default('resource').meta({ description: 'Name of the attribute that holds the object.' }),
      include: z
        .enum(['MetadataOnly', 'SpecOnly', 'StatusOnly', 'SpecAndStatus', 'All'])
        .default('SpecAndStatus')
        .meta({ description: 'Parts of the object that are kept, besides apiVersion and kind.' }),
      dedupeIdentity: z.boolean().optional().meta({ description: 'Leave name, namespace and uid out of the object, which the row has anyway; true when unset.' }),
      prune: Prune.optional().meta({ description: 'What is left out of the object, or redacted in it.' }),
    })
    .optional()
    .meta({ description: 'Whether objects are exported as a whole.' }),
  metrics: z
    .array(
      z.object({
        name: nonEmptyName.meta({ description: 'Name of the metric.' }),
        path: nonEmptyName.meta({ description: 'Name of the attribute whose numbers are summed.' }),
        labels: z.array(nameText).max(bounds.shortList).optional().meta({ description: 'Names of attributes that become labels, at most 5.', 'x-kubernetes-list-type': 'set' }),
      }),
    )
    .max(maxMetrics)
    .optional()
    .meta({ description: 'Metrics over the rows.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'] }),
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
  columns: [
    { name: 'Kind', type: 'string', jsonPath: '.spec.targetGVK.kind', description: 'Kind of the objects that are collected' },
    { name: 'Group', type: 'string', jsonPath: '.spec.targetGVK.group', description: 'Group of that kind', priority: 1 },
    ageColumn,
  ],
};
