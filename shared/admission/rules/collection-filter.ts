import type { ExpressionJudge } from '../expressions.ts';
import { invalid, warning } from '../finding.ts';
import type { Finding } from '../finding.ts';
import { groupVersionKind } from './group-version-kind.ts';
import { labelSelector } from './label-selectors.ts';
import type { LooseSelector } from './label-selectors.ts';
import { repeated } from './lists.ts';
import { namespaceName } from './names.ts';

type Names = readonly (string | undefined)[] | undefined;

interface LooseResourceRule extends LooseSelector {
  readonly gvk?: { readonly group?: string | undefined; readonly version?: string | undefined; readonly kind?: string | undefined } | undefined;
  readonly namespaceSelector?: LooseSelector | undefined;
  readonly matchPolicy?: string | undefined;
}

interface LooseCollectionFilter {
  readonly namespaceSelector?: LooseSelector | undefined;
  readonly namespaceExcludeSelector?: LooseSelector | undefined;
  readonly includedNamespaces?: Names;
  readonly excludedNamespaces?: Names;
  readonly resourceRules?: readonly (LooseResourceRule | undefined)[] | undefined;
}

/** What a target selects by: namespaces and rules for resources. */
export function* collectionFilter(spec: LooseCollectionFilter, expressions: ExpressionJudge): Generator<Finding> {
  yield* namespaceList('spec.includedNamespaces', spec.includedNamespaces);
  yield* namespaceList('spec.excludedNamespaces', spec.excludedNamespaces);
  for (const [index, namespace] of (spec.excludedNamespaces ?? []).entries()) {
    if (namespace !== undefined && spec.includedNamespaces?.includes(namespace)) {
      yield warning(`spec.excludedNamespaces[${index}]`, `${JSON.stringify(namespace)} is included as well; exclusion wins and nothing is collected there`);
    }
  }
  yield* labelSelector('spec.namespaceSelector', spec.namespaceSelector);
  yield* labelSelector('spec.namespaceExcludeSelector', spec.namespaceExcludeSelector);
  for (const [index, rule] of (spec.resourceRules ?? []).entries()) if (rule !== undefined) yield* resourceRule(`spec.resourceRules[${index}]`, rule, expressions);
}

function* namespaceList(field: string, namespaces: Names): Generator<Finding> {
  for (const [index, namespace] of (namespaces ?? []).entries()) {
    if (namespace?.trim() === '') yield invalid(`${field}[${index}]`, namespace, 'must not be empty');
    else yield* namespaceName(`${field}[${index}]`, namespace);
  }
  yield* repeated(field, namespaces);
}

function* resourceRule(field: string, rule: LooseResourceRule, expressions: ExpressionJudge): Generator<Finding> {
  yield* groupVersionKind(`${field}.gvk`, rule.gvk);
  yield* labelSelector(`${field}.namespaceSelector`, rule.namespaceSelector);
  yield* labelSelector(field, rule);
  yield* matchPolicy(`${field}.matchPolicy`, rule.matchPolicy, expressions);
}

function* matchPolicy(field: string, policy: string | undefined, expressions: ExpressionJudge): Generator<Finding> {
  if (policy === undefined || policy.trim() === '') return;
  if (policy.trimStart().startsWith('cel:')) {
    yield invalid(field, policy, 'is always CEL: write the expression without the prefix cel:');
    return;
  }
  const { problem, resultType } = expressions.policy(policy);
  if (problem !== undefined) yield invalid(field, policy, problem);
  else if (resultType !== 'bool' && resultType !== 'dyn') yield invalid(field, policy, `gives ${resultType}, but a policy must give true or false; compare it with something`);
}
