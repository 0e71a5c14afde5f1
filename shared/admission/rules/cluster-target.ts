import { allowSecretExtraction, annotations } from '../../api/annotations.ts';
import type { KollectClusterTargetSpec } from '../../api/kollect-cluster-target.ts';
import { required } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { collectionFilterRules } from './collection-filter.ts';
import { selectsAll } from './label-selectors.ts';
import { namespaceHasItsField, objectName, requiredNamespace } from './names.ts';

type Input = RuleInput<KollectClusterTargetSpec>;

export const clusterTargetRules: readonly Rule<KollectClusterTargetSpec>[] = [
  annotationRule({ [annotations.reconcile]: 'any', [allowSecretExtraction]: 'true' }),
  { id: 'profile-ref-name', field: 'spec.profileRef.name', asks: 'Must be the name of a profile.', check: ({ spec }, report) => objectName('spec.profileRef.name', spec.profileRef?.name, namespaceHasItsField, report) },
  { id: 'profile-ref-namespace', field: 'spec.profileRef.namespace', asks: 'Must be the namespace of the profile; there is no default.', check: profileNamespace },
  ...collectionFilterRules,
  { id: 'namespaces-are-chosen', field: 'spec.namespaceSelector', asks: 'Must have a label, so that nobody collects from the whole cluster by mistake.', check: namespacesAreChosen },
];

function profileNamespace({ spec }: Input, report: Report): void {
  if (spec.profileRef !== undefined) requiredNamespace('spec.profileRef.namespace', spec.profileRef.namespace, report);
}

function namespacesAreChosen({ spec }: Input, report: Report): void {
  if (selectsAll(spec.namespaceSelector)) report(required('spec.namespaceSelector', 'name a label of the namespaces; for all of them write matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]'));
}
