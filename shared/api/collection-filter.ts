import { z } from 'zod';
import { GroupVersionKind, LabelSelector, matchExpressions, matchLabels } from './meta.ts';

const namespaceNames = (description: string) => z.array(z.string()).optional().meta({ description, 'x-kubernetes-list-type': 'set' });

/** Which objects a target collects; inlined in the spec of both target kinds. */
export const collectionFilterFields = {
  includedNamespaces: namespaceNames('Only these namespaces.'),
  excludedNamespaces: namespaceNames('Not these namespaces.'),
  namespaceExcludeSelector: LabelSelector.optional().meta({ description: 'Not namespaces with these labels.', 'x-kubernetes-map-type': 'atomic' }),
  resourceRules: z
    .array(
      z.object({
        gvk: GroupVersionKind.meta({ description: 'Kind that the rule is about.' }),
        namespaceSelector: LabelSelector.optional().meta({ description: 'Only in namespaces with these labels.', 'x-kubernetes-map-type': 'atomic' }),
        matchLabels,
        matchExpressions,
        matchPolicy: z.string().optional().meta({ description: 'CEL over the variable object, without the prefix cel:; true selects.' }),
      }),
    )
    .optional()
    .meta({ description: 'Rules of which one must match. With rules, names and labelSelector do not count.', 'x-kubernetes-list-type': 'atomic' }),
};

export const Limits = z.object({
  maxRows: z.number().int().min(1).optional().meta({ description: 'Most rows of a target.', format: 'int64' }),
  maxBytes: z.number().int().min(1).optional().meta({ description: 'Most payload bytes of a target.', format: 'int64' }),
});

/** Status of both target kinds. */
export const collectionStatusFields = {
  matchedNamespaces: namespaceNames('Namespaces that the spec selects, sorted, at most 100.'),
  effectiveNamespaces: namespaceNames('Namespaces that are collected from, sorted, at most 100.'),
  activeResourceRules: z.number().int().optional().meta({ description: 'Resource rules in use.', format: 'int32' }),
  extractionFailures: z.number().int().optional().meta({ description: 'Rows with an attribute that could not be extracted.', format: 'int64' }),
  lastExtractionError: z.string().optional().meta({ description: 'Why the last one could not be.' }),
  collectedCount: z.number().int().nullish().meta({ description: 'Rows; null when never counted.', format: 'int64' }),
  collectedCountUpdatedAt: z.string().optional().meta({ description: 'When the count last changed.', format: 'date-time' }),
};
