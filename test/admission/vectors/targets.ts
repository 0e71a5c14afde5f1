import type { Vector } from './vector.ts';

type Expected = Omit<Vector, 'name' | 'kind' | 'object'> & { annotations?: Record<string, string> };

const vectorOf = (prefix: string, kind: string, base: Record<string, unknown>) => (what: string, spec: Record<string, unknown>, { annotations, ...expected }: Expected = {}): Vector => ({
  name: `${prefix}: ${what}`,
  kind,
  object: { spec: { ...base, ...spec }, ...(annotations === undefined ? {} : { metadata: { annotations } }) },
  ...expected,
});

const target = vectorOf('target', 'KollectTarget', { profileRef: 'p' });
const wide = { profileRef: { name: 'p', namespace: 'kollect-system' }, namespaceSelector: { matchLabels: { team: 'a' } } };
const cluster = vectorOf('cluster target', 'KollectClusterTarget', wide);

const deployments = { group: 'apps', version: 'v1', kind: 'Deployment' };
const secrets = { version: 'v1', kind: 'Secret' };
const policy = (matchPolicy: string, gvk: unknown = deployments) => ({ resourceRules: [{ gvk, matchPolicy }] });
const policyField = 'spec.resourceRules[0].matchPolicy';
const gvkField = 'spec.resourceRules[0].gvk';

/** What both kinds of targets share: which namespaces and objects they take. */
const selection = (vector: typeof target): Vector[] => [
  vector('a namespace twice', { includedNamespaces: ['apps', 'apps'] }, { errors: ['spec.includedNamespaces[1]'], says: ['Duplicate value: "apps"'] }),
  vector('an excluded namespace twice', { excludedNamespaces: ['apps', 'apps'] }, { errors: ['spec.excludedNamespaces[1]'], says: ['Duplicate value'] }),
  vector('an empty namespace', { includedNamespaces: [''] }, { errors: ['spec.includedNamespaces[0]'] }),
  vector('an empty excluded namespace', { excludedNamespaces: [''] }, { errors: ['spec.excludedNamespaces[0]'] }),
  vector('a namespace that cannot be', { includedNamespaces: ['Team_A'] }, { errors: ['spec.includedNamespaces[0]'], says: ['write for example "team-a"'] }),
  vector('a pattern for namespaces', { excludedNamespaces: ['kube-*'] }, { errors: ['spec.excludedNamespaces[0]'], says: ['patterns are not supported'] }),
  vector('a namespace in and out', { includedNamespaces: ['a'], excludedNamespaces: ['a'] }, { warnings: ['spec.excludedNamespaces[0]'], says: ['exclusion wins'] }),
  vector('selectors', { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['a', ''] }, { key: 'example.com/x', operator: 'Exists' }] }, namespaceExcludeSelector: { matchLabels: { system: 'true' } } }),
  vector('an operator that does not exist', { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'in', values: ['a'] }] } }, { errors: ['spec.namespaceSelector.matchExpressions[0].operator'], says: ['did you mean "In"?'] }),
  vector('an operator without values', { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn' }] } }, { errors: ['spec.namespaceSelector.matchExpressions[0].values'], says: ['Required value'] }),
  vector('an operator with values too many', { namespaceExcludeSelector: { matchExpressions: [{ key: 'team', operator: 'Exists', values: ['a'] }] } }, { errors: ['spec.namespaceExcludeSelector.matchExpressions[0].values'], says: ['use In or NotIn'] }),
  vector('labels that cannot be', { namespaceExcludeSelector: { matchLabels: { 'a b': 'x', team: '-' }, matchExpressions: [{ key: 'Example.com/x', operator: 'In', values: ['a b'] }] } }, { errors: ['spec.namespaceExcludeSelector.matchExpressions[0].key', 'spec.namespaceExcludeSelector.matchExpressions[0].values[0]', 'spec.namespaceExcludeSelector.matchLabels', 'spec.namespaceExcludeSelector.matchLabels[team]'] }),
  vector('an exclusion of everything', { namespaceExcludeSelector: {} }, { warnings: ['spec.namespaceExcludeSelector'], says: ['nothing is collected'] }),
  vector('a rule without a kind', { resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: '' } }] }, { errors: [`${gvkField}.kind`], says: ['Required value'] }),
  vector('a rule without a version', { resourceRules: [{ gvk: { group: 'apps', version: '', kind: 'Deployment' } }] }, { errors: [`${gvkField}.version`], says: ['Required value'] }),
  vector('a rule without anything', { resourceRules: [{}] }, { errors: [gvkField], says: ['Required value'] }),
  vector('a rule for all kinds', { resourceRules: [{ gvk: { group: '*', version: '*', kind: '*' } }] }, { errors: [gvkField], says: ['patterns are not supported'] }),
  vector('a rule for a kind in another group', { resourceRules: [{ gvk: { version: 'v1', kind: 'Deployment' } }] }, { warnings: [`${gvkField}.group`], says: ['in the group apps'] }),
  vector('rules with labels and namespaces', { resourceRules: [{ gvk: deployments, matchLabels: { app: 'web' }, namespaceSelector: { matchLabels: { team: 'a' } } }, { gvk: deployments, matchExpressions: [{ key: 'app', operator: 'Exists' }] }] }),
  vector('rules with labels that cannot be', { resourceRules: [{ gvk: deployments, matchLabels: { 'a b': 'x' }, namespaceSelector: { matchLabels: { team: 'a b' } } }] }, { errors: ['spec.resourceRules[0].matchLabels', 'spec.resourceRules[0].namespaceSelector.matchLabels[team]'] }),
  vector('a policy', policy('object.metadata.name == "x"')),
  vector('a blank policy is none', policy(' ')),
  vector('a policy that does not compile', policy('metadata.labels['), { errors: [policyField] }),
  vector('a policy that is a number', policy('1 + 1'), { errors: [policyField], says: ['gives int'] }),
  vector('a policy that is a text', policy('"web"'), { errors: [policyField], says: ['gives string'] }),
  vector('a policy with the prefix of paths', policy('cel:true'), { errors: [policyField], says: ['without the prefix'] }),
  vector('a policy of more than 4096 characters', policy(`${'true && '.repeat(600)}true`), { errors: [policyField] }),
  vector('a policy with a field that does not exist', policy('object.metadata.lables.app == "web"'), { warnings: [policyField], says: ['did you mean "labels"?'] }),
  vector('policies that take too long to compile', { resourceRules: Array.from({ length: 10 }, (_, index) => ({ gvk: deployments, matchPolicy: `${index} == 0${' '.repeat(3500)}` })) }, { errors: ['spec.resourceRules'], says: ['Too many', '16384 characters'] }),
  vector('a policy on the labels of Secrets', policy('object.type == "helm.sh/release.v1" && object.metadata.labels["owner"] == "helm"', secrets)),
  vector('a policy on the data of Secrets', policy('object.data.password.startsWith("a")', secrets), { errors: [policyField], says: ['Forbidden', 'kollect.dev/allow-secret-extraction'] }),
  vector('a policy on the data of Secrets, in brackets', policy('object["data"]["password"] == "a"', secrets), { errors: [policyField] }),
  vector('a policy on the data of Secrets in another spelling', policy('object.data.password == "a"', { group: 'Core', version: 'v1', kind: 'secret' }), { errors: [`${gvkField}.group`, policyField] }),
  vector('a policy on the data of Secrets in lower case', policy('object.data.password == "a"', { version: 'v1', kind: 'secret' }), { errors: [policyField], warnings: [`${gvkField}.kind`] }),
  vector('a policy on the data of a kind of others that is called the same', policy('object.data.password == "a"', { group: 'example.com', version: 'v1', kind: 'Secret' })),
  vector('a policy on all of a Secret', policy('object.exists(k, object[k] == {"password": "a"})', secrets), { errors: [policyField] }),
  vector('a policy on the data of Secrets with consent', policy('has(object.data.release)', secrets), { annotations: { 'kollect.dev/allow-secret-extraction': 'true' } }),
  vector('a limit of nothing', { limits: { maxRows: 0 } }, { errors: ['spec.limits.maxRows'], says: ['at least 1'] }),
  vector('limits', { limits: { maxRows: 1, maxBytes: 1_000_000 } }),
  vector('101 rules', { resourceRules: Array.from({ length: 101 }, () => ({ gvk: deployments })) }, { errors: ['spec.resourceRules'], says: ['Too many: 101'] }),
  vector('a request to reconcile', {}, { annotations: { 'kollect.dev/reconcile': 'now' } }),
  vector('an annotation of inventories', {}, { annotations: { 'kollect.dev/pause-deletes': 'true' }, warnings: ['metadata.annotations[kollect.dev/pause-deletes]'] }),
];

/** What targets and cluster targets may say without a look at other objects. */
export const targetVectors: readonly Vector[] = [
  target('a profile of its namespace', {}, { stored: { watchMode: 'All' } }),
  target('a profile of another namespace', { profileRef: 'other/p' }, { errors: ['spec.profileRef'], says: ['such as "p"', 'other namespaces'] }),
  target('a blank profile', { profileRef: ' ' }, { errors: ['spec.profileRef'], says: ['Required value'] }),
  target('an empty profile', { profileRef: '' }, { errors: ['spec.profileRef'], says: ['Required value'] }),
  { name: 'target: no profile', kind: 'KollectTarget', object: { spec: {} }, errors: ['spec.profileRef'], says: ['Required value'] },
  target('a profile name that no object can have', { profileRef: 'My_Profile' }, { errors: ['spec.profileRef'], says: ['DNS-1123', 'write for example "my-profile"'] }),
  target('a watch mode that does not exist', { watchMode: 'Maybe' }, { errors: ['spec.watchMode'], says: ['supported values: "All", "OptIn"'] }),
  target('a watch mode in other letters', { watchMode: 'optin' }, { errors: ['spec.watchMode'], says: ['did you mean "OptIn"?'] }),
  target('all namespaces, on purpose', { namespaceSelector: {} }),
  target('labels', { labelSelector: { matchLabels: { app: 'web' } } }),
  target('labels of objects that cannot be', { labelSelector: { matchLabels: { 'a b': 'x' } } }, { errors: ['spec.labelSelector.matchLabels'] }),
  target('labels beside rules', { labelSelector: { matchLabels: { a: 'b' } }, resourceRules: [{ gvk: { version: 'v1', kind: 'Pod' } }] }, { warnings: ['spec.labelSelector'] }),
  target('names beside rules', { names: ['a'], resourceRules: [{ gvk: { version: 'v1', kind: 'Pod' } }] }, { warnings: ['spec.names'] }),
  target('names', { names: ['a', '', 'a'] }, { errors: ['spec.names[1]', 'spec.names[2]'] }),
  target('a pattern for names', { names: ['web-*'] }, { errors: ['spec.names[0]'], says: ['startsWith'] }),
  target('five mistakes', { profileRef: 'a/b', watchMode: 'all', includedNamespaces: ['A'], names: [''], ...policy('object.a =') }, { errors: ['spec.includedNamespaces[0]', 'spec.names[0]', 'spec.profileRef', policyField, 'spec.watchMode'], warnings: ['spec.names'] }),
  ...selection(target),
  { name: 'target: a bad spec that is being deleted', kind: 'KollectTarget', old: { spec: { profileRef: 'p' } }, object: { spec: { profileRef: 'other/p' }, metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['kollect.dev/target-cleanup'] } } },
  { name: 'target: an update that leaves a bad spec as it is', kind: 'KollectTarget', old: { spec: { profileRef: 'a/b', watchMode: 'All' } }, object: { spec: { profileRef: 'a/b' }, metadata: { labels: { a: 'b' } } }, warnings: ['spec.profileRef'], says: ['such as "b"'] },

  cluster('a profile with its namespace', {}),
  cluster('any namespace with a label', { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } }),
  cluster('no namespaces', { namespaceSelector: undefined }, { errors: ['spec.namespaceSelector'], says: ['Required value', 'kubernetes.io/metadata.name'] }),
  cluster('namespaces by a number', { namespaceSelector: 7 }, { errors: ['spec.namespaceSelector'], says: ['must be an object'] }),
  cluster('all namespaces by an empty selector', { namespaceSelector: {} }, { errors: ['spec.namespaceSelector'], says: ['Required value'] }),
  cluster('a profile without a namespace', { profileRef: { name: 'p' } }, { errors: ['spec.profileRef.namespace'], says: ['Required value', 'no default'] }),
  cluster('a profile with a blank namespace', { profileRef: { name: 'p', namespace: ' ' } }, { errors: ['spec.profileRef.namespace'], says: ['Required value'] }),
  cluster('a profile in a namespace that cannot be', { profileRef: { name: 'p', namespace: 'Team_A' } }, { errors: ['spec.profileRef.namespace'], says: ['"team-a"'] }),
  cluster('a profile with its namespace in the name', { profileRef: { name: 'kollect-system/p', namespace: 'kollect-system' } }, { errors: ['spec.profileRef.name'], says: ['such as "p"', 'the field "namespace"'] }),
  cluster('a profile without a name', { profileRef: { namespace: 'kollect-system' } }, { errors: ['spec.profileRef.name'], says: ['Required value'] }),
  cluster('a profile name that no object can have', { profileRef: { name: 'P', namespace: 'kollect-system' } }, { errors: ['spec.profileRef.name'] }),
  ...selection(cluster),
  cluster('tenant mode', {}, { installation: { tenantMode: true }, code: 403, errors: ['kind'], says: ['KollectTarget'] }),
  { name: 'cluster target: tenant mode while it is being deleted', kind: 'KollectClusterTarget', installation: { tenantMode: true }, old: { spec: wide }, object: { spec: wide, metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/x'] } } },
];
