import t, { type Test } from 'tap';
import { AccessReviews } from '../../controller/collect/access-reviews.ts';
import { Collector, type CollectorOptions } from '../../controller/collect/collector.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { NamespaceFacts } from '../../controller/collect/selection.ts';
import type { KollectTargetSpec } from '../../shared/api/kollect-target.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { createLogger } from '../../shared/log.ts';
import { WatchProxy } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

const users = ['reader-a', 'reader-b', 'reader-c', 'reader-d', 'reader-e'];
const cluster = await startCluster({ users: users.map((name) => ({ name })) });
t.teardown(() => cluster.stop());
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());
const logger = createLogger({ level: 'error', format: 'text', name: 'test', write: () => undefined });

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const ruleOf = (resource: string, verbs: string[]) => [{ apiGroups: [''], resources: [resource], verbs }];
for (const [name, rules] of [
  ['list-configmaps', ruleOf('configmaps', ['list'])],
  ['read-configmaps', ruleOf('configmaps', ['list', 'watch'])],
  ['read-namespaces', ruleOf('namespaces', ['list', 'watch'])],
] as const) {
  await admin.create(`${rbac}/clusterroles`, { metadata: { name }, rules });
}

/** What a user may do, in one namespace or everywhere. */
function grants(user: string) {
  const pathOf = (namespace?: string): string => (namespace === undefined ? `${rbac}/clusterrolebindings` : `${rbac}/namespaces/${namespace}/rolebindings`);
  return {
    grant: (role: string, namespace?: string): Promise<unknown> =>
      admin.create(pathOf(namespace), {
        metadata: { name: `${user}-${role}` },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
      }),
    revoke: (role: string, namespace?: string): Promise<void> => admin.delete(`${pathOf(namespace)}/${user}-${role}`),
  };
}

let made = 0;

async function collectAs(t: Test, user: string, options: Partial<CollectorOptions> = {}) {
  const id = made++;
  const names = ['north', 'south', 'west'].map((name) => `${name}-${id}`);
  const namespaces = new Map<string, NamespaceFacts>();
  for (const name of names) {
    await admin.create('/api/v1/namespaces', { metadata: { name } });
    namespaces.set(name, { name, labels: undefined, annotations: undefined });
  }
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const connection = await loadConnection({ kubeconfig: cluster.kubeconfigOf(user) });
  const client = new KubeClient({ ...connection, server: await proxy.start() });
  const store = new RowStore();
  const collector = new Collector({
    client,
    reviews: new AccessReviews(client, 500),
    store,
    namespaces: { get: (name) => namespaces.get(name), list: () => namespaces.values() },
    logger,
    onProgress: () => undefined,
    backfillDelayMs: 200,
    ...options,
  });
  t.teardown(async () => {
    await collector.stop();
    await client.close();
    await proxy.stop();
  });
  const discovery = new Discovery(admin);
  const resourceOf = async (kind: string) => (await discovery.resolve({ group: '', version: 'v1', kind }))!;
  const collect = async (name: string, spec: Partial<KollectTargetSpec>, kind = 'ConfigMap'): Promise<void> => {
    const profile = compileProfile({ spec: { targetGVK: { version: 'v1', kind }, attributes: [{ name: 'value', path: '$.data.value', optional: true }] } });
    const full = { profileRef: 'p', labelSelector: kind === 'ConfigMap' ? { matchLabels: { test: 'yes' } } : undefined, ...spec } as KollectTargetSpec;
    collector.collect(names[0]!, name, { fingerprint: JSON.stringify(full) + kind, spec: full, profile, resource: await resourceOf(kind) });
  };
  const write = (namespace: string, name: string, value: string): Promise<unknown> =>
    admin.patch(`/api/v1/namespaces/${namespace}/configmaps/${name}`, {
      type: 'apply',
      query: { fieldManager: 'test', force: true },
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { test: 'yes' } }, data: { value } },
    });
  const rows = (name: string): string =>
    [...(store.get(names[0]!, name)?.rows() ?? [])]
      .map((row) => `${row.namespace.replace(/-\d+$/, '')}/${row.name}=${JSON.parse(row.payload).attributes.value}`)
      .sort()
      .join(' ');
  const state = (name: string) => collector.state(names[0]!, name)!;
  const shows = (name: string, expected: string): Promise<unknown> =>
    eventually(() => {
      if (rows(name) !== expected) throw new Error(`${rows(name)} instead of ${expected}; ${JSON.stringify(state(name))}`);
      return true;
    });
  const phase = (name: string, expected: string): Promise<unknown> =>
    eventually(() => {
      const { phase, message } = state(name).watch;
      if (phase !== expected) throw new Error(`${phase} ${message}`);
      return true;
    });
  const synced = (name: string): Promise<unknown> => eventually(() => state(name).synced && state(name).watch.phase === 'Synced');
  const asked = (path: RegExp): number => proxy.requests.filter(({ url }) => path.test(url.pathname)).length;
  const [north, south, west] = names as [string, string, string];
  return { ...grants(user), north, south, west, namespaces, collector, proxy, collect, write, rows, state, shows, phase, synced, asked };
}

t.jobs = 5;

t.test('a watch without rights says which, and heals by itself', { buffered: true }, async (t) => {
  const run = await collectAs(t, 'reader-a');
  await run.write(run.north, 'a', '1');
  await run.collect('web', {});
  await run.phase('web', 'Failed');
  t.equal(run.state('web').watch.reason, 'Forbidden');
  t.equal(run.state('web').watch.message, `Forbidden: the controller may not list configmaps in namespace "${run.north}"`);
  t.equal(run.state('web').synced, false);
  t.equal(run.asked(/configmaps/), 0, 'nothing is tried that is known to be denied');
  await run.grant('list-configmaps', run.north);
  await eventually(() => /may not watch configmaps/.test(run.state('web').watch.message ?? ''), { what: 'the right that is still missing' });
  await run.grant('read-configmaps', run.north);
  await run.synced('web');
  await run.shows('web', 'north/a=1');
  const reviews = run.asked(/selfsubjectaccessreviews/);
  for (let index = 0; index < 20; index++) await run.write(run.north, `b${index}`, '1');
  await eventually(() => run.rows('web').split(' ').length === 21);
  t.ok(run.asked(/selfsubjectaccessreviews/) - reviews < 20, 'objects are not reviewed');
});

t.test('namespaces are watched one by one where only that is allowed, and together as soon as that is', { buffered: true }, async (t) => {
  const run = await collectAs(t, 'reader-b');
  await run.grant('read-configmaps', run.north);
  await run.grant('read-configmaps', run.south);
  for (const namespace of [run.north, run.south, run.west]) await run.write(namespace, 'a', '1');
  const included = (...includedNamespaces: string[]) => ({ includedNamespaces });
  await run.collect('one', included(run.north));
  await run.collect('two', included(run.north, run.south));
  await run.synced('one');
  await run.synced('two');
  await run.shows('two', 'north/a=1 south/a=1');
  t.equal(run.asked(/^\/api\/v1\/configmaps$/), 0, 'no list of the whole cluster');
  const watches = run.proxy.requests.filter(({ url }) => url.searchParams.has('watch')).map(({ url }) => url.pathname);
  t.equal(new Set(watches).size, 2, 'one watch for each namespace, shared');

  await run.collect('three', included(run.south, run.west));
  await run.phase('three', 'Failed');
  t.match(run.state('three').watch.message, `configmaps in namespace "${run.west}"`);
  await run.shows('three', 'south/a=1');
  t.equal(run.state('three').synced, false, 'a part is not the whole');
  t.equal(run.state('two').synced, true, 'and nobody else minds');

  await run.grant('read-configmaps');
  await run.synced('three');
  await run.shows('three', 'south/a=1 west/a=1');
  await eventually(() => run.asked(/^\/api\/v1\/configmaps$/) > 0);
  await run.synced('two');
  for (const namespace of [run.north, run.south, run.west]) await run.write(namespace, 'a', '2');
  await run.shows('two', 'north/a=2 south/a=2');
  await run.shows('three', 'south/a=2 west/a=2');
  await run.shows('one', 'north/a=2');

  await run.revoke('read-configmaps');
  run.proxy.cut();
  await run.phase('three', 'Failed');
  await run.synced('two');
  await run.write(run.north, 'a', '3');
  await run.write(run.west, 'a', '3');
  await admin.delete(`/api/v1/namespaces/${run.south}/configmaps/a`);
  await run.shows('two', 'north/a=3');
  await run.shows('three', 'west/a=2');
  t.equal(run.state('three').synced, false, 'what is denied is frozen');
});

t.test('rows leave only when a denial holds', { buffered: true }, async (t) => {
  const graceMs = 4_000;
  const run = await collectAs(t, 'reader-c', { denialGraceMs: graceMs });
  await run.grant('read-configmaps', run.north);
  await run.grant('read-configmaps', run.south);
  await run.write(run.north, 'a', '1');
  await run.write(run.south, 'a', '1');
  await run.collect('web', { includedNamespaces: [run.north, run.south] });
  await run.synced('web');

  await run.revoke('read-configmaps', run.south);
  run.proxy.cut();
  await run.phase('web', 'Failed');
  await run.write(run.south, 'a', '2');
  t.equal(run.rows('web'), 'north/a=1 south/a=1', 'a passing denial freezes');
  await run.grant('read-configmaps', run.south);
  await run.synced('web');
  await run.shows('web', 'north/a=1 south/a=2');

  await run.revoke('read-configmaps', run.south);
  run.proxy.cut();
  await run.phase('web', 'Failed');
  const { since } = run.state('web').watch;
  await run.shows('web', 'north/a=1');
  t.ok(performance.now() - since >= graceMs, 'not before the grace has passed');
  t.equal(run.state('web').watch.reason, 'Forbidden');
  t.equal(run.state('web').synced, true, 'what is left is the whole');
  await run.grant('read-configmaps', run.south);
  await run.synced('web');
  await run.shows('web', 'north/a=1 south/a=2');
});

t.test('kinds without a namespace need rights to all of them', { buffered: true }, async (t) => {
  const run = await collectAs(t, 'reader-d', { denialGraceMs: 1_500 });
  await run.grant('read-namespaces');
  await run.collect('namespaces', {}, 'Namespace');
  await run.synced('namespaces');
  const before = run.rows('namespaces');
  t.match(before, /kube-system/);
  await run.revoke('read-namespaces');
  run.proxy.cut();
  await run.phase('namespaces', 'Failed');
  t.match(run.state('namespaces').watch.message, /may not list.* namespaces at cluster scope/);
  await run.shows('namespaces', '');
  await run.grant('read-namespaces');
  await run.synced('namespaces');
  t.match(run.rows('namespaces'), /kube-system/);
});

t.test('a watch of the whole cluster is never tried when that is not wanted', { buffered: true }, async (t) => {
  const run = await collectAs(t, 'reader-e', { clusterWide: false });
  await run.grant('read-configmaps');
  await run.write(run.north, 'a', '1');
  await run.write(run.south, 'a', '1');
  await run.collect('web', { namespaceSelector: {} });
  await run.synced('web');
  await run.shows('web', 'north/a=1 south/a=1');
  const late = `late-${run.north}`;
  await admin.create('/api/v1/namespaces', { metadata: { name: late } });
  await run.write(late, 'a', '1');
  run.namespaces.set(late, { name: late, labels: undefined, annotations: undefined });
  run.namespaces.delete(run.south);
  run.collector.namespacesChanged();
  await run.shows('web', `${late.replace(/-\d+$/, '')}/a=1 north/a=1`);
  await run.synced('web');
  // An edit that gives up a namespace proves that its rows are not wanted.
  await run.collect('web', { includedNamespaces: [late] });
  await run.shows('web', `${late.replace(/-\d+$/, '')}/a=1`);
  await run.synced('web');
  t.equal(run.asked(/^\/api\/v1\/configmaps$/), 0);
});
