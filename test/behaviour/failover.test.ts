import t, { type Test } from 'tap';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { controllerProcess, type ControllerProcess } from '../kollect/installation.ts';
import { startKollect } from './harness.ts';
import { pipeline } from './objects.ts';

/** Short, so that nobody waits for a minute; long enough for a commit, and for a slow machine. */
const leaseMs = 12_000;
const times = ['--leader-elect-lease-duration=12s', '--leader-elect-renew-deadline=8s', '--leader-elect-retry-period=1s'];

const kollect = await startKollect({ startController: false });
t.teardown(() => kollect.stop());
const { cluster } = kollect;
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());

/** A function of the database that every written row calls: `pg_sleep` makes exports slow. */
const onRow = (statement: string) => kollect.psql(`CREATE OR REPLACE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${statement} RETURN NEW; END $$`);
const asleep = async () => (await kollect.psql(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'`)).length > 0;
const slowly = `PERFORM pg_sleep(0.05);`;

async function controller(instance: string): Promise<ControllerProcess> {
  return await controllerProcess(cluster.keeper, {
    kubeconfig: cluster.kubeconfig,
    instance,
    environment: { POD_NAME: instance, POD_UID: `uid-of-${instance}`, POD_NAMESPACE: 'kollect-system' },
    flags: ['--allow-loopback-sinks', '--leader-elect', ...times],
  });
}

async function leads({ metricsUrl }: ControllerProcess): Promise<boolean> {
  return /^leader_election_master_status\{.*\} 1$/m.test(await (await fetch(metricsUrl, { signal: AbortSignal.timeout(2_000) })).text());
}

async function transitions(): Promise<number> {
  const { stdout } = await kollect.kubectl(['get', 'lease', '3274ac8a.kollect.dev', '-n', 'kollect-system', '-o', 'jsonpath={.spec.leaseTransitions}']);
  return Number(stdout);
}

const [one, two] = [await controller('one'), await controller('two')];
for (const process of [one, two]) await process.start();

/** One that leads and one that waits: who has ended in the test before begins anew. */
async function pair(t: Test): Promise<{ leader: ControllerProcess; standby: ControllerProcess }> {
  t.teardown(() => {
    if (!t.passing()) for (const process of [one, two]) t.comment(process.logs().split('\n').slice(-15).join('\n'));
  });
  const leader = await kollect.eventually(async () => {
    for (const process of [one, two]) if (process.exit() === undefined && (await leads(process))) return process;
    return undefined;
  }, { what: 'a leader' });
  const standby = leader === one ? two : one;
  if (standby.exit() !== undefined) await standby.start();
  t.equal(await leads(standby), false, 'a second process is ready, and waits');
  return { leader, standby };
}

const configMaps = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;
const set = (namespace: string, name: string, value: string) => admin.patch(`${configMaps(namespace)}/${name}`, { type: 'merge', body: { data: { value } } });

/** An inventory of so many ConfigMaps. */
async function inventory(count: number): Promise<string> {
  const namespace = await kollect.namespace();
  const names = Array.from({ length: count }, (_, index) => `item-${index}`);
  await Promise.all(names.map((name) => admin.create(configMaps(namespace), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { kept: 'yes' } }, data: { value: 'old' } })));
  await kollect.psql(`CREATE TABLE IF NOT EXISTS inventory_items (inventory_namespace text NOT NULL, inventory_name text NOT NULL, target_name text NOT NULL, source_uid text NOT NULL,
    cluster text NOT NULL DEFAULT '', resource_namespace text NOT NULL DEFAULT '', payload jsonb NOT NULL, exported_at timestamptz NOT NULL, payload_sha256 bytea,
    PRIMARY KEY (inventory_namespace, inventory_name, target_name, source_uid, cluster))`);
  await onRow('');
  await kollect.psql('CREATE OR REPLACE TRIGGER on_row BEFORE INSERT OR UPDATE ON inventory_items FOR EACH ROW EXECUTE FUNCTION on_row()');
  return namespace;
}

const exportIt = (namespace: string) =>
  kollect.apply(
    pipeline({
      namespace,
      dsn: kollect.dsn,
      targetGVK: { group: '', version: 'v1', kind: 'ConfigMap' },
      attributes: [{ name: 'value', path: '$.data.value' }],
      targetSpec: 'labelSelector: {matchLabels: {kept: "yes"}}',
    }),
  );

async function differences(namespace: string): Promise<string> {
  const list = await admin.get<{ items: { metadata: { name: string; labels?: object }; data?: { value: string } }[] }>(configMaps(namespace), { labelSelector: 'kept=yes' });
  const wanted = new Set(list.items.map(({ metadata, data }) => `${metadata.name} ${data?.value}`));
  const rows = await kollect.psql<{ row: string }>(`SELECT payload->>'name' || ' ' || (payload->'attributes'->>'value') AS row FROM inventory_items WHERE inventory_namespace = $1`, [namespace]);
  const held = new Set(rows.map(({ row }) => row));
  return [...wanted.symmetricDifference(held)].slice(0, 5).join(', ');
}

/** Waits until the table holds what the cluster does. Gives the milliseconds since `since`. */
async function untilEqual(namespace: string, since = performance.now()): Promise<number> {
  await kollect.eventually(async () => {
    const different = await differences(namespace);
    if (different !== '') throw new Error(different);
    return true;
  }, { what: 'equal rows', intervalMs: 20 });
  return Math.round(performance.now() - since);
}

/** What a former leader must not undo. */
async function changeEverything(namespace: string): Promise<void> {
  await Promise.all([
    ...[1, 2, 3, 4, 5].map((index) => set(namespace, `item-${index}`, 'new')),
    admin.delete(`${configMaps(namespace)}/item-6`),
    admin.create(configMaps(namespace), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'item-late', labels: { kept: 'yes' } }, data: { value: 'new' } }),
  ]);
}

t.test('a leader that is killed in the middle of a large export', async (t) => {
  const { leader, standby } = await pair(t);
  const namespace = await inventory(400);
  await onRow(slowly);
  await exportIt(namespace);
  await kollect.eventually(asleep, { what: 'an export under way' });
  await leader.kill();
  const killed = performance.now();
  await onRow('');
  await changeEverything(namespace);
  t.comment(`killed: ${await untilEqual(namespace, killed)} ms until the other had exported everything, with a lease of ${leaseMs} ms`);
  t.equal(await leads(standby), true);
});

t.test('a leader that is frozen in the middle of a transaction, past its lease', async (t) => {
  const { leader, standby } = await pair(t);
  const namespace = await inventory(200);
  await onRow(slowly);
  await exportIt(namespace);
  await kollect.eventually(asleep, { what: 'an export under way' });
  await leader.kill('SIGSTOP');
  const frozen = performance.now();
  await onRow('');
  await changeEverything(namespace);
  t.comment(`frozen: ${await untilEqual(namespace, frozen)} ms until the other had exported everything, with a lease of ${leaseMs} ms`);
  t.equal(await leads(standby), true);
  await leader.kill('SIGCONT');
  await kollect.eventually(() => leader.exit() !== undefined, { what: 'its end' });
  t.equal(leader.exit()?.code, 1);
  t.ok(leader.logEntries().some(({ level, msg }) => level === 'error' && /does not lead any more/.test(String(msg))), 'it says why it ends');
  t.equal(await differences(namespace), '', 'nothing old has come back');
  await set(namespace, 'item-7', 'newer');
  await untilEqual(namespace);
});

t.test('a leader that is asked to end', async (t) => {
  const { leader, standby } = await pair(t);
  const namespace = await inventory(200);
  await exportIt(namespace);
  await untilEqual(namespace);
  const before = await transitions();
  const ending = leader.kill('SIGTERM');
  const asked = performance.now();
  await changeEverything(namespace);
  const ms = await untilEqual(namespace, asked);
  t.comment(`asked to end: ${ms} ms until the other had exported everything`);
  await ending;
  t.equal(leader.exit()?.code, 0);
  t.equal(await leads(standby), true);
  t.equal(await transitions(), before + 1);
});

t.test('an outage of the API server', async (t) => {
  const { leader, standby } = await pair(t);
  const namespace = await inventory(20);
  await exportIt(namespace);
  await untilEqual(namespace);
  await cluster.apiserver.kill();
  await kollect.eventually(() => leader.exit() !== undefined, { what: 'the end of a leader that cannot renew' });
  t.equal(leader.exit()?.code, 1);
  t.equal(standby.exit(), undefined, 'who waits can go on waiting');
  await cluster.apiserver.start();
  await leader.start();
  await changeEverything(namespace);
  await untilEqual(namespace);
  t.equal((await Promise.all([leader, standby].map(leads))).filter(Boolean).length, 1, 'one of them leads');
});

t.test('a leader whose container starts again in its pod', async (t) => {
  const { leader, standby } = await pair(t);
  const before = await transitions();
  await leader.kill();
  const killed = performance.now();
  await leader.start();
  await kollect.eventually(() => leads(leader), { what: 'the same leader' });
  t.comment(`started again: ${Math.round(performance.now() - killed)} ms until it leads`);
  t.equal(await transitions(), before + 1, 'it is a leader of its own all the same');
  t.equal(await leads(standby), false);
  await standby.kill('SIGTERM');
  t.equal(standby.exit()?.code, 0, 'who waits ends at once');
});
