import { join } from 'node:path';
import t from 'tap';
import { conditionsOf } from '../../controller/observe/conditions.ts';
import { StatusWriter } from '../../controller/observe/status-writer.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Condition } from '../../shared/api/meta.ts';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { EventRecorder } from '../../shared/kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../shared/kube/finalizers.ts';
import { ObjectCache } from '../../shared/kube/object-cache.ts';
import { patchStatus, patchStatusFields } from '../../shared/kube/status.ts';
import { createLogger } from '../../shared/log.ts';
import { isWatch, WatchProxy } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';

const cluster = await startCluster({ users: [{ name: 'nobody', groups: ['strangers'] }] });
t.teardown(() => cluster.stop());
const client = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => client.close());
const lines: string[] = [];
const logger = createLogger({ level: 'debug', format: 'text', name: 'test', write: (line) => lines.push(line) });

const crds = join(import.meta.dirname, '..', '..', 'manifests', 'crds');
await cluster.kubectl(['apply', '--server-side', '-k', crds]);
await untilEstablished(cluster.kubectl);

const path = '/apis/kollect.dev/v1alpha1/namespaces/default/kollectprofiles';
const body = (name: string): object => ({
  apiVersion: 'kollect.dev/v1alpha1',
  kind: 'KollectProfile',
  metadata: { name },
  spec: { targetGVK: { version: 'v1', kind: 'Pod' } },
});

t.test('errors say what the API server said', async (t) => {
  await t.rejects(client.get(`${path}/absent`), { name: 'KubeApiError', status: 404, reason: 'NotFound', message: /"absent" not found/ });
  const stranger = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfigOf('nobody') }));
  await t.rejects(stranger.get(`${path}/absent`), { status: 403, reason: 'Forbidden', message: /cannot get resource "kollectprofiles"/ });
  await stranger.close();
  const nowhere = new KubeClient({ ...client.connection, server: 'https://127.0.0.1:1' });
  await t.rejects(nowhere.get('/api'), { status: 0, message: /ECONNREFUSED/ });
  await nowhere.close();
  await t.rejects(loadConnection({ kubeconfig: '/nowhere' }), /\/nowhere/);
});

t.test('discovery knows plural, scope and version, and what appears later', async (t) => {
  const discovery = new Discovery(client);
  const deployments = await discovery.resolve({ group: 'apps', version: 'v1', kind: 'Deployment' });
  t.match(deployments, { plural: 'deployments', namespaced: true });
  t.equal(deployments?.path(), '/apis/apps/v1/deployments');
  t.equal(deployments?.path('team-a'), '/apis/apps/v1/namespaces/team-a/deployments');
  const namespaces = await discovery.resolve({ group: '', version: 'v1', kind: 'Namespace' });
  t.match(namespaces, { plural: 'namespaces', namespaced: false });
  t.equal(namespaces?.path('ignored'), '/api/v1/namespaces');
  t.equal(await discovery.resolve({ group: 'apps', version: 'v9', kind: 'Deployment' }), undefined);
  t.equal(await discovery.resolve({ group: 'later.example', version: 'v1', kind: 'Gateway' }), undefined);
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'gatewaies.later.example' },
    spec: {
      group: 'later.example',
      scope: 'Cluster',
      names: { kind: 'Gateway', plural: 'gatewaies', singular: 'gateway' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object' } } }],
    },
  };
  await client.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
  const found = await eventually(() => discovery.resolve({ group: 'later.example', version: 'v1', kind: 'Gateway' }));
  t.match(found, { plural: 'gatewaies', namespaced: false });
});

t.test('a list in pages is complete, and its items know what they are', async (t) => {
  await Promise.all(Array.from({ length: 7 }, (_, index) => client.create('/api/v1/namespaces/default/configmaps', { metadata: { name: `page-${index}` } })));
  const names: string[] = [];
  let pages = 0;
  for await (const page of client.list('/api/v1/namespaces/default/configmaps', {}, { pageSize: 3 })) {
    pages++;
    for (const item of page.items) {
      t.match(item, { apiVersion: 'v1', kind: 'ConfigMap' });
      t.notOk('managedFields' in item.metadata);
      names.push(item.metadata.name);
    }
  }
  t.ok(pages >= 3);
  t.strictSame(names.filter((name) => name.startsWith('page-')).sort(), Array.from({ length: 7 }, (_, index) => `page-${index}`));
});

t.test('a server that asks for patience gets it, within reason', async (t) => {
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const requests: string[] = [];
  const patient = new KubeClient(
    { ...client.connection, server: await proxy.start() },
    { userAgent: 'kollect-test/1', observe: { request: (method, status) => requests.push(`${method} ${status}`) } },
  );
  t.teardown(() => Promise.all([patient.close(), proxy.stop()]));
  const busy = (seconds: string) => ({ match: () => true, fault: { kind: 'status', code: 503, headers: { 'retry-after': seconds } } as const });

  proxy.break(busy('1'));
  const since = performance.now();
  await patient.create('/api/v1/namespaces/default/configmaps', { metadata: { name: 'patient' } });
  t.ok(performance.now() - since >= 950);
  t.strictSame(requests, ['POST 503', 'POST 201']);
  t.equal(proxy.requests[0]?.headers['user-agent'], 'kollect-test/1');

  proxy.break(busy('3600'));
  await t.rejects(patient.get('/api/v1/namespaces/default'), { name: 'KubeApiError', status: 503, retryAfterMs: 3_600_000 }, 'the caller is told instead of held up for an hour');
  proxy.break({ match: () => true, fault: { kind: 'close', text: '{"data":{"password":"canary' } });
  const broken = await patient.get('/api/v1/namespaces/default').catch((error: Error) => error);
  t.match(broken, { name: 'KubeApiError', status: 0, message: /no JSON/ });
  t.notMatch((broken as Error).stack, 'canary', 'what was cut may be a Secret');
  proxy.break({ match: () => true, fault: { kind: 'status', code: 500 } });
  await t.rejects(patient.get('/api/v1/namespaces/default'), { name: 'KubeApiError', status: 500, reason: 'InternalError' });
});

t.test('a patch applies, merges, or edits', async (t) => {
  const configMap = '/api/v1/namespaces/default/configmaps/patched';
  const apply = (data: object, fieldManager: string): Promise<KubeObject> =>
    client.patch(configMap, { type: 'apply', query: { fieldManager }, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'patched' }, data } });
  await apply({ ours: '1' }, 'us');
  t.match(await apply({ theirs: '1' }, 'them'), { data: { ours: '1', theirs: '1' } });
  const conflict = { name: 'KubeApiError', status: 409, reason: 'Conflict', details: { causes: [{ reason: 'FieldManagerConflict', field: '.data.ours' }] } };
  await t.rejects(apply({ ours: '2' }, 'them'), conflict);
  t.match(await client.patch(configMap, { type: 'merge', body: { data: { ours: null } } }), { data: { theirs: '1' } });
  t.match(await client.patch(configMap, { type: 'json', body: [{ op: 'replace', path: '/data/theirs', value: '2' }] }), { data: { theirs: '2' } });
});

t.test('integers beyond 2^53 come back as they were written', async (t) => {
  const free = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const crd = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'ledgers.large.example' },
    spec: {
      group: 'large.example',
      scope: 'Namespaced',
      names: { kind: 'Ledger', plural: 'ledgers', singular: 'ledger' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', properties: { spec: free } } } }],
    },
  };
  await client.create('/apis/apiextensions.k8s.io/v1/customresourcedefinitions', crd);
  const ledgers = '/apis/large.example/v1/namespaces/default/ledgers';
  const spec = { serial: 9_007_199_254_740_993n, items: [-9_223_372_036_854_775_808n, 7] };
  const created = await eventually(() => client.create(ledgers, { apiVersion: 'large.example/v1', kind: 'Ledger', metadata: { name: 'one' }, spec }));
  t.strictSame(created['spec'], spec);
  t.strictSame((await client.page(ledgers, {})).items[0]?.['spec'], spec);
  const { stdout } = await cluster.kubectl(['get', 'ledger', 'one', '-o', 'jsonpath={.spec.serial}']);
  t.equal(stdout, '9007199254740993');
});

t.test('finalizers come and go without touching those of others', async (t) => {
  const object = await client.create<KubeObject>(path, { ...body('finalized'), metadata: { name: 'finalized', finalizers: ['example.org/theirs'] } });
  await addFinalizer(client, 'kollectprofiles', object, 'kollect.dev/ours');
  // What is stale does not overwrite.
  await t.rejects(addFinalizer(client, 'kollectprofiles', object, 'kollect.dev/other'), { name: 'KubeApiError', status: 409 });
  const added = await client.get(`${path}/finalized`);
  t.strictSame(added.metadata.finalizers, ['example.org/theirs', 'kollect.dev/ours']);
  await removeFinalizer(client, 'kollectprofiles', added, 'kollect.dev/ours');
  t.strictSame((await client.get(`${path}/finalized`)).metadata.finalizers, ['example.org/theirs']);
  await removeFinalizer(client, 'kollectprofiles', { ...added, metadata: { ...added.metadata, name: 'gone' } }, 'kollect.dev/ours');
});

t.test('status is replaced as a whole, and the spec does not matter', async (t) => {
  const object = await client.create<KubeObject>(path, body('status'));
  const condition = { type: 'Ready', status: 'True', reason: 'Fine', message: '', lastTransitionTime: '2026-01-02T03:04:05Z' };
  await client.patch(`${path}/status`, { type: 'merge', body: { spec: { targetGVK: { kind: 'Node' } } } });
  await patchStatus(client, 'kollectprofiles', object, { conditions: [condition] });
  const written = await client.get(`${path}/status`);
  t.match(written['status'], { conditions: [condition] });
  await patchStatus(client, 'kollectprofiles', written, {});
  t.strictSame((await client.get(`${path}/status`))['status'] ?? {}, {});

  const { resourceVersion } = (await client.get(path + '/status')).metadata;
  await patchStatus(client, 'kollectprofiles', object, {});
  t.equal((await client.get(path + '/status')).metadata.resourceVersion, resourceVersion, 'an equal status is no write');
  const successor = { ...object, metadata: { ...object.metadata, uid: 'another' } };
  await t.rejects(patchStatus(client, 'kollectprofiles', successor, { conditions: [condition] }), { name: 'KubeApiError', status: 404 }, 'not to the next object of that name');
  await t.rejects(patchStatus(client, 'kollectprofiles', object, { conditions: 'none' }), { name: 'KubeApiError', status: 422 });
});

t.test('several write one status, each its own fields', async (t) => {
  const sinks = '/apis/kollect.dev/v1alpha1/namespaces/default/kollectdatabasesinks';
  const object = await client.create<KubeObject>(sinks, { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectDatabaseSink', metadata: { name: 'shared' }, spec: { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 'items' } } });
  const write = (fields: object, as = object) => patchStatusFields(client, 'kollectdatabasesinks', as, fields);
  const preview = { renderedAt: '2026-01-02T03:04:05Z', inputSampleSource: 'synthetic' };
  const times = ['2026-01-02T03:04:05Z', '2026-01-02T03:04:06Z'].map((lastProbeTime) => ({ lastProbeTime }));
  await Promise.all([write(times[0]!), write({ preview })]);
  t.strictSame((await client.get(`${sinks}/shared`))['status'], { ...times[0], preview }, 'of a copy that has none');
  const seen = await write(times[1]!);
  t.strictSame(seen['status'], { ...times[1], preview }, 'it tells what is there then');
  await write({ preview: undefined }, seen);
  t.strictSame((await write(times[0]!, seen))['status'], times[0], 'what was removed does not return with the next write of who saw it');
  await t.rejects(write({ preview: undefined }, seen), { name: 'KubeApiError', status: 404 });
  await t.rejects(write(times[1]!, { ...seen, metadata: { ...seen.metadata, uid: 'another' } }), { name: 'KubeApiError', status: 404 }, 'not to the next object of that name');
});

t.test('status is written at once when a condition changes, else after a while, and never when nothing did', async (t) => {
  const requests: string[] = [];
  const counting = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }), { userAgent: 'test', observe: { request: (method, status) => requests.push(`${method} ${status}`) } });
  const transitions: string[] = [];
  const onTransition = (_: KubeObject, before: Condition | undefined, after: Condition): unknown => transitions.push(`${before?.status} ${after.status} ${after.reason}`);
  const writer = new StatusWriter({ client: counting, plural: 'kollectprofiles', logger, onTransition, gapMs: 3_600_000 });
  t.teardown(async () => {
    writer.stop();
    await counting.close();
  });
  const object = await client.create<KubeObject>(path, body('paced'));
  const ready = (reason: string, message: string, observedGeneration = 1): { conditions: Condition[] } => ({
    conditions: [{ type: 'Ready', status: 'True', reason, message, lastTransitionTime: '2026-01-02T03:04:05Z', observedGeneration }],
  });
  const stored = async (): Promise<string | undefined> => ((await client.get(`${path}/paced`))['status'] as { conditions?: Condition[] } | undefined)?.conditions?.[0]?.message;
  const patches = (): number => requests.filter((request) => request === 'PATCH 200').length;

  writer.submit(object, ready('Fine', 'first'));
  await eventually(async () => (await stored()) === 'first');
  writer.submit(object, ready('Fine', 'first'));
  writer.submit(object, ready('Fine', 'other words'));
  for (let round = 0; round < 3; round++) t.equal(await stored(), 'first', 'other words wait');
  writer.submit(object, ready('Better', 'another reason'));
  await eventually(async () => (await stored()) === 'another reason');
  writer.submit(object, ready('Better', 'another generation', 2));
  await eventually(async () => (await stored()) === 'another generation');
  writer.submit(object, ready('Better', 'more words', 2));
  await writer.flush(object);
  t.equal(await stored(), 'more words', 'who cannot wait does not');
  await writer.flush(object);
  t.equal(patches(), 4);
  t.strictSame(transitions, ['undefined True Fine', 'True True Better']);
});

t.test('a status whose answer was lost may be there, and is written over by the one before it', async (t) => {
  let lost = 0;
  const losing = {
    patch: async (...request: Parameters<KubeClient['patch']>) => {
      const answer = await client.patch(...request);
      if (lost-- > 0) throw new Error('the answer was lost');
      return answer;
    },
  } as unknown as KubeClient;
  const writer = new StatusWriter({ client: losing, plural: 'kollectprofiles', logger, onTransition: () => undefined });
  t.teardown(() => writer.stop());
  const object = await client.create<KubeObject>(path, body('uncertain'));
  const ready = (status: 'True' | 'False') => ({ conditions: [{ type: 'Ready', status, reason: 'Said', message: '', lastTransitionTime: '2026-01-02T03:04:05Z' }] });
  const stored = async (): Promise<string | undefined> => ((await client.get(`${path}/uncertain`))['status'] as { conditions?: Condition[] } | undefined)?.conditions?.[0]?.status;
  writer.submit(object, ready('True'));
  await writer.flush(object);
  lost = 1;
  writer.submit(object, ready('False'));
  await eventually(async () => (await stored()) === 'False' && lost === 0);
  writer.submit(object, ready('True'));
  await writer.flush(object);
  t.equal(await stored(), 'True');
});

t.test('a status that is refused is not sent again whenever another one is submitted', async (t) => {
  let attempts = 0;
  let refuses = true;
  const refusing = {
    patch: async (...request: Parameters<KubeClient['patch']>) => {
      attempts++;
      if (refuses) throw new KubeApiError(422, 'Invalid', 'status.conditions[0].message: Too long', { details: { causes: [{}] } });
      return await client.patch(...request);
    },
  } as unknown as KubeClient;
  const writer = new StatusWriter({ client: refusing, plural: 'kollectprofiles', logger, onTransition: () => undefined });
  t.teardown(() => writer.stop());
  const object = await client.create<KubeObject>(path, body('refused'));
  const ready = (reason: string) => ({ conditions: [{ type: 'Ready', status: 'True' as const, reason, message: '', lastTransitionTime: '2026-01-02T03:04:05Z' }] });
  for (let round = 0; round < 50; round++) {
    writer.submit(object, ready(`Round${round}`));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.ok(attempts >= 1 && attempts <= 5, `${attempts} attempts`);
  refuses = false;
  await writer.flush(object);
  t.match((await client.get(`${path}/refused`))['status'], ready('Round49'), 'the last one is written in the end');
});

t.test('a message of any length becomes a condition', async (t) => {
  const object = await client.create<KubeObject>(path, body('wordy'));
  const verdict = (type: string, message: string) => ({ type, status: 'False' as const, reason: 'Wordy', message });
  const messages = [...['x', 'é', '€', '😀', 'a😀'].map((text) => text.repeat(40_000)), 'x'.repeat(32_768), 'é'.repeat(16_384)];
  await patchStatus(client, 'kollectprofiles', object, { conditions: conditionsOf(messages.map((message, index) => verdict(`Type${index}`, message)), undefined, 1, '2026-01-02T03:04:05Z') });
  const { conditions = [] } = (await client.get(`${path}/wordy`))['status'] as { conditions?: Condition[] };
  t.equal(conditions.length, messages.length);
  for (const [index, { message }] of conditions.entries()) {
    const whole = index >= 5;
    const [text, cut] = message.split(' ... ');
    t.equal(cut, whole ? undefined : '[cut]');
    t.ok(messages[index]!.startsWith(text!) && text!.isWellFormed() && text!.length > 10_000, 'no more than its end is missing');
    if (whole) t.equal(message, messages[index]);
  }
});

t.test('a cache follows the few objects that steer us', async (t) => {
  const cache = new ObjectCache<KubeObject>({ client, path: '/apis/kollect.dev/v1alpha1/kollectprofiles', name: 'profiles', logger });
  const changes: string[] = [];
  cache.onChange((key, object) => changes.push(`${key} ${object ? 'is' : 'gone'}`));
  t.teardown(() => cache.stop());
  cache.start();
  await cache.synced;
  t.ok(cache.get('default/status'));
  await client.create(path, body('cached'));
  await eventually(() => cache.get('default/cached'));
  await client.delete(`${path}/cached`);
  await eventually(() => changes.includes('default/cached gone'));
  t.equal(cache.get('default/cached'), undefined);
  t.ok([...cache.byNamespace('default')].length >= 1);
  t.strictSame([...cache.byNamespace('defaul')], []);
});

t.test('a cache of some namespaces asks for no others, and a list of one says nothing of the rest', async (t) => {
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const proxied = new KubeClient({ ...client.connection, server: await proxy.start() });
  const paths = ['one', 'two', 'three'].map((namespace) => `/apis/kollect.dev/v1alpha1/namespaces/${namespace}/kollectprofiles`);
  for (const [index, namespace] of ['one', 'two', 'three'].entries()) {
    await client.create('/api/v1/namespaces', { metadata: { name: namespace } });
    await client.create(paths[index]!, body('profile'));
  }
  const parts = paths.slice(0, 2).map((part) => ({ path: part }));
  const cache = new ObjectCache<KubeObject>({ client: proxied, path: '/apis/kollect.dev/v1alpha1/kollectprofiles', parts, name: 'profiles', logger, longestBackoffMs: 100 });
  t.teardown(async () => {
    await cache.stop();
    await proxied.close();
    await proxy.stop();
  });
  const ofTwo = (url: URL): boolean => url.pathname === paths[1];
  proxy.break({ match: ofTwo, fault: { kind: 'status', code: 403 }, times: 10 });
  cache.start();
  await eventually(() => cache.state.phase === 'Failed', { intervalMs: 1 });
  await cache.synced;
  await eventually(() => cache.state.phase === 'Synced');
  const gone: string[] = [];
  cache.onChange((key, object) => void (object ?? gone.push(key)));
  const lists = (): number => proxy.requests.filter(({ url, code }) => ofTwo(url) && !isWatch(url) && code === 200).length;
  proxy.break({ match: (url) => ofTwo(url) && isWatch(url), fault: { kind: 'status', code: 410 } });
  proxy.cut();
  await eventually(() => lists() === 2);
  await client.delete(`${paths[1]}/profile`);
  await eventually(() => gone.length > 0);
  t.strictSame(gone, ['two/profile']);
  t.strictSame([...cache.list()].map(({ metadata }) => metadata.namespace), ['one']);
  t.equal(proxy.requests.some(({ url }) => url.pathname.includes('/three/') || url.pathname.endsWith('/v1alpha1/kollectprofiles')), false);
});

t.test('events are seen by kubectl, and the same one is counted', async (t) => {
  const object = await client.get(`${path}/status`);
  const recorder = new EventRecorder({ client, component: 'kollect-controller', instance: 'test', logger });
  for (let index = 0; index < 3; index++) recorder.event(object, 'Warning', 'SinkNotFound', 'no sink "x"');
  recorder.event(object, 'Normal', 'Exported', 'x'.repeat(5_000));
  recorder.event(object, 'Normal', 'Long', `a${'😀'.repeat(1_000)}`);
  await recorder.flush();
  const { stdout } = await cluster.kubectl(['get', 'events', '-o', 'json']);
  const events = (JSON.parse(stdout) as { items: { reason: string; count: number; message: string; source: object }[] }).items;
  t.match(events.find((event) => event.reason === 'SinkNotFound'), { count: 3, message: 'no sink "x"', source: { component: 'kollect-controller' } });
  const [exported, long] = ['Exported', 'Long'].map((reason) => events.find((event) => event.reason === reason)?.message ?? '');
  t.match([exported!.length, exported], [1_024, /^x+ \.\.\. \[cut\]$/]);
  t.match([Buffer.byteLength(long!) <= 1_024, long], [true, /^a(😀)+ \.\.\. \[cut\]$/u], 'within so many bytes, and on a character');
  const repeated = async (count: number): Promise<void> => {
    recorder.event(object, 'Warning', 'SinkNotFound', 'no sink "x"');
    await recorder.flush();
    const list = await client.page('/api/v1/namespaces/default/events', { fieldSelector: 'reason=SinkNotFound' });
    t.strictSame(list.items.map((item) => item['count']), [count]);
  };
  await repeated(4);
  await cluster.kubectl(['delete', 'events', '--all']);
  await repeated(1);

  const longName = `${'n'.repeat(199)}.more`;
  recorder.event({ ...object, metadata: { ...object.metadata, name: longName, uid: 'long' } }, 'Normal', 'LongName', 'a name that is cut stays a name');
  for (let index = 0; index < 100; index++) recorder.event({ ...object, metadata: { ...object.metadata, uid: 'loop' } }, 'Warning', 'Loop', `attempt ${index}`);
  await recorder.flush();
  const reasons = (await client.page('/api/v1/namespaces/default/events', {})).items.map((item) => item['reason']);
  t.equal(reasons.filter((reason) => reason === 'LongName').length, 1);
  t.equal(reasons.filter((reason) => reason === 'Loop').length, 25, 'one object cannot flood the cluster');

  recorder.event({ ...object, metadata: { ...object.metadata, namespace: 'absent' } }, 'Normal', 'Lost', 'nobody fails');
  await recorder.flush();
  t.ok(lines.some((line) => line.includes('event could not be written')));
});
