import { validationsOf, type CelCheck, type CrdValidation } from '../crd-validation.ts';
import { groupVersionKind, labelSelector, namespaceHasItsField, namespaceNames, objectName, requiredNamespace, sameNamespaceOnly } from './common.ts';

/** What both kinds of targets select by. Whether a policy compiles is beyond CEL. */
const collectionFilter: Readonly<Record<string, readonly CelCheck[]>> = {
  'included-namespaces': namespaceNames('spec.includedNamespaces[]'),
  'excluded-namespaces': namespaceNames('spec.excludedNamespaces[]'),
  'namespace-selector': labelSelector('spec.namespaceSelector'),
  'namespace-exclude-selector': labelSelector('spec.namespaceExcludeSelector'),
  'rule-gvk': groupVersionKind('spec.resourceRules[].gvk'),
  'rule-labels': labelSelector('spec.resourceRules[]'),
  'rule-namespace-selector': labelSelector('spec.resourceRules[].namespaceSelector'),
  'match-policy': [{ at: 'spec.resourceRules[].matchPolicy', expression: `!self.trim().startsWith('cel:')`, message: 'is always CEL: write the expression without the prefix cel:' }],
};

const chosen = ['matchLabels', 'matchExpressions'].map((field) => `(has(self.namespaceSelector.${field}) && size(self.namespaceSelector.${field}) > 0)`).join(' || ');

export const targetValidations: readonly CrdValidation[] = [
  ...validationsOf('KollectTarget', {
    ...collectionFilter,
    'profile-ref': objectName('spec.profileRef', sameNamespaceOnly),
    'label-selector': labelSelector('spec.labelSelector'),
    names: [
      { at: 'spec.names[]', expression: `self.trim() != ''`, message: 'must not be empty; remove the item' },
      { at: 'spec.names[]', expression: `!self.contains('*')`, message: 'patterns are not supported; write a matchPolicy in resourceRules, such as object.metadata.name.startsWith("web-")' },
    ],
  }),
  ...validationsOf('KollectClusterTarget', {
    ...collectionFilter,
    'profile-ref-name': objectName('spec.profileRef.name', namespaceHasItsField),
    'profile-ref-namespace': requiredNamespace('spec.profileRef'),
    'namespaces-are-chosen': [
      {
        at: 'spec',
        expression: `has(self.namespaceSelector) && (${chosen})`,
        message: 'name a label of the namespaces; for all of them write matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]',
        fieldPath: '.namespaceSelector',
        reason: 'FieldValueRequired',
      },
    ],
  }),
];
