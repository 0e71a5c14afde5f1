import t from 'tap';
import type { Condition } from '../../shared/api/meta.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { kollectObject } from './collecting.ts';
import { startKollect, type KubernetesObject } from './harness.ts';
import { deployment, pipeline, profile, secret, sink as sinkOf } from './objects.ts';

/**
 * When a sink is written to, when it is only looked at, and when it is left alone. Each inventory has a way to the database of its own, where
 * what is sent can be counted. Time is told by another inventory, whose destination is looked at every second.
 */
const kollect = await startKollect();
// Most of the time is spent waiting, so everything waits together.
t.jobs = 10;
t.teardown(() => kollect.stop());

interface Intervals {
  /** A KollectClusterInventory. */
  cluster?: boolean;
  ref?: string;
  sink?: string;
  inventory?: string;
}

interface Place {
  namespace: string;
  /** As kubectl names it. */
  inventory: readonly string[];
  table: string;
  proxy: TcpProxy;
}

interface InventoryStatus {
  observedGeneration: number;
  lastHandledReconcile?: string;
  conditions: Condition[];
  sinkExports: { fingerprint?: string; lastExportTime: string; conditions: Condition[] }[];
}

/** kubectl is a process. */
const calm = { intervalMs: 400 };

let places = 0;

/** A namespace with one Deployment, exported, and nothing under way. */
async function exported({ cluster = false, ref, sink, inventory }: Intervals): Promise<Place> {
  const namespace = await kollect.namespace();
  const table = `items_${++places}`;
  const proxy = await new TcpProxy(kollect.postgres.port, 'COMMIT\0').start();
  t.teardown(() => proxy.stop());
  const dsn = new URL(kollect.dsn);
  dsn.port = String(proxy.port);
  const sinkSpec = `postgres: {databaseRef: {name: dsn}, table: ${table}}\n${sink === undefined ? '' : `exportMinInterval: ${sink}\n`}`;
  const inventorySpec = `databaseSinkRefs: [{name: pg${ref === undefined ? '' : `, exportMinInterval: ${ref}`}}]\n${inventory === undefined ? '' : `exportMinInterval: ${inventory}\n`}`;
  const options = { namespace, dsn: dsn.href, sinkSpec, inventorySpec };
  const objects = cluster ? [secret(options), profile(options), sinkOf(options), ...rollup(namespace, { ref, inventory })].join('---\n') : pipeline(options);
  await kollect.apply(`${deployment(namespace, 'web')}---\n${objects}`);
  const place = { namespace, inventory: cluster ? ['kcinv', namespace] : ['kinv', 'inventory', namespace], table, proxy };
  await kollect.eventually(async () => (await replicas(place)) === 1, { what: 'the first export' });
  await exportedStatus(place);
  return place;
}

/** A KollectClusterInventory of the namespace, with its name, that exports to the sink there. */
function rollup(namespace: string, { ref, inventory }: { ref: string | undefined; inventory: string | undefined }): string[] {
  const named = { namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } } };
  const sinks = { sinkNamespace: namespace, databaseSinkRefs: [{ name: 'pg', ...(ref === undefined ? {} : { exportMinInterval: ref }) }], ...(inventory === undefined ? {} : { exportMinInterval: inventory }) };
  return [
    kollectObject('KollectClusterTarget', '', namespace, { profileRef: { name: 'deployments', namespace }, ...named }),
    kollectObject('KollectClusterInventory', '', namespace, { targetRefs: [namespace], ...named, ...sinks }),
  ].map((object) => `${JSON.stringify(object)}\n`);
}

/** The row with the transaction that wrote it. */
async function row({ table }: Place): Promise<{ replicas: number; xmin: string; exported_at: string } | undefined> {
  const [found] = await kollect.psql<{ replicas: number; xmin: string; exported_at: string }>(
    `SELECT (payload->'attributes'->>'replicas')::int AS replicas, xmin::text AS xmin, exported_at::text AS exported_at FROM ${table}`,
  );
  return found;
}

const replicas = async (place: Place): Promise<number | undefined> => (await row(place))?.replicas;
const scale = (namespace: string, count: number): Promise<unknown> => kollect.kubectl(['scale', 'deployment/web', '-n', namespace, `--replicas=${count}`]);
const edit = (namespace: string, object: string, spec: object): Promise<unknown> => kollect.kubectl(['patch', object, '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
const editInventory = ({ namespace, inventory: [kind, name] }: Place, spec: object): Promise<unknown> => edit(namespace, `${kind}/${name}`, spec);

async function status({ inventory }: Place): Promise<InventoryStatus | undefined> {
  return (await kollect.get<KubernetesObject & { status?: InventoryStatus }>(...(inventory as [string, string])))?.status;
}

/** Status once it says that everything is exported, of a generation or later. */
function exportedStatus(place: Place, generation = 1): Promise<InventoryStatus> {
  return kollect.eventually(async () => {
    const found = await status(place);
    const ready = found?.conditions.find(({ type }) => type === 'Ready');
    return found !== undefined && ready?.status === 'True' && ready.observedGeneration === found.observedGeneration && found.observedGeneration >= generation && found;
  }, { what: `an export of generation ${generation}`, ...calm });
}

const clock = await exported({ ref: '1s' });

/** So many looks at the destination of the clock, which are a second apart or more. */
async function beats(count: number): Promise<void> {
  const { proxy } = clock;
  for (let beat = 0; beat < count; beat++) {
    const { commits } = proxy;
    await kollect.eventually(() => proxy.commits > commits, { what: 'a look at the destination of the clock' });
  }
}

/** Whether nothing at all is sent for three seconds or more, once what is under way is over. */
async function isLeftAlone({ proxy }: Place): Promise<boolean> {
  await beats(2);
  const { sent } = proxy;
  await beats(3);
  return proxy.sent === sent;
}

/** The destination is looked at: something is sent, and neither row nor time of export changes. */
async function isLookedAt(place: Place): Promise<boolean> {
  const [before, { sinkExports }] = await Promise.all([row(place), exportedStatus(place)]);
  const { commits } = place.proxy;
  await kollect.eventually(() => place.proxy.commits >= commits + 4, { what: 'looks at the destination' });
  const [after, later] = await Promise.all([row(place), exportedStatus(place)]);
  return JSON.stringify(after) === JSON.stringify(before) && later.sinkExports[0]!.lastExportTime === sinkExports[0]!.lastExportTime;
}

/** Everything was compared once: a later time of export, and the row as it was. */
async function isCompared(place: Place, act: () => Promise<unknown>, generation?: number): Promise<InventoryStatus> {
  const [before, { sinkExports }] = await Promise.all([row(place), exportedStatus(place)]);
  await act();
  const compared = await kollect.eventually(async () => {
    const found = await exportedStatus(place, generation);
    return found.sinkExports[0]!.lastExportTime > sinkExports[0]!.lastExportTime && found;
  }, { what: 'a comparison', ...calm });
  if (JSON.stringify(await row(place)) !== JSON.stringify(before)) throw new Error('the row was written anew');
  return compared;
}

t.test('neither the first export nor a change waits for an interval', async (t) => {
  // No test waits for so long; and with 0s a time never comes.
  const intervals = [{ ref: '24h' }, { sink: '24h' }, { inventory: '24h' }, { ref: '0s' }, { cluster: true, ref: '24h' }, { cluster: true, inventory: '0s' }];
  const places = await Promise.all(intervals.map(exported));
  await Promise.all(places.map(({ namespace }) => scale(namespace, 2)));
  for (const [index, place] of places.entries()) await kollect.eventually(async () => (await replicas(place)) === 2, { what: `the change, under ${JSON.stringify(intervals[index])}` });
  t.pass();
});

t.test('an unchanged destination is left alone before the interval is over, and with 0s for ever', async (t) => {
  const intervals = [{ ref: '24h' }, { ref: '0s' }, { ref: '1h', inventory: '1s' }, { ref: '0s', sink: '1s' }, { cluster: true, ref: '0s', inventory: '1s' }];
  const places = await Promise.all(intervals.map(exported));
  const told = async (): Promise<unknown> => (await Promise.all(places.map((place) => status(place)))).map((found) => [found?.conditions, found?.sinkExports[0]?.lastExportTime]);
  const before = await told();
  t.strictSame(await Promise.all(places.map(isLeftAlone)), places.map(() => true), JSON.stringify(intervals));
  t.strictSame(await told(), before, 'and status says what it said, word for word');
});

t.test('at the interval the destination is looked at, and written to only where it lacks something', async (t) => {
  const intervals = [{ inventory: '1s' }, { sink: '1s', inventory: '24h' }, { ref: '1s', sink: '24h' }, { cluster: true, sink: '1s', inventory: '24h' }];
  const places = await Promise.all(intervals.map(exported));
  t.strictSame(await Promise.all(places.map(isLookedAt)), places.map(() => true), JSON.stringify(intervals));
  const [place] = places as [Place];
  await kollect.psql(`DELETE FROM ${place.table}`);
  await kollect.eventually(async () => (await replicas(place)) === 1, { what: 'the row that somebody deleted' });
});

t.test('an interval below a second counts as one', async (t) => {
  const { proxy } = await exported({ ref: '500ms' });
  await beats(1);
  const from = { clock: clock.proxy.commits, other: proxy.commits };
  await beats(6);
  const looks = proxy.commits - from.other;
  t.ok(looks > 0, 'it is looked at');
  t.ok(looks <= (clock.proxy.commits - from.clock) * 1.5, `as often as the one of 1s: ${looks} commits and ${clock.proxy.commits - from.clock}`);
});

t.test('an edit of the inventory forces a comparison, with 0s too', async (t) => {
  const places = await Promise.all([{ ref: '24h' }, { ref: '0s' }, { cluster: true, ref: '0s' }].map(exported));
  const compared = await Promise.all(places.map((place) => isCompared(place, () => editInventory(place, { exportMinInterval: '23h' }), 2)));
  for (const { observedGeneration, conditions } of compared) for (const condition of conditions) t.strictSame([observedGeneration, condition.observedGeneration], [2, 2], condition.type);
});

t.test('the annotation forces one comparison for each new value', async (t) => {
  const daily = await exported({ ref: '24h' });
  const ask = (value: string): Promise<unknown> => kollect.kubectl(['annotate', 'kinv/inventory', '-n', daily.namespace, '--overwrite', `kollect.dev/reconcile=${value}`]);
  const first = await isCompared(daily, () => ask('one'));
  t.equal(first.lastHandledReconcile, 'one');
  await ask('one');
  t.equal(await isLeftAlone(daily), true, 'the same value asks for nothing');
  t.equal((await isCompared(daily, () => ask('two'))).lastHandledReconcile, 'two');
  await kollect.kubectl(['annotate', 'kinv/inventory', '-n', daily.namespace, 'kollect.dev/reconcile-']);
  t.equal(await isLeftAlone(daily), true, 'neither does none');
  t.equal((await exportedStatus(daily)).lastHandledReconcile, 'two');
});

t.test('a floor of the scope holds at once, also for 0s', async (t) => {
  const scope = (namespace: string, minExportInterval: string): Promise<unknown> =>
    kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectScope', metadata: { name: 'team', namespace }, spec: { minExportInterval } });
  // Of a cluster inventory it is the scope of the namespace of its sinks.
  const [floored, raised, rolledUp] = (await Promise.all([{ ref: '0s' }, { ref: '1s' }, { cluster: true, ref: '1s' }].map(exported))) as [Place, Place, Place];
  await Promise.all([scope(floored.namespace, '1s'), scope(raised.namespace, '1h'), scope(rolledUp.namespace, '1h')]);
  t.strictSame(await Promise.all([isLookedAt(floored), isLeftAlone(raised), isLeftAlone(rolledUp)]), [true, true, true], '0s above a floor of 1s; 1s below a floor of 1h');
  await Promise.all([floored, raised].map(({ namespace }) => kollect.kubectl(['delete', 'kscope/team', '-n', namespace])));
  t.strictSame(await Promise.all([isLeftAlone(floored), isLookedAt(raised)]), [true, true], 'and no longer than it is there');
});

t.test('a sink that is edited, or made anew, is exported to at once', async (t) => {
  const moved = await exported({ ref: '24h' });
  const fingerprint = (await exportedStatus(moved)).sinkExports[0]?.fingerprint;
  const before = await row(moved);
  const there = { ...moved, table: 'elsewhere' };
  await edit(moved.namespace, 'kdb/pg', { postgres: { table: there.table } });
  await kollect.eventually(async () => (await replicas(there)) === 1, { what: 'the row at the new place' });
  t.strictSame(await row(moved), before, 'what was written before stays where it is');
  await kollect.eventually(async () => (await status(there))?.sinkExports[0]?.fingerprint !== fingerprint, calm);

  const sink = (await kollect.get<KubernetesObject>('kdb', 'pg', moved.namespace))!;
  await isCompared(there, async () => {
    await kollect.kubectl(['delete', 'kdb/pg', '-n', moved.namespace]);
    await kollect.apply({ apiVersion: sink.apiVersion, kind: sink.kind, metadata: { name: 'pg', namespace: moved.namespace }, spec: sink.spec });
  });
});

t.test('a failed export waits for no interval, and what is taken back meanwhile is written too', async (t) => {
  const places = await Promise.all([{ ref: '24h' }, { ref: '0s' }, { cluster: true, ref: '0s' }].map(exported));
  await Promise.all(
    places.map(async (torn) => {
      torn.proxy.breakCommit('cut');
      await scale(torn.namespace, 3);
      await kollect.eventually(async () => (await replicas(torn)) === 3, { what: 'the commit whose answer was lost' });
      await scale(torn.namespace, 1);
      await kollect.eventually(async () => (await replicas(torn)) === 1, { what: 'the change that was taken back' });
      await exportedStatus(torn);
    }),
  );
  t.pass();
});
