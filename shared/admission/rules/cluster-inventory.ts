import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { interval } from './durations.ts';
import { inventoryAnnotations } from './inventory-annotations.ts';
import { selectorRule, selectsAll } from './label-selectors.ts';
import { nameList, repeated } from './lists.ts';
import { namespaceHasItsField, namespaceName, noNamespace, objectName, requiredNamespace } from './names.ts';
import { clusterSinkRefRules } from './sink-refs.ts';

type Input = RuleInput<KollectClusterInventorySpec>;

export const clusterInventoryRules: readonly Rule<KollectClusterInventorySpec>[] = [
  annotationRule(inventoryAnnotations),
  { id: 'profile-ref-name', field: 'spec.profileRef.name', asks: 'Must be the name of a profile.', check: ({ spec }, report) => objectName('spec.profileRef.name', spec.profileRef?.name, namespaceHasItsField, report) },
  { id: 'profile-ref-namespace', field: 'spec.profileRef.namespace', asks: 'Must be the namespace of the profile; there is no default.', check: profileNamespace },
  { id: 'profile-ref-is-reserved', field: 'spec.profileRef', asks: 'Has no effect in this version.', advises: true, check: profileIsReserved },
  { id: 'target-refs', field: 'spec.targetRefs[]', asks: 'Must be names of KollectClusterTargets, each once.', check: ({ spec }, report) => nameList('spec.targetRefs', spec.targetRefs, noNamespace, report) },
  selectorRule('target-selector', 'spec.targetSelector', (spec) => spec.targetSelector),
  { id: 'target-refs-or-selector', field: 'spec.targetSelector', asks: 'Has no effect beside targetRefs.', advises: true, check: refsOrSelector },
  { id: 'namespaces', field: 'spec.namespaces[]', asks: 'Must be names of namespaces, each once.', check: namespaces },
  selectorRule('namespace-selector', 'spec.namespaceSelector', (spec) => spec.namespaceSelector),
  { id: 'scope-is-intended', field: 'spec.namespaceSelector', asks: 'Should be set, or namespaces; otherwise the inventory covers the whole cluster, as an empty selector says on purpose.', advises: true, check: scopeIsIntended },
  ...clusterSinkRefRules,
  { id: 'sink-namespace', field: 'spec.sinkNamespace', asks: 'Must be the name of a namespace.', check: ({ spec }, report) => namespaceName('spec.sinkNamespace', spec.sinkNamespace, report) },
  { id: 'export-min-interval', field: 'spec.exportMinInterval', asks: 'Must be a duration from 0s to 24h.', check: ({ spec }, report) => interval('spec.exportMinInterval', spec.exportMinInterval, report) },
];

function profileNamespace({ spec: { profileRef: ref } }: Input, report: Report): void {
  if (ref !== undefined) requiredNamespace('spec.profileRef.namespace', ref.namespace, report);
}

function profileIsReserved({ spec }: Input, report: Report): void {
  if (spec.profileRef !== undefined) report(warning('spec.profileRef', 'is reserved and has no effect in this version; the targets name their profiles'));
}

function refsOrSelector({ spec }: Input, report: Report): void {
  if ((spec.targetRefs ?? []).length > 0 && !selectsAll(spec.targetSelector)) report(warning('spec.targetSelector', 'has no effect beside targetRefs; keep one of the two'));
}

function namespaces({ spec }: Input, report: Report): void {
  for (const [index, namespace] of (spec.namespaces ?? []).entries()) {
    const field = `spec.namespaces[${index}]`;
    if (namespace === undefined) continue;
    if (namespace.trim() === '') report(required(field, 'write the name of a namespace'));
    else if (namespace !== namespace.trim()) report(invalid(field, namespace, `must not have blanks around it; write ${JSON.stringify(namespace.trim())}`));
    else namespaceName(field, namespace, report);
  }
  repeated('spec.namespaces', spec.namespaces, report);
}

function scopeIsIntended({ spec }: Input, report: Report): void {
  if ((spec.namespaces ?? []).length === 0 && spec.namespaceSelector === undefined) {
    report(warning('spec.namespaceSelector', 'neither namespaces nor namespaceSelector is set: the inventory covers all namespaces of the cluster; write namespaceSelector: {} if that is meant'));
  }
}
