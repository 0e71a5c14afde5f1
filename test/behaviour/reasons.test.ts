import t, { type Test } from 'tap';
import type { Condition } from '../../shared/api/meta.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { collecting, kollectObject, startController } from './collecting.ts';
import { startKollect, type KubernetesObject } from './harness.ts';
import { deployment, pipeline, type PipelineOptions } from './objects.ts';

/**
 * What keeps an inventory from being exported is said by a reason of its own, in condition, entry of the sink and event, and passes when it is
 * mended. Without the webhook, so that the controller meets what it would have refused. Faults of servers and Secrets are in faults.test.ts.
 */
const kollect = await startKollect({ webhook: false, controllerFlags: ['--sinks=postgres'] });
t.teardown(() => kollect.stop());
await kollect.kubectl(['delete', 'validatingadmissionpolicybindings', '--all']);
t.jobs = 6;

interface InventoryStatus {
  observedGeneration: number;
  conditions: Condition[];
  sinkExports: { name: string; lastExportTime?: string; lastError?: string; rejectedRows?: number; conditions?: Condition[] }[];
}

async function arranged(options: Partial<PipelineOptions> = {}, names: readonly string[] = ['web']): Promise<string> {
  const namespace = await kollect.namespace();
  await kollect.apply(`${names.map((name) => deployment(namespace, name)).join('---\n')}---\n${pipeline({ namespace, dsn: kollect.dsn, ...options })}`);
  return namespace;
}

const statusOf = async <T = InventoryStatus>(resource: string, name: string, namespace: string): Promise<T | undefined> =>
  (await kollect.get<KubernetesObject & { status?: T }>(resource, name, namespace))?.status;

const outline = (conditions: readonly Condition[]): Record<string, string> => Object.fromEntries(conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`]));

/** Waits for these conditions of the inventory, and gives its status. */
function shows(namespace: string, wanted: Record<string, string>): Promise<InventoryStatus> {
  return kollect.eventually(async () => {
    const status = await statusOf('kinv', 'inventory', namespace);
    const found = outline(status?.conditions ?? []);
    for (const [type, text] of Object.entries(wanted)) if (found[type] !== text) throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
    return status;
  }, { intervalMs: 300 });
}

const degraded = (namespace: string, reason: string, sinkReachable: string, synced = reason): Promise<InventoryStatus> =>
  shows(namespace, { Ready: `False ${reason}`, Synced: `False ${synced}`, Degraded: `True ${reason}`, SinkReachable: sinkReachable });
const healthy = (namespace: string): Promise<InventoryStatus> =>
  shows(namespace, { Ready: 'True Exported', Synced: 'True Exported', Degraded: 'False Exported', SinkReachable: 'True ExportSucceeded' });
const messageOf = (status: InventoryStatus, type = 'Degraded'): string => status.conditions.find((condition) => condition.type === type)?.message ?? '';
const edit = (namespace: string, object: string, spec: object): Promise<unknown> => kollect.kubectl(['patch', object, '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
const sinkOf = (namespace: string, kind: string, name: string, spec: object): object => kollectObject(kind, namespace, name, spec);

/** Waits for one event of the inventory with the reason; there are no more of them. Gives its text. */
async function isTold(t: Test, namespace: string, type: 'Normal' | 'Warning', reason: string): Promise<string> {
  const events = await kollect.eventually(async () => {
    const { stdout } = await kollect.kubectl(['get', 'events', '-n', namespace, '--field-selector=involvedObject.name=inventory', '-o', 'json']);
    const found = (JSON.parse(stdout) as { items: { type: string; reason: string; count: number; message: string }[] }).items.filter((event) => event.reason === reason);
    return found.length > 0 && found;
  }, { what: `an event ${reason}`, intervalMs: 300 });
  t.strictSame(events.map((event) => [event.type, event.count]), [[type, 1]], `one ${type} ${reason}`);
  return events[0]!.message;
}

t.test('ExportUnavailable: types that are switched off', async (t) => {
  const namespace = await arranged({ inventorySpec: 'snapshotSinkRefs: [disabled]\ndatabaseSinkRefs: [other]' });
  await kollect.apply([
    sinkOf(namespace, 'KollectSnapshotSink', 'disabled', { type: 'git', endpoint: 'https://git.example.org/a/b.git' }),
    sinkOf(namespace, 'KollectDatabaseSink', 'other', { type: 'bigquery', bigquery: { project: 'example-project', dataset: 'inventory', table: 'items' } }),
  ]);
  const wanted = /snapshot\/disabled: sinks of type "git" are switched off here: --sinks of the controller names postgres; database\/other: sinks of type "bigquery" are switched off here/;
  await kollect.eventually(async () => wanted.test(messageOf(await degraded(namespace, 'ExportUnavailable', 'False ExportUnavailable'))), { what: 'both reasons' });
  await isTold(t, namespace, 'Warning', 'ExportUnavailable');
  await edit(namespace, 'kinv/inventory', { snapshotSinkRefs: null, databaseSinkRefs: ['pg'] });
  await healthy(namespace);
  await isTold(t, namespace, 'Normal', 'ExportSucceeded');
});

t.test('PartiallySynced: one sink holds everything, another is missing', async (t) => {
  const namespace = await arranged({ inventorySpec: 'databaseSinkRefs: [pg, absent]' });
  const status = await degraded(namespace, 'SinkNotFound', 'False SinkNotFound', 'PartiallySynced');
  t.equal(messageOf(status, 'Synced'), `1/2 sinks exported; database/absent: no KollectDatabaseSink "absent" in namespace "${namespace}"`);
  t.strictSame(status.sinkExports.map(({ name, conditions }) => [name, outline(conditions ?? [])]), [
    ['database/pg', { Synced: 'True Exported' }],
    ['database/absent', { Synced: 'False ExportFailed' }],
  ]);
  t.match(status.sinkExports[1]?.lastError, /^no KollectDatabaseSink "absent"/);
  const target = await kollect.eventually(async () => {
    const found = (await statusOf('ktgt', 'web', namespace))?.conditions ?? [];
    return outline(found)['SinkReachable'] === 'False SinkNotFound' && found;
  }, { what: 'the same at the target', intervalMs: 500 });
  t.match(outline(target), { Ready: 'True Collecting', Degraded: 'False Collecting' }, 'which is collected all the same');
  t.equal(target.find(({ type }) => type === 'SinkReachable')?.message, `KollectInventory "inventory", database/absent: no KollectDatabaseSink "absent" in namespace "${namespace}"`);

  const metrics = await (await fetch(kollect.controller.metricsUrl)).text();
  for (const labels of ['ref_type="database",result="ok"', 'ref_type="database",result="not_found"']) t.match(metrics, new RegExp(`^kollect_static_ref_resolution_total\\{kind="KollectInventory",${labels}\\} [1-9]`, 'm'));

  await isTold(t, namespace, 'Warning', 'SinkNotFound');
  await kollect.kubectl(['delete', 'kdb/pg', '-n', namespace]);
  t.match(await isTold(t, namespace, 'Warning', 'ExportFailed'), /^database\/pg in namespace .*: no KollectDatabaseSink "pg"/, 'a second one that fails for the same reason');
  await isTold(t, namespace, 'Warning', 'SinkNotFound');

  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: [] });
  await shows(namespace, { Ready: 'True NoExport' });
  await kollect.eventually(async () => outline((await statusOf('ktgt', 'web', namespace))?.conditions ?? [])['SinkReachable'] === 'True NoSinksInNamespace', { intervalMs: 500 });
});

t.test('PartialExport: rows that the sink refuses are counted and named, and all others are there', async (t) => {
  const namespace = await arranged({ sinkSpec: 'postgres: {databaseRef: {name: dsn}, table: picky}' }, ['good']);
  await healthy(namespace);
  await kollect.psql(`CREATE FUNCTION picky() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.payload->>'name' = 'bad-1' THEN RAISE EXCEPTION 'no'; END IF;
    IF NEW.payload->>'name' = 'bad-2' THEN RETURN NULL; END IF; RETURN NEW; END $$`);
  await kollect.psql('CREATE TRIGGER picky BEFORE INSERT OR UPDATE ON picky FOR EACH ROW EXECUTE FUNCTION picky()');
  await kollect.apply(['bad-1', 'bad-2', 'late'].map((name) => deployment(namespace, name)).join('---\n'));
  const status = await shows(namespace, { Ready: 'True Exported', Synced: 'False PartialExport', Degraded: 'False Exported' });
  await kollect.eventually(async () => (await kollect.psql('SELECT 1 FROM picky')).length === 2, { what: 'the others' });
  t.match(outline(status.sinkExports[0]?.conditions ?? []), { Synced: 'False PartialExport' });
  await isTold(t, namespace, 'Warning', 'PartialExport');
  const both = await kollect.eventually(async () => {
    const found = await statusOf('kinv', 'inventory', namespace);
    return found?.sinkExports[0]?.rejectedRows === 2 && found;
  }, { intervalMs: 500 });
  const message = messageOf(both, 'Synced');
  t.match(message, /^database\/pg: 2 row\(s\) were refused by the sink, and are tried again when they change: web\/[-0-9a-f]+ \(/);
  t.match(message, /web\/[-0-9a-f]+ \(refused by a trigger, P0001\)/);
  t.match(message, /web\/[-0-9a-f]+ \(left out by the database, without an error: look at the triggers of the table, LeftOut\)/);

  await kollect.psql('DROP FUNCTION picky CASCADE');
  await kollect.kubectl(['annotate', 'kinv/inventory', '-n', namespace, 'kollect.dev/reconcile=now']);
  const mended = await healthy(namespace);
  t.equal(mended.sinkExports[0]?.rejectedRows, 0);
});

t.test('Progressing: a sink that answers, and does not take a write now', async (t) => {
  const namespace = await arranged({ sinkSpec: 'postgres: {databaseRef: {name: dsn}, table: busy}' });
  const before = await healthy(namespace);
  await kollect.psql(`CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE lock_not_available; END $$`);
  await kollect.psql('CREATE TRIGGER busy BEFORE INSERT OR UPDATE ON busy FOR EACH ROW EXECUTE FUNCTION busy()');
  await kollect.apply(deployment(namespace, 'late'));
  const status = await degraded(namespace, 'Progressing', 'False ExportFailed');
  t.match(messageOf(status), /^database\/pg: table "public"\."busy" is locked by another session/);
  t.equal(status.sinkExports[0]?.lastExportTime, before.sinkExports[0]?.lastExportTime, 'what was exported before stays told');
  t.match(outline(status.sinkExports[0]?.conditions ?? []), { Synced: 'False ExportFailed' });
  await isTold(t, namespace, 'Warning', 'Progressing');
  await kollect.psql('DROP FUNCTION busy CASCADE');
  await healthy(namespace);
  t.equal((await kollect.psql('SELECT FROM busy')).length, 2);
});

t.test('Suspended: nothing moves, and what the sinks hold stays in status', async (t) => {
  const namespace = await arranged();
  const before = await healthy(namespace);
  await edit(namespace, 'kinv/inventory', { suspend: true });
  const status = await degraded(namespace, 'Suspended', 'Unknown Suspended');
  t.equal(status.observedGeneration, 2);
  t.strictSame(status.sinkExports.map(({ name }) => name), before.sinkExports.map(({ name }) => name));
  await edit(namespace, 'kinv/inventory', { suspend: false });
  await healthy(namespace);
});

t.test('InvalidSpec: what admission would have refused is named with its field', async (t) => {
  const namespace = await arranged({ inventorySpec: 'databaseSinkRefs: [{name: pg, namespace: elsewhere}]' });
  t.match(messageOf(await degraded(namespace, 'InvalidSpec', 'Unknown InvalidSpec')), /spec\.databaseSinkRefs\[0\]\.namespace/);
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: ['pg'] });
  await healthy(namespace);
});

t.test('NoExport: an inventory without sinks', async (t) => {
  const namespace = await arranged({ inventorySpec: 'databaseSinkRefs: []' });
  const status = await shows(namespace, { Ready: 'True NoExport', Synced: 'True NoExport', Degraded: 'False NoExport', SinkReachable: 'True NoSinksConfigured' });
  t.strictSame(status.sinkExports, []);
});

t.test('SinkForbidden, SinkLookupFailed: a controller that cannot read a kind of sinks runs, and says why', async (t) => {
  const cluster = await startCluster({ users: [{ name: 'limited' }] });
  t.teardown(() => cluster.stop());
  await installCrds(cluster.kubectl);
  const others = ['kollectprofiles', 'kollectscopes', 'kollectclusterscopes', 'kollecttargets', 'kollectclustertargets', 'kollectinventories', 'kollectclusterinventories', 'kollectsnapshotsinks', 'kollectdatabasesinks'];
  const rules = [
    { apiGroups: ['kollect.dev'], resources: others, verbs: ['*'] },
    { apiGroups: ['kollect.dev'], resources: ['kollectinventories/status'], verbs: ['patch'] },
    { apiGroups: [''], resources: ['namespaces', 'events'], verbs: ['*'] },
    { apiGroups: ['apiextensions.k8s.io'], resources: ['customresourcedefinitions'], verbs: ['*'] },
  ];
  const role = (name: string, list: object[]): object[] => [
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRole', metadata: { name }, rules: list },
    { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'ClusterRoleBinding', metadata: { name }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name }, subjects: [{ kind: 'User', name: 'limited' }] },
  ];
  await cluster.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: role('most', rules) }) });
  await cluster.kubectl(['delete', 'crd', 'kollectsnapshotsinks.kollect.dev']);
  const running = collecting(cluster, await startController(t, cluster, { kubeconfig: cluster.kubeconfigOf('limited') }));
  const home = await running.namespace();
  await running.apply(kollectObject('KollectInventory', home, 'inventory', { eventSinkRefs: ['bus'] }), kollectObject('KollectInventory', home, 'other', { snapshotSinkRefs: ['git'] }));
  const untilDegraded = (reason: string, name = 'inventory'): Promise<string> =>
    kollect.eventually(async () => {
      const { stdout } = await cluster.kubectl(['get', 'kinv', name, '-n', home, '-o', 'json']);
      const status = (JSON.parse(stdout) as { status?: InventoryStatus }).status;
      return outline(status?.conditions ?? [])['Degraded'] === `True ${reason}` && messageOf(status!);
    }, { what: reason, intervalMs: 300 });
  t.match(await untilDegraded('SinkForbidden'), /event\/bus: KollectEventSink "bus" in namespace "test-.*" cannot be read: .*forbidden/);
  t.match(await untilDegraded('SinkLookupFailed', 'other'), /snapshot\/git: KollectSnapshotSink "git" in namespace "test-.*" cannot be read/);
  await running.apply(...role('rest', [{ apiGroups: ['kollect.dev'], resources: ['kollecteventsinks'], verbs: ['*'] }]));
  t.match(await untilDegraded('SinkNotFound'), /event\/bus: no KollectEventSink "bus" in namespace/);
});
