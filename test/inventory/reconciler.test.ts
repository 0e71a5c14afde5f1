import t from 'tap';
import { RowStore } from '../../controller/collect/row-store.ts';
import { namespacedInventories } from '../../controller/inventory/inventory-kind.ts';
import { InventoryReconciler } from '../../controller/inventory/inventory-reconciler.ts';
import { NamespaceRows } from '../../controller/inventory/namespace-rows.ts';
import type { SinkChanged, SinkDirectory } from '../../controller/inventory/sink-directory.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { annotations } from '../../shared/api/annotations.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { EventRecorder } from '../../shared/kube/events.ts';
import { ObjectCache } from '../../shared/kube/object-cache.ts';
import { createLogger } from '../../shared/log.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';
import { facts, memory } from './binding-fixture.ts';

// What happens to the bindings of an inventory while it is edited, by a real API server and sinks in memory.

const cluster = await startCluster();
const ends: (() => Promise<void>)[] = [() => cluster.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
await installCrds(cluster.kubectl, ['kollectinventories.kollect.dev']);
const client = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
const path = `/apis/${API_VERSION}/namespaces/default/kollectinventories/inventory`;
const logger = createLogger({ level: 'error', format: 'text', name: 'test' });

type Spec = Partial<KollectInventory['spec']>;

/** An inventory of two rows, and sinks by name, each with the place that it leads to. */
async function setUp(spec: Spec, { takesStatus = true, marks = {} as Record<string, string> } = {}) {
  const sinks = new Map<string, MemorySink>();
  const queues = new Map<MemoryPlace, SinkGate>();
  const places = [new MemoryPlace(), new MemoryPlace()] as const;
  let error: KollectError | undefined;
  let changed: Parameters<SinkDirectory['onChange']>[0] = () => undefined;
  const lead = (name: string, place: MemoryPlace): MemorySink => {
    const sink = new MemorySink(place);
    sinks.set(name, sink);
    return sink;
  };
  const held = new Map<string, Promise<void>>();
  const open = async (_family: string, _namespace: string, name: string) => {
    await held.get(name);
    if (error) throw error;
    const sink = sinks.get(name)!;
    const { place } = sink;
    const queue = queues.get(place) ?? new SinkGate(2);
    queues.set(place, queue);
    return { ...memory, sink, queue, fingerprint: `place ${places.indexOf(place)}` };
  };
  const store = new RowStore();
  // An object may be older than what was written of it last.
  const keep = (object: KubeObject): KubeObject => (takesStatus ? object : ({ ...object, status: undefined } as KubeObject));
  const inventories = new ObjectCache<KubeObject>({ client, path: `/apis/${API_VERSION}/kollectinventories`, name: 'inventories', logger, keep });
  const reconciler = new InventoryReconciler({
    kind: namespacedInventories,
    client,
    inventories,
    store,
    sinks: { intervalOf: () => undefined, obstacle: () => undefined, open, openFormer: async () => undefined, onChange: (listener) => (changed = listener) },
    scopes: { exportFloorMs: () => 0, onChange: () => undefined, sinkDenial: () => undefined },
    rowsOf: (_, onChange) => new NamespaceRows({ get: () => undefined }, 'default', onChange),
    targetsGraceMs: 0,
    isSynced: () => true,
    isTurning: () => false,
    events: new EventRecorder({ client, component: 'test', instance: 'test', logger }),
    logger,
    observer: { passed: () => undefined, failed: () => undefined, resolved: () => undefined },
  });
  inventories.start();
  await inventories.synced;
  reconciler.start();
  const web = store.open('default', 'web').resource('/v1/configmap');
  for (const uid of ['a', 'b']) web.upsert(facts(uid));
  const get = async () => await client.get<KubeObject & Pick<KollectInventory, 'status'>>(path);
  const edit = async (wanted: Spec): Promise<void> => {
    await client.patch(path, { type: 'merge', body: { spec: wanted } });
  };
  const create = async (): Promise<void> => {
    const metadata = { name: 'inventory', namespace: 'default', annotations: marks };
    // Nobody looks at a sink by itself.
    await client.create(path.slice(0, path.lastIndexOf('/')), { apiVersion: API_VERSION, kind: 'KollectInventory', metadata, spec: { exportMinInterval: '0s', ...spec } });
  };
  const end = async (): Promise<void> => {
    await reconciler.stop();
    await inventories.stop();
    await client.patch(path, { type: 'merge', body: { metadata: { finalizers: null } } });
    await client.delete(path);
  };
  return { places, lead, holdOpen: (name: string, end: Promise<void>) => held.set(name, end), edit, create, get, end, fail: (wanted: KollectError | undefined) => (error = wanted), changed: (name: string, change: SinkChanged = 'edited') => changed('database', 'default', name, change) };
}

const degraded = ({ status }: Pick<KollectInventory, 'status'>): string | undefined => status?.conditions?.find(({ type, status: value }) => type === 'Degraded' && value === 'True')?.reason;
const until = (holds: () => boolean | Promise<boolean>): Promise<unknown> => eventually(holds, { intervalMs: 20 });

t.test('a removal that broke off, and then is not needed any more, has the others at its destination compare', async (t) => {
  const { places, lead, edit, create, end, changed, holdOpen } = await setUp({ databaseSinkRefs: ['former', 'other'] });
  const [here, there] = places;
  const former = lead('former', here);
  lead('other', there);
  await create();
  await until(() => here.rows.size === 2 && there.rows.size === 2);
  const opens = Promise.withResolvers<void>();
  former.remove = async () => {
    here.rows.delete(here.rows.keys().next().value!);
    holdOpen('former', opens.promise);
    throw new KollectError('KOL_SINK_UNAVAILABLE', 'broken off', { retryAfterMs: 5 });
  };
  await edit({ databaseSinkRefs: ['other'] });
  await until(() => here.rows.size === 1);
  const other = lead('other', here);
  let passes = 0;
  const write = other.write.bind(other);
  other.write = async (...args) => {
    const result = await write(...args);
    passes++;
    return result;
  };
  changed('other');
  await until(() => here.rows.size === 2 && passes === 1);
  // What was under way when it broke off may come later.
  here.rows.delete(here.rows.keys().next().value!);
  opens.resolve();
  await until(() => here.rows.size === 2);
  t.equal(passes, 2);
  await end();
});

t.test('a binding that comes back goes on from the status that was written last, whatever an older object says', async (t) => {
  const { places, lead, edit, create, get, end, fail } = await setUp({ databaseSinkRefs: ['pg'] }, { takesStatus: false });
  lead('pg', places[0]);
  await create();
  const exported = await eventually(async () => (await get()).status?.sinkExports?.find(({ lastExportTime }) => lastExportTime), { intervalMs: 20 });
  await edit({ suspend: true });
  await until(async () => degraded(await get()) === 'Suspended');
  fail(new KollectError('KOL_SINK_NOT_FOUND', 'no such sink'));
  await edit({ suspend: false });
  await until(async () => degraded(await get()) === 'SinkNotFound');
  t.match((await get()).status?.sinkExports, [{ lastExportTime: exported.lastExportTime, fingerprint: exported.fingerprint, rows: 2 }]);
  await end();
});

t.test('consent to deletions waits until there is a sink that it can be used at', async (t) => {
  const { places, lead, edit, create, get, end } = await setUp({ databaseSinkRefs: ['pg'], suspend: true }, { marks: { [annotations.allowDeletes]: 'true' } });
  const [place] = places;
  lead('pg', place);
  await create();
  const consent = async () => (await get()).metadata.annotations?.[annotations.allowDeletes];
  await until(async () => degraded(await get()) === 'Suspended');
  // What would have been said of the consent would have been said before this.
  await edit({ exportMinInterval: '1h' });
  await until(async () => (await get()).status?.observedGeneration === 2);
  t.equal(await consent(), 'true');
  await edit({ suspend: false });
  await until(async () => (await consent()) === undefined && place.rows.size === 2);
  await end();
});

t.test('consent is gone once the sinks that can have used it, and a sink that failed uses it when it can', async (t) => {
  const { places, lead, create, get, end } = await setUp({ databaseSinkRefs: ['pg', 'broken'] });
  lead('pg', places[0]);
  const broken = lead('broken', places[1]);
  const write = broken.write.bind(broken);
  broken.write = () => Promise.reject(new KollectError('KOL_SINK_CONFIG', 'broken', { retryAfterMs: 20 }));
  const identity = { namespace: 'default', name: 'inventory', cluster: '', generation: 1 };
  for (let index = 0; index < 150; index++) places[1].put(identity, { ...facts(`stale${index}`), targetName: 'web', targetNamespace: 'default', hash: '' });
  await create();
  await until(() => places[0].rows.size === 2);
  await client.patch(path, { type: 'merge', body: { metadata: { annotations: { [annotations.allowDeletes]: 'true' } } } });
  await until(async () => (await get()).metadata.annotations?.[annotations.allowDeletes] === undefined);
  t.equal(places[1].rows.size, 150);
  broken.write = write;
  await until(() => places[1].rows.size === 2);
  await end();
});

t.test('what failed is tried again at once when the connection test of its sink succeeds again', async (t) => {
  const { places, lead, create, end, changed } = await setUp({ databaseSinkRefs: ['pg'] });
  const sink = lead('pg', places[0]);
  const write = sink.write.bind(sink);
  let attempts = 0;
  sink.write = () => {
    attempts++;
    return Promise.reject(new KollectError('KOL_SINK_AUTH', 'lacks a right', { retryAfterMs: 3_600_000 }));
  };
  await create();
  await until(() => attempts === 1);
  sink.write = write;
  changed('pg', 'unverified');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(places[0].rows.size, 0);
  changed('pg', 'verified');
  await until(() => places[0].rows.size === 2);
  await end();
});

t.test('a sink is told how large documents may be: what its reference says, else the inventory, as edited last', async (t) => {
  const { places, lead, create, edit, end } = await setUp({ maxExportBytes: 3_000, databaseSinkRefs: ['pg', { name: 'own', maxExportBytes: 2_000 }] });
  const told = new Map<string, number | undefined>();
  for (const [index, name] of ['pg', 'own'].entries()) {
    const sink = lead(name, places[index]!);
    const write = sink.write.bind(sink);
    sink.write = (change, signal) => {
      told.set(name, change.maxDocumentBytes);
      return write(change, signal);
    };
  }
  await create();
  await until(() => told.size === 2);
  t.strictSame([told.get('pg'), told.get('own')], [3_000, 2_000]);
  await edit({ maxExportBytes: 4_000 });
  await until(() => told.get('pg') === 4_000);
  t.equal(told.get('own'), 2_000);
  await end();
});
