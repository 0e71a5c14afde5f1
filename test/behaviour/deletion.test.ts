import pg from 'pg';
import t from 'tap';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { startKollect } from './harness.ts';
import { deployment, pipeline, type PipelineOptions } from './objects.ts';

const kollect = await startKollect();
t.teardown(() => kollect.stop());
// Most of the time is spent waiting.
t.jobs = 4;
/** Of tests that stop the controller, or that shut or lock what others need. */
const alone = { buffered: false };
/** Between Kollect and the database, for those who use its DSN. */
const door = await new TcpProxy(kollect.postgres.port, 'never').start();
t.teardown(() => door.stop());
const viaDoor = kollect.dsn.replace(`:${kollect.postgres.port}/`, `:${door.port}/`);

function shutDoor(): void {
  door.refuses = true;
  door.cut();
}

const names = async (namespace: string, table = 'inventory_items'): Promise<string> =>
  (await kollect.psql<{ name: string }>(`SELECT payload->>'name' AS name FROM ${table} WHERE inventory_namespace = '${namespace}' ORDER BY 1`)).map(({ name }) => name).join();

const untilNames = (namespace: string, wanted: string, table?: string) =>
  kollect.eventually(async () => {
    const found = await names(namespace, table);
    if (found !== wanted) throw new Error(`found ${found}, wanted ${wanted}`);
    return true;
  });

/** A namespace with the whole pipeline and two Deployments, exported. */
async function exported(options: Partial<PipelineOptions> = {}): Promise<string> {
  const namespace = await kollect.namespace();
  await kollect.apply(pipeline({ namespace, dsn: kollect.dsn, ...options }));
  await kollect.apply(['api', 'web'].map((name) => deployment(namespace, name)).join('---\n'));
  await untilNames(namespace, 'api,web');
  return namespace;
}

async function run(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await kollect.kubectl(args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

const edit = (namespace: string, object: string, spec: object) => run('patch', object, '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec }));
const remove = (namespace: string, ...objects: string[]) => run('delete', ...objects, '-n', namespace, '--timeout=120s');

interface Inventory {
  metadata: { finalizers?: string[] };
  status?: { conditions?: { type: string; status: string; reason: string; message: string }[]; sinkExports?: { name: string; phase: string; rows?: number; lastError?: string; lastExportTime?: string }[] };
}

const inventory = (namespace: string) => kollect.get<Inventory>('kinv', 'inventory', namespace);

const untilCondition = (namespace: string, type: string, wanted: RegExp) =>
  kollect.eventually(async () => {
    const found = (await inventory(namespace))?.status?.conditions?.find((condition) => condition.type === type);
    const line = found && `${found.status} ${found.reason}: ${found.message}`;
    if (line === undefined || !wanted.test(line)) throw new Error(`${line} does not match ${wanted}`);
    return line;
  });

const untilGone = (namespace: string) => kollect.eventually(async () => (await inventory(namespace)) === undefined, { timeoutMs: 120_000, what: 'the inventory to go' });

const untilEntries = (namespace: string, wanted: readonly string[]) =>
  kollect.eventually(async () => {
    const found = (await inventory(namespace))?.status?.sinkExports?.map(({ name, phase }) => `${name} ${phase}`) ?? [];
    if (found.join() !== wanted.join()) throw new Error(`found ${found.join()}, wanted ${wanted.join()}`);
    return true;
  });

async function events(namespace: string, reason: string): Promise<string[]> {
  const { items } = JSON.parse(await run('get', 'events', '-n', namespace, '-o', 'json')) as { items: { reason: string; message: string; involvedObject: { name: string } }[] };
  return items.filter((event) => event.reason === reason && event.involvedObject.name === 'inventory').map(({ message }) => message);
}

t.test('deleting the inventory removes its rows; Retain keeps them', async (t) => {
  const gone = await exported();
  const kept = await exported({ inventorySpec: 'deletionPolicy: Retain' });
  const suspended = await exported();
  await edit(suspended, 'kinv/inventory', { suspend: true });
  for (const namespace of [gone, kept, suspended]) await remove(namespace, 'kinv/inventory');
  t.equal(await names(gone), '');
  t.equal(await names(suspended), '');
  t.equal(await names(kept), 'api,web');
});

t.test('an inventory that is emptied holds no row, and is well', async (t) => {
  const namespace = await exported();
  await remove(namespace, 'ktgt/web');
  await untilNames(namespace, '');
  t.match(await untilCondition(namespace, 'Ready', /^True/), /Exported/);
  await remove(namespace, 'kinv/inventory');
  t.equal(await names(namespace), '');
});

t.test('dropping a reference removes its rows, and its entry when that is done', async (t) => {
  const namespace = await exported();
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: [] });
  await untilNames(namespace, '');
  await untilEntries(namespace, []);
  t.match(await untilCondition(namespace, 'Synced', /NoExport/), /True NoExport/);
});

t.test('rows stay while deletions are paused, and the inventory says that it waits', async (t) => {
  const namespace = await exported();
  await run('annotate', 'kinv/inventory', '-n', namespace, 'kollect.dev/pause-deletes=true');
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: [] });
  await untilEntries(namespace, ['database/pg Removing']);
  await kollect.eventually(async () => /pause-deletes/.test((await inventory(namespace))?.status?.sinkExports?.[0]?.lastError ?? ''), { what: 'the reason' });
  t.match(await untilCondition(namespace, 'Synced', /^False/), /DeletionHeld: database\/pg: not referenced any more, and rows are kept as long as .*kollect\.dev\/pause-deletes/);
  await run('delete', 'kinv/inventory', '-n', namespace, '--wait=false');
  t.match(await untilCondition(namespace, 'Degraded', /^True DeletionHeld/), /is being deleted.*kollect\.dev\/pause-deletes.*Retain/);
  t.equal(await names(namespace), 'api,web');
  await run('annotate', 'kinv/inventory', '-n', namespace, 'kollect.dev/pause-deletes-');
  await untilGone(namespace);
  t.equal(await names(namespace), '');
});

t.test('a reference that is dropped leaves the rows of another one to the same table', async (t) => {
  const namespace = await exported();
  const stored = () => kollect.psql(`SELECT source_uid, exported_at, xmin FROM inventory_items WHERE inventory_namespace = '${namespace}' ORDER BY 1`);
  const before = await stored();
  const { spec } = (await kollect.get<{ spec: object }>('kdb', 'pg', namespace))!;
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectDatabaseSink', metadata: { name: 'twin', namespace }, spec });
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: ['twin'] });
  await untilEntries(namespace, ['database/twin Active']);
  await untilCondition(namespace, 'Ready', /True/);
  t.strictSame(await stored(), before, 'no row was removed or written again');

  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: ['twin', 'pg'], suspend: true });
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: ['pg'] });
  await edit(namespace, 'kinv/inventory', { suspend: false });
  await untilEntries(namespace, ['database/pg Active']);
  t.strictSame(await stored(), before, 'nor when it was dropped while nothing was exported');
});

t.test('deleting a namespace leaves no row and does not hang, in whatever order its objects go', async (t) => {
  const together = await Promise.all([exported(), exported(), exported()]);
  const results = await Promise.all(together.map((namespace) => kollect.kubectl(['delete', 'namespace', namespace, '--timeout=120s'])));
  t.strictSame(results.map(({ code }) => code), [0, 0, 0], results.map(({ stderr }) => stderr).join());
  t.strictSame(await Promise.all(together.map((namespace) => names(namespace))), ['', '', '']);

  const apart = async (first: readonly string[]) => {
    const namespace = await exported();
    await remove(namespace, ...first);
    if (first[0] === 'kdb/pg') await untilCondition(namespace, 'Degraded', /True SinkNotFound/);
    await remove(namespace, 'kinv/inventory');
    t.equal(await names(namespace), '', `${first.join(' and ')} went before the inventory`);
  };
  await Promise.all([apart(['kdb/pg']), apart(['secret/dsn']), apart(['kdb/pg', 'secret/dsn'])]);
});

t.test('a sink that refuses the removal says that somebody is needed, and is cleaned when its Secret is mended', async (t) => {
  const namespace = await exported();
  const secret = (dsn: string) => kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace }, stringData: { dsn } });
  await secret(kollect.dsn.replace(/:[^:@]+@/, ':wrong@'));
  await run('delete', 'kinv/inventory', '-n', namespace, '--wait=false');
  t.match(await untilCondition(namespace, 'Degraded', /^True CleanupTerminal/), /refused the login/);
  t.match(await untilCondition(namespace, 'Ready', /^False CleanupTerminal/), /refused the login/);
  await secret(kollect.dsn);
  await untilGone(namespace);
  t.equal(await names(namespace), '');
});

t.test('a sink that is edited leaves what it exported, says so, and cleans the new destination only', async (t) => {
  const namespace = await exported();
  await edit(namespace, 'kdb/pg', { postgres: { table: 'elsewhere' } });
  await kollect.eventually(async () => (await names(namespace, 'elsewhere')) === 'api,web');
  t.equal(await names(namespace), 'api,web');
  await kollect.eventually(async () => (await events(namespace, 'DestinationChanged')).length > 0, { what: 'an event' });
  t.match((await events(namespace, 'DestinationChanged'))[0], /^database\/pg exports to table "public"\."elsewhere" now; of the 2 row\(s\) that it exported to table "public"\."inventory_items" none was removed, because an edit removes nothing/);
  await edit(namespace, 'kdb/pg', { cluster: 'east' });
  const clusters = async () => (await kollect.psql<{ cluster: string }>(`SELECT DISTINCT cluster FROM elsewhere WHERE inventory_namespace = '${namespace}' ORDER BY 1`)).map(({ cluster }) => cluster);
  await kollect.eventually(async () => (await clusters()).join() === ',east', { what: 'the rows of both clusters' });
  await remove(namespace, 'kinv/inventory');
  t.strictSame(await clusters(), ['']);
  t.equal(await names(namespace, 'elsewhere'), 'api,web');
  t.equal(await names(namespace), 'api,web');
});

t.test('a sink that is gone, and that the process never opened, holds up nothing', alone, async (t) => {
  const namespace = await exported();
  await kollect.controller.kill('SIGKILL');
  await remove(namespace, 'kdb/pg');
  await kollect.controller.start();
  await untilCondition(namespace, 'Degraded', /True SinkNotFound/);
  await remove(namespace, 'kinv/inventory');
  t.equal(await names(namespace), 'api,web');
});

t.test('an unreachable sink keeps the inventory, until it is deleted, need not be cleaned, or answers', alone, async (t) => {
  const all = await Promise.all(['sink', 'retain', 'mend', 'secret'].map(() => exported({ dsn: viaDoor })));
  const [sink, retain, mend, secret] = all as [string, string, string, string];
  shutDoor();
  for (const namespace of all) await run('delete', 'kinv/inventory', '-n', namespace, '--wait=false');
  for (const namespace of all) {
    const line = await untilCondition(namespace, 'Degraded', /^True Progressing/);
    t.match(line, /rows could not be removed.*deletionPolicy to Retain.*database\/pg: the (connection to the )?database /);
    await kollect.eventually(async () => (await events(namespace, 'Progressing')).some((message) => /rows could not be removed/.test(message)), { what: 'an event' });
  }
  t.match((await inventory(sink))?.status?.sinkExports, [{ name: 'database/pg', phase: 'Removing', lastError: /the database/ }]);

  await remove(sink, 'kdb/pg');
  await untilGone(sink);
  await edit(retain, 'kinv/inventory', { deletionPolicy: 'Retain' });
  await untilGone(retain);
  await remove(secret, 'secret/dsn');
  // Tells the controller to try at once.
  await edit(secret, 'kdb/pg', { cluster: '' });
  await untilGone(secret);
  t.ok(await inventory(mend), 'the last one waits');
  door.refuses = false;
  await edit(mend, 'kdb/pg', { cluster: '' });
  await untilGone(mend);
  t.strictSame(await Promise.all(all.map((namespace) => names(namespace))), ['api,web', 'api,web', '', 'api,web']);
});

t.test('a reference that is dropped while the inventory is suspended is removed afterwards, as its entry says', alone, async (t) => {
  const namespace = await exported();
  const untilKept = () =>
    kollect.eventually(async () => {
      const [entry] = (await inventory(namespace))?.status?.sinkExports ?? [];
      return entry?.phase === 'Removing' && entry.lastError === 'rows are kept as long as spec.suspend is true';
    }, { what: 'an entry that says why rows are there' });
  await edit(namespace, 'kinv/inventory', { suspend: true, databaseSinkRefs: [] });
  await untilKept();
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: ['pg'] });
  await untilEntries(namespace, ['database/pg Active']);
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: [] });
  await kollect.controller.kill('SIGKILL');
  await kollect.controller.start();
  await untilKept();
  t.equal(await names(namespace), 'api,web');
  await edit(namespace, 'kinv/inventory', { suspend: false });
  await untilNames(namespace, '');
  await untilEntries(namespace, []);
});

t.test('a reference that comes back while it is removed is exported to as before', alone, async (t) => {
  const namespace = await exported({ dsn: viaDoor });
  // Until a write is confirmed it is not known that there is anything to remove.
  await kollect.eventually(async () => (await inventory(namespace))?.status?.sinkExports?.[0]?.lastExportTime !== undefined, { what: 'the time of the export' });
  shutDoor();
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: [] });
  await untilEntries(namespace, ['database/pg Removing']);
  await untilCondition(namespace, 'Synced', /^False Progressing: database\/pg: not referenced any more, and its rows could not be removed, which is tried again: the /);
  await run('scale', 'deployment/web', '-n', namespace, '--replicas=3');
  await edit(namespace, 'kinv/inventory', { databaseSinkRefs: ['pg'] });
  await untilEntries(namespace, ['database/pg Active']);
  door.refuses = false;
  await edit(namespace, 'kdb/pg', { cluster: '' });
  await kollect.eventually(async () => {
    const [row] = await kollect.psql<{ replicas: number }>(`SELECT (payload->'attributes'->>'replicas')::int AS replicas FROM inventory_items WHERE inventory_namespace = '${namespace}' AND payload->>'name' = 'web'`);
    return row?.replicas === 3;
  });
  t.equal(await names(namespace), 'api,web');
});

t.test('removals that take long hold up nobody else', alone, async (t) => {
  const slow = await Promise.all([1, 2, 3, 4, 5, 6].map(() => exported()));
  const other = await kollect.postgres.createDatabase('other');
  const lock = new pg.Client({ connectionString: kollect.dsn });
  await lock.connect();
  try {
    await lock.query('BEGIN');
    await lock.query('LOCK TABLE inventory_items IN ACCESS EXCLUSIVE MODE');
    for (const namespace of slow) await run('delete', 'kinv/inventory', '-n', namespace, '--wait=false');
    const namespace = await kollect.namespace();
    await kollect.apply(pipeline({ namespace, dsn: kollect.postgres.dsn(other) }));
    await kollect.apply(deployment(namespace, 'api'));
    await untilCondition(namespace, 'Ready', /True Exported/);
    t.equal((await kollect.postgres.query('SELECT 1 FROM inventory_items', [], other)).length, 1);
    for (const one of slow) t.ok(await inventory(one), 'the others are still removed');
  } finally {
    await lock.query('ROLLBACK');
    await lock.end();
  }
  for (const namespace of slow) await untilGone(namespace);
  for (const namespace of slow) t.equal(await names(namespace), '');
});
