import type { ExpressionJudge } from '../expressions.ts';
import { invalid, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
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
export function collectionFilter(spec: LooseCollectionFilter, expressions: ExpressionJudge, report: Report): void {
  namespaceList('spec.includedNamespaces', spec.includedNamespaces, report);
  namespaceList('spec.excludedNamespaces', spec.excludedNamespaces, report);
  for (const [index, namespace] of (spec.excludedNamespaces ?? []).entries()) {
    if (namespace !== undefined && spec.includedNamespaces?.includes(namespace)) {
      report(warning(`spec.excludedNamespaces[${index}]`, `${JSON.stringify(namespace)} is included as well; exclusion wins and nothing is collected there`));
    }
  }
  labelSelector('spec.namespaceSelector', spec.namespaceSelector, report);
  labelSelector('spec.namespaceExcludeSelector', spec.namespaceExcludeSelector, report);
  for (const [index, rule] of (spec.resourceRules ?? []).entries()) if (rule !== undefined) resourceRule(`spec.resourceRules[${index}]`, rule, expressions, report);
}

function namespaceList(field: string, namespaces: Names, report: Report): void {
  for (const [index, namespace] of (namespaces ?? []).entries()) {
    if (namespace?.trim() === '') report(invalid(`${field}[${index}]`, namespace, 'must not be empty'));
    else namespaceName(`${field}[${index}]`, namespace, report);
  }
  repeated(field, namespaces, report);
}

function resourceRule(field: string, rule: LooseResourceRule, expressions: ExpressionJudge, report: Report): void {
  groupVersionKind(`${field}.gvk`, rule.gvk, report);
  labelSelector(`${field}.namespaceSelector`, rule.namespaceSelector, report);
  labelSelector(field, rule, report);
  matchPolicy(`${field}.matchPolicy`, rule.matchPolicy, expressions, report);
}

function matchPolicy(field: string, policy: string | undefined, expressions: ExpressionJudge, report: Report): void {
  if (policy === undefined || policy.trim() === '') return;
  if (policy.trimStart().startsWith('cel:')) {
    report(invalid(field, policy, 'is always CEL: write the expression without the prefix cel:'));
    return;
  }
  const { problem, resultType } = expressions.policy(policy);
  if (problem !== undefined) report(invalid(field, policy, problem));
  else if (resultType !== 'bool' && resultType !== 'dyn') report(invalid(field, policy, `gives ${resultType}, but a policy must give true or false; compare it with something`));
}
