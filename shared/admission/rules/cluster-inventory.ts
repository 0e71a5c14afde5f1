import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { interval } from './durations.ts';
import { labelSelector, selectsAll } from './label-selectors.ts';
import { repeated } from './lists.ts';
import { namespaceHasItsField, namespaceName, noNamespace, objectName, requiredNamespace } from './names.ts';
import { sinkRefs } from './sink-refs.ts';

type Input = RuleInput<KollectClusterInventorySpec>;

export const clusterInventoryRules: readonly Rule<KollectClusterInventorySpec>[] = [
  { id: 'profile-ref', field: 'spec.profileRef', asks: 'Must name a profile with its namespace.', check: profileRef },
  { id: 'target-refs', field: 'spec.targetRefs[]', asks: 'Must be names of KollectClusterTargets, each once.', check: targetRefs },
  { id: 'target-selector', field: 'spec.targetSelector', asks: 'Must be a valid label selector.', check: ({ spec }, report) => labelSelector('spec.targetSelector', spec.targetSelector, report) },
  { id: 'namespaces', field: 'spec.namespaces[]', asks: 'Must be names of namespaces, each once.', check: namespaces },
  { id: 'namespace-selector', field: 'spec.namespaceSelector', asks: 'Must be a valid label selector.', check: ({ spec }, report) => labelSelector('spec.namespaceSelector', spec.namespaceSelector, report) },
  { id: 'scope-is-intended', field: 'spec.namespaceSelector', asks: 'Should be set, or namespaces; otherwise the inventory covers the whole cluster.', check: scopeIsIntended },
  { id: 'sink-refs', field: 'spec.*SinkRefs[]', asks: 'Must name at most 20 sinks in all, each once in its list, in valid namespaces and with valid overrides.', check: ({ spec, maxExportBytes }, report) => sinkRefs(spec, { defaultNamespace: spec.sinkNamespace?.trim() || 'kollect-system', maxExportBytes }, report) },
  { id: 'sink-namespace', field: 'spec.sinkNamespace', asks: 'Must be the name of a namespace.', check: ({ spec }, report) => namespaceName('spec.sinkNamespace', spec.sinkNamespace, report) },
  { id: 'export-min-interval', field: 'spec.exportMinInterval', asks: 'Must be a duration from 0s to 24h.', check: ({ spec }, report) => interval('spec.exportMinInterval', spec.exportMinInterval, report) },
];

function profileRef({ spec: { profileRef: ref } }: Input, report: Report): void {
  if (ref === undefined) return;
  objectName('spec.profileRef.name', ref.name, namespaceHasItsField, report);
  requiredNamespace('spec.profileRef.namespace', ref.namespace, report);
}

function targetRefs({ spec }: Input, report: Report): void {
  for (const [index, name] of (spec.targetRefs ?? []).entries()) objectName(`spec.targetRefs[${index}]`, name, noNamespace, report);
  repeated('spec.targetRefs', spec.targetRefs, report);
  if ((spec.targetRefs ?? []).length > 0 && !selectsAll(spec.targetSelector)) report(warning('spec.targetSelector', 'has no effect beside targetRefs'));
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
  if ((spec.namespaces ?? []).length === 0 && selectsAll(spec.namespaceSelector)) {
    report(warning('spec.namespaceSelector', 'neither namespaces nor namespaceSelector is set: the inventory covers all namespaces of the cluster'));
  }
}
