import { validationsOf, type CelCheck, type CrdValidation } from '../crd-validation.ts';
import { groupVersionKind, labelSelector, namespacedReference, namespaceNames, objectName, sameNamespaceOnly } from './common.ts';

/** What both kinds of targets select by. Whether a policy compiles is beyond CEL. */
const collectionFilter: readonly CelCheck[] = [
  ...namespaceNames('spec.includedNamespaces[]'),
  ...namespaceNames('spec.excludedNamespaces[]'),
  ...labelSelector('spec.namespaceSelector'),
  ...labelSelector('spec.namespaceExcludeSelector'),
  ...groupVersionKind('spec.resourceRules[].gvk'),
  ...labelSelector('spec.resourceRules[]'),
  ...labelSelector('spec.resourceRules[].namespaceSelector'),
  { at: 'spec.resourceRules[].matchPolicy', expression: `!self.trim().startsWith('cel:')`, message: 'is always CEL: write the expression without the prefix cel:' },
];

export const targetValidations: readonly CrdValidation[] = [
  ...validationsOf('KollectTarget', {
    'profile-ref': objectName('spec.profileRef', sameNamespaceOnly),
    'collection-filter': collectionFilter,
    'label-selector': labelSelector('spec.labelSelector'),
    names: [{ at: 'spec.names[]', expression: `self.trim() != ''`, message: 'must not be empty' }],
  }),
  ...validationsOf('KollectClusterTarget', {
    'profile-ref': namespacedReference('spec.profileRef'),
    'collection-filter': collectionFilter,
    'namespace-selector': [
      {
        at: 'spec',
        expression: `has(self.namespaceSelector) && ((has(self.namespaceSelector.matchLabels) && size(self.namespaceSelector.matchLabels) > 0) || (has(self.namespaceSelector.matchExpressions) && size(self.namespaceSelector.matchExpressions) > 0))`,
        message: 'name at least one label; without it the target would collect from the whole cluster',
        fieldPath: '.namespaceSelector',
        reason: 'FieldValueRequired',
      },
    ],
  }),
];
