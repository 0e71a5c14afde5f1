import t, { type Test } from 'tap';
import type { Controller } from '../../controller/controller.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { kollectObject, startController } from '../behaviour/collecting.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { defineGateways, gatewayPath } from './gateways.ts';
import { proxiedKubeconfig } from './proxied-kubeconfig.ts';
import { isList, WatchProxy } from './watch-proxy.ts';

const backfillDelayMs = 500;
/** A measurement of more: KOLLECT_PODS=100000. */
const pods = Number(process.env['KOLLECT_PODS'] ?? 5_000);
const patienceMs = 120_000 + pods * 20;
t.setTimeout(10 * patienceMs);

const [cluster, postgres] = await Promise.all([startCluster(), startPostgres()]);
t.teardown(() => Promise.all([cluster.stop(), postgres.stop()]));
const [connection, database] = await Promise.all([loadConnection({ kubeconfig: cluster.kubeconfig }), postgres.createDatabase('kollect'), installCrds(cluster.kubectl)]);
const admin = new KubeClient(connection);
t.teardown(() => admin.close());
const api = (namespace: string): string => `/apis/kollect.dev/v1alpha1/namespaces/${namespace}`;
const counts = async (sql: string): Promise<number> => (await postgres.query<{ n: number }>(`SELECT count(*)::int AS n FROM inventory_items WHERE ${sql}`, [], database))[0]!.n;

interface Kind {
  group?: string;
  version: string;
  kind: string;
}

/** Profile, target, sink and inventory of a namespace, which is made. */
async function pipeline(namespace: string, targetGVK: Kind, attributes: object[], resourceRules?: object[]): Promise<void> {
  await admin.create('/api/v1/namespaces', { metadata: { name: namespace } });
  await admin.create(`/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: 'dsn' }, stringData: { dsn: postgres.dsn(database) } });
  const create = (plural: string, kind: string, name: string, spec: object): Promise<unknown> => admin.create(`${api(namespace)}/${plural}`, kollectObject(kind, namespace, name, spec));
  await create('kollectprofiles', 'KollectProfile', 'profile', { targetGVK, attributes });
  await create('kollecttargets', 'KollectTarget', 'target', { profileRef: 'profile', ...(resourceRules ? { resourceRules } : {}) });
  await create('kollectdatabasesinks', 'KollectDatabaseSink', 'pg', { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } });
  await create('kollectinventories', 'KollectInventory', 'inventory', { databaseSinkRefs: ['pg'] });
}

/** Some at a time. */
async function forEach(count: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: 6 }, worker));
}

async function controllerBehindProxy(t: Test): Promise<{ proxy: WatchProxy; controller: Controller; leaves: string[]; lists: (path: RegExp, code?: number) => number }> {
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { token: cluster.adminToken });
  const controller = await startController(t, cluster, { kubeconfig, pace: { backfillDelayMs, reviewAgeMs: 1_000, watch: { longestBackoffMs: 1_000 } } });
  t.teardown(() => proxy.stop());
  const leaves: string[] = [];
  controller.rows.subscribe({
    row: (target, before, after) => {
      if (before && !after) leaves.push(`${target.namespace}/${target.name}: ${before.name}`);
    },
    opened: () => undefined,
    closed: () => undefined,
  });
  // First pages, whatever came of them or with one answer.
  const lists = (path: RegExp, wanted?: number): number =>
    proxy.requests.filter(({ url, code }) => isList(url) && path.test(url.pathname) && url.searchParams.has('limit') && !url.searchParams.has('continue') && (wanted === undefined || code === wanted)).length;
  return { proxy, controller, leaves, lists };
}

t.test(`an attribute added to a profile over ${pods} Pods costs one list and is exported for all of them together`, async (t) => {
  await pipeline('shop', { version: 'v1', kind: 'Pod' }, [{ name: 'image', path: '$.spec.containers[0].image' }]);
  await pipeline('other', { version: 'v1', kind: 'ConfigMap' }, [{ name: 'value', path: '$.data.value' }]);
  await admin.create('/api/v1/namespaces/shop/serviceaccounts', { metadata: { name: 'default' } });
  await forEach(pods, (index) => admin.create('/api/v1/namespaces/shop/pods', { metadata: { name: `p${index}` }, spec: { containers: [{ name: 'main', image: `example.org/app:${index}` }] } }));
  const { proxy, controller, leaves, lists } = await controllerBehindProxy(t);
  const inShop = "inventory_namespace = 'shop'";
  const haveTitle = "payload->'attributes' ? 'title'";
  await eventually(async () => (await counts(inShop)) === pods, { timeoutMs: patienceMs, intervalMs: 250, what: 'the first export' });
  await postgres.query('CREATE TABLE removals (name text)', [], database);
  await postgres.query('CREATE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO removals VALUES (OLD.source_uid); RETURN OLD; END $$', [], database);
  await postgres.query('CREATE TRIGGER note_removal BEFORE DELETE ON inventory_items FOR EACH ROW EXECUTE FUNCTION note_removal()', [], database);

  const path = /\/pods$/;
  const before = lists(path);
  const gate = Promise.withResolvers<void>();
  t.teardown(() => gate.resolve());
  proxy.break({ match: (url) => isList(url) && path.test(url.pathname) && url.searchParams.has('continue'), before: () => gate.promise, times: 1 });
  const started = performance.now();
  const attributes = [{ name: 'image', path: '$.spec.containers[0].image' }, { name: 'title', path: '$.metadata.name' }];
  await admin.patch(`${api('shop')}/kollectprofiles/profile`, { type: 'merge', body: { spec: { attributes } } });
  const rows = controller.rows.get('shop', 'target')!;
  const withTitle = (): number => rows.rows().reduce((sum, { payload }) => sum + (payload.includes('"title"') ? 1 : 0), 0);
  await eventually(() => withTitle() > 0, { what: 'rows of the first page' });
  t.ok(withTitle() < pods, 'the list stands still');
  t.equal(rows.count, pods);
  await admin.create('/api/v1/namespaces/other/configmaps', { metadata: { name: 'meanwhile' }, data: { value: '1' } });
  await eventually(async () => (await counts("inventory_namespace = 'other'")) === 1, { what: 'the export of another inventory' });
  t.equal(await counts(`${inShop} AND ${haveTitle}`), 0, 'nothing is exported that is made in part');
  gate.resolve();
  await eventually(async () => (await counts(`${inShop} AND ${haveTitle}`)) === pods, { timeoutMs: patienceMs, intervalMs: 250, what: 'the export of all' });
  t.comment(`${pods} Pods: ${Math.round(performance.now() - started)} ms from the edit to the last row`);
  t.equal(lists(path) - before, 1);
  t.strictSame(leaves, [], 'no row left');
  t.strictSame(await postgres.query('SELECT * FROM removals', [], database), [], 'nor in the table');
});

t.test('a kind whose API server is away for a while keeps its rows, and costs few lists', async (t) => {
  await pipeline('gates', { group: 'shop.example', version: 'v1', kind: 'Gateway' }, [{ name: 'value', path: '$.data.value' }]);
  await defineGateways(admin, 'gates');
  const write = (name: string, value: string): Promise<unknown> =>
    admin.patch(`${gatewayPath('gates')}/${name}`, { type: 'apply', query: { fieldManager: 'test', force: true }, body: { apiVersion: 'shop.example/v1', kind: 'Gateway', metadata: { name }, data: { value } } });
  for (let index = 0; index < 30; index++) await write(`g${index}`, '0');
  const { proxy, controller, leaves, lists } = await controllerBehindProxy(t);
  const values = (): string => [...(controller.rows.get('gates', 'target')?.rows() ?? [])].map(({ payload }) => JSON.parse(payload).attributes.value as string).sort().join(' ');
  const shows = (expected: string): Promise<unknown> =>
    eventually(() => {
      if (values() !== expected) throw new Error(values());
      return true;
    }, { what: 'rows of gateways' });
  const zeros = (count: number): string => Array.from({ length: count }, () => '0').join(' ');
  await shows(zeros(30));

  const path = /\/gateways$/;
  const isOfKind = (url: URL): boolean => url.pathname.startsWith('/apis/shop.example/');
  for (const [index, code] of [503, 404].entries()) {
    const before = lists(path);
    let refused = 0;
    proxy.break({ match: isOfKind, fault: { kind: 'status', code }, times: 1_000_000, before: async () => void refused++ });
    proxy.cut();
    await eventually(() => refused >= (code === 503 ? 4 : 2), { what: 'refused requests' });
    await write(`g${index}`, '1');
    t.equal(values().split(' ').length, 30, `rows stay under ${code}`);
    const during = lists(path);
    proxy.heal();
    await shows([zeros(29 - index), ...Array.from({ length: index + 1 }, () => '1')].join(' '));
    t.ok(lists(path) - during <= 1, `${lists(path) - during} lists after ${code}`);
    t.ok(during - before <= refused, 'and none that was not refused');
  }

  const before = lists(path, 200);
  await cluster.apiserver.restart();
  await eventually(() => write('g2', '1'), { what: 'a write after the restart' });
  await shows([zeros(27), '1 1 1'].join(' '));
  const answered = lists(path, 200) - before;
  t.ok(answered <= 2, `${answered} lists after a restart of the API server`);
  t.strictSame(leaves, [], 'no row left');
});

t.test('a kind that may not be listed after a restart keeps its rows in the sink, and the other kinds of its target go on', async (t) => {
  const maps = { version: 'v1', kind: 'ConfigMap' };
  await pipeline('mixed', maps, [{ name: 'label', path: '$.metadata.labels.v', optional: true }], [{ gvk: maps }, { gvk: { version: 'v1', kind: 'Service' } }]);
  const core = '/api/v1/namespaces/mixed';
  const spec = { ports: [{ port: 80 }] };
  for (const name of ['m1', 'm2']) await admin.create(`${core}/configmaps`, { metadata: { name } });
  for (const name of ['s1', 's2']) await admin.create(`${core}/services`, { metadata: { name }, spec });
  const exported = async (...wanted: string[]): Promise<unknown> => {
    const query = "SELECT payload->>'name' || coalesce(payload->'attributes'->>'label', '') AS name FROM inventory_items WHERE inventory_namespace = 'mixed' ORDER BY 1";
    return await eventually(async () => {
      const found = (await postgres.query<{ name: string }>(query, [], database)).map(({ name }) => name).join(' ');
      if (found !== wanted.join(' ')) throw new Error(found);
      return true;
    }, { what: `rows ${wanted.join(' ')}` });
  };
  const first = await startController(t, cluster);
  await exported('m1', 'm2', 's1', 's2');
  await first.stop();
  await admin.delete(`${core}/configmaps/m1`);
  await admin.delete(`${core}/services/s1`);
  await admin.patch(`${core}/services/s2`, { type: 'merge', body: { metadata: { labels: { v: '2' } } } });

  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  t.teardown(() => proxy.stop());
  const fault = { kind: 'status', code: 403 } as const;
  for (const end of ['/configmaps', '/selfsubjectaccessreviews']) proxy.break({ match: (url) => url.pathname.endsWith(end), fault, times: 1_000_000 });
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { token: cluster.adminToken });
  const second = await startController(t, cluster, { kubeconfig, pace: { reviewAgeMs: 1_000, watch: { longestBackoffMs: 1_000 } } });
  await exported('m1', 'm2', 's22');
  await admin.delete(`${core}/services/s2`);
  await exported('m1', 'm2');
  t.equal(second.rows.get('mixed', 'target')?.count, 0);
  await eventually(async () => {
    const { status } = await admin.get<{ status?: { conditions?: { type: string; status: string; message: string }[] } }>(`${api('mixed')}/kollecttargets/target`);
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    return ready?.status === 'False' && /may not list or watch configmaps/.test(ready.message);
  }, { what: 'a target that tells which kind it may not list' });
  proxy.heal();
  await exported('m2');
});

t.test('a thousand namespaces that are labelled together cost a handful of lists', async (t) => {
  const namespaces = 1_000;
  const nameOf = (index: number): string => `tenant-${index}`;
  await forEach(namespaces, async (index) => {
    await admin.create('/api/v1/namespaces', { metadata: { name: nameOf(index), labels: index < 10 ? { team: 'shop' } : {} } });
    await admin.create(`/api/v1/namespaces/${nameOf(index)}/configmaps`, { metadata: { name: 'settings' }, data: { value: '1' } });
  });
  await admin.create('/api/v1/namespaces', { metadata: { name: 'tenants' } });
  const create = (plural: string, kind: string, name: string, spec: object): Promise<unknown> => admin.create(`${api('tenants')}/${plural}`, kollectObject(kind, 'tenants', name, spec));
  await create('kollectprofiles', 'KollectProfile', 'profile', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'value', path: '$.data.value' }] });
  for (const name of ['first', 'second']) await create('kollecttargets', 'KollectTarget', name, { profileRef: 'profile', namespaceSelector: { matchLabels: { team: 'shop' } } });
  const { controller, leaves, lists } = await controllerBehindProxy(t);
  const count = (name: string): number => controller.rows.get('tenants', name)?.count ?? 0;
  const have = (wanted: number): Promise<unknown> => eventually(() => count('first') === wanted && count('second') === wanted, { timeoutMs: patienceMs, what: `${wanted} rows` });
  await have(10);
  // The last namespaces to come may be listed one by one, up to eight of them.
  const rounds = (): number => lists(/^\/api\/v1\/configmaps$/) + Math.ceil(lists(/\/namespaces\/[^/]+\/configmaps$/) / 8);
  const before = rounds();
  const started = performance.now();
  await forEach(namespaces, (index) => admin.patch(`/api/v1/namespaces/${nameOf(index)}`, { type: 'merge', body: { metadata: { labels: { team: 'shop' } } } }));
  const labelledMs = performance.now() - started;
  await have(namespaces);
  const collectedMs = performance.now() - started;
  t.comment(`${rounds() - before} rounds of lists for namespaces labelled within ${Math.round(labelledMs)} ms and collected within ${Math.round(collectedMs)} ms`);
  // One for each backfill delay until all is there, at most, and the two that its ends may need.
  t.ok(rounds() - before <= 2 + collectedMs / (0.75 * backfillDelayMs), `${rounds() - before} rounds of lists`);
  t.strictSame(leaves, [], 'no row left');
});
