import t from 'tap';
import { configMap, kollectObject, startCollecting } from './collecting.ts';

// What is selected, by tables: every case is a target of its own over the same objects, all in the cluster at once.

const running = await startCollecting(t, { namespaceDefaults: { included: [], excluded: ['never', 'kube-system'] } });
const { apply, untilNames, untilReady, payloads, target, cluster } = running;

const namespace = (name: string, labels: Record<string, string> = {}, annotations: Record<string, string> = {}): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels, annotations } });
const gvk = { version: 'v1', kind: 'ConfigMap' };
const rule = (more: object = {}): object => ({ gvk, ...more });

await apply(
  namespace('home', { team: 'shop', tier: 'front' }),
  namespace('pay', { team: 'shop', tier: 'back' }),
  namespace('ops', { team: 'platform' }),
  namespace('bare'),
  namespace('never', { team: 'shop' }),
  namespace('consents', { 'kollect.dev/watch': 'enabled' }),
  namespace('agrees', {}, { 'kollect.dev/namespace-watch': 'enabled' }),
  namespace('refuses', { 'kollect.dev/watch': 'disabled' }),
  namespace('declines', {}, { 'kollect.dev/namespace-watch': 'disabled' }),
  namespace('torn', { 'kollect.dev/watch': 'enabled' }, { 'kollect.dev/namespace-watch': 'disabled' }),
  namespace('odd', { 'kollect.dev/watch': 'Enabled' }),
);
const plain = ['home', 'pay', 'ops', 'bare', 'never', 'consents', 'agrees', 'refuses', 'declines', 'torn', 'odd'];
await apply(
  kollectObject('KollectProfile', 'home', 'maps', { targetGVK: gvk, attributes: [{ name: 'size', path: '$.data.size' }] }),
  ...plain.map((place) => configMap(place, 'x')),
  configMap('home', 'large', { labels: { app: 'cart', tier: 'gold' }, data: { size: '9' } }),
  configMap('home', 'small', { labels: { app: 'cart' }, data: { size: '2' } }),
  configMap('home', 'void', { labels: { app: 'search' }, data: { other: 'y' } }),
  configMap('home', 'off', { labels: { app: 'cart', 'kollect.dev/watch': 'disabled' } }),
  configMap('bare', 'on', { labels: { 'kollect.dev/watch': 'enabled' } }),
  configMap('refuses', 'on', { labels: { 'kollect.dev/watch': 'enabled' } }),
  configMap('consents', 'off', { labels: { 'kollect.dev/watch': 'disabled' } }),
);

const all = { namespaceSelector: {} };
const own = ['home/x', 'home/large', 'home/small', 'home/void'];
const everywhere = [...own, 'pay/x', 'ops/x', 'bare/x', 'bare/on', 'consents/x', 'agrees/x', 'odd/x', 'refuses/on'];
const shop = { namespaceSelector: { matchLabels: { team: 'shop' } } };

/** Names as `<namespace>/<name>` by what the spec of a target says beside its profile. */
const cases: Record<string, [spec: object, wanted: string[]]> = {
  'nothing is the own namespace': [{}, own],
  'an empty selector is all': [all, everywhere],
  'labels of namespaces': [shop, [...own, 'pay/x']],
  'values of a label': [{ namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In', values: ['platform', 'other'] }] } }, ['ops/x']],
  'NotIn holds where the label is missing': [
    { namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'NotIn', values: ['shop'] }, { key: 'kollect.dev/watch', operator: 'DoesNotExist' }] } },
    ['ops/x', 'bare/x', 'bare/on', 'agrees/x'],
  ],
  'a label that exists': [{ namespaceSelector: { matchExpressions: [{ key: 'tier', operator: 'Exists' }] } }, [...own, 'pay/x']],
  'namespaces by name': [{ includedNamespaces: ['pay', 'ops'] }, ['pay/x', 'ops/x']],
  'a namespace that is not there yet': [{ includedNamespaces: ['absent'] }, []],
  'name and selector together': [{ ...shop, includedNamespaces: ['pay', 'ops'] }, ['pay/x']],
  'name and selector without a common one': [{ ...shop, includedNamespaces: ['ops'] }, []],
  'excluded by name': [{ ...shop, excludedNamespaces: ['home'] }, ['pay/x']],
  'excluded and included': [{ includedNamespaces: ['pay', 'ops'], excludedNamespaces: ['pay'] }, ['ops/x']],
  'excluded by the installation': [{ includedNamespaces: ['never', 'pay'] }, ['pay/x']],
  'excluded by label': [{ ...shop, namespaceExcludeSelector: { matchLabels: { tier: 'front' } } }, ['pay/x']],
  'an empty exclusion takes all': [{ ...all, namespaceExcludeSelector: {} }, []],
  'the own namespace excluded': [{ excludedNamespaces: ['home'] }, []],
  'names of objects': [{ names: ['large', 'x', 'absent'] }, ['home/large', 'home/x']],
  'labels of objects': [{ labelSelector: { matchLabels: { app: 'cart' } } }, ['home/large', 'home/small']],
  'expressions over labels of objects': [{ labelSelector: { matchExpressions: [{ key: 'app', operator: 'Exists' }, { key: 'tier', operator: 'DoesNotExist' }] } }, ['home/small', 'home/void']],
  'names and labels together': [{ names: ['large', 'x'], labelSelector: { matchLabels: { app: 'cart' } } }, ['home/large']],
  'names in many namespaces': [{ ...all, names: ['on'] }, ['bare/on', 'refuses/on']],
  'opt-in by object and namespace': [{ ...all, watchMode: 'OptIn' }, ['consents/x', 'agrees/x', 'bare/on', 'refuses/on']],
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
const named = Object.entries(cases).map(([title, [spec, wanted]], index) => ({ title, spec, wanted, name: `case-${index}` }));

t.test('targets', async (t) => {
  await apply(...named.map(({ name, spec }) => kollectObject('KollectTarget', 'home', name, { profileRef: 'maps', ...spec })));
  for (const { title, name, wanted } of named) {
    await t.test(title, async () => {
      await untilReady('home', name, 'True Collecting');
      await untilNames('home', name, wanted);
    });
  }
});

t.test('the same, for cluster targets', async (t) => {
  // They have no own namespace, and no names, labels and opt-in of their own.
  const clusterWide = named.filter(({ spec }) => Object.keys(spec).includes('namespaceSelector') && Object.keys(spec).every((key) => !['names', 'labelSelector', 'watchMode'].includes(key)));
  const selecting = clusterWide.filter(({ spec }) => JSON.stringify((spec as typeof all).namespaceSelector) !== '{}');
  await apply(...selecting.map(({ name, spec }) => kollectObject('KollectClusterTarget', '', name, { profileRef: { name: 'maps', namespace: 'home' }, ...spec })));
  t.ok(selecting.length > 5);
  for (const { title, name, wanted } of selecting) {
    await t.test(title, async () => {
      await untilReady('', name, 'True Collecting');
      await untilNames('', name, wanted);
    });
  }
});

t.test('includes, exclusions of the installation and a ceiling at once', async (t) => {
  await apply(
    kollectObject('KollectProfile', 'bare', 'maps', { targetGVK: gvk, attributes: [{ name: 'size', path: '$.data.size' }] }),
    kollectObject('KollectScope', 'bare', 'ceiling', { allowedNamespaces: ['home'] }),
    kollectObject('KollectTarget', 'bare', 'ceiling', { profileRef: 'maps', includedNamespaces: ['never', 'pay', 'home'] }),
  );
  await untilNames('bare', 'ceiling', own);
  await untilReady('bare', 'ceiling', 'True Collecting');
  const { status } = await target('bare', 'ceiling');
  t.strictSame([status?.matchedNamespaces, status?.effectiveNamespaces], [['home', 'pay'], ['home']]);
});

t.test('labels and consent that change', async () => {
  await apply(namespace('bare', { team: 'platform' }));
  const index = named.findIndex(({ title }) => title === 'values of a label');
  await untilNames('home', `case-${index}`, ['ops/x', 'bare/x', 'bare/on']);
  await apply(namespace('ops', { team: 'other', 'kollect.dev/watch': 'disabled' }), configMap('bare', 'x', { labels: { 'kollect.dev/watch': 'disabled' } }));
  await untilNames('home', `case-${index}`, ['bare/on']);
  await apply(namespace('ops', { team: 'platform' }), configMap('bare', 'x'));
  await untilNames('home', `case-${index}`, ['ops/x', 'bare/x', 'bare/on']);
});

t.test('status of a target, whole', async (t) => {
  const index = named.findIndex(({ title }) => title === 'rules and consent');
  await untilNames('home', `case-${index}`, ['consents/x', 'agrees/x']);
  const fails = named.findIndex(({ title }) => title === 'a policy that asks first');
  const { status } = await target('home', `case-${fails}`);
  const conditions = status?.conditions?.map(({ type, status: value, reason, message, observedGeneration }) => ({ type, status: value, reason, message, observedGeneration }));
  const message = 'collecting configmaps from 1 namespace(s)';
  t.strictSame(conditions, [
    { type: 'Ready', status: 'True', reason: 'Collecting', message, observedGeneration: 1 },
    { type: 'Synced', status: 'True', reason: 'PartialExtraction', message: 'some attributes could not be extracted and are null; see extractionFailures and lastExtractionError', observedGeneration: 1 },
    { type: 'Degraded', status: 'False', reason: 'Collecting', message, observedGeneration: 1 },
  ]);
  t.match(status, { activeResourceRules: 1, extractionFailures: 1, lastExtractionError: 'attribute "size": no value', effectiveNamespaces: ['home'], matchedNamespaces: ['home'] });
});

t.test('attributes of a Deployment', async (t) => {
  const containers = [{ name: 'cart', image: 'cart:2.4' }, { name: 'envoy', image: 'envoy:1.30' }];
  const labels = { matchLabels: { app: 'cart' } };
  await apply(
    { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'cart', namespace: 'pay' }, spec: { replicas: 3, selector: labels, template: { metadata: { labels: labels.matchLabels }, spec: { containers } } } },
    kollectObject('KollectProfile', 'pay', 'deployments', {
      targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' },
      attributes: [
        { name: 'images', path: '$.spec.template.spec.containers[*].image' },
        { name: 'firstImage', path: '{.spec.template.spec.containers[0].image}' },
        { name: 'sixthImage', path: '{.spec.template.spec.containers[5].image}' },
        { name: 'replicas', path: '$.spec.replicas' },
        { name: 'ready', path: 'cel:has(object.status.readyReplicas) ? object.status.readyReplicas : 0' },
        { name: 'size', path: "cel:string(object.spec.replicas) + ' pods'" },
        { name: 'tier', path: '$.metadata.labels.tier' },
        { name: 'owner', path: '$.metadata.annotations.owner', optional: true },
        { name: 'paused', path: 'cel:object.spec.paused' },
      ],
    }),
    kollectObject('KollectTarget', 'pay', 'web-images', { profileRef: 'deployments' }),
  );
  await untilNames('pay', 'web-images', ['pay/cart']);
  const [row] = payloads('pay', 'web-images');
  t.strictSame(row, {
    targetNamespace: 'pay',
    targetName: 'web-images',
    namespace: 'pay',
    name: 'cart',
    group: 'apps',
    version: 'v1',
    kind: 'Deployment',
    uid: row?.['uid'],
    attributes: { firstImage: 'cart:2.4', images: ['cart:2.4', 'envoy:1.30'], paused: null, ready: 0, replicas: 3, sixthImage: null, size: '3 pods', tier: null },
  });
});

t.test('a whole custom resource, pruned and redacted', async (t) => {
  const schema = { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } };
  await apply({
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'shoppen.demo.example.io' },
    spec: { group: 'demo.example.io', scope: 'Namespaced', names: { kind: 'Shop', plural: 'shoppen' }, versions: [{ name: 'v1', served: true, storage: true, schema }] },
  });
  await cluster.kubectl(['wait', '--for=condition=Established', 'crd/shoppen.demo.example.io', '--timeout=60s']);
  await apply(
    {
      apiVersion: 'demo.example.io/v1',
      kind: 'Shop',
      metadata: { name: 'cart', namespace: 'pay', labels: { tier: 'gold', 'pod-template-hash': 'abc' }, annotations: { note: 'keep' } },
      spec: {
        db: { host: 'pg', password: 'hunter2' },
        serviceAccountToken: true,
        tls: { key: 'PEM', crt: 'PEM' },
        env: [{ name: 'API_TOKEN', value: 't0k' }, { name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
      },
      status: { conditions: [{ type: 'Ready' }, { type: 'Synced' }] },
    },
    kollectObject('KollectProfile', 'pay', 'shops', {
      targetGVK: { group: 'demo.example.io', version: 'v1', kind: 'Shop' },
      export: { mode: 'Resource', as: 'object', include: 'All', prune: { jsonPointers: ['/status/conditions/0'], jsonPaths: ['$.metadata.labels["pod-template-hash"]'], scrubKeys: ['host'] } },
    }),
    kollectObject('KollectTarget', 'pay', 'shops', { profileRef: 'shops' }),
  );
  await untilNames('pay', 'shops', ['pay/cart']);
  const hidden = { redacted: true, reason: 'sensitive-key' };
  const object = payloads('pay', 'shops')[0]?.attributes['object'] as { metadata: Record<string, unknown> };
  const { creationTimestamp, ...metadata } = object.metadata;
  t.type(creationTimestamp, 'string');
  t.strictSame({ object: { ...object, metadata } }, {
    object: {
      apiVersion: 'demo.example.io/v1',
      kind: 'Shop',
      metadata: { annotations: { note: 'keep' }, labels: { tier: 'gold' } },
      spec: { db: { host: hidden, password: hidden }, env: [{ name: 'API_TOKEN', value: hidden }, { name: 'X', valueFrom: hidden }], serviceAccountToken: hidden, tls: hidden },
      status: { conditions: [null, { type: 'Synced' }] },
    },
  });
});

t.test('a Helm release and other Secrets', async (t) => {
  const release =
    'SDRzSUFBQUFBQUFDLzFXTlN3N0RNQWdGNzhMYXNsUzNLeCtrZTJvN2phWEdJT1ArRk9YdWhTd2lkUWZ6SHNNS0RaY0NFUkwyQVc3ZmhERVprcGxZMGF0MHFkUWdCZ2UxVFFSeEJSazRucUtkWFBoQjM1SmhjNUJtYzJpNmxJRVpCOXI4cno5Y2NQTEJuNVVnOC9XQXdWOWdNeE8xcWQ3dHZLdS9KcFQ5ZTc0WlloUjVVOC9hLzJoNyt3SGxpLzN0d3dBQUFBPT0=';
  const secrets = { targetGVK: { version: 'v1', kind: 'Secret' } };
  const annotated = (name: string, spec: object): object => ({
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectProfile',
    metadata: { name, namespace: 'pay', annotations: { 'kollect.dev/allow-secret-extraction': 'true' } },
    spec,
  });
  await apply(
    { apiVersion: 'v1', kind: 'Secret', type: 'helm.sh/release.v1', metadata: { name: 'sh.helm.release.v1.cart.v2', namespace: 'pay' }, data: { release } },
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'login', namespace: 'pay' }, stringData: { user: 'canary-5e11', other: 'canary-5e11' } },
    annotated('releases', { ...secrets, attributes: ['releaseName', 'chartVersion', 'appVersion', 'revision', 'status', 'lastDeployed', 'config'].map((field) => ({ name: field, path: `helm:release.${field}`, optional: field === 'lastDeployed' })) }),
    annotated('raw', { ...secrets, attributes: [{ name: 'user', path: '$.data.user' }, { name: 'keys', path: 'cel:object.data' }, { name: 'type', path: '$.type' }] }),
    kollectObject('KollectTarget', 'pay', 'releases', { profileRef: 'releases', names: ['sh.helm.release.v1.cart.v2'] }),
    kollectObject('KollectTarget', 'pay', 'raw', { profileRef: 'raw', names: ['login'] }),
  );
  await untilNames('pay', 'releases', ['pay/sh.helm.release.v1.cart.v2']);
  await untilNames('pay', 'raw', ['pay/login']);
  t.strictSame(payloads('pay', 'releases')[0]?.attributes, {
    releaseName: 'cart',
    chartVersion: '1.2.3',
    appVersion: '2.4',
    revision: 2,
    status: 'deployed',
    config: { db: { password: { redacted: true, reason: 'sensitive-key' } }, replicas: 2 },
  });
  const [row] = payloads('pay', 'raw');
  t.equal(row?.attributes['type'], 'Opaque');
  t.match(row?.attributes['user'], { redacted: true });
  t.notMatch(JSON.stringify(row), /canary|Y2FuYXJ5/);
});
