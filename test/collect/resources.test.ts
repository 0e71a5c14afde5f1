import t from 'tap';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { isList } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { collectAs } from './collecting.ts';

// One target with rules for ConfigMaps and Services: what happens to one kind, and what the other sees of it.
const user = 'reader';
const cluster = await startCluster({ users: [{ name: user }] });
t.teardown(() => cluster.stop());
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());

const rbac = '/apis/rbac.authorization.k8s.io/v1';
const bindings = `${rbac}/clusterrolebindings`;
for (const name of ['configmaps', 'services']) await admin.create(`${rbac}/clusterroles`, { metadata: { name }, rules: [{ apiGroups: [''], resources: [name], verbs: ['list', 'watch'] }] });
const grant = (name: string): Promise<unknown> =>
  admin.create(bindings, { metadata: { name }, subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name } });
const revoke = (name: string): Promise<void> => admin.delete(`${bindings}/${name}`);

const resourceRules = ['ConfigMap', 'Service'].map((kind) => ({ gvk: { version: 'v1', kind }, matchLabels: { test: 'yes' } }));
const service = (namespace: string, name: string): Promise<unknown> =>
  admin.create(`/api/v1/namespaces/${namespace}/services`, { metadata: { name, labels: { test: 'yes' } }, spec: { ports: [{ port: 80 }] } });

t.test('a right that is missing for one kind freezes its rows, and the other goes on', async (t) => {
  await grant('configmaps');
  const run = await collectAs(t, { cluster, admin, user });
  const kinds = (): string => run.state('web').resources.map(({ resource, synced }) => `${resource.kind} ${synced}`).join();
  await run.write(run.north, 'a', '1');
  await service(run.north, 's');
  await run.collect('web', { resourceRules });
  await run.shows('web', 'north/a=1');
  await eventually(() => kinds() === 'ConfigMap true,Service false' && /may not list.* services/.test(run.state('web').resources[1]?.watch.message ?? ''), { what: 'the denial of one kind' });
  t.equal(run.state('web').synced, false, 'a target is synced when all its kinds are');

  await grant('services');
  await run.shows('web', 'north/a=1 north/s=undefined');
  await eventually(() => run.state('web').synced, { what: 'both kinds' });

  const lists = (): number => run.proxy.requests.filter(({ url }) => isList(url) && url.pathname.endsWith('/configmaps')).length;
  const before = lists();
  await revoke('services');
  run.proxy.cut();
  await eventually(() => kinds() === 'ConfigMap true,Service false', { what: 'the right that was lost' });
  await admin.delete(`/api/v1/namespaces/${run.north}/services/s`);
  await run.write(run.north, 'a', '2');
  await run.shows('web', 'north/a=2 north/s=undefined');
  await grant('services');
  await run.shows('web', 'north/a=2');
  await eventually(() => run.state('web').synced, { what: 'both kinds again' });
  t.equal(lists(), before, 'the other kind is not listed for it');
});

t.test('a list for one kind says nothing of the other', async (t) => {
  const run = await collectAs(t, { cluster, admin, user: 'admin' });
  await run.write(run.north, 'a', '1');
  await service(run.north, 's');
  await run.collect('web', { resourceRules });
  await run.shows('web', 'north/a=1 north/s=undefined');
  await eventually(() => run.state('web').synced, { what: 'both kinds' });
  const [maps, services] = [run.asked(/\/configmaps$/), run.asked(/\/services$/)];
  await run.collect('web', { resourceRules: [resourceRules[0]!, { ...resourceRules[1]!, matchPolicy: "object.metadata.name == 'x'" }] });
  await run.shows('web', 'north/a=1');
  t.equal(run.asked(/\/configmaps$/), maps, 'a rule that stays costs nothing');
  t.ok(run.asked(/\/services$/) > services);
  run.proxy.break({ match: (url) => url.pathname.endsWith('/services'), fault: { kind: 'status', code: 500 }, times: 3 });
  await run.collect('web', { resourceRules });
  await run.write(run.north, 'b', '1');
  await run.shows('web', 'north/a=1 north/b=1 north/s=undefined');
});
