import { join } from 'node:path';
import t from 'tap';
import type { Condition } from '../../shared/api/meta.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';
import { configMap, kollectObject, startController } from './collecting.ts';
import { startKollect, type KubernetesObject } from './harness.ts';
import { applicationCrd } from './objects.ts';

/** Rollups of cluster targets, from the API server through webhook and controller into PostgreSQL. */
const kollect = await startKollect();
t.teardown(() => kollect.stop());
const samples = join(import.meta.dirname, '..', '..', 'config', 'samples');
/** kubectl is a process. */
const calm = { intervalMs: 300 };
const platform = { 'kollect.dev/tenant': 'platform' };

const namespaceOf = (name: string, labels: Readonly<Record<string, string>> = {}): object => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
const sink = (namespace: string, name: string): object[] => [
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace }, stringData: { dsn: kollect.dsn } },
  kollectObject('KollectDatabaseSink', namespace, name, { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } }),
];
const clusterTarget = (name: string, spec: object, labels: Readonly<Record<string, string>> = {}): object => ({
  ...kollectObject('KollectClusterTarget', '', name, { profileRef: { name: 'maps', namespace: 'kollect-system' }, namespaceSelector: { matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'Exists' }] }, ...spec }),
  metadata: { name, labels },
});
/** ConfigMaps with a label. */
const labelled = (label: string, value: string): object => ({ resourceRules: [{ gvk: { version: 'v1', kind: 'ConfigMap' }, matchLabels: { [label]: value } }] });
const clusterInventory = (name: string, spec: object): object => kollectObject('KollectClusterInventory', '', name, { databaseSinkRefs: ['postgres'], namespaceSelector: {}, ...spec });
const application = (namespace: string, name: string, project = 'shop'): object => ({
  apiVersion: 'argoproj.io/v1alpha1',
  kind: 'Application',
  metadata: { name, namespace },
  spec: { project, source: { repoURL: 'https://git.example.com/apps.git' }, destination: { name: 'prod' } },
});

interface StoredRow {
  place: string;
  target: string;
  xmin: string;
}

/** Rows of a cluster inventory, as the table has them, by the place of their object. */
async function stored(inventory: string): Promise<StoredRow[]> {
  const rows = await kollect.psql<StoredRow>(
    `SELECT (payload->>'namespace') || '/' || (payload->>'name') AS place, target_name AS target, xmin::text AS xmin
       FROM inventory_items WHERE inventory_namespace = 'cluster' AND inventory_name = $1`,
    [inventory],
  );
  return rows.sort((a, b) => (`${a.place} ${a.target}` < `${b.place} ${b.target}` ? -1 : 1));
}

async function untilStored(inventory: string, wanted: readonly string[]): Promise<StoredRow[]> {
  return await kollect.eventually(async () => {
    const rows = await stored(inventory);
    const found = rows.map(({ place, target }) => `${target}: ${place}`);
    if (JSON.stringify(found.sort()) !== JSON.stringify([...wanted].sort())) throw new Error(`${inventory} has ${found.join(', ') || 'nothing'}, wanted ${wanted.join(', ') || 'nothing'}`);
    return rows;
  });
}

interface RollupStatus {
  conditions: Condition[];
  itemCount: number;
  targetCount: number;
  namespaceShardCount: number;
  namespaceShards: { namespace: string; itemCount: number; targetCount: number; checksum: string }[];
  sinkExports: { name: string; namespace: string; lastChecksum?: string }[];
}

/** Waits until a condition reads so, as `<status> <reason>: <message>`, and gives the status. */
async function until(resource: string, name: string, type: string, wanted: RegExp, namespace?: string): Promise<RollupStatus> {
  return await kollect.eventually(async () => {
    const found = (await kollect.get<KubernetesObject & { status?: RollupStatus }>(resource, name, namespace))?.status;
    const condition = found?.conditions.find((entry) => entry.type === type);
    const line = `${condition?.status} ${condition?.reason}: ${condition?.message}`;
    if (!found || !wanted.test(line)) throw new Error(`${name} has ${type} ${line}`);
    return found;
  }, { what: `${name} with ${type} ${wanted}`, ...calm });
}

const label = (namespace: string, ...labels: string[]): Promise<unknown> => kollect.kubectl(['label', 'namespace', namespace, '--overwrite', ...labels]);
const edit = (object: string, spec: object): Promise<unknown> => kollect.kubectl(['patch', ...object.split(' '), '--type=merge', '-p', JSON.stringify({ spec })]);
const remove = (...object: string[]): Promise<unknown> => kollect.kubectl(['delete', ...object, '--timeout=120s']);

await kollect.apply([
  applicationCrd,
  namespaceOf('kollect-system'),
  ...['team-a', 'team-b', 'team-c'].map((name) => namespaceOf(name, platform)),
  namespaceOf('other'),
]);
await kollect.apply([
  ...sink('kollect-system', 'postgres'),
  kollectObject('KollectProfile', 'kollect-system', 'maps', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] }),
]);

t.test('the rollup of the samples', async (t) => {
  await untilEstablished(kollect.kubectl, ['applications.argoproj.io']);
  await kollect.apply([application('team-a', 'api'), application('team-a', 'web'), application('team-b', 'pay'), application('team-c', 'far'), application('other', 'strange')]);
  for (const file of ['kollectprofile_platform-argo-summary', 'kollectclustertarget', 'kollectclusterinventory']) {
    const { code, stderr } = await kollect.kubectl(['apply', '-f', join(samples, `kollect_v1alpha1_${file}.yaml`)]);
    t.equal(code, 0, stderr);
  }
  const target = 'platform-argo-applications';
  const before = await untilStored('platform-rollup', ['team-a/api', 'team-a/web', 'team-b/pay'].map((place) => `${target}: ${place}`));

  const status = await until('kcinv', 'platform-rollup', 'Degraded', /^True SinkNotFound: snapshot\/team-git: .*"team-git" in namespace "team-a"/);
  t.match(status, { itemCount: 3, targetCount: 1, namespaceShardCount: 2 });
  t.strictSame(status.sinkExports.map(({ name, namespace }) => `${namespace}/${name}`), ['team-a/snapshot/team-git', 'kollect-system/database/postgres']);
  t.equal(status.conditions.find(({ type }) => type === 'Synced')?.reason, 'PartiallySynced');
  t.equal(status.conditions.find(({ type }) => type === 'ExportSucceeded')?.reason, 'PartiallySynced');

  await edit('kcinv platform-rollup', { snapshotSinkRefs: null });
  const healthy = await until('kcinv', 'platform-rollup', 'Ready', /^True Exported/);
  t.equal(healthy.conditions.find(({ type }) => type === 'ExportSucceeded')?.status, 'True');
  t.strictSame(healthy.namespaceShards.map(({ checksum: _checksum, ...shard }) => shard), [
    { namespace: 'team-a', itemCount: 2, targetCount: 1 },
    { namespace: 'team-b', itemCount: 1, targetCount: 1 },
  ]);
  const sum = healthy.namespaceShards.reduce((total, { checksum }) => (total + BigInt(`0x${checksum}`)) % 2n ** 256n, 0n);
  t.equal(sum.toString(16).padStart(64, '0'), healthy.sinkExports[0]?.lastChecksum, 'the shards add up to the whole');

  await t.test('a namespace that loses its label takes its rows along, and no others', async (t) => {
    await label('team-b', 'kollect.dev/tenant-');
    t.strictSame(await untilStored('platform-rollup', [`${target}: team-a/api`, `${target}: team-a/web`]), before.slice(0, 2), 'they were not written again');
    await kollect.apply(application('team-b', 'late'));
    await label('team-b', 'kollect.dev/tenant=platform');
    const after = await untilStored('platform-rollup', ['team-a/api', 'team-a/web', 'team-b/late', 'team-b/pay'].map((place) => `${target}: ${place}`));
    t.strictSame(after.slice(0, 2), before.slice(0, 2));
  });

  await t.test('an edited selection', async () => {
    await edit('kcinv platform-rollup', { namespaces: ['team-b', 'team-c'] });
    await untilStored('platform-rollup', ['team-b/late', 'team-b/pay', 'team-c/far'].map((place) => `${target}: ${place}`));
    await edit('kcinv platform-rollup', { namespaces: null, namespaceSelector: { matchLabels: null, matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'In', values: ['team-a'] }] } });
    await untilStored('platform-rollup', [`${target}: team-a/api`, `${target}: team-a/web`]);
  });

  await t.test('its end', async (t) => {
    await remove('kcinv', 'platform-rollup');
    t.strictSame(await stored('platform-rollup'), []);
    t.equal(await kollect.get('kcinv', 'platform-rollup'), undefined);
  });
});

t.test('one row for each object', async (t) => {
  const marked = (namespace: string, name: string): object => configMap(namespace, name, { labels: { once: 'yes' } });
  const once = labelled('once', 'yes');
  await kollect.apply([
    ...['team-a', 'team-b'].map((namespace) => marked(namespace, 'cfg')),
    clusterTarget('every-map', once, { roll: 'once' }),
    clusterTarget('some-maps', { ...once, includedNamespaces: ['team-a'] }, { roll: 'once' }),
    clusterTarget('unrelated', once),
    clusterInventory('once', { targetSelector: { matchLabels: { roll: 'once' } }, namespaces: ['team-a', 'team-b'], dedupe: 'byResourceUID' }),
    clusterInventory('twice', { targetSelector: { matchLabels: { roll: 'once' } }, namespaces: ['team-a', 'team-b'] }),
  ]);
  await untilStored('once', ['some-maps: team-a/cfg', 'every-map: team-b/cfg']);
  await untilStored('twice', ['every-map: team-a/cfg', 'some-maps: team-a/cfg', 'every-map: team-b/cfg']);
  t.match(await until('kcinv', 'once', 'Ready', /^True Exported/), { itemCount: 2, targetCount: 2 });

  await t.test('which no restart gives another one for a while', async (t) => {
    await kollect.psql('CREATE TABLE inserted (inventory text, target text)');
    await kollect.psql(`CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO inserted VALUES (NEW.inventory_name, NEW.target_name); RETURN NEW; END'`);
    await kollect.psql('CREATE TRIGGER tell AFTER INSERT ON inventory_items FOR EACH ROW EXECUTE FUNCTION tell()');
    const before = await stored('once');
    await kollect.controller.kill('SIGKILL');
    await kollect.controller.start();
    // Both are exported to again.
    await kollect.apply(marked('team-a', 'later'));
    const after = await untilStored('once', ['some-maps: team-a/cfg', 'some-maps: team-a/later', 'every-map: team-b/cfg']);
    t.strictSame(after.filter(({ place }) => place !== 'team-a/later'), before);
    t.strictSame(await kollect.psql(`SELECT target FROM inserted WHERE inventory = 'once'`), [{ target: 'some-maps' }]);
    await remove('configmap', 'later', '-n', 'team-a');
    await untilStored('once', ['some-maps: team-a/cfg', 'every-map: team-b/cfg']);
    await kollect.psql('DROP TRIGGER tell ON inventory_items');
  });

  await kollect.kubectl(['label', 'kctgt', 'some-maps', 'roll-']);
  await untilStored('once', ['every-map: team-a/cfg', 'every-map: team-b/cfg']);
  await untilStored('twice', ['every-map: team-a/cfg', 'every-map: team-b/cfg']);
  await kollect.kubectl(['label', 'kctgt', 'some-maps', 'roll=once']);
  await untilStored('once', ['some-maps: team-a/cfg', 'every-map: team-b/cfg']);

  await edit('kctgt some-maps', labelled('once', 'no'));
  await untilStored('once', ['every-map: team-a/cfg', 'every-map: team-b/cfg']);
  await remove('kctgt', 'every-map');
  await untilStored('once', []);
  await remove('kcinv', 'once', 'twice');
  await remove('kctgt', 'some-maps', 'unrelated');
});

t.test('a target that is not ready holds up nobody', async (t) => {
  await kollect.apply([
    configMap('team-a', 'one', { labels: { ready: 'yes' } }),
    clusterTarget('sound', labelled('ready', 'yes')),
    clusterTarget('broken', { ...labelled('ready', 'yes'), suspend: true }),
    clusterInventory('mixed', { targetRefs: ['sound', 'broken', 'absent'] }),
  ]);
  await untilStored('mixed', ['sound: team-a/one']);
  await until('kcinv', 'mixed', 'Degraded', /^True TargetDegraded: target\(s\) absent \(NotFound\), broken \(Suspended\) are not ready: /);
  await kollect.apply(configMap('team-b', 'two', { labels: { ready: 'yes' } }));
  await untilStored('mixed', ['sound: team-a/one', 'sound: team-b/two']);
  await edit('kcinv mixed', { targetRefs: ['sound', 'broken'] });
  await edit('kctgt broken', { suspend: false });
  await until('kcinv', 'mixed', 'Ready', /^True Exported/);
  await untilStored('mixed', ['broken: team-a/one', 'sound: team-a/one', 'broken: team-b/two', 'sound: team-b/two']);
  await edit('kctgt broken', { suspend: true });
  await until('kcinv', 'mixed', 'Degraded', /^True TargetDegraded: target\(s\) broken \(Suspended\) are not ready/);
  await remove('configmap', 'two', '-n', 'team-b');
  await untilStored('mixed', ['broken: team-a/one', 'sound: team-a/one', 'broken: team-b/two']);
  t.pass();
});

t.test('sinks of other namespaces, as far as scopes allow', async (t) => {
  await kollect.apply([...sink('team-a', 'postgres'), ...sink('team-b', 'postgres')]);
  await kollect.apply(clusterInventory('away', { targetRefs: ['sound'], sinkNamespace: 'team-b', databaseSinkRefs: ['postgres', { name: 'postgres', namespace: 'team-a' }] }));
  const { sinkExports } = await until('kcinv', 'away', 'Ready', /^True Exported/);
  t.strictSame(sinkExports.map(({ name, namespace }) => `${namespace}/${name}`), ['team-b/database/postgres', 'team-a/database/postgres']);
  await untilStored('away', ['sound: team-a/one']);

  const scope = (spec: object): Promise<unknown> => kollect.apply(kollectObject('KollectClusterScope', '', 'ceiling', spec));
  await scope({ allowedStaticRefNamespaces: ['kollect-system', 'team-a'] });
  await until('kcinv', 'away', 'Degraded', /^True SinkNamespaceDenied: database\/postgres: "team-b" is not among the allowedStaticRefNamespaces of KollectClusterScope "ceiling"/);
  await kollect.apply(configMap('team-a', 'three', { labels: { ready: 'yes' } }));
  await untilStored('away', ['sound: team-a/one', 'sound: team-a/three']);
  await scope({ allowedStaticRefNamespaces: [], databaseSinkRefs: ['warehouse'] });
  await until('kcinv', 'away', 'Degraded', /^True ScopeSinkDenied: .*the database sink "postgres" is not among the databaseSinkRefs/);
  t.equal((await stored('away')).length, 2, 'what was exported stays');
  await remove('kollectclusterscope', 'ceiling');
  await until('kcinv', 'away', 'Ready', /^True Exported/);

  // The same holds in a namespace, for its own scope.
  const local = (): Promise<unknown[]> => kollect.psql(`SELECT FROM inventory_items WHERE inventory_namespace = 'team-a'`);
  await kollect.apply([
    kollectObject('KollectProfile', 'team-a', 'maps', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] }),
    kollectObject('KollectTarget', 'team-a', 'maps', { profileRef: 'maps' }),
    kollectObject('KollectInventory', 'team-a', 'local', { databaseSinkRefs: ['postgres'] }),
  ]);
  await kollect.eventually(async () => (await local()).length > 0);
  await until('kinv', 'local', 'Ready', /^True Exported/, 'team-a');
  await kollect.apply(kollectObject('KollectScope', 'team-a', 'own', { databaseSinkRefs: ['warehouse'] }));
  await until('kinv', 'local', 'Degraded', /^True ScopeSinkDenied/, 'team-a');
  t.not((await local()).length, 0);
  await remove('kinv', 'local', '-n', 'team-a');
  t.equal((await local()).length, 0, 'it stands in the way of no removal');
  await remove('kollectscope', 'own', '-n', 'team-a');
  await remove('kcinv', 'away');
  t.strictSame(await stored('away'), []);
});

t.test('without sinks, and suspended', async (t) => {
  await kollect.apply(clusterInventory('counted', { targetRefs: ['sound'], databaseSinkRefs: [] }));
  const counted = await until('kcinv', 'counted', 'Ready', /^True RolledUp/);
  t.match(counted, { targetCount: 1, sinkExports: [] });
  t.match(Object.fromEntries(counted.conditions.map(({ type, status, reason }) => [type, `${status} ${reason}`])), { Synced: 'True RolledUp', Degraded: 'False RolledUp', SinkReachable: 'True NoSinksConfigured' });
  await edit('kcinv counted', { databaseSinkRefs: ['postgres'] });
  await until('kcinv', 'counted', 'Ready', /^True Exported/);
  const before = await stored('counted');
  await edit('kcinv counted', { suspend: true });
  await until('kcinv', 'counted', 'Degraded', /^True Suspended/);
  // Another inventory is worked on meanwhile.
  await kollect.apply(configMap('team-c', 'unseen', { labels: { ready: 'yes' } }));
  await kollect.eventually(async () => (await stored('mixed')).some(({ place }) => place === 'team-c/unseen'));
  t.strictSame(await stored('counted'), before);
  await remove('configmap', 'unseen', '-n', 'team-c');
  await remove('kcinv', 'counted');
  t.strictSame(await stored('counted'), [], 'it is removed all the same');
});

t.test('without targets', async (t) => {
  // As an earlier life of the inventory would have left it.
  await kollect.psql(
    `INSERT INTO inventory_items SELECT * FROM (SELECT (jsonb_populate_record(i, '{"inventory_name": "early"}')).* FROM inventory_items i WHERE inventory_name = 'mixed' LIMIT 1) AS former`,
  );
  await kollect.psql(`INSERT INTO kollect_state SELECT (jsonb_populate_record(s, '{"inventory_name": "early"}')).* FROM kollect_state s WHERE inventory_name = 'mixed'`);
  await kollect.apply(clusterInventory('early', { targetSelector: { matchLabels: { nobody: 'has' } } }));
  await kollect.eventually(async () => (await kollect.get('kcinv', 'early'))?.metadata.finalizers?.includes('kollect.dev/cluster-inventory-cleanup'), calm);
  // Another inventory is worked on meanwhile.
  await kollect.apply(configMap('team-c', 'four', { labels: { ready: 'yes' } }));
  await kollect.eventually(async () => (await stored('mixed')).some(({ place }) => place === 'team-c/four'));
  t.equal((await kollect.get('kcinv', 'early'))?.status, undefined, 'it is not too late for targets yet');
  t.equal((await stored('early')).length, 1);

  const selected = (is: boolean): Promise<unknown> => kollect.kubectl(['label', 'kctgt', 'sound', is ? 'nobody=has' : 'nobody-']);
  const tooEarly = /^False AwaitingSync: spec\.targetSelector selects no KollectClusterTarget yet, and the inventory is new/;
  await selected(true);
  await until('kcinv', 'early', 'Ready', /^True Exported/);
  const before = await stored('early');
  await selected(false);
  await untilStored('early', []);
  await until('kcinv', 'early', 'Ready', tooEarly);
  await selected(true);
  await until('kcinv', 'early', 'Ready', /^True Exported/);
  await kollect.controller.kill('SIGTERM');
  await selected(false);
  await kollect.controller.start();
  const { sinkExports } = await until('kcinv', 'early', 'Ready', tooEarly);
  t.equal(sinkExports.length, 1);
  t.strictSame((await stored('early')).map(({ place }) => place), before.map(({ place }) => place), 'nobody saw the targets go');

  await kollect.controller.kill('SIGTERM');
  await startController(t, kollect.cluster, { pace: { targetsGraceMs: 20_000 } });
  await until('kcinv', 'early', 'Degraded', /^True NoTargets: spec\.targetSelector selects no KollectClusterTarget; create/);
  await untilStored('early', []);
  await selected(true);
  await until('kcinv', 'early', 'Ready', /^True Exported/);
  t.ok((await stored('early')).length > 1);
  await kollect.apply(clusterInventory('new', { exportMinInterval: '0s', targetSelector: { matchLabels: { nobody: 'has' } } }));
  await until('kcinv', 'new', 'Ready', /^True Exported/);
  await selected(false);
  // By then nothing else happens that would have it looked at: ten seconds after the last write are over.
  await until('kcinv', 'new', 'Degraded', /^True NoTargets/);
  await remove('kcinv', 'early', 'new', 'mixed');
  t.strictSame([...(await stored('early')), ...(await stored('mixed'))], []);
});
