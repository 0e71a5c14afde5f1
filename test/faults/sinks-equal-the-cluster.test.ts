import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { annotations } from '../../shared/api/annotations.ts';
import type { SinkExport } from '../../shared/api/inventory-common.ts';
import type { Condition } from '../../shared/api/meta.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import type { Lease } from '../../shared/kube/lease.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { Chaos } from './chaos.ts';
import { ClusterWriter } from './cluster-writer.ts';
import { DatabasePlace, table } from './database-place.ts';
import { account, api, differences, expectedRows, prepareHome, untouched, untouchedObjects, written } from './home.ts';
import { InventoryEditor } from './inventory-editor.ts';
import { KeptController } from './kept-controller.ts';
import { proxiedKubeconfig } from './proxied-kubeconfig.ts';
import { Deck, Random } from './random.ts';
import { WatchProxy } from './watch-proxy.ts';

// A longer run: KOLLECT_FAULTS=1000 tap test/faults/sinks-equal-the-cluster.test.ts; KOLLECT_SEED repeats the order of the faults of an earlier one.
const wantedFaults = Number(process.env['KOLLECT_FAULTS'] ?? 500);
const seed = Number(process.env['KOLLECT_SEED'] ?? 20_260_202);
const minutes = 60_000;
t.setTimeout(30 * minutes + wantedFaults * 2_000);

const [cluster, postgres] = await Promise.all([startCluster(), startPostgres()]);
t.teardown(() => Promise.all([cluster.stop(), postgres.stop()]));
const [admin] = await Promise.all([loadConnection({ kubeconfig: cluster.kubeconfig }).then((connection) => new KubeClient(connection)), installCrds(cluster.kubectl)]);
t.teardown(() => admin.close());

t.test(`every table equals the cluster after ${wantedFaults} faults`, async (t) => {
  await prepareHome(admin);
  const random = new Random(seed);
  const chaos = new Chaos(new Random(seed + 1));
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem }, chaos);
  t.teardown(() => proxy.stop());
  const tokenFile = join(cluster.folder, 'controller.token');
  const writer = new ClusterWriter({
    admin,
    random: new Random(seed + 2),
    namespaces: written,
    profilePath: `${api}/kollectprofiles/maps`,
    tokenFile,
    tokenPath: '/api/v1/namespaces/home/serviceaccounts/controller/token',
    account,
    revoked: (token) => chaos.revokedTokens.add(token),
  });
  await writer.begin();
  const places: DatabasePlace[] = [];
  for (const name of ['calm', 'east', 'west']) places.push(await DatabasePlace.start(name, { postgres, admin, random: new Random(seed + 3 + places.length) }));
  t.teardown(() => places.forEach((place) => place.proxy.stop()));
  const [calm] = places as [DatabasePlace, ...DatabasePlace[]];
  const editor = new InventoryEditor(admin, new Random(seed + 10), places.map(({ name }) => name));
  await editor.begin();
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { tokenFile });
  const pace = { watch: { idleMs: 1_500, longestBackoffMs: 800, pageSize: 8 }, answerTimeoutMs: 3_000, backfillDelayMs: 300, reviewAgeMs: 1_000 };
  const lease = { namespace: 'home', name: 'controller', times: { durationMs: 10_000, renewDeadlineMs: 7_000, retryMs: 1_000 } };
  const controllers = ['first', 'second'].map((identity) => new KeptController(cluster, { kubeconfig, identity, pace, lease }));
  for (const controller of controllers) await controller.start();
  const leader = async (): Promise<KeptController> => {
    const { spec } = await admin.get<Lease>(`/apis/coordination.k8s.io/v1/namespaces/${lease.namespace}/leases/${lease.name}`);
    return controllers.find(({ identity }) => identity === spec?.holderIdentity) ?? random.pick(controllers);
  };

  /** Without what somebody added to an inventory after its rows had been removed: nobody is known to have written that, so it stays. */
  const inTable = (place: DatabasePlace): Promise<string[]> =>
    place
      .sql<{ row: string }>(
        `SELECT concat_ws(' ', inventory_namespace, inventory_name, cluster, target_name, source_uid, resource_namespace, payload::text) AS row FROM ${table}
        WHERE source_uid NOT LIKE 'odd-%' OR inventory_name = ANY($1)`,
        [editor.inventoriesOf(place.name)],
      )
      .then((rows) => rows.map(({ row }) => row).sort());
  const expectedIn = async (place: DatabasePlace, rows: readonly string[]): Promise<string[]> => {
    const text = "SELECT concat_ws(' ', 'home', name, '', value->>'targetName', value->>'uid', value->>'namespace', value::text) AS row FROM jsonb_array_elements($1::jsonb), unnest($2::text[]) AS name";
    return (await place.sql<{ row: string }>(text, [`[${rows.join()}]`, editor.inventoriesOf(place.name)])).map(({ row }) => row).sort();
  };
  const equal = async (what: string, meanwhile = async (): Promise<void> => undefined): Promise<void> => {
    for (const place of places) {
      await eventually(
        async () => {
          await meanwhile();
          const [expected, rows] = [await expectedIn(place, await expectedRows(admin)), await inTable(place)];
          if (rows.join('\n') !== expected.join('\n')) throw new Error(differences(rows, expected));
          return true;
        },
        { timeoutMs: 5 * minutes, intervalMs: 300, what: `${place.name}: ${what}` },
      );
    }
  };

  /** A table that has lost its table of states does not tell whose the rows are that somebody added: it takes a person to let them go. */
  const consent = async (): Promise<void> => {
    for (const name of ['inventory', 'second']) {
      const { status } = await admin.get<{ status?: { conditions?: Condition[] } }>(`${api}/kollectinventories/${name}`);
      if (!status?.conditions?.some(({ reason, message }) => reason === 'DeletionHeld' && message.includes('which somebody else wrote'))) continue;
      await admin.patch(`${api}/kollectinventories/${name}`, { type: 'merge', body: { metadata: { annotations: { [annotations.allowDeletes]: 'true' } } } });
    }
  };

  const struckBy = new Map<string, number>();
  const faults = (): number => chaos.count + struckBy.values().reduce((sum, count) => sum + count, 0);
  const strike = async ([name, fault]: readonly [string, () => Promise<boolean>]): Promise<void> => {
    // The server of the database, or its table, may be away: then nothing struck.
    if (await fault().catch(() => false)) struckBy.set(name, (struckBy.get(name) ?? 0) + 1);
  };

  const restart = async (signal: 'SIGKILL' | 'SIGTERM'): Promise<true> => {
    const controller = await leader();
    await controller.kill(signal);
    // Before or after another one leads.
    await pause(random.below(2 * lease.times.durationMs));
    await controller.start();
    return true;
  };
  /** A leader stands still, and others may lead when it goes on. */
  const freeze = async (ms: number, meanwhile: () => void = () => undefined): Promise<true> => {
    const controller = await leader();
    await controller.kill('SIGSTOP');
    await pause(ms);
    meanwhile();
    await controller.kill('SIGCONT');
    return true;
  };
  const longMs = lease.times.durationMs + 3_000;
  const revertible = (value: string): Promise<unknown> =>
    admin.patch('/api/v1/namespaces/n0/configmaps/revertible', {
      type: 'apply',
      query: { fieldManager: 'test', force: true },
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'revertible' }, data: { value } },
    });
  const holds = async (place: DatabasePlace, value: string): Promise<boolean> =>
    (await place.sql(`SELECT FROM ${table} WHERE inventory_name = 'inventory' AND target_name = 'all' AND payload->>'name' = 'revertible' AND payload->'attributes'->>'value' = $1`, [value])).length > 0;
  /** The table has the value, and perhaps nobody knows of it, when the controller is killed; then it is what it was before. */
  const revert = async (isConfirmed: boolean, timeoutMs: number): Promise<boolean> => {
    await revertible('before');
    await eventually(() => holds(calm, 'before'), { timeoutMs, what: 'the value before' });
    if (!isConfirmed) calm.proxy.breakCommit('silence');
    await revertible('meanwhile');
    const came = await eventually(() => holds(calm, 'meanwhile'), { timeoutMs, intervalMs: 5, what: 'the value meanwhile' }).catch(() => false);
    calm.proxy.heal();
    await Promise.all(controllers.map((controller) => controller.kill()));
    await revertible('before');
    for (const controller of controllers) await controller.start();
    return came;
  };
  const ofProcesses: (readonly [string, () => Promise<boolean>])[] = [
    ['a leader that is killed', () => restart('SIGKILL')],
    ['a leader that is stopped', () => restart('SIGTERM')],
    ['a leader that is frozen for a moment', () => freeze(500 + random.below(4_000))],
    ['a leader that is frozen for longer than its lease', () => freeze(longMs)],
    ['a leader that is killed after a COMMIT', () => calm.alone(async () => (await calm.breakCommit('silence')) && (await restart('SIGKILL')))],
    ['a leader that is frozen while its COMMIT is on the way', () =>
      calm.alone(async () => {
        const came = await calm.holdCommit();
        await freeze(longMs, () => calm.proxy.deliver());
        return came;
      })],
    ['a value that reverts while the controller is down', () => calm.alone(() => revert(random.next() < 0.5, 15_000))],
    ['a database that is killed', async () => {
      await postgres.kill();
      await pause(random.below(1_000));
      await postgres.restart();
      return true;
    }],
    ['a database that is frozen', async () => {
      await postgres.kill('SIGSTOP');
      await pause(500 + random.below(2_000));
      await postgres.kill('SIGCONT');
      return true;
    }],
  ];

  // The table of a place where nothing is taken away: what nobody touched must never leave it.
  await eventually(async () => (await inTable(calm)).length >= untouchedObjects, { timeoutMs: 3 * minutes, what: 'a first export' });
  await calm.sql(`CREATE TABLE removals (name text);
    CREATE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.removals VALUES (OLD.payload->>'name'); RETURN OLD; END $$;
    CREATE TRIGGER note_removal BEFORE DELETE ON ${table} FOR EACH ROW WHEN (OLD.inventory_name = 'inventory' AND OLD.target_name = 'all' AND OLD.resource_namespace = '${untouched}') EXECUTE FUNCTION note_removal()`);

  const started = performance.now();
  let isStorm = true;
  const repeat = async (work: () => Promise<unknown>, gapMs: number): Promise<void> => {
    while (isStorm) {
      await work();
      await pause(random.below(2 * gapMs));
    }
  };
  const ofPlaces = places.map((place) => new Map([...place.harmless, ...(place === calm ? [] : [...place.destructive, ['rows that somebody alters', () => place.alter(random)] as const])]));
  // The places share one deck, so that each kind comes soon.
  const sinkFaults = new Deck([...new Set(ofPlaces.flatMap((faults) => [...faults.keys()]))], new Random(seed + 20));
  const storms = (deck: Deck<string>): Promise<void>[] =>
    places.map((place, index) =>
      repeat(async () => {
        const name = deck.draw();
        const fault = ofPlaces[index]!.get(name);
        if (!fault) return;
        await place.alone(() => strike([name, fault]));
        await place.recover();
      }, 100),
    );
  const processes = new Deck(ofProcesses, random);
  const kinds = new Set([...Chaos.names, ...ofPlaces.flatMap((faults) => [...faults.keys()]), ...ofProcesses.map(([name]) => name)]);
  const missing = (): string[] => [...kinds].filter((name) => !chaos.struckBy.has(name) && !struckBy.has(name));
  const isEnough = (): boolean => faults() >= wantedFaults * 0.8 && missing().length === 0 && ClusterWriter.rareThings.every((thing) => writer.done.has(thing));
  await Promise.all([
    ...storms(sinkFaults),
    repeat(async () => {
      await strike(processes.draw());
      await calm.recover();
    }, 500),
    repeat(() => editor.edit(), 2_000),
    (async () => {
      const last = Date.now() + 10 * minutes + wantedFaults * 1_000;
      while (!isEnough()) {
        if (Date.now() > last) throw new Error(`${faults()} faults; none of ${missing().join(', ')}`);
        await writer.write();
        await pause(40);
      }
      isStorm = false;
    })(),
  ]);
  const stormMs = performance.now() - started;

  await writer.end();
  chaos.end();
  await editor.end();
  await equal('a table that equals the cluster', consent);

  // From here on nothing is compared any more: no check, no restart, no edit repairs what a failed write lost.
  chaos.interrupt();
  const struckBefore = new Map(struckBy);
  const harmless = calm.harmless.map(([name]) => name);
  const soFar = faults();
  isStorm = true;
  await Promise.all([
    ...storms(new Deck(harmless, new Random(seed + 30))),
    (async () => {
      while (faults() < soFar + wantedFaults * 0.2 || harmless.some((name) => struckBy.get(name) === struckBefore.get(name))) {
        await writer.writeOne();
        await pause(40);
      }
      isStorm = false;
    })(),
  ]);
  chaos.end();
  await equal('a table that equals the cluster after failed writes');
  for (const isConfirmed of [true, false]) {
    // Once from rest, when status says what each table holds and nothing is under way.
    if (!isConfirmed) {
      await eventually(async () => {
        const { status } = await admin.get<{ status?: { sinkExports?: SinkExport[] } }>(`${api}/kollectinventories/inventory`);
        return status?.sinkExports?.every(({ dirty }) => dirty === false);
      }, { timeoutMs: 2 * minutes, what: 'a status at rest' });
    }
    t.ok(await revert(isConfirmed, minutes), 'the value came to the table');
    await equal('a table that does not hold a value that was reverted while nobody looked');
  }
  await writer.sentinel('sentinel');
  await equal('a table that follows a last change');
  const calmMs = performance.now() - started - stormMs;
  for (const path of ['kollecttargets/all', 'kollecttargets/labelled', 'kollecttargets/gateways', 'kollectinventories/inventory', 'kollectinventories/second']) {
    await eventually(async () => {
      const { status } = await admin.get<{ status?: { conditions?: Condition[]; sinkExports?: { rejectedRows?: number }[] } }>(`${api}/${path}`);
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True' || status?.sinkExports?.some(({ rejectedRows }) => rejectedRows !== 0)) throw new Error(JSON.stringify(status));
      return true;
    }, { timeoutMs: 2 * minutes, what: `${path} to be ready` });
  }
  t.strictSame(await calm.sql('SELECT * FROM removals'), [], 'no untouched row left the table of which nothing was taken');
  const internal = controllers.flatMap(({ log }) => log).filter(({ code, msg }) => code === 'KOL_INTERNAL' || String(msg).startsWith('a promise was rejected'));
  t.strictSame(internal, [], 'no controller met a fault of its own');
  t.ok(faults() >= wantedFaults);
  const counted = [...chaos.struckBy, ...struckBy].map(([name, count]) => `${count} ${name}`);
  const edits = [...writer.done, ...editor.done].map(([name, count]) => `${count} ${name}`);
  t.comment(`seed ${seed}: ${faults()} faults of ${kinds.size} kinds in ${Math.round(stormMs / 1_000)} s, equal ${Math.round(calmMs / 1_000)} s later`);
  t.comment(`faults: ${counted.join(', ')}`);
  t.comment(`changes: ${edits.join(', ')}`);
});
