import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { createInventoryDatabase } from '../sandbox/database.ts';
import { startGit } from '../servers/git/index.ts';
import { startNats } from '../servers/nats/index.ts';
import { steps } from './document-blocks.ts';
import { startKollect } from './harness.ts';
import { administratorOf } from './shell.ts';
import { followPage } from './walkthrough.ts';

// The page is followed as it stands, on a cluster that has Kollect, a database, a repository and a NATS server.

const page = 'docs/examples/connection-test.md';
const canary = 'canary-b71e0';
const git = await startGit({ password: 'example' });
t.teardown(() => git.stop());
const nats = await startNats();
t.teardown(() => nats.stop());
const hosts = [`git.example.com:443=127.0.0.1:${git.ports.https}`, `nats.kollect-system.svc:4222=127.0.0.1:${nats.port}`];
const kollect = await startKollect({ test: t, mapHosts: hosts });
const database = await createInventoryDatabase(kollect.postgres);
t.teardown(() => database.close());
await git.createRepository({ path: 'platform/inventory.git' });
const authority = join(kollect.cluster.folder, 'git-ca.crt');
writeFileSync(authority, git.caPem);

/** Commands that people know by heart. */
const customary = [
  'kubectl apply -f config/samples/kollect_v1alpha1_kollectdatabasesink.yaml',
  'kubectl wait --for=condition=ConnectionVerified kollectdatabasesink/postgres-inventory-demo -n default --timeout=60s',
  'kubectl describe kdb postgres-inventory-demo -n default',
  'kubectl wait --for=condition=ConnectionVerified kollectsnapshotsink/git-inventory-demo -n default --timeout=60s',
  'kubectl annotate kollectdatabasesink postgres-inventory-demo -n default kollect.dev/test-connection=true --overwrite',
  'kubectl annotate kollectsnapshotsink git-inventory-demo -n default kollect.dev/test-connection=true --overwrite',
  'kubectl apply -f config/samples/kollect_v1alpha1_kollectconnectiontest.yaml',
  'kubectl wait --for=condition=ConnectionVerified kollectconnectiontest/postgres-sink-probe -n default --timeout=120s',
  'kubectl get kconntest postgres-sink-probe -n default -o wide',
];

t.test('every command of the page does what the page says', async (t) => {
  const lines = steps(page).flatMap(({ command }) => command.replaceAll(/ *\\\n */g, ' ').split('\n'));
  for (const command of customary) t.ok(lines.includes(command), command);
  await followPage(t, page, kollect, { ...administratorOf(kollect.cluster), GIT_CA: authority });
});

t.test('the metrics count the tests, and say how long they took', async (t) => {
  const metrics = await (await fetch(kollect.controller.metricsUrl)).text();
  for (const type of ['postgres', 'git', 'nats']) {
    t.match(metrics, new RegExp(`kollect_sink_connection_test_total{type="${type}",result="success"} [1-9]`));
    t.match(metrics, new RegExp(`kollect_sink_connection_test_duration_seconds_count{type="${type}"} [1-9]`));
  }
  t.match(metrics, /kollect_sink_connection_test_total{type="postgres",result="failure"} [1-9]/);
});

t.test('a sink that fails tells no credential, wherever one looks', async (t) => {
  const namespace = await kollect.namespace();
  const sample = (name: string) => readFileSync(join(import.meta.dirname, '..', '..', 'config', 'samples', `kollect_v1alpha1_${name}.yaml`), 'utf8').replace('connectionTest: false', 'connectionTest: true').replace('  namespace: default', '').replaceAll('namespace: kollect-system', `namespace: ${namespace}`);
  const secret = (name: string, stringData: Record<string, string>) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace }, stringData });
  await kollect.apply([
    secret('inventory-postgres-dsn', { dsn: `postgres://kollect:${canary}@postgres.kollect-system.svc:5432/inventory?sslmode=disable` }),
    secret('inventory-git-credentials', { username: 'kollect', password: canary, 'ca.crt': git.caPem }),
    secret('nats-login', { token: canary }),
  ]);
  await kollect.apply(sample('kollectdatabasesink'), { flags: ['-n', namespace] });
  await kollect.apply(sample('kollectsnapshotsink').replace('  git:', `  tls: {caSecretRef: {name: inventory-git-credentials}}\n  git:`), { flags: ['-n', namespace] });
  // It refuses the name that goes with no server.
  await kollect.apply(sample('kollecteventsink_nats').replace('nats.kollect-system.svc:4222', `${canary.slice(0, 6)}.example.invalid:4222`).replace('  nats:', '  secretRef: {name: nats-login}\n  nats:'), { flags: ['-n', namespace] });
  for (const [field, name] of [['databaseSinkRef', 'postgres-inventory-demo'], ['snapshotSinkRef', 'git-inventory-demo'], ['eventSinkRef', 'nats-inventory-demo']] as const) {
    await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectConnectionTest', metadata: { name: `of-${name}`, namespace }, spec: { sinkRef: { [field]: name } } });
  }
  const text = async (...args: string[]) => (await kollect.kubectl([...args, '-n', namespace])).stdout;
  await kollect.eventually(async () => {
    const { items } = JSON.parse(await text('get', 'ksnap,kdb,kevt,kconntest', '-o', 'json')) as { items: { metadata: { name: string }; status?: { conditions?: { type: string; status: string; reason: string; message: string }[] } }[] };
    const failed = items.filter(({ status }) => status?.conditions?.some(({ type, status: holds, reason }) => type === 'ConnectionVerified' && holds === 'False' && reason === 'ConnectionTestFailed'));
    if (items.length !== 6 || failed.length !== 6) throw new Error(JSON.stringify(items.map(({ metadata, status }) => [metadata.name, status])));
    return true;
  });
  await kollect.eventually(async () => (await text('get', 'events', '--field-selector=type=Warning', '-o', 'name')).trim().split('\n').length >= 6);
  const shown = [await text('get', 'ksnap,kdb,kevt,kconntest,events', '-o', 'json'), await text('describe', 'ksnap,kdb,kevt,kconntest'), kollect.controller.logs(), kollect.webhook.logs(), await (await fetch(kollect.controller.metricsUrl)).text()];
  t.ok(shown.every((one) => one.length > 100));
  for (const secretText of [canary, Buffer.from(canary).toString('base64'), Buffer.from(`kollect:${canary}`).toString('base64')]) t.notMatch(shown.join('\n'), secretText);
});
