import t from 'tap';
import { eventually } from '../servers/eventually.ts';
import { configMap, kollectObject, startCollecting } from './collecting.ts';

// Targets whose rules name several kinds.
const running = await startCollecting(t);
const { apply, remove, namespace, target, payloads, untilNames, untilReady, cluster, controller } = running;

t.jobs = 4;

const maps = { version: 'v1', kind: 'ConfigMap' };
const services = { version: 'v1', kind: 'Service' };
const secrets = { version: 'v1', kind: 'Secret' };
const roles = { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'Role' };

const profile = (home: string, targetGVK: object = maps): object =>
  kollectObject('KollectProfile', home, 'any', { targetGVK, attributes: [{ name: 'app', path: '$.metadata.labels.app', optional: true }, { name: 'kind', path: '$.kind', optional: true }, { name: 'size', path: '$.data.size', optional: true }] });
const targetOf = (home: string, resourceRules: object[], more: object = {}): object => kollectObject('KollectTarget', home, 'several', { profileRef: 'any', resourceRules, ...more });
const service = (home: string, name: string, app: string, port = 80): object => ({ apiVersion: 'v1', kind: 'Service', metadata: { name, namespace: home, labels: { app } }, spec: { ports: [{ port }] } });
const secret = (home: string, name: string): object => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: home }, stringData: { size: 'canary-of-a-secret' } });
const role = (home: string, name: string, verbs: string[]): object => ({ apiVersion: roles.group + '/v1', kind: 'Role', metadata: { name, namespace: home }, rules: [{ apiGroups: [''], resources: ['pods'], verbs }] });

/** A namespace with a profile for ConfigMaps, and two objects of three kinds. */
async function home(labels?: Record<string, string>): Promise<string> {
  const name = await namespace(labels);
  await apply(profile(name), configMap(name, 'm1', { labels: { app: 'cart' } }), configMap(name, 'm2', { labels: { app: 'search' } }));
  await apply(service(name, 's1', 'cart'), service(name, 's2', 'search', 8080), role(name, 'r1', ['get']), role(name, 'r2', ['get', 'list']));
  return name;
}

/** Rows that moved from here on, as `<kind>/<name>`. */
function movesOf(namespaceName: string, name = 'several'): string[] {
  const moves: string[] = [];
  const stop = controller.rows.subscribe({
    row: (rows, before, after) => {
      if (rows.namespace !== namespaceName || rows.name !== name) return;
      const { kind, name: object } = JSON.parse((after ?? before)!.payload) as { kind: string; name: string };
      moves.push(`${after ? (before ? '~' : '+') : '-'}${kind}/${object}`);
    },
    opened: () => undefined,
    closed: () => undefined,
  });
  t.teardown(stop);
  return moves;
}

t.test('each rule selects of its kind, by labels, expressions and policies', { buffered: true }, async (t) => {
  const shop = await home();
  await apply(
    targetOf(shop, [
      { gvk: maps, matchLabels: { app: 'cart' } },
      { gvk: services, matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['cart'] }], matchPolicy: 'object.spec.ports[0].port > 1024' },
      { gvk: roles, matchPolicy: "object.rules.exists(rule, 'list' in rule.verbs)" },
      { gvk: { group: 'core', version: 'v1', kind: 'ConfigMap' }, matchPolicy: "object.metadata.name == 'm1'" },
    ]),
  );
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/s2`, `${shop}/r2`]);
  await untilReady(shop, 'several', 'True Collecting', /^collecting configmaps, services, roles\.rbac\.authorization\.k8s\.io from 1 namespace\(s\)$/);
  const rows = Object.fromEntries(payloads(shop, 'several').map((row) => [row['name'], row]));
  t.match(rows['m1'], { version: 'v1', kind: 'ConfigMap', attributes: { app: 'cart' } });
  t.match(rows['s2'], { version: 'v1', kind: 'Service', attributes: { app: 'search' } });
  t.match(rows['r2'], { group: 'rbac.authorization.k8s.io', version: 'v1', kind: 'Role' }, 'the kind is that of the object');
  const { status } = await target(shop, 'several');
  t.match(status, { activeResourceRules: 4, effectiveNamespaces: [shop] });
  await eventually(async () => (await target(shop, 'several')).status?.collectedCount === 3, { what: 'the count over all kinds' });

  await apply(service(shop, 's1', 'search', 9090), configMap(shop, 'm1', { labels: { app: 'other' } }), configMap(shop, 'm3', { labels: { app: 'cart' } }));
  await remove('role', 'r2', shop);
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m3`, `${shop}/s1`, `${shop}/s2`]);
});

t.test('a rule that comes, changes or goes moves the rows of its kind, and no others', { buffered: true }, async (t) => {
  const shop = await home();
  await apply(targetOf(shop, [{ gvk: maps }]));
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`]);
  await untilReady(shop, 'several', 'True Collecting');
  const moves = movesOf(shop);

  await apply(targetOf(shop, [{ gvk: maps }, { gvk: services }]));
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`, `${shop}/s1`, `${shop}/s2`]);
  await untilReady(shop, 'several', 'True Collecting');
  await apply(targetOf(shop, [{ gvk: maps }, { gvk: services, matchPolicy: "object.metadata.name == 's2'" }]));
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`, `${shop}/s2`]);
  await apply(targetOf(shop, [{ gvk: services, matchPolicy: "object.metadata.name == 's2'" }, { gvk: maps }], { limits: { maxRows: 10 } }));
  await apply(targetOf(shop, [{ gvk: roles, matchPolicy: "object.metadata.name == 'r1'" }, { gvk: maps }]));
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`, `${shop}/r1`]);
  t.strictSame(moves.toSorted(), ['+Role/r1', '+Service/s1', '+Service/s2', '-Service/s1', '-Service/s2']);

  moves.length = 0;
  await apply(targetOf(shop, [{ gvk: roles }], { suspend: true }));
  await untilReady(shop, 'several', 'False Suspended');
  await untilNames(shop, 'several', [`${shop}/r1`]);
  t.strictSame(moves.toSorted(), ['-ConfigMap/m1', '-ConfigMap/m2'], 'what is not collected any more leaves, suspended or not');
  await apply(kollectObject('KollectTarget', shop, 'several', { profileRef: 'any' }));
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`]);
});

t.test('a kind that is not served says so, and goes with its definition, while the others are collected', { buffered: true }, async (t) => {
  const shop = await home();
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'carts.shop.example' },
    spec: { group: 'shop.example', scope: 'Namespaced', names: { kind: 'Cart', plural: 'carts' }, versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }] },
  };
  const cart = { apiVersion: 'shop.example/v1', kind: 'Cart', metadata: { name: 'c1', namespace: shop } };
  /** Created as soon as the API server serves the kind, which is a moment after the definition is established. */
  const defineAndApplyCart = async (): Promise<void> => {
    await apply(definition);
    await eventually(() => apply(cart).then(() => true), { what: 'a cart' });
  };
  await apply(targetOf(shop, [{ gvk: { group: 'shop.example', version: 'v1', kind: 'Cart' } }, { gvk: maps, matchLabels: { app: 'cart' } }]));
  await untilReady(shop, 'several', 'False InformerRegistrationFailed', /knows no Cart in shop.example\/v1/);
  await untilNames(shop, 'several', [`${shop}/m1`]);
  await eventually(async () => (await target(shop, 'several')).status?.collectedCount === 1, { what: 'the count of what is collected' });

  await defineAndApplyCart();
  await untilNames(shop, 'several', [`${shop}/c1`, `${shop}/m1`]);
  await untilReady(shop, 'several', 'True Collecting');
  const moves = movesOf(shop);
  await remove('crd', 'carts.shop.example');
  await untilNames(shop, 'several', [`${shop}/m1`]);
  await untilReady(shop, 'several', 'False InformerRegistrationFailed', /no CustomResourceDefinition of Cart in shop.example/);
  await apply(configMap(shop, 'm1', { labels: { app: 'cart', more: 'yes' }, data: { size: '5' } }));
  await eventually(() => moves.length === 2, { what: 'the change of another kind meanwhile' });
  await defineAndApplyCart();
  await untilNames(shop, 'several', [`${shop}/c1`, `${shop}/m1`]);
  await untilReady(shop, 'several', 'True Collecting');
  t.strictSame(moves, ['-Cart/c1', '~ConfigMap/m1', '+Cart/c1']);
});

t.test('a scope judges each kind', { buffered: true }, async (t) => {
  const shop = await home();
  await apply(targetOf(shop, [{ gvk: maps }, { gvk: services }]));
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`, `${shop}/s1`, `${shop}/s2`]);
  await apply(kollectObject('KollectScope', shop, 'team', { allowedGVKs: [{ group: '', version: 'v1', kind: 'service' }] }));
  await untilNames(shop, 'several', [`${shop}/s1`, `${shop}/s2`]);
  t.match(await untilReady(shop, 'several', 'False ScopeGVKDenied'), /^v1 ConfigMap is not among the allowedGVKs of KollectScope "team": v1 service; collect one of these, or ask its owner to add the kind$/);
  await apply(service(shop, 's3', 'cart'));
  await untilNames(shop, 'several', [`${shop}/s1`, `${shop}/s2`, `${shop}/s3`]);
  await apply(targetOf(shop, [{ gvk: services }]));
  await untilReady(shop, 'several', 'True Collecting');
  await remove('kollectscope', 'team', shop);
  await apply(targetOf(shop, [{ gvk: maps }, { gvk: services }], { limits: { maxRows: 4 } }));
  t.match(await untilReady(shop, 'several', 'False QuotaExceeded'), /4 of at most 4 rows, and 1 object\(s\) are left out/, 'limits are of the whole target');
  await remove('service', 's3', shop);
  await remove('service', 's2', shop);
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`, `${shop}/s1`]);
});

t.test('a kind that the profile may not read stands alone', { buffered: true }, async (t) => {
  const shop = await home();
  await apply(secret(shop, 'x1'), targetOf(shop, [{ gvk: maps }, { gvk: secrets }]));
  t.match(await untilReady(shop, 'several', 'False InvalidProfile'), /KollectProfile "any" cannot read v1 Secret: .*allow-secret-extraction/);
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`]);
  await cluster.kubectl(['annotate', 'kollecttarget', 'several', '-n', shop, 'kollect.dev/allow-secret-extraction=true']);
  await untilNames(shop, 'several', [`${shop}/m1`, `${shop}/m2`, `${shop}/x1`]);
  const all = JSON.stringify(payloads(shop, 'several'));
  t.notMatch(all, /canary|Y2FuYXJ5/);
  t.match(payloads(shop, 'several').find((row) => row['name'] === 'x1'), { kind: 'Secret', attributes: { size: { redacted: true, reason: 'secret-data' } } });
  t.match(payloads(shop, 'several').find((row) => row['name'] === 'm1'), { kind: 'ConfigMap', attributes: { size: '1' } });
});

t.test('an object that is served in two versions is one row', { buffered: true }, async (t) => {
  const shop = await home();
  const scaler = (minReplicas: number): object => ({
    apiVersion: 'autoscaling/v2',
    kind: 'HorizontalPodAutoscaler',
    metadata: { name: 'h1', namespace: shop, labels: { app: `n${minReplicas}` } },
    spec: { minReplicas, maxReplicas: 9, scaleTargetRef: { kind: 'Deployment', name: 'web', apiVersion: 'apps/v1' } },
  });
  const gvk = (version: string): object => ({ gvk: { group: 'autoscaling', version, kind: 'HorizontalPodAutoscaler' } });
  await apply(scaler(1), targetOf(shop, [gvk('v2'), { ...gvk('v1'), matchPolicy: 'object.spec.minReplicas < 5' }]));
  await untilReady(shop, 'several', 'True Collecting');
  const versions = (): unknown[] => payloads(shop, 'several').map(({ version, attributes }) => `${version} ${attributes['app']}`);
  await eventually(() => versions().join() === 'v1 n1', { what: 'the row' });
  await apply(scaler(5));
  await eventually(() => versions().join() === 'v2 n5', { what: 'the row of the other version' });
  await apply(scaler(2));
  await eventually(() => versions().join() === 'v1 n2', { what: 'the row of the first version' });
  await apply(scaler(3));
  await eventually(() => versions().join() === 'v1 n3', { what: 'the first version alone, although both changed' });
  t.equal(controller.rows.get(shop, 'several')?.count, 1);
  await apply(scaler(2));
  await eventually(() => versions().join() === 'v1 n2');

  await apply(targetOf(shop, [gvk('v1')]));
  await untilReady(shop, 'several', 'True Collecting');
  const moves = movesOf(shop);
  await apply(targetOf(shop, [gvk('v2')]));
  await eventually(() => versions().join() === 'v2 n2', { what: 'the row of the version that is left' });
  t.strictSame(moves, ['~HorizontalPodAutoscaler/h1'], 'a change of the version keeps the rows');
});

t.test('a cluster target, with kinds in namespaces and without', { buffered: true }, async (t) => {
  const pair = `pair-${process.pid}`;
  const [shop, pay] = [await home({ pair }), await home({ pair, tier: 'back' })];
  await apply(
    kollectObject('KollectClusterTarget', '', 'several', {
      profileRef: { name: 'any', namespace: shop },
      namespaceSelector: { matchLabels: { pair } },
      resourceRules: [
        { gvk: { version: 'v1', kind: 'Namespace' }, matchLabels: { pair } },
        { gvk: services, matchLabels: { app: 'cart' } },
        { gvk: maps, namespaceSelector: { matchLabels: { tier: 'back' } }, matchExpressions: [{ key: 'app', operator: 'Exists' }] },
      ],
    }),
  );
  const wanted = [`/${shop}`, `/${pay}`, `${shop}/s1`, `${pay}/s1`, `${pay}/m1`, `${pay}/m2`];
  await untilNames('', 'several', wanted);
  await untilReady('', 'several', 'True Collecting', /^collecting namespaces, services, configmaps from 2 namespace\(s\)$/);
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: shop, labels: { pair, tier: 'back' } } });
  await untilNames('', 'several', [...wanted, `${shop}/m1`, `${shop}/m2`]);
  await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: pay, labels: { tier: 'back' } } });
  await untilNames('', 'several', [`/${shop}`, `${shop}/s1`, `${shop}/m1`, `${shop}/m2`]);

  await apply(kollectObject('KollectClusterScope', '', 'all', { allowedGVKs: [{ version: 'v1', kind: 'Namespace' }] }));
  t.teardown(() => remove('kollectclusterscope', 'all'));
  await untilNames('', 'several', [`/${shop}`]);
  t.match(await untilReady('', 'several', 'False ScopeGVKDenied'), /v1 Service is not among .*; v1 ConfigMap is not among/);
});
