import { z } from 'zod';
import { count, GroupVersionKind, LabelSelector, matchExpressions, matchLabels, timestamp } from './meta.ts';
import { bounds, nameText, text } from './text.ts';

const namespaceNames = (description: string) => z.array(nameText).max(bounds.list).optional().meta({ description, 'x-kubernetes-list-type': 'set' });

const ResourceRule = z.object({
  gvk: GroupVersionKind.meta({ description: 'Kind that the rule is about.' }),
  namespaceSelector: LabelSelector.optional().meta({ description: 'Only objects in namespaces with these labels.' }),
  matchLabels,
  matchExpressions,
  matchPolicy: text.optional().meta({ description: 'CEL over the variable object that gives true for what is collected, such as object.spec.replicas > 1. Without the prefix cel:.' }),
});

/** Which objects a target collects; inlined in the spec of both target kinds. */
export const collectionFilterFields = {
  includedNamespaces: namespaceNames('Collect from these namespaces only. Together with namespaceSelector, both must hold.'),
  excludedNamespaces: namespaceNames('Never collect from these namespaces.'),
  namespaceExcludeSelector: LabelSelector.optional().meta({ description: 'Never collect from namespaces with these labels; empty excludes all.' }),
  resourceRules: z
    .array(ResourceRule)
    .max(bounds.shortList)
    .optional()
    .meta({ description: 'An object is collected when one of these rules matches. With rules, labelSelector and names do not count.', 'x-kubernetes-list-type': 'atomic' }),
};

/** How much a target may keep. The lower of target and scope holds. */
export const Limits = z.object({
  maxRows: z.number().int().min(1).optional().meta({ description: 'Most rows of one target; objects beyond it are left out, and the status says so.', format: 'int64' }),
  maxBytes: z.number().int().min(1).optional().meta({ description: 'Most bytes of the rows of one target.', format: 'int64' }),
});
export type Limits = z.infer<typeof Limits>;

const InitialListStatus = z.object({
  startedAt: timestamp('When it began; absent while nothing is listed.'),
  crashes: count('How often in a row the controller ended during it without having been told to. At three the target is not collected any more.'),
  reconcile: z.string().optional().meta({ description: 'Value of the annotation kollect.dev/reconcile since which these are counted.' }),
});
export type InitialListStatus = z.infer<typeof InitialListStatus>;

/** Status of both target kinds. */
export const collectionStatusFields = {
  matchedNamespaces: namespaceNames('Namespaces that the spec selects, sorted, at most 100.'),
  effectiveNamespaces: namespaceNames('Namespaces that are collected from after scopes and denials, sorted, at most 100.'),
  activeResourceRules: z.number().int().optional().meta({ description: 'Resource rules in use; 0 when labelSelector and names decide.', format: 'int32' }),
  extractionFailures: count('Rows with a required attribute that could not be extracted; it is null in them.'),
  lastExtractionError: z.string().optional().meta({ description: 'What went wrong in the last of them.' }),
  collectedCount: z.number().int().nullish().meta({ description: 'Rows; null as long as they were never counted.', format: 'int64' }),
  collectedCountUpdatedAt: timestamp('When collectedCount last changed.'),
  initialList: InitialListStatus.optional().meta({ description: 'The first list since the controller started, until it is complete.' }),
};
