import { attributesOf, type Example, type ExampleObject, type World } from './example.ts';

// A kind that nobody else has objects of.
const gvk = { group: 'apps', version: 'v1', kind: 'ControllerRevision' };
const profile: Example['profile'] = { targetGVK: gvk, attributes: attributesOf({ size: { path: '$.data.size', optional: true } }) };

const revision = (namespace: string, name: string, labels: Record<string, string> = {}, data: object = { size: '1' }): ExampleObject => ({ apiVersion: 'apps/v1', kind: 'ControllerRevision', metadata: { name, namespace, labels }, revision: 1, data });

const namespaces: NonNullable<World['namespaces']> = {
  home: { labels: { team: 'shop', tier: 'front' } },
  pay: { labels: { team: 'shop', tier: 'back' } },
  ops: { labels: { team: 'platform' } },
  bare: {},
  never: { labels: { team: 'shop' } },
  consents: { labels: { 'kollect.dev/watch': 'enabled' } },
  agrees: { annotations: { 'kollect.dev/namespace-watch': 'enabled' } },
  refuses: { labels: { 'kollect.dev/watch': 'disabled' } },
  declines: { annotations: { 'kollect.dev/namespace-watch': 'disabled' } },
  torn: { labels: { 'kollect.dev/watch': 'enabled' }, annotations: { 'kollect.dev/namespace-watch': 'disabled' } },
  odd: { labels: { 'kollect.dev/watch': 'Enabled' } },
};

const rule = (more: object = {}): object => ({ gvk, ...more });
const all = { namespaceSelector: {} };
const own = ['home/x', 'home/large', 'home/small', 'home/void'];
const everywhere = [...own, 'pay/x', 'ops/x', 'bare/x', 'bare/on', 'consents/x', 'agrees/x', 'odd/x', 'refuses/on'];
const shop = { namespaceSelector: { matchLabels: { team: 'shop' } } };

/** What the spec of a target says beside its profile, and what it selects. */
const cases: Record<string, [spec: object, wanted: string[], status?: NonNullable<Example['status']>]> = {
  'nothing is the own namespace': [{}, own, { effectiveNamespaces: ['home'], matchedNamespaces: ['home'] }],
  'an empty selector is all': [all, everywhere],
  'labels of namespaces': [shop, [...own, 'pay/x'], { effectiveNamespaces: ['home', 'pay'] }],
  'values of a label': [{ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['platform', 'other'] }] } }, ['ops/x'], { effectiveNamespaces: ['ops'] }],
  'NotIn holds where the label is missing': [
    { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['shop'] }, { key: 'kollect.dev/watch', operator: 'DoesNotExist' }] } },
    ['ops/x', 'bare/x', 'bare/on', 'agrees/x'],
  ],
  'a label that exists': [{ namespaceSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } }, [...own, 'pay/x']],
  'namespaces by name': [{ includedNamespaces: ['pay', 'ops'] }, ['pay/x', 'ops/x'], { effectiveNamespaces: ['ops', 'pay'] }],
  'a namespace that is not there yet': [{ includedNamespaces: ['absent'] }, [], { effectiveNamespaces: [] }],
  'name and selector together': [{ ...shop, includedNamespaces: ['pay', 'ops'] }, ['pay/x']],
  'name and selector without a common one': [{ ...shop, includedNamespaces: ['ops'] }, [], { matchedNamespaces: [] }],
  'excluded by name': [{ ...shop, excludedNamespaces: ['home'] }, ['pay/x']],
  'excluded and included': [{ includedNamespaces: ['pay', 'ops'], excludedNamespaces: ['pay'] }, ['ops/x']],
  'excluded by the installation': [{ includedNamespaces: ['never', 'pay'] }, ['pay/x'], { effectiveNamespaces: ['pay'], matchedNamespaces: ['pay'] }],
  'excluded by label': [{ ...shop, namespaceExcludeSelector: { matchLabels: { tier: 'front' } } }, ['pay/x']],
  'an empty exclusion takes all': [{ ...all, namespaceExcludeSelector: {} }, []],
  'the own namespace excluded': [{ excludedNamespaces: ['home'] }, []],
  'names of objects': [{ names: ['large', 'x', 'absent'] }, ['home/large', 'home/x']],
  'labels of objects': [{ labelSelector: { matchLabels: { app: 'cart' } } }, ['home/large', 'home/small']],
  'expressions over labels of objects': [{ labelSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }, { key: 'tier', operator: 'DoesNotExist' }] } }, ['home/small', 'home/void']],
  'names and labels together': [{ names: ['large', 'x'], labelSelector: { matchLabels: { app: 'cart' } } }, ['home/large']],
  'names in many namespaces': [{ ...all, names: ['on'] }, ['bare/on', 'refuses/on']],
  'opt-in by object and namespace': [{ ...all, watchMode: 'OptIn' }, ['consents/x', 'agrees/x', 'bare/on', 'refuses/on']],
  'opt-in where nobody consents': [{ watchMode: 'OptIn' }, []],
  'a rule without conditions': [{ resourceRules: [rule()] }, own],
  'a rule by labels': [{ resourceRules: [rule({ matchLabels: { tier: 'gold' } })] }, ['home/large']],
  'a rule by expressions': [{ resourceRules: [rule({ matchExpressions: [{ key: 'app', operator: 'In', values: ['search'] }] })] }, ['home/void']],
  'one of several rules is enough': [{ resourceRules: [rule({ matchLabels: { tier: 'gold' } }), rule({ matchLabels: { app: 'search' } })] }, ['home/large', 'home/void']],
  'conditions of one rule hold together': [{ resourceRules: [rule({ matchLabels: { app: 'cart' }, matchPolicy: 'int(object.data.size) > 5' })] }, ['home/large']],
  'a rule by namespace': [{ ...all, resourceRules: [rule({ namespaceSelector: { matchLabels: { team: 'platform' } } }), rule({ namespaceSelector: { matchLabels: { tier: 'front' } }, matchLabels: { tier: 'gold' } })] }, ['ops/x', 'home/large']],
  'with rules, names and labels do not count': [{ names: ['absent'], labelSelector: { matchLabels: { no: 'one' } }, resourceRules: [rule({ matchLabels: { tier: 'gold' } })] }, ['home/large']],
  'rules and consent': [{ ...all, watchMode: 'OptIn', resourceRules: [rule({ matchPolicy: "object.metadata.name == 'x'" })] }, ['consents/x', 'agrees/x']],
  'a policy over names': [{ resourceRules: [rule({ matchPolicy: "object.metadata.name.startsWith('s')" })] }, ['home/small']],
  'a policy that fails on an object does not select it': [{ resourceRules: [rule({ matchPolicy: 'int(object.data.size) >= 2' })] }, ['home/large', 'home/small']],
  'a policy that asks first': [{ resourceRules: [rule({ matchPolicy: '!has(object.data.size)' })] }, ['home/void']],
  'a policy that says nothing of truth': [{ resourceRules: [rule({ matchPolicy: 'object.data.size' })] }, []],
};

const sizes: Record<string, object> = { 'home/large': { size: '9' }, 'home/small': { size: '2' }, 'home/void': {} };
const rowsOf = (wanted: readonly string[]): NonNullable<Example['rows']> => Object.fromEntries(wanted.map((name) => [name, { ...(sizes[name] ?? { size: '1' }) }]));

/** They have no own namespace, must name a label of the others, and have no names, labels and opt-in of their own. */
const isForClusters = (spec: object): boolean =>
  'namespaceSelector' in spec && JSON.stringify(spec.namespaceSelector) !== '{}' && Object.keys(spec).every((key) => !['names', 'labelSelector', 'watchMode'].includes(key));

export const selection: World = {
  home: 'home',
  namespaces,
  objects: [
    ...Object.keys(namespaces).map((namespace) => revision(namespace, 'x')),
    revision('home', 'large', { app: 'cart', tier: 'gold' }, sizes['home/large']),
    revision('home', 'small', { app: 'cart' }, sizes['home/small']),
    revision('home', 'void', { app: 'search' }, { other: 'y' }),
    revision('home', 'off', { app: 'cart', 'kollect.dev/watch': 'disabled' }),
    revision('bare', 'on', { 'kollect.dev/watch': 'enabled' }),
    revision('refuses', 'on', { 'kollect.dev/watch': 'enabled' }),
    revision('consents', 'off', { 'kollect.dev/watch': 'disabled' }),
  ],
  examples: {
    ...Object.fromEntries(Object.entries(cases).map(([title, [target, wanted, status = {}]]): [string, Example] => [title, { profile, target, rows: rowsOf(wanted), status }])),
    ...Object.fromEntries(
      Object.entries(cases)
        .filter(([, [spec]]) => isForClusters(spec))
        .map(([title, [target, wanted, status = {}]]): [string, Example] => [`${title}, for a cluster target`, { profile, target, clusterWide: true, rows: rowsOf(wanted), status }]),
    ),
    'a cluster target of the whole cluster': { profile, clusterWide: true, target: { namespaceSelector: {} }, refused: { target: /namespaceSelector/ } },
    'a policy that gives text': { profile, target: { resourceRules: [rule({ matchPolicy: 'object.metadata.name + "x"' })] }, refused: { target: /must give true or false/ } },
    'a policy with a prefix': { profile, target: { resourceRules: [rule({ matchPolicy: 'cel:true' })] }, refused: { target: /without the prefix cel:/ } },
    'a pattern as a name': { profile, target: { names: ['web-*'] }, refused: { target: /patterns are not supported/ } },
  },
};

const cfg = (namespace: string): ExampleObject => ({ apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: { name: 'cfg', namespace }, spec: { minAvailable: '50%', selector: { matchLabels: { app: 'x' } } } });
const budgets: Example['profile'] = { targetGVK: { group: 'policy', version: 'v1', kind: 'PodDisruptionBudget' }, attributes: attributesOf({ least: '$.spec.minAvailable' }) };

/** A scope holds the targets of its namespace, and those of nobody else. */
export const ceiling: World = {
  home: 'ceiling',
  namespaces: { ceiling: {}, 'ceiling-pay': { labels: { audit: 'yes' } }, 'ceiling-shop': { labels: { audit: 'yes' } } },
  objects: [
    { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectScope', metadata: { name: 'ceiling', namespace: 'ceiling' }, spec: { allowedNamespaces: ['ceiling-shop'] } },
    ...['ceiling', 'ceiling-pay', 'ceiling-shop'].map(cfg),
  ],
  examples: {
    'a scope shrinks what is selected': { profile: budgets, target: { namespaceSelector: { matchLabels: { audit: 'yes' } } }, rows: { 'ceiling-shop/cfg': { least: '50%' } }, status: { effectiveNamespaces: ['ceiling-shop'], matchedNamespaces: ['ceiling-pay', 'ceiling-shop'] } },
    'a scope that leaves nothing': { profile: budgets, target: {}, rows: {}, status: { effectiveNamespaces: [], matchedNamespaces: ['ceiling'] } },
    'names beyond the scope': { profile: budgets, target: { includedNamespaces: ['kube-system', 'ceiling-pay', 'ceiling-shop'] }, refused: { target: /includedNamespaces/ } },
    'a cluster target is not held by it': { profile: budgets, clusterWide: true, target: { namespaceSelector: { matchLabels: { audit: 'yes' } } }, rows: { 'ceiling-pay/cfg': { least: '50%' }, 'ceiling-shop/cfg': { least: '50%' } } },
  },
};

const node = (name: string, labels: Record<string, string>): ExampleObject => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels }, spec: { podCIDR: `10.2.${name.charCodeAt(0) - 97}.0/24` }, status: { capacity: { cpu: '4', memory: '16384Mi' } } });
const nodes: Example['profile'] = { targetGVK: { version: 'v1', kind: 'Node' }, attributes: attributesOf({ pool: '$.metadata.labels.pool', memory: 'cel:quantity(object.status.capacity.memory).asInteger() / 1073741824' }) };
const blue = { pool: 'blue', memory: 16 };
const red = { pool: 'red', memory: 16 };

/** Kinds without namespaces belong to nobody's namespace, whatever selectors say. */
export const clusterKinds: World = {
  home: 'platform',
  objects: [
    node('a', { pool: 'blue' }),
    node('b', { pool: 'red' }),
    node('c', { pool: 'red', 'kollect.dev/watch': 'disabled' }),
    node('d', { pool: 'red', 'kollect.dev/watch': 'enabled' }),
    { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { name: 'example-high', labels: { example: 'yes' } }, value: 1_000_000, globalDefault: false, description: '' },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name: 'example-reader', labels: { example: 'yes' } }, rules: [{ apiGroups: [''], resources: ['pods', 'secrets'], verbs: ['get', 'list'] }, { apiGroups: ['apps'], resources: ['deployments'], verbs: ['*'] }] },
  ],
  examples: {
    'Nodes, by label': { profile: nodes, target: { labelSelector: { matchLabels: { pool: 'blue' } } }, rows: { '/a': blue } },
    'Nodes that consent': { profile: nodes, target: { watchMode: 'OptIn' }, rows: { '/d': red } },
    'all Nodes': { profile: nodes, rows: { '/a': blue, '/b': red, '/d': red } },
    'Nodes for a cluster target': { profile: nodes, clusterWide: true, target: { namespaceSelector: { matchLabels: { nobody: 'has' } } }, rows: { '/a': blue, '/b': red, '/d': red } },
    'Nodes by a policy': { profile: nodes, target: { resourceRules: [{ gvk: nodes.targetGVK, matchPolicy: 'cidr(object.spec.podCIDR).containsIP("10.2.1.7")' }] }, rows: { '/b': red } },
    'a PriorityClass': { profile: { targetGVK: { group: 'scheduling.k8s.io', version: 'v1', kind: 'PriorityClass' }, attributes: attributesOf({ value: '$.value', policy: '$.preemptionPolicy' }) }, target: { labelSelector: { matchLabels: { example: 'yes' } } }, rows: { '/example-high': { value: 1_000_000, policy: 'PreemptLowerPriority' } } },
    'rules of a ClusterRole': { profile: { targetGVK: { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'ClusterRole' }, attributes: attributesOf({ resources: '$.rules[*].resources[*]', secrets: 'cel:object.rules.exists(r, "secrets" in r.resources)' }) }, target: { labelSelector: { matchLabels: { example: 'yes' } } }, rows: { '/example-reader': { resources: ['pods', 'secrets', 'deployments'], secrets: true } } },
    'Namespaces themselves': { profile: { targetGVK: { version: 'v1', kind: 'Namespace' }, attributes: attributesOf({ team: '$.metadata.labels.team' }) }, target: { labelSelector: { matchLabels: { team: 'platform' } } }, rows: { '/ops': { team: 'platform' } } },
  },
};
