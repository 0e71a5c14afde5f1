import t, { type Test } from 'tap';
import { startKollect } from './harness.ts';
import { deployment, pipeline, type PipelineOptions } from './objects.ts';

const password = 'canary-9b1e4';
const kollect = await startKollect({ databasePassword: password });
t.teardown(() => kollect.stop());

/** Whatever goes wrong with a sink must be said in condition, event and log, must not name the password, and must pass by itself. */
async function broken(options: Partial<PipelineOptions> = {}): Promise<string> {
  const namespace = await kollect.namespace();
  await kollect.apply(pipeline({ namespace, dsn: kollect.dsn, ...options }));
  await kollect.apply(deployment(namespace, 'web'));
  return namespace;
}

function rows(namespace: string): Promise<{ replicas: number }[]> {
  return kollect.psql(`SELECT (payload->'attributes'->>'replicas')::int AS replicas FROM inventory_items WHERE inventory_namespace = '${namespace}'`);
}

const exported = (namespace: string, replicas = 1): Promise<unknown> =>
  kollect.eventually(async () => (await rows(namespace)).length === 1 && (await rows(namespace))[0]?.replicas === replicas, { what: 'one row' });

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

async function conditions(namespace: string, resource: string, name: string): Promise<Map<string, Condition>> {
  const object = await kollect.get<{ status?: { conditions?: Condition[] } }>(resource, name, namespace);
  return new Map((object?.status?.conditions ?? []).map((condition) => [condition.type, condition]));
}

/** Waits for `Degraded`, then looks for the same words in an event and in the log. */
async function degraded(t: Test, namespace: string, reason: string, words: RegExp): Promise<void> {
  const condition = await kollect.eventually(async () => {
    const found = (await conditions(namespace, 'kinv', 'inventory')).get('Degraded');
    if (found?.status !== 'True' || !words.test(found.message)) throw new Error(JSON.stringify(found));
    return found;
  });
  t.equal(condition.reason, reason);
  const all = await conditions(namespace, 'kinv', 'inventory');
  t.equal(all.get('Ready')?.status, 'False', 'never ready while degraded');
  t.equal(all.get('SinkReachable')?.status, 'False');
  await kollect.eventually(async () => {
    const { stdout } = await kollect.kubectl(['get', 'events', '-n', namespace, '--field-selector=involvedObject.name=inventory,type=Warning', '-o', 'json']);
    return (JSON.parse(stdout) as { items: { message: string }[] }).items.some((event) => words.test(event.message));
  }, { what: 'an event with the cause' });
  await kollect.eventually(() => kollect.controller.logEntries().some((entry) => entry['namespace'] === namespace && words.test(String(entry['error']))), { what: 'a line of the log with the cause' });
}

async function healthy(namespace: string): Promise<void> {
  await kollect.eventually(async () => {
    const all = await conditions(namespace, 'kinv', 'inventory');
    return all.get('Ready')?.status === 'True' && all.get('Degraded')?.status === 'False';
  }, { what: 'Ready=True again' });
}

const replaceDsn = (namespace: string, stringData: object): Promise<unknown> =>
  kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace }, stringData });

t.test('a wrong password', async (t) => {
  const namespace = await broken({ dsn: kollect.dsn.replace(password, `${password}-wrong`) });
  await degraded(t, namespace, 'ExportTerminal', /login|password/i);
  const sink = await kollect.eventually(async () => {
    const verified = (await conditions(namespace, 'kdb', 'pg')).get('ConnectionVerified');
    return verified?.status === 'False' && verified;
  });
  t.equal(sink.reason, 'ConnectionTestFailed');
  await replaceDsn(namespace, { dsn: kollect.dsn });
  await exported(namespace);
  await healthy(namespace);
});

t.test('a Secret that does not exist', async (t) => {
  const namespace = await broken({ sinkSpec: 'postgres: {databaseRef: {name: nowhere}, table: inventory_items}' });
  await degraded(t, namespace, 'SecretResolveFailed', /secret "nowhere" in namespace "test-.*not found/);
  await kollect.eventually(async () => (await conditions(namespace, 'kdb', 'pg')).get('ConnectionVerified')?.reason === 'SecretResolveFailed');
  await kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'nowhere', namespace }, stringData: { url: kollect.dsn } });
  await exported(namespace);
  await healthy(namespace);
});

t.test('a Secret of another namespace that is granted to others', async (t) => {
  const platform = await kollect.namespace();
  const annotate = (object: string, grant: string): Promise<unknown> => kollect.kubectl(['annotate', object, '-n', platform, '--overwrite', `kollect.dev/grant-to=${grant}`]);
  await kollect.apply({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'shared', namespace: platform }, stringData: { dsn: kollect.dsn } });
  await annotate(`namespace/${platform}`, 'somebody');
  const namespace = await broken({ sinkSpec: `postgres: {databaseRef: {name: shared, namespace: ${platform}}, table: inventory_items}` });
  await degraded(t, namespace, 'SecretResolveFailed', /secret "shared" in namespace "test-.*" is not granted to sinks of namespace "test-/);
  await annotate('secret/shared', `somebody,${namespace}`);
  await exported(namespace);
  await healthy(namespace);
});

t.test('a Secret without a usable key', async (t) => {
  const namespace = await broken({ secret: { connection: kollect.dsn } });
  await degraded(t, namespace, 'SecretResolveFailed', /dsn.*url.*connectionString.*DATABASE_URL/);
  await replaceDsn(namespace, { DATABASE_URL: kollect.dsn });
  await exported(namespace);
  await healthy(namespace);
});

t.test('a sink that does not exist', async (t) => {
  const namespace = await broken({ inventorySpec: 'databaseSinkRefs: [absent]' });
  await degraded(t, namespace, 'SinkNotFound', /"absent" in namespace "test-/);
  await kollect.kubectl(['patch', 'kinv/inventory', '-n', namespace, '--type=merge', '-p', '{"spec":{"databaseSinkRefs":["pg"]}}']);
  await exported(namespace);
  await healthy(namespace);
});

t.test('a table that was dropped comes back whole', async (t) => {
  const namespace = await broken({ sinkSpec: 'postgres: {databaseRef: {name: dsn}, table: dropped}\n' });
  const count = async (): Promise<number> => (await kollect.psql<{ n: number }>('SELECT count(*)::int AS n FROM dropped'))[0]!.n;
  await kollect.eventually(async () => (await count()) === 1);
  await kollect.apply(deployment(namespace, 'api'));
  await kollect.eventually(async () => (await count()) === 2);
  await kollect.psql('DROP TABLE dropped');
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=4']);
  await kollect.eventually(async () => (await count()) === 2);
  await healthy(namespace);
  t.pass();
});

t.test('under existing a missing table is named and awaited', async (t) => {
  const namespace = await broken({ sinkSpec: 'provisioning: {mode: existing}\npostgres: {databaseRef: {name: dsn}, table: brought}' });
  await degraded(t, namespace, 'ExportTerminal', /brought/);
  await kollect.psql('CREATE TABLE brought (LIKE inventory_items INCLUDING ALL)');
  await kollect.eventually(async () => (await kollect.psql('SELECT 1 FROM brought')).length === 1);
  await healthy(namespace);
});

t.test('a full disk', async (t) => {
  const namespace = await broken();
  await exported(namespace);
  // SQLSTATE 53100 is what PostgreSQL answers when a file cannot grow.
  await kollect.psql(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.inventory_namespace = '${namespace}' THEN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END IF; RETURN NEW; END $$`);
  await kollect.psql('CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON inventory_items FOR EACH ROW EXECUTE FUNCTION full_disk()');
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=7']);
  await degraded(t, namespace, 'SinkUnreachable', /disk/);
  await kollect.psql('DROP FUNCTION full_disk CASCADE');
  await exported(namespace, 7);
  await healthy(namespace);
});

t.test('a killed server', async (t) => {
  const namespace = await broken();
  await exported(namespace);
  await kollect.postgres.kill();
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=9']);
  await degraded(t, namespace, 'SinkUnreachable', /refused|reach|connect/i);
  await kollect.postgres.restart();
  await exported(namespace, 9);
  await healthy(namespace);
});

t.test('the password stands nowhere', async (t) => {
  const { stdout } = await kollect.kubectl(['get', 'kprof,ktgt,kinv,kdb,events', '-A', '-o', 'yaml']);
  t.notMatch(stdout, password);
  t.notMatch(kollect.controller.logs(), password);
  t.notMatch(kollect.webhook.logs(), password);
  const metrics = await (await fetch(kollect.controller.metricsUrl)).text();
  t.notMatch(metrics, password);
  t.match(metrics, /kollect_sink_errors_total\{reason="terminal",code="KOL_SINK_AUTH"\}/);
});
