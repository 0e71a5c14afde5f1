import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import { invalid, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { collectionFilter } from './collection-filter.ts';
import { labelSelector, selectsAll } from './label-selectors.ts';
import { repeated } from './lists.ts';
import { objectName, sameNamespaceOnly } from './names.ts';

type Input = RuleInput<KollectTargetSpec>;

export const targetRules: readonly Rule<KollectTargetSpec>[] = [
  { id: 'profile-ref', field: 'spec.profileRef', asks: 'Must name a profile of the same namespace.', check: ({ spec }, report) => objectName('spec.profileRef', spec.profileRef, sameNamespaceOnly, report) },
  { id: 'collection-filter', field: 'spec.*', asks: 'Must select namespaces and resources by valid names, selectors and policies.', check: ({ spec, expressions }, report) => collectionFilter(spec, expressions, report) },
  { id: 'label-selector', field: 'spec.labelSelector', asks: 'Must be a valid label selector.', check: ({ spec }, report) => labelSelector('spec.labelSelector', spec.labelSelector, report) },
  { id: 'names', field: 'spec.names[]', asks: 'Must be names, each once.', check: names },
  { id: 'rules-replace-selection', field: 'spec.resourceRules', asks: 'Replace labelSelector and names, which have no effect beside them.', check: rulesReplaceSelection },
];

function names({ spec }: Input, report: Report): void {
  for (const [index, name] of (spec.names ?? []).entries()) {
    if (name?.trim() === '') report(invalid(`spec.names[${index}]`, name, 'must not be empty'));
  }
  repeated('spec.names', spec.names, report);
}

function rulesReplaceSelection({ spec }: Input, report: Report): void {
  if ((spec.resourceRules ?? []).length === 0) return;
  if (!selectsAll(spec.labelSelector)) report(warning('spec.labelSelector', 'has no effect beside resourceRules; put it into each rule as matchLabels or matchExpressions'));
  if ((spec.names ?? []).length > 0) report(warning('spec.names', 'has no effect beside resourceRules; write a matchPolicy such as object.metadata.name == "web"'));
}
