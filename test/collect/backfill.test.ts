import t from 'tap';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { isList } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { collectAs } from './collecting.ts';

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());
const user = 'admin';
const everything = { namespaceSelector: { matchLabels: { team: 'shop' } } };
const everywhere = /^\/api\/v1\/configmaps$/;
const single = /^\/api\/v1\/namespaces\/[^/]+\/configmaps$/;
t.jobs = 4;

t.test('a thousand namespaces that are labelled at once cost one list', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user });
  const lists = (path: RegExp): number => run.proxy.requests.filter(({ url }) => isList(url) && path.test(url.pathname) && !url.searchParams.has('continue')).length;
  for (const namespace of [run.north, run.south]) await run.write(namespace, 'a', '1');
  for (let index = 0; index < 1_000; index++) run.namespaces.set(`n${index}`, { name: `n${index}`, labels: undefined, annotations: undefined });
  for (const name of ['one', 'two', 'three']) await run.collect(name, everything);
  for (const name of ['one', 'two', 'three']) await run.synced(name);
  t.equal(lists(everywhere), 1, 'targets that come together share the first list');
  t.equal(run.rows('one'), '');

  for (const name of run.namespaces.keys()) {
    run.namespaces.set(name, { name, labels: { team: 'shop' }, annotations: undefined });
    if (name.endsWith('00')) run.collector.namespacesChanged();
  }
  run.collector.namespacesChanged();
  for (const name of ['one', 'two', 'three']) await run.shows(name, 'north/a=1 south/a=1');
  t.ok(lists(everywhere) <= 3, `${lists(everywhere)} lists`);
  t.equal(lists(single), 0);
});

t.test('few namespaces are listed one by one, and their lists sweep nothing else', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user });
  for (const namespace of [run.north, run.south, run.west]) await run.write(namespace, 'a', '1');
  const label = (name: string): void => void run.namespaces.set(name, { name, labels: { team: 'shop' }, annotations: undefined });
  label(run.north);
  await run.collect('web', everything);
  await run.synced('web');
  label(run.south);
  run.collector.namespacesChanged();
  await run.shows('web', 'north/a=1 south/a=1');
  t.equal(run.asked(everywhere), 2, 'one list and one watch');
  t.equal(run.asked(single), 1);
  t.equal(run.state('web').synced, true);
  // Another target, of an object that the running watch will not report again.
  await run.collect('late', { includedNamespaces: [run.west] });
  await run.synced('late');
  t.equal(run.rows('late'), 'west/a=1');
  t.equal(run.asked(everywhere), 2);
});

t.test('lists beside the watches are few at a time, and what fails is repeated', { buffered: true }, async (t) => {
  const run = await collectAs(t, { cluster, admin, user }, { backfillDelayMs: 50 });
  const kinds = ['ConfigMap', 'Secret', 'ServiceAccount', 'Pod', 'Service', 'Endpoints', 'LimitRange'];
  for (const kind of kinds) await run.collect(`first-${kind}`, {}, kind);
  for (const kind of kinds) await run.synced(`first-${kind}`);
  let running = 0;
  let most = 0;
  const gate = Promise.withResolvers<void>();
  t.teardown(() => gate.resolve());
  const isSingleList = (url: URL): boolean => isList(url) && /^\/api\/v1\/namespaces\/[^/]+\/[a-z]+$/.test(url.pathname);
  run.proxy.break({
    match: isSingleList,
    times: kinds.length,
    fault: { kind: 'status', code: 500 },
    before: async () => {
      most = Math.max(most, ++running);
      await gate.promise;
      running--;
    },
  });
  for (const kind of kinds) await run.collect(`late-${kind}`, {}, kind);
  await eventually(() => running >= 3, { what: 'lists under way' });
  // Longer than any of the others waits before its list.
  await new Promise((resolve) => setTimeout(resolve, 300));
  gate.resolve();
  for (const kind of kinds) await run.synced(`late-${kind}`);
  t.equal(most, 3);
});
