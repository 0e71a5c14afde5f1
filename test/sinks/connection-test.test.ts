import t, { type Test } from 'tap';
import { PreviewReconciler } from '../../controller/probe/preview-reconciler.ts';
import { probeSink } from '../../controller/probe/sink-prober.ts';
import { retryDelayMs } from '../../controller/probe/retry-delay.ts';
import { SinkReconciler } from '../../controller/probe/sink-reconciler.ts';
import type { SinkFamily } from '../../controller/sinks/contract.ts';
import { loadBackend } from '../../controller/sinks/registry.ts';
import { SecretPoll } from '../../controller/sinks/runtime/secret-poll.ts';
import type { SecretObject } from '../../controller/sinks/runtime/secrets.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Condition } from '../../shared/api/meta.ts';
import type { SinkPreview } from '../../shared/api/sink-preview.ts';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { EventRecorder } from '../../shared/kube/events.ts';
import { ObjectCache } from '../../shared/kube/object-cache.ts';
import { createLogger } from '../../shared/log.ts';
import { installCrds } from '../kollect/installation.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { canary, rows, signal, whole } from './conformance.ts';
import { loopback, postgresPlace, sinkObject } from './postgres-place.ts';

const [cluster, postgres] = await Promise.all([startCluster(), startPostgres()]);
const ends: (() => Promise<void> | void)[] = [() => cluster.stop(), () => postgres.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
await installCrds(cluster.kubectl, ['kollectdatabasesinks.kollect.dev', 'kollecteventsinks.kollect.dev', 'kollectsnapshotsinks.kollect.dev']);

const place = await postgresPlace(postgres, (end) => ends.push(end));
const client = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
ends.push(() => client.close());
const lines: string[] = [];
const logger = createLogger({ level: 'info', format: 'text', name: 'test', write: (line) => lines.push(line) });
const cache = (plural: string) => new ObjectCache<KubeObject>({ client, path: `/apis/${API_VERSION}/${plural}`, name: plural, logger });
const caches: Record<SinkFamily, ObjectCache<KubeObject>> = { snapshot: cache('kollectsnapshotsinks'), database: cache('kollectdatabasesinks'), event: cache('kollecteventsinks') };
const events = new EventRecorder({ client, component: 'kollect-controller', instance: 'test', logger });
const readSecret = async (namespace: string, name: string): Promise<SecretObject | undefined> => {
  try {
    return await client.get<SecretObject>(`/api/v1/namespaces/${namespace}/secrets/${name}`);
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404) return undefined;
    throw error;
  }
};
const probed: string[] = [];
const poll = new SecretPoll(readSecret, 100);
const reconciler = new SinkReconciler({
  client,
  caches,
  // As if there were none of these.
  probe: { readSecret, policy: loopback, load: (type) => loadBackend(type === 'mongodb' ? 'none' : type) },
  poll,
  events,
  logger,
  observer: { probed: (type, result) => probed.push(`${type} ${result}`) },
  retry: { firstMs: 300, lastMs: 600 },
});
for (const one of Object.values(caches)) one.start();
await Promise.all(Object.values(caches).map((one) => one.synced));
const previews = new PreviewReconciler({ client, caches, policy: loopback, logger });
reconciler.start();
previews.start();
poll.start();
ends.push(async () => {
  await reconciler.stop();
  await previews.stop();
  await poll.stop();
  await Promise.all(Object.values(caches).map((one) => one.stop()));
});

let namespaces = 0;
async function newNamespace(): Promise<string> {
  const name = `probe-${++namespaces}`;
  await kubectl(['create', 'namespace', name]);
  return name;
}

async function kubectl(args: string[], input?: object): Promise<string> {
  const { code, stdout, stderr } = await cluster.kubectl(args, input === undefined ? {} : { stdin: JSON.stringify(input) });
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const apply = (object: object) => kubectl(['apply', '-f', '-'], object);
const applySink = (namespace: string, spec: object = {}, annotations: object = {}, kind = 'KollectDatabaseSink') =>
  apply({ apiVersion: API_VERSION, kind, metadata: { name: 'pg', namespace, annotations }, spec: { ...sinkObject().spec, ...spec } });
const applySecret = (namespace: string, stringData: Record<string, string> = { dsn: place.dsn }) => apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace }, stringData });

interface Sink {
  metadata: { annotations?: Record<string, string>; resourceVersion: string };
  status?: { conditions?: Condition[]; observedGeneration?: number; lastProbeTime?: string; preview?: SinkPreview };
}

const read = async (namespace: string, kind = 'kdb'): Promise<Sink> => JSON.parse(await kubectl(['get', kind, 'pg', '-n', namespace, '-o', 'json'])) as Sink;
const conditions = ({ status }: Sink): string[] => (status?.conditions ?? []).map(({ type, status, reason }) => `${type}=${status} ${reason}`);

async function untilConditions(namespace: string, wanted: readonly string[], kind = 'kdb'): Promise<Sink> {
  return await eventually(async () => {
    const sink = await read(namespace, kind);
    if (conditions(sink).join() !== wanted.join()) throw new Error(`found ${conditions(sink).join()}, wanted ${wanted.join()}`);
    return sink;
  });
}

/** Tests that the reconciler made since the last call. */
const newTests = (): string[] => probed.splice(0);

const verified = ['ConnectionVerified=True ConnectionOK'];
const failed = ['ConnectionVerified=False ConnectionTestFailed', 'Degraded=True ConnectionTestFailed'];
const unresolved = ['ConnectionVerified=False SecretResolveFailed', 'Degraded=True SecretResolveFailed'];

t.test('a new sink is tested once, and writing its status is no reason to test it again', async (t) => {
  const namespace = await newNamespace();
  await applySecret(namespace);
  newTests();
  await applySink(namespace);
  const sink = await untilConditions(namespace, verified);
  t.match(sink.status?.conditions?.[0], { message: /^PostgreSQL .* without TLS: login succeeded, the first export will create table "public"\."inventory_items"$/, observedGeneration: 1 });
  t.match(sink.status, { observedGeneration: 1, lastProbeTime: /^\d{4}-\d\d-\d\dT.*Z$/ });
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame(newTests(), ['postgres success']);
  t.equal((await read(namespace)).metadata.resourceVersion, sink.metadata.resourceVersion);
  await events.flush();
  t.match(await kubectl(['get', 'events', '-n', namespace]), /Normal\s+ConnectionVerified\s+kollectdatabasesink\/pg/);
  t.notOk(await place.touched());
});

t.test('an export brings up to date what a test said of what is missing, once', async (t) => {
  const namespace = await newNamespace();
  const own = await postgresPlace(postgres, (end) => ends.push(end));
  await applySecret(namespace, { dsn: own.dsn });
  newTests();
  reconciler.exported('database', namespace, 'pg');
  await applySink(namespace);
  t.match((await untilConditions(namespace, verified)).status?.conditions?.[0]?.message, /will create table/);
  t.strictSame(newTests(), ['postgres success']);
  const { sink } = await own.opened();
  await sink.write(whole(rows(1)), signal);
  await sink.close();
  reconciler.exported('database', namespace, 'pg');
  await eventually(async () => /has the columns, the key and the privileges/.test((await read(namespace)).status?.conditions?.[0]?.message ?? ''));
  for (let passes = 0; passes < 5; passes++) reconciler.exported('database', namespace, 'pg');
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame(newTests(), ['postgres success']);
});

t.test('a missing Secret, a missing key and a wrong password are told apart, and mending them is enough', async (t) => {
  const namespace = await newNamespace();
  await applySink(namespace);
  const missing = await untilConditions(namespace, unresolved);
  t.match(missing.status?.conditions?.[1]?.message, new RegExp(`^secret "dsn" in namespace "${namespace}" not found`));
  await applySecret(namespace, { password: canary });
  await eventually(async () => /does not hold any of the keys dsn, url, connectionString, DATABASE_URL/.test((await read(namespace)).status?.conditions?.[0]?.message ?? ''));
  await applySecret(namespace, { dsn: place.dsn.replace(canary, `${canary}-wrong`) });
  t.match((await untilConditions(namespace, failed)).status?.conditions?.[0]?.message, /the database refused the login/);
  await applySecret(namespace);
  await untilConditions(namespace, verified);
  await events.flush();
  const recorded = await kubectl(['get', 'events', '-n', namespace, '-o', 'json']);
  for (const reason of ['SecretResolveFailed', 'ConnectionTestFailed', 'ConnectionVerified']) t.match(recorded, `"reason": "${reason}"`);
  t.notMatch(recorded, canary);
});

t.test('a Secret that is changed, deleted or made again is tested, each once', async (t) => {
  const namespace = await newNamespace();
  await applySecret(namespace);
  await applySink(namespace);
  await untilConditions(namespace, verified);
  newTests();
  await applySecret(namespace, { dsn: place.dsn.replace(canary, `${canary}-wrong`) });
  await untilConditions(namespace, failed);
  await applySecret(namespace);
  await untilConditions(namespace, verified);
  await kubectl(['delete', 'secret', 'dsn', '-n', namespace]);
  await untilConditions(namespace, unresolved);
  await applySecret(namespace);
  await untilConditions(namespace, verified);
  newTests();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame(newTests(), [], 'what is unchanged is not tested again');
});

t.test('an edit is tested, and what it broke is shown', async (t) => {
  const namespace = await newNamespace();
  await applySecret(namespace);
  await applySink(namespace);
  const before = await untilConditions(namespace, verified);
  await applySink(namespace, { provisioning: { mode: 'existing' }, tls: { insecureSkipVerify: true } });
  const broken = await untilConditions(namespace, [...failed, 'TLSInsecure=True InsecureSkipVerify']);
  t.match(broken.status, { observedGeneration: 2 });
  await applySink(namespace, { connectionTest: false });
  const untested = await untilConditions(namespace, failed);
  // Longer than a retry takes.
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  t.strictSame((await read(namespace)).status, untested.status, 'without a test the last verdict stays; what the spec decides does not');
  await applySink(namespace);
  const after = await untilConditions(namespace, verified);
  t.ok(Date.parse(after.status?.conditions?.[0]?.lastTransitionTime ?? '') >= Date.parse(before.status?.conditions?.[0]?.lastTransitionTime ?? ''));
});

t.test('the annotation asks for one test where edits are not tested', async (t) => {
  const namespace = await newNamespace();
  await applySecret(namespace, { dsn: 'nothing that can be read' });
  newTests();
  await applySink(namespace, { connectionTest: false });
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.strictSame(newTests(), []);
  t.strictSame(conditions(await read(namespace)), []);

  await kubectl(['annotate', 'kdb/pg', '-n', namespace, 'kollect.dev/test-connection=TRUE']);
  const sink = await untilConditions(namespace, failed);
  t.ok(sink.metadata.annotations?.['kollect.dev/test-connection'], 'kept until a test succeeds');
  await applySecret(namespace);
  await untilConditions(namespace, verified);
  await eventually(async () => (await read(namespace)).metadata.annotations?.['kollect.dev/test-connection'] === undefined);
  newTests();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame(newTests(), [], 'taking it away asks for nothing');

  const tested = await newNamespace();
  await applySecret(tested);
  await applySink(tested, {}, { 'kollect.dev/test-connection': 'true' });
  await untilConditions(tested, verified);
  t.equal((await read(tested)).metadata.annotations?.['kollect.dev/test-connection'], 'true', 'where edits are tested it stays');
});

t.test('each new value of the annotation asks once more, and nothing else of it does', async (t) => {
  const namespace = await newNamespace();
  await applySecret(namespace);
  await applySink(namespace);
  await untilConditions(namespace, verified);
  newTests();
  const annotate = (value: string) => kubectl(['annotate', 'kdb/pg', '-n', namespace, `kollect.dev/test-connection${value}`, '--overwrite']);
  const asks = async (value: string, expected: number) => {
    await annotate(value);
    await eventually(() => probed.length === expected, { what: `a test because of ${value}` });
    await new Promise((resolve) => setTimeout(resolve, 300));
    t.equal(newTests().length, expected, value);
  };
  for (const [value, expected] of [['=true', 1], ['=true', 0], ['=2026-01-15T12:00:00Z', 1], ['-', 0], ['=true', 1], ['=false', 0]] as const) await asks(value, expected);
  await applySink(namespace, { connectionTest: false });
  await asks('=FALSE', 0);
  await annotate('=1768478400');
  await eventually(() => newTests().length === 1);
  await eventually(async () => (await read(namespace)).metadata.annotations?.['kollect.dev/test-connection'] === undefined);
});

t.test('a test that was asked for and fails is repeated until it succeeds, or nobody asks any more', async (t) => {
  const namespace = await newNamespace();
  await applySecret(namespace, { dsn: place.dsn.replace(canary, `${canary}-wrong`) });
  await applySink(namespace, { connectionTest: false }, { 'kollect.dev/test-connection': 'true' });
  const asked = await untilConditions(namespace, failed);
  await eventually(async () => (await read(namespace)).status?.lastProbeTime !== asked.status?.lastProbeTime, { what: 'a second test' });
  await kubectl(['annotate', 'kdb/pg', '-n', namespace, 'kollect.dev/test-connection-']);
  // Twice as long as retries are apart.
  const quiet = () => new Promise((resolve) => setTimeout(resolve, 1_200));
  const before = await eventually(async () => {
    const sink = await read(namespace);
    await quiet();
    return (await read(namespace)).status?.lastProbeTime === sink.status?.lastProbeTime && sink;
  }, { what: 'an end of the tests' });
  newTests();
  await applySecret(namespace);
  await quiet();
  t.strictSame(newTests(), []);
  t.strictSame((await read(namespace)).status, before.status);

  reconciler.exported('database', namespace, 'pg');
  t.match((await untilConditions(namespace, verified)).status, { lastProbeTime: before.status?.lastProbeTime, conditions: [{ message: 'an export has succeeded since the last test, which had failed' }] });
  t.strictSame(newTests(), [], 'an export tells as much, and nobody asked');
});

/** A server that takes connections and says nothing, and a Secret that leads to it. */
async function silentServer(t: Test, namespace: string): Promise<TcpProxy> {
  const proxy = await new TcpProxy(postgres.port, 'COMMIT\0').start();
  proxy.freeze();
  t.teardown(() => proxy.stop());
  await applySecret(namespace, { dsn: dsnAt(proxy) });
  return proxy;
}
const dsnAt = ({ port }: TcpProxy): string => place.dsn.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${port}`);

t.test('failed tests are repeated less and less often, but Secrets are looked for every minute', async (t) => {
  const delays = (reason: string) => [0, 1, 2, 3, 4, 5, 100].map((failures) => retryDelayMs({ reason }, failures) / 1_000);
  t.strictSame(delays('SinkUnreachable'), [30, 60, 120, 240, 480, 600, 600]);
  t.strictSame(delays('SecretResolveFailed'), [30, 60, 60, 60, 60, 60, 60]);
});

t.test('a server that comes back is found again', async (t) => {
  const namespace = await newNamespace();
  const proxy = await silentServer(t, namespace);
  proxy.refuses = true;
  await applySink(namespace);
  await untilConditions(namespace, failed);
  proxy.refuses = false;
  proxy.thaw();
  await untilConditions(namespace, verified);
});

t.test('an edit while a test runs is tested at once, and what the old one found is not written', async (t) => {
  const namespace = await newNamespace();
  const proxy = await silentServer(t, namespace);
  await apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'other', namespace }, stringData: { dsn: place.dsn } });
  newTests();
  await applySink(namespace);
  await eventually(() => proxy.connections > 0);
  await applySink(namespace, { postgres: { databaseRef: { name: 'other' }, table: 'inventory_items' } });
  const sink = await untilConditions(namespace, verified);
  t.match(sink.status, { observedGeneration: 2, conditions: [{ observedGeneration: 2 }] });
  proxy.thaw();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame((await read(namespace)).status, sink.status);
  t.strictSame(newTests(), ['postgres success'], 'a test that was cancelled is none');
});

t.test('a sink that is deleted while its test runs is forgotten', async (t) => {
  const namespace = await newNamespace();
  const proxy = await silentServer(t, namespace);
  const before = lines.length;
  newTests();
  await applySink(namespace);
  await eventually(() => proxy.connections > 0);
  await kubectl(['delete', 'kdb/pg', '-n', namespace]);
  proxy.thaw();
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame([newTests(), lines.slice(before)], [[], []]);
});

t.test('a type without a backend and a spec that breaks a rule fail their test, once', async (t) => {
  const namespace = await newNamespace();
  newTests();
  await applySink(namespace, { type: 'mongodb', postgres: undefined, mongodb: { databaseRef: { name: 'dsn' }, database: 'inventory', collection: 'items' } });
  const sink = await untilConditions(namespace, failed);
  t.match(sink.status?.conditions?.[0]?.message, /sinks of type "none" are not implemented/);
  await applySink(namespace, { options: { password: canary } });
  t.match((await untilConditions(namespace, ['ConnectionVerified=False InvalidSpec', 'Degraded=True InvalidSpec'])).status?.conditions?.[0]?.message, /spec\.options/);
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.strictSame(newTests(), ['mongodb failure']);
});

t.test('a server that does not answer fails the test within its budget', async (t) => {
  const proxy = await new TcpProxy(postgres.port, 'COMMIT\0').start();
  proxy.freeze();
  t.teardown(() => proxy.stop());
  const dsn = place.dsn.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${proxy.port}`);
  const probe = (timeoutMs: number, cancel: AbortSignal) =>
    probeSink({ sink: sinkObject(), readSecret: async () => ({ data: { dsn: Buffer.from(dsn).toString('base64') } }), policy: loopback, signal: cancel, timeoutMs });
  t.match(await probe(300, signal), { error: { code: 'KOL_SINK_UNAVAILABLE' }, verdicts: [{ reason: 'ConnectionTestFailed', message: 'the sink has not answered within 0.3 s' }, { type: 'Degraded' }] });
  t.match(await probe(60_000, AbortSignal.timeout(100)), { error: { message: 'the test was cancelled' } });
});

t.test('the annotation shows what an export would do, as long as it is there, and asks neither the destination nor a Secret', async (t) => {
  const namespace = await newNamespace();
  const annotate = (value: string) => kubectl(['annotate', 'kdb/pg', '-n', namespace, `kollect.dev/preview${value}`, '--overwrite']);
  const previewed = (wanted: RegExp) => eventually(async () => {
    const sink = await read(namespace);
    return wanted.test(sink.status?.preview?.postgres?.expectedDDL ?? '') && sink;
  });
  newTests();
  await applySink(namespace, { connectionTest: false }, { 'kollect.dev/preview': ' True ' });
  const first = await previewed(/^CREATE TABLE IF NOT EXISTS "public"\."inventory_items"/);
  t.strictSame(conditions(first), []);
  await new Promise((resolve) => setTimeout(resolve, 700));
  t.equal((await read(namespace)).metadata.resourceVersion, first.metadata.resourceVersion, 'writing it is no reason to write it again');
  t.match(await kubectl(['get', 'kdb/pg', '-n', namespace, '-o', 'jsonpath={.status.preview.postgres.expectedDDL}']), /\n {2}payload jsonb NOT NULL,\n/);

  await applySink(namespace, { connectionTest: false, cluster: 'west' }, { 'kollect.dev/preview': 'true' });
  await kubectl(['label', 'kdb/pg', '-n', namespace, 'a=b']);
  await new Promise((resolve) => setTimeout(resolve, 500));
  t.strictSame((await read(namespace)).status, first.status, 'an edit that changes nothing of it leaves its time');
  await applySink(namespace, { connectionTest: false, postgres: { databaseRef: { name: 'dsn' }, table: 'other' } }, { 'kollect.dev/preview': 'true' });
  t.ok(((await previewed(/"public"\."other"/)).status?.preview?.renderedAt ?? '') > (first.status?.preview?.renderedAt ?? ''));
  t.strictSame(newTests(), []);

  // The rest of the status is that of the test, which may be written at the same time.
  await applySecret(namespace);
  await applySink(namespace, {}, { 'kollect.dev/preview': 'true' });
  await previewed(/inventory_items/);
  await untilConditions(namespace, verified);
  t.ok(await previewed(/inventory_items/));
  await annotate('=false');
  await eventually(async () => (await read(namespace)).status?.preview === undefined);
  t.strictSame(conditions(await read(namespace)), verified);
  await annotate('=true');
  await previewed(/inventory_items/);
  await annotate('-');
  await eventually(async () => (await read(namespace)).status?.preview === undefined);
  newTests();
});

t.test('a controller that stops, or leads no more, writes nothing of a test that runs', async (t) => {
  const namespace = await newNamespace();
  const proxy = await silentServer(t, namespace);
  newTests();
  await applySink(namespace);
  await eventually(() => proxy.connections > 0);
  await reconciler.stop();
  t.equal((await read(namespace)).status, undefined);
  t.strictSame(newTests(), []);
});

t.test('no password was shown anywhere', async (t) => {
  await events.flush();
  t.ok(lines.length > 0);
  t.notMatch(lines.join(''), canary);
  const objects = JSON.parse(await kubectl(['get', 'kdb,kevt,events', '-A', '-o', 'json'])) as { items: { spec?: { options?: object }; metadata: object }[] };
  // One test put it into the spec and its last-applied annotation, where the user himself can see it.
  for (const item of objects.items) Object.assign(item, { spec: undefined, metadata: undefined });
  t.notMatch(JSON.stringify(objects), canary);
});
