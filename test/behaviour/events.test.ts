import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { startNats } from '../servers/nats/index.ts';
import { startKollect, type KubernetesObject } from './harness.ts';
import { deployment, profile, target } from './objects.ts';

// Inventories whose changes go to NATS JetStream, from the objects that people write to what a consumer reads.

const root = join(import.meta.dirname, '..', '..');
const canary = 'canary-7f3a1';
const nats = await startNats({ config: () => `authorization { users: [{ user: exporter, password: "${canary}" }, { user: anyone, password: "" }] }\nno_auth_user: anyone` });
const kollect = await startKollect({ mapHosts: [`nats.kollect-system.svc:4222=127.0.0.1:${nats.port}`] });
t.teardown(async () => {
  await kollect.stop();
  await nats.stop();
});
const namespace = await kollect.namespace();
await kollect.apply([profile({ namespace, dsn: '' }), target({ namespace, dsn: '' })].join('---\n'));
await kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'nats', namespace }, stringData: { username: 'exporter', password: canary } });
const inNamespace = { flags: ['-n', namespace] };

interface Found {
  cluster: string;
  namespace: string;
  inventory: string;
  row: { name: string; attributes: { replicas: number } };
}

/** What the consumer of the documentation makes of a subject. */
async function consumed(stream: string, subject: string): Promise<string[]> {
  const { stdout } = await promisify(execFile)(process.execPath, [join(root, 'docs/examples/nats-consumer.ts'), `nats://127.0.0.1:${nats.port}`, stream, subject]);
  const rows = stdout.split('\n').filter(Boolean).map((line) => JSON.parse(line) as Found);
  return rows.map((found) => `${found.cluster}/${found.namespace}/${found.inventory} ${found.row.name}=${found.row.attributes.replicas}`).sort();
}

async function untilConsumed(stream: string, subject: string, wanted: readonly string[]): Promise<void> {
  await kollect.eventually(async () => {
    const found = await consumed(stream, subject);
    if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
    return true;
  }, { what: `rows of ${subject}`, intervalMs: 300 });
}

interface Status {
  conditions?: { type: string; status: string; reason: string; message: string }[];
}

async function untilCondition(resource: string, name: string, type: string, wanted: RegExp, within = namespace): Promise<string> {
  return await kollect.eventually(async () => {
    const status = (await kollect.get<KubernetesObject>(resource, name, within))?.status as Status | undefined;
    const condition = status?.conditions?.find((found) => found.type === type);
    const text = condition && `${condition.status} ${condition.reason}: ${condition.message}`;
    if (text === undefined || !wanted.test(text)) throw new Error(`found ${text}, wanted ${wanted}`);
    return text;
  }, { what: `${type} of ${resource}/${name}` });
}

const key = (inventory: string) => `prod-west/${namespace}/${inventory}`;

t.test('the sample is tested, and its inventory is published as a whole', async () => {
  await kollect.apply(readFileSync(join(root, 'config/samples/kollect_v1alpha1_kollecteventsink_nats.yaml'), 'utf8').replace(/^ *namespace: default\n/m, ''), inNamespace);
  await kollect.kubectl(['annotate', 'kevt/nats-inventory-demo', '-n', namespace, 'kollect.dev/test-connection=true']);
  await untilCondition('kevt', 'nats-inventory-demo', 'ConnectionVerified', /^True ConnectionOK: NATS 2\.\S+ with JetStream, without TLS: login succeeded, the first export will create stream "kollect_events"/);
  await kollect.apply(deployment(namespace, 'web'));
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'whole', namespace }, spec: { eventSinkRefs: ['nats-inventory-demo'] } });
  await untilConsumed('kollect_events', 'inventory.events', [`${key('whole')} web=1`]);
  await untilCondition('kinv', 'whole', 'Synced', /^True/);
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=2']);
  await untilConsumed('kollect_events', 'inventory.events', [`${key('whole')} web=2`]);
});

t.test('another sink publishes row by row, through a restart of the controller and of the server', async () => {
  const spec = { type: 'nats', cluster: 'prod-west', secretRef: { name: 'nats' }, events: { mode: 'perItem' }, nats: { url: 'nats://nats.kollect-system.svc:4222', subject: 'inventory.items' } };
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectEventSink', metadata: { name: 'items', namespace }, spec });
  await untilCondition('kevt', 'items', 'ConnectionVerified', /^True ConnectionOK: .*the first export will add "inventory\.items" to stream "kollect_events"/);
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'items', namespace }, spec: { eventSinkRefs: [{ name: 'items' }] } });
  await kollect.apply(deployment(namespace, 'api'));
  await untilConsumed('kollect_events', 'inventory.items', [`${key('items')} api=1`, `${key('items')} web=2`]);
  await untilCondition('kevt', 'items', 'ConnectionVerified', /^True ConnectionOK: .*stream "kollect_events" takes "inventory\.items"/);
  await kollect.controller.kill('SIGTERM');
  await kollect.kubectl(['delete', 'deployment/web', '-n', namespace]);
  await kollect.kubectl(['scale', 'deployment/api', '-n', namespace, '--replicas=3']);
  await kollect.controller.start();
  await untilConsumed('kollect_events', 'inventory.items', [`${key('items')} api=3`]);
  await nats.kill();
  await kollect.kubectl(['scale', 'deployment/api', '-n', namespace, '--replicas=4']);
  await untilCondition('kinv', 'items', 'Synced', /^False/);
  await nats.start();
  await untilConsumed('kollect_events', 'inventory.items', [`${key('items')} api=4`]);
  await untilConsumed('kollect_events', 'inventory.events', [`${key('whole')} api=4`]);
});

t.test('what is lost while no controller runs stays with readers until somebody allows it', async (t) => {
  const lost = await kollect.namespace();
  const configMaps = { targetGVK: { group: '', version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'replicas', path: '$.data.size' }] };
  await kollect.apply([profile({ namespace: lost, dsn: '', ...configMaps }), target({ namespace: lost, dsn: '' })].join('---\n'));
  const sinks = (['aggregate', 'perItem'] as const).map((mode) => ({
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectEventSink',
    metadata: { name: mode.toLowerCase(), namespace: lost },
    spec: { type: 'nats', events: { mode }, nats: { url: 'nats://nats.kollect-system.svc:4222', subject: `lost.${mode}` } },
  }));
  await kollect.apply([...sinks, ...Array.from({ length: 120 }, (_, index) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: `map-${index}`, namespace: lost, labels: { stays: String(index === 0) } }, data: { size: '1' } }))]);
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'lost', namespace: lost }, spec: { eventSinkRefs: ['aggregate', 'peritem'] } });
  const counts = async () => await Promise.all(['lost.aggregate', 'lost.perItem'].map(async (subject) => (await consumed('kollect_events', subject)).length));
  await kollect.eventually(async () => (await counts()).join() === '120,120', { what: 'the rows of both' });
  await kollect.controller.kill('SIGTERM');
  await kollect.kubectl(['delete', '--raw', `/api/v1/namespaces/${lost}/configmaps?labelSelector=stays%3Dfalse`]);
  await kollect.controller.start();
  // Each finds out for itself.
  for (const name of ['aggregate', 'peritem']) await untilCondition('kinv', 'lost', 'Degraded', new RegExp(`^True DeletionHeld: .*event/${name} holds 119 row\\(s\\) of 120`), lost);
  t.strictSame(await counts(), [120, 120]);
  await kollect.kubectl(['annotate', 'kinv/lost', '-n', lost, 'kollect.dev/allow-deletes=true']);
  await kollect.eventually(async () => (await counts()).join() === '1,1', { what: 'one row in both' });
  await untilCondition('kinv', 'lost', 'Synced', /^True/, lost);
});

t.test('what is not exported any more leaves its readers, and nobody sees the password', async (t) => {
  for (const name of ['whole', 'items']) await kollect.kubectl(['delete', `kinv/${name}`, '-n', namespace]);
  await untilConsumed('kollect_events', 'inventory.items', []);
  await untilConsumed('kollect_events', 'inventory.events', []);
  await kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'nats', namespace }, stringData: { password: `${canary}-wrong` } });
  await kollect.kubectl(['patch', 'kevt/items', '-n', namespace, '--type=merge', '-p', '{"spec":{"exportMinInterval":"1m"}}']);
  await untilCondition('kevt', 'items', 'ConnectionVerified', /^False ConnectionTestFailed: .*refused the login/);
  const { stdout } = await kollect.kubectl(['get', 'kevt,kinv,events', '-n', namespace, '-o', 'json']);
  t.match(stdout, /refused the login/);
  t.notOk(stdout.includes(canary));
  t.notOk(kollect.controller.logs().includes(canary));
});
