import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import { invalid, warning } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { collectionFilter } from './collection-filter.ts';
import { labelSelector, selectsAll } from './label-selectors.ts';
import { repeated } from './lists.ts';
import { objectName, sameNamespaceOnly } from './names.ts';

type Input = RuleInput<KollectTargetSpec>;

export const targetRules: readonly Rule<KollectTargetSpec>[] = [
  ({ spec }) => objectName('spec.profileRef', spec.profileRef, sameNamespaceOnly(spec.profileRef)),
  ({ spec, expressions }) => collectionFilter(spec, expressions),
  ({ spec }) => labelSelector('spec.labelSelector', spec.labelSelector),
  names,
  rulesReplaceSelection,
];

function* names({ spec }: Input): Generator<Finding> {
  for (const [index, name] of (spec.names ?? []).entries()) {
    if (name?.trim() === '') yield invalid(`spec.names[${index}]`, name, 'must not be empty');
  }
  yield* repeated('spec.names', spec.names);
}

function* rulesReplaceSelection({ spec }: Input): Generator<Finding> {
  if ((spec.resourceRules ?? []).length === 0) return;
  if (!selectsAll(spec.labelSelector)) yield warning('spec.labelSelector', 'has no effect beside resourceRules; put it into each rule as matchLabels or matchExpressions');
  if ((spec.names ?? []).length > 0) yield warning('spec.names', 'has no effect beside resourceRules; write a matchPolicy such as object.metadata.name == "web"');
}
