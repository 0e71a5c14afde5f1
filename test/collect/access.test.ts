import t, { type Test } from 'tap';
import { AccessReviews } from '../../controller/collect/access-reviews.ts';
import type { CollectorOptions } from '../../controller/collect/collector.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { isList, isWatch } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { collectAs, reviewAgeMs } from './collecting.ts';

const users = ['reader-a', 'reader-b', 'reader-c', 'reader-d', 'reader-e', 'reader-f', 'reader-g', 'reader-h', 'reader-i', 'reader-j'];
const cluster = await startCluster({ users: users.map((name) => ({ name })) });
t.teardown(() => cluster.stop());
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());

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

const collecting = async (t: Test, user: string, options: Partial<CollectorOptions> = {}) => ({
  ...grants(user),
  ...(await collectAs(t, { cluster, admin, user }, options)),
});

t.test('a review that began before the API server refused does not contradict it', async (t) => {
  const reviews = new AccessReviews(admin);
  const resource = (await new Discovery(admin).resolve({ group: '', version: 'v1', kind: 'ConfigMap' }))!;
  t.strictSame(await reviews.denied(resource), []);
  const began = reviews.denied(resource, undefined, 0);
  reviews.refused(resource);
  t.strictSame(await began, ['list', 'watch']);
  t.strictSame(await reviews.denied(resource), ['list', 'watch']);
  await eventually(async () => (await reviews.denied(resource)).length === 0, { what: 'a review that began later' });
});

t.test('nothing starts once the collection has stopped', async (t) => {
  const run = await collecting(t, 'reader-a');
  await run.collector.stop();
  await run.collect('web', {});
  t.equal(run.collector.state(run.north, 'web'), undefined);
  t.strictSame([...run.collector.watches()], []);
  t.equal(run.proxy.requests.length, 0);
});

t.jobs = 5;

t.test('a watch without rights says which, and heals by itself', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-a');
  await run.write(run.north, 'a', '1');
  await run.collect('web', {});
  await run.phase('web', 'Failed');
  t.equal(run.state('web').watch.reason, 'Forbidden');
  t.equal(run.state('web').watch.message, `Forbidden: the controller may not list configmaps in namespace "${run.north}"`);
  t.equal(run.state('web').synced, false);
  t.equal(run.collector.frozen(run.north, 'web'), undefined, 'nothing at all is known');
  t.equal(run.collector.isListing(run.north, 'web'), false, 'nor is it a matter of time');
  t.equal(run.asked(/configmaps/), 0, 'nothing is tried that is known to be denied');
  await run.grant('list-configmaps', run.north);
  await eventually(() => /may not watch configmaps/.test(run.state('web').watch.message ?? ''), { what: 'the right that is still missing' });
  await run.grant('read-configmaps', run.north);
  await run.synced('web');
  await run.shows('web', 'north/a=1');
  const reviews = run.asked(/selfsubjectaccessreviews/);
  const since = performance.now();
  for (let index = 0; index < 60; index++) await run.write(run.north, `b${index}`, '1');
  await eventually(() => run.rows('web').split(' ').length === 61);
  // Two verbs of two scopes, whenever an answer has become old.
  const allowed = 4 * (2 + Math.ceil((performance.now() - since) / reviewAgeMs));
  t.ok(run.asked(/selfsubjectaccessreviews/) - reviews <= allowed, 'objects are not reviewed');
});

t.test('namespaces are watched one by one where only that is allowed, and together as soon as that is', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-b');
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
  const watches = (): string => run.proxy.requests.filter(({ url, open }) => open && isWatch(url)).map(({ url }) => url.pathname).sort().join();
  const areShared = (): Promise<unknown> =>
    eventually(() => watches() === [run.north, run.south].map((name) => `/api/v1/namespaces/${name}/configmaps`).join(), { what: 'one watch for each namespace, shared' });
  await areShared();

  await run.collect('three', included(run.south, run.west));
  await run.phase('three', 'Failed');
  t.match(run.state('three').watch.message, `configmaps in namespace "${run.west}"`);
  await run.shows('three', 'south/a=1');
  t.equal(run.state('three').synced, false, 'a part is not the whole');
  const lacking = JSON.stringify([{ group: '', kind: 'configmap', namespace: run.west }]);
  await eventually(() => JSON.stringify(run.collector.frozen(run.north, 'three')) === lacking, { what: 'the part that is lacking' });
  t.equal(run.state('two').synced, true, 'and nobody else minds');
  await areShared();

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
  // Longer than a slow machine may take to see a denial, and to make one write.
  const graceMs = 15_000;
  const run = await collecting(t, 'reader-c', { denialGraceMs: graceMs });
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
  const run = await collecting(t, 'reader-d', { denialGraceMs: 1_500 });
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
  const run = await collecting(t, 'reader-e', { clusterWide: false });
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

t.test('a refusal by the API server counts like a review that denies', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-f');
  await run.grant('read-configmaps');
  await run.write(run.north, 'a', '1');
  await run.write(run.south, 'a', '1');
  // Both lists of the whole cluster and those of one namespace, and reviews that cannot be asked, as where nobody may create them.
  const refused = { kind: 'status', code: 403 } as const;
  run.proxy.break({ match: (url) => url.pathname === '/api/v1/configmaps', fault: refused, times: 1 });
  let refuses = true;
  run.proxy.break({ match: (url) => refuses && url.pathname === `/api/v1/namespaces/${run.south}/configmaps`, fault: refused, times: 1_000 });
  run.proxy.break({ match: (url) => url.pathname.endsWith('/selfsubjectaccessreviews'), fault: refused, times: 1_000 });
  await run.collect('web', { includedNamespaces: [run.north, run.south] });
  await eventually(() => run.state('web').watch.message?.includes(`configmaps in namespace "${run.south}"`) === true, { what: 'the denial' });
  await run.shows('web', 'north/a=1');
  t.ok(run.asked(/^\/api\/v1\/namespaces\/[^/]+\/configmaps$/) > 0, 'single namespaces are tried');
  refuses = false;
  await run.synced('web');
  await run.shows('web', 'north/a=1 south/a=1');
});

t.test('rights that are lost are noticed while the watch is open, and again when they are back', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-g');
  await run.grant('read-configmaps');
  await run.grant('read-namespaces');
  await run.write(run.north, 'a', '1');
  await run.write(run.south, 'a', '1');
  await run.collect('web', { includedNamespaces: [run.north, run.south] });
  await run.collect('namespaces', {}, 'Namespace');
  await run.synced('web');
  await run.synced('namespaces');

  await run.revoke('read-configmaps');
  await run.revoke('read-namespaces');
  await run.phase('web', 'Failed');
  await run.phase('namespaces', 'Failed');
  t.equal(run.state('web').watch.reason, 'Forbidden');
  await run.write(run.north, 'a', '2');
  await admin.delete(`/api/v1/namespaces/${run.south}/configmaps/a`);
  t.equal(run.rows('web'), 'north/a=1 south/a=1', 'what is denied is frozen');
  t.match(run.rows('namespaces'), /kube-system/);

  await run.grant('read-configmaps');
  await run.grant('read-namespaces');
  await run.synced('web');
  await run.synced('namespaces');
  await run.shows('web', 'north/a=2');

  // Lost and back again and again, so that some of it is noticed and some is not.
  const asked = run.proxy.requests.length;
  const since = performance.now();
  for (let round = 0; round < 4; round++) {
    await run.revoke('read-configmaps');
    await new Promise((resolve) => setTimeout(resolve, round * 300));
    await run.grant('read-configmaps');
    await run.write(run.north, 'a', `round${round}`);
    await run.write(run.south, `b${round}`, '1');
    t.match(run.rows('web'), /^north\/a=/, 'no row leaves');
    await new Promise((resolve) => setTimeout(resolve, 300));
  }
  await run.shows('web', 'north/a=round3 south/b0=1 south/b1=1 south/b2=1 south/b3=1');
  await run.synced('web');
  const lists = run.proxy.requests.slice(asked).filter(({ url }) => isList(url) && url.pathname.endsWith('/configmaps'));
  // Three scopes in each round, and one that is repeated whenever an answer about rights has become old.
  const allowed = 12 + Math.ceil((performance.now() - since) / reviewAgeMs);
  t.ok(lists.length <= allowed, `${lists.length} lists of at most ${allowed}`);
});

t.test('a part that is denied for good leaves the rest whole', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-h', { denialGraceMs: 500 });
  await run.grant('read-configmaps', run.north);
  await run.write(run.north, 'a', '1');
  await run.collect('web', { includedNamespaces: [run.north, run.south] });
  await eventually(() => run.state('web').synced);
  t.match(run.state('web').watch, { phase: 'Synced', reason: 'Forbidden', message: `configmaps in namespace "${run.south}"` });
  await run.revoke('read-configmaps', run.north);
  await run.phase('web', 'Failed');
  await run.shows('web', '');
});

t.test('of many namespaces only some are watched, and the others listed now and then', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-i', { clusterWide: false, maxNamespaceWatches: 1, pollMs: 500 });
  await run.grant('read-configmaps');
  const all = [run.north, run.south, run.west];
  for (const namespace of all) await run.write(namespace, 'a', '1');
  await run.collect('web', { includedNamespaces: all });
  await run.synced('web');
  await run.shows('web', 'north/a=1 south/a=1 west/a=1');
  for (const namespace of all) await run.write(namespace, 'a', '2');
  for (const namespace of all) await run.write(namespace, 'b', '1');
  await run.shows('web', 'north/a=2 north/b=1 south/a=2 south/b=1 west/a=2 west/b=1');
  for (const namespace of all) await admin.delete(`/api/v1/namespaces/${namespace}/configmaps/a`);
  await run.shows('web', 'north/b=1 south/b=1 west/b=1');
  t.equal(run.state('web').synced, true);
  const watched = run.proxy.requests.filter(({ url }) => url.searchParams.has('watch')).map(({ url }) => url.pathname);
  t.equal(new Set(watched).size, 1);
  t.strictSame(run.state('web').resources.map(({ polled }) => polled), [{ namespaces: 2, everyMs: 500 }]);

  const [first] = watched;
  const others = all.filter((namespace) => !first?.includes(`/${namespace}/`));
  await run.collect('web', { includedNamespaces: others });
  await run.synced('web');
  t.strictSame(run.state('web').resources.map(({ polled }) => polled), [{ namespaces: 2, everyMs: 500 }], 'those that are listed go on so');
  await run.collect('web', { includedNamespaces: all });
  await run.synced('web');
  t.strictSame(run.state('web').resources.map(({ polled }) => polled), [{ namespaces: 2, everyMs: 500 }], 'a place that became free is taken');
  const [listed] = others;
  const isOfListed = (url: URL): boolean => url.pathname.includes(`/namespaces/${listed}/configmaps`);
  await admin.delete(`/api/v1/namespaces/${listed}/configmaps/b`);
  run.proxy.break({ match: isOfListed, fault: { kind: 'status', code: 500 }, times: Infinity });
  await run.phase('web', 'Failed');
  t.equal(run.collector.isSynced(run.north, 'web'), false);
  t.match(run.collector.frozen(run.north, 'web'), [{ group: '', kind: 'configmap', namespace: listed }], 'nobody knows what became of it');
  run.proxy.heal();
  await run.synced('web');
  t.equal(run.rows('web').split(' ').length, 2);
  for (const namespace of all) await run.write(namespace, 'b', '1');
  await run.shows('web', 'north/b=1 south/b=1 west/b=1');
  await run.revoke('read-configmaps');
  await run.phase('web', 'Failed');
  t.equal(run.rows('web'), 'north/b=1 south/b=1 west/b=1');
});

t.test('where namespaces are listed now and then, only one whose list fails is frozen, and none that is being listed', { buffered: true }, async (t) => {
  const run = await collecting(t, 'reader-j', { clusterWide: false, maxNamespaceWatches: 0, pollMs: 200, pace: { pageSize: 1, longestBackoffMs: 500 } });
  await run.grant('read-configmaps');
  for (const name of ['a', 'b']) await run.write(run.north, name, '1');
  await run.write(run.south, 'a', '1');
  const isNorth = (url: URL): boolean => url.pathname === `/api/v1/namespaces/${run.north}/configmaps`;
  const frozen = () => run.collector.frozen(run.north, 'web');
  /** Lists of one namespace come to their second page and no further. */
  const holdList = async (): Promise<() => void> => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const isHeld = Promise.withResolvers<void>();
    run.proxy.break({ match: (url) => isNorth(url) && url.searchParams.has('continue'), before: async () => (isHeld.resolve(), await promise) });
    await isHeld.promise;
    return resolve;
  };
  const first = holdList();
  await run.collect('web', { includedNamespaces: [run.north, run.south] });
  const complete = await first;
  await eventually(() => run.rows('web') === 'north/a=1 south/a=1');
  t.equal(frozen(), undefined, 'the first list is under way');
  t.equal(run.collector.isListing(run.north, 'web'), true);
  complete();
  await run.synced('web');
  t.strictSame(frozen(), []);
  t.equal(run.collector.isListing(run.north, 'web'), false);
  const again = await holdList();
  t.strictSame(frozen(), [], 'what was listed before');
  again();
  run.proxy.break({ match: isNorth, fault: { kind: 'status', code: 500 }, times: Infinity });
  await eventually(() => JSON.stringify(frozen()) === JSON.stringify([{ group: '', kind: 'configmap', namespace: run.north }]), { what: 'a list that fails' });
  run.proxy.heal();
  const afterwards = await holdList();
  t.equal(run.state('web').watch.phase, 'Syncing');
  t.equal(frozen(), undefined, 'the list after it is under way');
  afterwards();
  await run.synced('web');
  t.strictSame(frozen(), []);
});
