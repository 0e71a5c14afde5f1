import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import type { Row } from '../../controller/collect/row.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { Controller } from '../../controller/controller.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { createLogger } from '../../shared/log.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { Chaos } from './chaos.ts';
import { ClusterWriter } from './cluster-writer.ts';
import { account, api, createInHome, differences, expectedRows, prepareHome, untouched, untouchedObjects, written } from './home.ts';
import { proxiedKubeconfig } from './proxied-kubeconfig.ts';
import { Random } from './random.ts';
import { isList, WatchProxy } from './watch-proxy.ts';

// A longer run: KOLLECT_FAULTS=1000 tap test/faults/rows-equal-the-cluster.test.ts; KOLLECT_SEED repeats the faults and changes of an earlier one.
const wantedFaults = Number(process.env['KOLLECT_FAULTS'] ?? 200);
const seed = Number(process.env['KOLLECT_SEED'] ?? 20_260_101);
const minutes = 60_000;
t.setTimeout(30 * minutes + wantedFaults * 1_000);

const [cluster, postgres] = await Promise.all([startCluster(), startPostgres()]);
t.teardown(() => Promise.all([cluster.stop(), postgres.stop()]));
const [admin, database] = await Promise.all([loadConnection({ kubeconfig: cluster.kubeconfig }).then((connection) => new KubeClient(connection)), postgres.createDatabase('kollect'), installCrds(cluster.kubectl)]);
t.teardown(() => admin.close());

async function prepare(): Promise<void> {
  await prepareHome(admin);
  await admin.create('/api/v1/namespaces/home/secrets', { metadata: { name: 'dsn' }, stringData: { dsn: postgres.dsn(database) } });
  await createInHome(admin, 'kollectdatabasesinks', 'KollectDatabaseSink', 'pg', { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } });
  await createInHome(admin, 'kollectinventories', 'KollectInventory', 'inventory', { databaseSinkRefs: ['pg'] });
}

t.test(`rows equal the cluster after ${wantedFaults} faults, and none leaves without a cause`, async (t) => {
  const started = performance.now();
  await prepare();
  const chaos = new Chaos(new Random(seed));
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem }, chaos);
  t.teardown(() => proxy.stop());
  const tokenFile = join(cluster.folder, 'controller.token');
  const writer = new ClusterWriter({
    admin,
    random: new Random(seed + 1),
    namespaces: written,
    profilePath: `${api}/kollectprofiles/maps`,
    tokenFile,
    tokenPath: '/api/v1/namespaces/home/serviceaccounts/controller/token',
    account,
    revoked: (token) => chaos.revokedTokens.add(token),
  });
  await writer.begin();
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { tokenFile });
  const controller = await Controller.create({
    kubeconfig,
    policy: { allowPrivate: true, allowLoopback: true },
    mapHosts: new Map(),
    watchNamespaces: [],
    namespaceDefaults: { included: [], excluded: [] },
    scrubKeys: [],
    tenantMode: true,
    metricsSampleIntervalMs: 0,
    identity: 'test',
    logger: createLogger({ level: 'error', format: 'text', name: 'controller' }),
    pace: { watch: { idleMs: 1_500, longestBackoffMs: 800, pageSize: 8 }, answerTimeoutMs: 3_000, backfillDelayMs: 300, reviewAgeMs: 1_000 },
  });
  t.teardown(() => controller.stop());

  const leaves = new Map<string, number>();
  const unjustified: string[] = [];
  /** Whether a row had a reason to leave that it did not use up before. */
  const left = (target: TargetRows, { uid, namespace, name }: Row): void => {
    const key = `${target.name} ${uid}`;
    const times = (leaves.get(key) ?? 0) + 1;
    leaves.set(key, times);
    const ofObject = (writer.deletions.get(uid) ?? 0) + (target.name === 'labelled' ? (writer.relabelings.get(uid) ?? 0) + (writer.namespaceRelabelings.get(namespace) ?? 0) : 0);
    const ofKind = target.name === 'gateways' ? writer.definitionDeletions : 0;
    if (times > ofObject + ofKind) unjustified.push(`${target.name}: ${namespace}/${name}, ${times} times, ${ofObject + ofKind} causes`);
  };
  controller.rows.subscribe({
    row: (target, before, after) => {
      if (before && !after) left(target, before);
    },
    opened: () => undefined,
    closed: (target) => unjustified.push(`target ${target.name}`),
  });

  await controller.start();
  const found = (): string[] => [...controller.rows.targets()].flatMap((target) => [...target.rows()].map(({ payload }) => payload)).sort();
  const equal = (what: string): Promise<unknown> =>
    eventually(
      async () => {
        const [expected, rows] = [await expectedRows(admin), found()];
        if (rows.join('\n') !== expected.join('\n')) throw new Error(differences(rows, expected));
        return true;
      },
      { timeoutMs: 3 * minutes, intervalMs: 200, what },
    );
  const exported = async (): Promise<string[]> =>
    (await postgres.query<{ row: string }>('SELECT target_name || payload::text AS row FROM inventory_items', [], database)).map(({ row }) => row).sort();
  const tableIsThere = (): Promise<unknown> => eventually(async () => (await exported()).length >= untouchedObjects, { timeoutMs: 3 * minutes, what: 'a first export' });
  await Promise.all([
    tableIsThere().then(async () => {
      await postgres.query('CREATE TABLE removals (name text)', [], database);
      await postgres.query("CREATE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO removals VALUES (OLD.payload->>'namespace'); RETURN OLD; END $$", [], database);
      await postgres.query('CREATE TRIGGER note_removal BEFORE DELETE ON inventory_items FOR EACH ROW EXECUTE FUNCTION note_removal()', [], database);
    }),
    (async () => {
      const isEnough = (): boolean =>
        chaos.count >= wantedFaults && Chaos.names.every((name) => chaos.struckBy.has(name)) && ClusterWriter.rareThings.every((thing) => writer.done.has(thing)) && chaos.refusedTokens > 0;
      while (!isEnough()) {
        await writer.write();
        await pause(30);
      }
    })(),
  ]);
  const stormMs = performance.now() - started;

  await writer.end();
  chaos.end();
  await equal('rows that equal the cluster');
  chaos.interrupt();
  const before = chaos.count;
  while (chaos.count < before + wantedFaults / 4) {
    await writer.writeOne();
    await pause(30);
  }
  chaos.end();
  await equal('rows that equal the cluster after interruptions');
  await writer.sentinel('sentinel');
  await equal('rows that follow a last change');
  const calmMs = performance.now() - started - stormMs;

  t.strictSame(unjustified, [], 'no row left without a cause');
  await eventually(
    async () => {
      const expected = await postgres.query<{ row: string }>("SELECT value->>'targetName' || value::text AS row FROM jsonb_array_elements($1::jsonb)", [`[${(await expectedRows(admin)).join()}]`], database);
      const [rows, wanted] = [await exported(), expected.map(({ row }) => row).sort()];
      if (rows.join('\n') !== wanted.join('\n')) throw new Error(differences(rows, wanted));
      return true;
    },
    { timeoutMs: 3 * minutes, what: 'a table that equals the cluster' },
  );
  t.strictSame(await postgres.query('SELECT * FROM removals WHERE name = $1', [untouched], database), [], 'the table lost no untouched row either');
  for (const name of ['all', 'labelled', 'gateways']) {
    await eventually(async () => {
      const { status } = await admin.get<{ status?: { conditions?: { type: string; status: string; message: string }[] } }>(`${api}/kollecttargets/${name}`);
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True') throw new Error(ready?.message);
      return true;
    }, { timeoutMs: 2 * minutes, what: `target ${name} to be ready` });
  }
  const lists = proxy.requests.filter(({ url }) => isList(url) && url.searchParams.has('limit') && !url.searchParams.has('continue')).length;
  const changes = writer.done.values().reduce((sum, count) => sum + count, 0);
  const gone = leaves.values().reduce((sum, count) => sum + count, 0);
  t.comment(`seed ${seed}: ${chaos.count} faults of ${Chaos.names.length} kinds, ${changes} changes, ${lists} lists, ${chaos.refusedTokens} refused tokens, ${gone} rows left; ${Math.round(stormMs / 1_000)} s, then ${Math.round(calmMs / 1_000)} s of interruptions`);
  t.ok(chaos.count >= wantedFaults);
});
