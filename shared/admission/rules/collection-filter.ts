import { allowSecretExtraction } from '../../api/annotations.ts';
import { isSecret } from '../../api/gvk.ts';
import type { LooseGvk } from '../../api/gvk.ts';
import { forbidden, invalid, tooMany, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { expressionLengthOfAll, maxExpressionLength } from './expression-length.ts';
import { groupVersionKind, likelyGroupVersionKind } from './group-version-kind.ts';
import { labelSelector, selectorRule, selectsAll } from './label-selectors.ts';
import type { LooseSelector } from './label-selectors.ts';
import { namespaceList } from './lists.ts';

/** What both target kinds select by. */
interface CollectionFilter {
  namespaceSelector?: LooseSelector;
  namespaceExcludeSelector?: LooseSelector;
  includedNamespaces?: string[];
  excludedNamespaces?: string[];
  resourceRules?: LooseResourceRule[];
}

interface LooseResourceRule extends LooseSelector {
  readonly gvk?: LooseGvk | undefined;
  readonly namespaceSelector?: LooseSelector | undefined;
  readonly matchPolicy?: string | undefined;
}

type Input = RuleInput<CollectionFilter>;

/** The rules that both target kinds share. */
export const collectionFilterRules: readonly Rule<CollectionFilter>[] = [
  { id: 'included-namespaces', field: 'spec.includedNamespaces[]', asks: 'Must be names of namespaces, each once.', check: ({ spec }, report) => namespaceList('spec.includedNamespaces', spec.includedNamespaces, report) },
  { id: 'excluded-namespaces', field: 'spec.excludedNamespaces[]', asks: 'Must be names of namespaces, each once.', check: ({ spec }, report) => namespaceList('spec.excludedNamespaces', spec.excludedNamespaces, report) },
  { id: 'excluded-and-included', field: 'spec.excludedNamespaces[]', asks: 'A namespace should not be included and excluded: exclusion wins.', advises: true, check: excludedAndIncluded },
  selectorRule('namespace-selector', 'spec.namespaceSelector', (spec) => spec.namespaceSelector),
  selectorRule('namespace-exclude-selector', 'spec.namespaceExcludeSelector', (spec) => spec.namespaceExcludeSelector),
  { id: 'excludes-everything', field: 'spec.namespaceExcludeSelector', asks: 'Should have a label: an empty one excludes every namespace.', advises: true, check: excludesEverything },
  { id: 'rule-gvk', field: 'spec.resourceRules[].gvk', asks: 'Must name a version and a kind that a cluster can serve.', check: each((at, { gvk }, _input, report) => groupVersionKind(`${at}.gvk`, gvk, report)) },
  { id: 'rule-gvk-likely', field: 'spec.resourceRules[].gvk', asks: 'Should name kinds of Kubernetes as Kubernetes does, in their group.', advises: true, check: each((at, { gvk }, _input, report) => likelyGroupVersionKind(`${at}.gvk`, gvk, report)) },
  { id: 'rule-labels', field: 'spec.resourceRules[]', asks: 'Must hold valid matchLabels and matchExpressions.', check: each((at, rule, _input, report) => labelSelector(at, rule, report)) },
  { id: 'rule-namespace-selector', field: 'spec.resourceRules[].namespaceSelector', asks: 'Must be a valid label selector.', check: each((at, rule, _input, report) => labelSelector(`${at}.namespaceSelector`, rule.namespaceSelector, report)) },
  { id: 'match-policies-in-all', field: 'spec.resourceRules', asks: `Must hold at most ${maxExpressionLength} characters of policies in all.`, check: policiesInAll },
  { id: 'match-policy', field: 'spec.resourceRules[].matchPolicy', asks: 'Must be CEL without a prefix that compiles and gives true or false.', check: eachPolicy(matchPolicy) },
  { id: 'match-policy-of-secrets', field: 'spec.resourceRules[].matchPolicy', asks: `Must stay outside the data of Secrets, unless the annotation \`${allowSecretExtraction}\` consents.`, check: eachPolicy(policyOfSecrets) },
  { id: 'match-policy-likely', field: 'spec.resourceRules[].matchPolicy', asks: 'Should name fields that objects have.', advises: true, check: eachPolicy(likelyPolicy) },
];

function excludedAndIncluded({ spec }: Input, report: Report): void {
  const included = new Set(spec.includedNamespaces);
  for (const [index, namespace] of (spec.excludedNamespaces ?? []).entries()) {
    if (namespace !== undefined && included.has(namespace)) report(warning(`spec.excludedNamespaces[${index}]`, `${JSON.stringify(namespace)} is included as well; exclusion wins and nothing is collected there`));
  }
}

function excludesEverything({ spec }: Input, report: Report): void {
  if (spec.namespaceExcludeSelector !== undefined && selectsAll(spec.namespaceExcludeSelector)) report(warning('spec.namespaceExcludeSelector', 'matches every namespace, so that nothing is collected; name a label, or leave it out'));
}

type RuleCheck = (at: string, rule: LooseResourceRule, input: Input, report: Report) => void;

function each(check: RuleCheck): Rule<CollectionFilter>['check'] {
  return (input, report) => {
    for (const [index, rule] of (input.spec.resourceRules ?? []).entries()) if (rule !== undefined) check(`spec.resourceRules[${index}]`, rule, input, report);
  }
}

type PolicyCheck = (field: string, policy: string, rule: LooseResourceRule, input: Input, report: Report) => void;

/** Applies a check to all policies, as long as they can be compiled without keeping the process. */
function eachPolicy(check: PolicyCheck): Rule<CollectionFilter>['check'] {
  const checkEach = each((at, rule, input, report) => {
    if (rule.matchPolicy !== undefined && rule.matchPolicy.trim() !== '') check(`${at}.matchPolicy`, rule.matchPolicy, rule, input, report);
  });
  return (input, report) => {
    if (policyLength(input) <= maxExpressionLength) checkEach(input, report);
  }
}

function policyLength({ spec }: Input): number {
  return expressionLengthOfAll((spec.resourceRules ?? []).map((rule) => rule?.matchPolicy));
}

function policiesInAll(input: Input, report: Report): void {
  const length = policyLength(input);
  if (length > maxExpressionLength) report(tooMany('spec.resourceRules', length, `must hold at most ${maxExpressionLength} characters of policies in all; spread the rules over several targets`));
}

function matchPolicy(field: string, policy: string, _rule: LooseResourceRule, { expressions }: Input, report: Report): void {
  if (policy.trimStart().startsWith('cel:')) {
    report(invalid(field, policy, 'is always CEL: write the expression without the prefix cel:'));
    return;
  }
  const { problem, resultType } = expressions.policy(policy);
  if (problem !== undefined) report(invalid(field, policy, problem));
  else if (resultType !== 'bool' && resultType !== 'dyn') report(invalid(field, policy, `gives ${resultType}, but a policy must give true or false; compare it with something`));
}

function policyOfSecrets(field: string, policy: string, { gvk }: LooseResourceRule, { expressions, annotations }: Input, report: Report): void {
  if (!isSecret(gvk) || annotations[allowSecretExtraction] === 'true' || expressions.policy(policy).mayReadSecretData !== true) return;
  report(forbidden(field, `the policy may read the data of Secrets, and which ones it matches would tell; name another field, or set the annotation ${allowSecretExtraction}: "true"`));
}

function likelyPolicy(field: string, policy: string, _rule: LooseResourceRule, { expressions }: Input, report: Report): void {
  const { slip } = expressions.policy(policy);
  if (slip !== undefined) report(warning(field, slip));
}
