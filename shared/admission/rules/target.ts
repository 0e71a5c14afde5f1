import { allowSecretExtraction, annotations } from '../../api/annotations.ts';
import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import { invalid, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { collectionFilterRules } from './collection-filter.ts';
import { selectorRule, selectsAll } from './label-selectors.ts';
import { repeated } from './lists.ts';
import { objectName, sameNamespaceOnly } from './names.ts';

type Input = RuleInput<KollectTargetSpec>;

export const targetRules: readonly Rule<KollectTargetSpec>[] = [
  annotationRule({ [annotations.reconcile]: 'any', [allowSecretExtraction]: 'true' }),
  { id: 'profile-ref', field: 'spec.profileRef', asks: 'Must name a profile of the same namespace.', check: ({ spec }, report) => objectName('spec.profileRef', spec.profileRef, sameNamespaceOnly, report) },
  ...collectionFilterRules,
  selectorRule('label-selector', 'spec.labelSelector', (spec) => spec.labelSelector),
  { id: 'names', field: 'spec.names[]', asks: 'Must be names, each once.', check: names },
  { id: 'labels-without-rules', field: 'spec.labelSelector', asks: 'Has no effect beside resourceRules.', advises: true, check: labelsWithoutRules },
  { id: 'names-without-rules', field: 'spec.names', asks: 'Have no effect beside resourceRules.', advises: true, check: namesWithoutRules },
];

function names({ spec }: Input, report: Report): void {
  for (const [index, name] of (spec.names ?? []).entries()) {
    if (name?.trim() === '') report(invalid(`spec.names[${index}]`, name, 'must not be empty; remove the item'));
    else if (name?.includes('*')) report(invalid(`spec.names[${index}]`, name, 'patterns are not supported; write a matchPolicy in resourceRules, such as object.metadata.name.startsWith("web-")'));
  }
  repeated('spec.names', spec.names, report);
}

function labelsWithoutRules({ spec }: Input, report: Report): void {
  if (hasRules(spec) && !selectsAll(spec.labelSelector)) report(warning('spec.labelSelector', 'has no effect beside resourceRules; put it into each rule as matchLabels or matchExpressions'));
}

function namesWithoutRules({ spec }: Input, report: Report): void {
  if (hasRules(spec) && (spec.names ?? []).length > 0) report(warning('spec.names', 'has no effect beside resourceRules; write a matchPolicy such as object.metadata.name == "web"'));
}

function hasRules({ resourceRules }: Input['spec']): boolean {
  return (resourceRules ?? []).length > 0;
}
