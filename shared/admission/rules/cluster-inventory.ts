import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { interval } from './durations.ts';
import { labelSelector, selectsAll } from './label-selectors.ts';
import { repeated } from './lists.ts';
import { namespaceHasItsField, namespaceName, noNamespace, objectName, requiredNamespace } from './names.ts';
import { sinkRefs } from './sink-refs.ts';

type Input = RuleInput<KollectClusterInventorySpec>;

export const clusterInventoryRules: readonly Rule<KollectClusterInventorySpec>[] = [
  profileRef,
  targetRefs,
  ({ spec }) => labelSelector('spec.targetSelector', spec.targetSelector),
  namespaces,
  ({ spec }) => labelSelector('spec.namespaceSelector', spec.namespaceSelector),
  scopeIsIntended,
  ({ spec, maxExportBytes }) => sinkRefs(spec, { defaultNamespace: spec.sinkNamespace?.trim() || 'kollect-system', maxExportBytes }),
  ({ spec }) => namespaceName('spec.sinkNamespace', spec.sinkNamespace),
  ({ spec }) => interval('spec.exportMinInterval', spec.exportMinInterval),
];

function* profileRef({ spec: { profileRef: ref } }: Input): Generator<Finding> {
  if (ref === undefined) return;
  yield* objectName('spec.profileRef.name', ref.name, namespaceHasItsField(ref.name));
  yield* requiredNamespace('spec.profileRef.namespace', ref.namespace);
}

function* targetRefs({ spec }: Input): Generator<Finding> {
  for (const [index, name] of (spec.targetRefs ?? []).entries()) yield* objectName(`spec.targetRefs[${index}]`, name, noNamespace(name));
  yield* repeated('spec.targetRefs', spec.targetRefs);
  if ((spec.targetRefs ?? []).length > 0 && !selectsAll(spec.targetSelector)) yield warning('spec.targetSelector', 'has no effect beside targetRefs');
}

function* namespaces({ spec }: Input): Generator<Finding> {
  for (const [index, namespace] of (spec.namespaces ?? []).entries()) {
    const field = `spec.namespaces[${index}]`;
    if (namespace === undefined) continue;
    if (namespace.trim() === '') yield required(field, 'write the name of a namespace');
    else if (namespace !== namespace.trim()) yield invalid(field, namespace, `must not have blanks around it; write ${JSON.stringify(namespace.trim())}`);
    else yield* namespaceName(field, namespace);
  }
  yield* repeated('spec.namespaces', spec.namespaces);
}

function* scopeIsIntended({ spec }: Input): Generator<Finding> {
  if ((spec.namespaces ?? []).length === 0 && selectsAll(spec.namespaceSelector)) {
    yield warning('spec.namespaceSelector', 'neither namespaces nor namespaceSelector is set: the inventory covers all namespaces of the cluster');
  }
}
