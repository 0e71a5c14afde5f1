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
  ({ spec }, report) => objectName('spec.profileRef', spec.profileRef, sameNamespaceOnly, report),
  ({ spec, expressions }, report) => collectionFilter(spec, expressions, report),
  ({ spec }, report) => labelSelector('spec.labelSelector', spec.labelSelector, report),
  names,
  rulesReplaceSelection,
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
