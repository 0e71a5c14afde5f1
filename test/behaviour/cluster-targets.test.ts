import t from 'tap';
import { collecting, configMap, kollectObject, startCollecting, startController } from './collecting.ts';

const running = await startCollecting(t);
const { apply, namespace, target, untilNames, untilReady, payloads } = running;

const configMaps = { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] };
const nodes = { targetGVK: { version: 'v1', kind: 'Node' }, attributes: [{ name: 'pool', path: '$.metadata.labels.pool' }] };
const clusterScope = (spec: object): object => kollectObject('KollectClusterScope', '', 'ceiling', spec);

t.test('rows of many namespaces, in a key space of their own', async (t) => {
  const home = await namespace();
  const [pay, shop] = [await namespace({ audit: home }), await namespace({ audit: home })];
  await apply(
    kollectObject('KollectProfile', home, 'maps', configMaps),
    // A target of a namespace with the same name.
    kollectObject('KollectTarget', home, 'audit', { profileRef: 'maps' }),
    kollectObject('KollectClusterTarget', '', 'audit', { profileRef: { name: 'maps', namespace: home }, namespaceSelector: { matchLabels: { audit: home } } }),
    ...[home, pay, shop].map((place) => configMap(place, 'cfg')),
  );
  await untilNames('', 'audit', [`${pay}/cfg`, `${shop}/cfg`]);
  await untilNames(home, 'audit', [`${home}/cfg`]);
  const [row] = payloads('', 'audit').filter((candidate) => candidate['namespace'] === pay);
  t.strictSame(row, { targetNamespace: '', targetName: 'audit', namespace: pay, name: 'cfg', version: 'v1', kind: 'ConfigMap', uid: row?.['uid'], attributes: { size: '1' } });
  await untilReady('', 'audit', 'True Collecting', /^collecting configmaps from 2 namespace\(s\)$/);
  t.match(await target('', 'audit'), { metadata: { finalizers: ['kollect.dev/cluster-target-cleanup'] }, status: { observedGeneration: 1, effectiveNamespaces: [pay, shop].sort(), activeResourceRules: 0 } });

  const late = await namespace({ audit: home });
  await apply(configMap(late, 'cfg'));
  await untilNames('', 'audit', [pay, shop, late].map((place) => `${place}/cfg`));

  await apply(clusterScope({ deniedNamespaces: [pay, late] }));
  await untilNames('', 'audit', [`${shop}/cfg`]);
  await apply(clusterScope({ allowedStaticRefNamespaces: ['platform'] }));
  t.match(await untilReady('', 'audit', 'False ScopeNamespaceDenied'), /is not among the allowedStaticRefNamespaces of KollectClusterScope "ceiling": "platform"/);
  const metrics = await running.controller.metrics.registry.metrics();
  for (const result of ['ok', 'forbidden']) t.match(metrics, new RegExp(`kollect_static_ref_resolution_total\\{kind="KollectClusterTarget",ref_type="profile",result="${result}"\\} [1-9]`));
  await untilNames('', 'audit', []);
  await untilNames(home, 'audit', [`${home}/cfg`]);
  await apply(clusterScope({ allowedGVKs: [{ version: 'v1', kind: 'Node' }] }));
  await untilReady('', 'audit', 'False ScopeGVKDenied');
  await running.remove('kollectclusterscope', 'ceiling');
  await untilNames('', 'audit', [pay, shop, late].map((place) => `${place}/cfg`));

  await running.remove('kollectprofile', 'maps', home);
  t.equal(await untilReady('', 'audit', 'False ProfileNotFound'), `no KollectProfile "maps" in namespace "${home}"`);
  await untilNames('', 'audit', [pay, shop, late].map((place) => `${place}/cfg`));
  await running.remove('kollectclustertarget', 'audit');
  t.equal(running.controller.rows.get('', 'audit'), undefined);
  t.equal(running.controller.rows.get(home, 'audit')?.count, 1);
});

t.test('cluster-scoped kinds, for both kinds of targets, whatever namespaces say', async (t) => {
  const home = await namespace();
  const node = (name: string, labels: Record<string, string>): object => ({ apiVersion: 'v1', kind: 'Node', metadata: { name, labels } });
  await apply(
    kollectObject('KollectProfile', home, 'nodes', nodes),
    kollectObject('KollectTarget', home, 'nodes', { profileRef: 'nodes', labelSelector: { matchLabels: { pool: 'blue' } } }),
    kollectObject('KollectTarget', home, 'none', { profileRef: 'nodes', watchMode: 'OptIn' }),
    kollectObject('KollectClusterTarget', '', 'nodes', { profileRef: { name: 'nodes', namespace: home }, namespaceSelector: { matchLabels: { nobody: 'has' } } }),
    node('a', { pool: 'blue' }),
    node('b', { pool: 'red' }),
    node('c', { pool: 'red', 'kollect.dev/watch': 'disabled' }),
    node('d', { pool: 'red', 'kollect.dev/watch': 'enabled' }),
  );
  await untilNames(home, 'nodes', ['/a']);
  await untilNames(home, 'none', ['/d']);
  await untilNames('', 'nodes', ['/a', '/b', '/d']);
  t.equal(await untilReady('', 'nodes', 'True Collecting'), 'collecting nodes');
  t.strictSame(
    payloads('', 'nodes').map(({ attributes, namespace, group }) => ({ attributes, namespace, group })).toSorted((a, b) => String(a.attributes['pool']).localeCompare(String(b.attributes['pool']))),
    ['blue', 'red', 'red'].map((pool) => ({ attributes: { pool }, namespace: '', group: undefined })),
  );
});

t.test('an installation for tenants leaves cluster targets alone', async (t) => {
  const home = await namespace();
  await running.controller.stop();
  await apply(kollectObject('KollectProfile', home, 'nodes', nodes), kollectObject('KollectTarget', home, 'tenant', { profileRef: 'nodes' }));
  const tenants = collecting(running.cluster, await startController(t, running.cluster, { tenantMode: true }));
  await tenants.untilReady(home, 'tenant', 'True Collecting');
  t.strictSame([...tenants.controller.rows.targets()].filter(({ namespace }) => namespace === ''), []);
  await tenants.controller.stop();
});
