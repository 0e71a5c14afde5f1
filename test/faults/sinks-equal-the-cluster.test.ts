import { join } from 'node:path';
import { dirname } from 'node:path/posix';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { annotations } from '../../shared/api/annotations.ts';
import type { SinkExport } from '../../shared/api/inventory-common.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { Condition } from '../../shared/api/meta.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import type { Lease } from '../../shared/kube/lease.ts';
import { installCrds } from '../kollect/installation.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { startGit } from '../servers/git/index.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { Chaos } from './chaos.ts';
import { ClusterWriter } from './cluster-writer.ts';
import { DatabasePlace, table } from './database-place.ts';
import { GitPlace } from './git-place.ts';
import { account, api, collectSecrets, createClusterTargets, differences, expectedRollup, expectedRows, inventories, prepareHome, rollupPath, untouched, untouchedObjects, written } from './home.ts';
import { InventoryEditor } from './inventory-editor.ts';
import { KeptController } from './kept-controller.ts';
import { proxiedKubeconfig } from './proxied-kubeconfig.ts';
import { Deck, Random } from './random.ts';
import { elsewhere, here, rowOf, type NamedStrike, type SinkPlace } from './sink-place.ts';
import { StreamPlace } from './stream-place.ts';
import { Turnstile } from './turnstile.ts';
import { WatchProxy } from './watch-proxy.ts';

// A longer run: KOLLECT_FAULTS=1000 tap test/faults/sinks-equal-the-cluster.test.ts; KOLLECT_SEED repeats the order of the faults of an earlier one.
const wantedFaults = Number(process.env['KOLLECT_FAULTS'] ?? 500);
const seed = Number(process.env['KOLLECT_SEED'] ?? 20_260_202);
/** Tables take part always; git and streams with `KOLLECT_FAULT_FAMILIES=database,snapshot,event`, which takes twice as long. */
const families = (process.env['KOLLECT_FAULT_FAMILIES'] ?? 'database').split(',');
const [hasBranches, hasStreams] = [families.includes('snapshot'), families.includes('event')];
const minutes = 60_000;
/** In all that nobody may see. */
const canary = 'canary-5e1f';
t.setTimeout(30 * minutes + wantedFaults * 2_000);

const [cluster, postgres, git] = await Promise.all([startCluster(), startPostgres(), startGit()]);
t.teardown(() => Promise.all([cluster.stop(), postgres.stop(), git.stop()]));
const [direct] = await Promise.all([loadConnection({ kubeconfig: cluster.kubeconfig }).then((connection) => new KubeClient(connection)), installCrds(cluster.kubectl)]);
t.teardown(() => direct.close());
const turnstile = new Turnstile();
/** Waits while the API server is away. */
const admin = turnstile.guard(direct);

t.test(`every sink equals the cluster after ${wantedFaults} faults`, async (t) => {
  await prepareHome(admin);
  await collectSecrets(admin, canary);
  await createClusterTargets(admin);
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
  const mirrors = ['first', 'second'].map((identity) => join(cluster.folder, `mirrors-${identity}`));
  const tables: DatabasePlace[] = [];
  for (const name of ['calm', 'east', 'west']) tables.push(await DatabasePlace.start(name, { postgres, admin, random: new Random(seed + 3 + tables.length), canary }));
  const branches: GitPlace[] = [];
  for (const layout of hasBranches ? (['document', 'perResource'] as const) : []) branches.push(await GitPlace.start(layout.toLowerCase(), { git, admin, random: new Random(seed + 6 + branches.length), canary, layout, mirrors }));
  const streams: StreamPlace[] = [];
  for (const mode of hasStreams ? (['aggregate', 'perItem'] as const) : []) streams.push(await StreamPlace.start(mode.toLowerCase(), { admin, random: new Random(seed + 8 + streams.length), canary, mode }));
  t.teardown(() => Promise.all(streams.map((place) => place.stop())));
  git.intercept(async (request, response) => {
    for (const branch of branches) if (await branch.intercept(request, response)) return true;
    return false;
  });
  const places: readonly SinkPlace[] = [...tables, ...branches, ...streams];
  t.teardown(() => places.forEach((place) => place.proxy.stop()));
  const [calm] = tables as [DatabasePlace, ...DatabasePlace[]];
  const editor = new InventoryEditor(admin, new Random(seed + 10), places);
  await editor.begin();
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { tokenFile });
  const pace = { watch: { idleMs: 1_500, longestBackoffMs: 800, pageSize: 8 }, answerTimeoutMs: 3_000, backfillDelayMs: 300, reviewAgeMs: 1_000 };
  const lease = { namespace: 'home', name: 'controller', times: { durationMs: 10_000, renewDeadlineMs: 7_000, retryMs: 1_000 } };
  const controllers = ['first', 'second'].map((identity, index) => new KeptController(cluster, { kubeconfig, identity, pace, lease, mirrors: mirrors[index]! }));
  for (const controller of controllers) await controller.start();
  const leader = async (): Promise<KeptController> => {
    const { spec } = await admin.get<Lease>(`/apis/coordination.k8s.io/v1/namespaces/${lease.namespace}/leases/${lease.name}`);
    return controllers.find(({ identity }) => identity === spec?.holderIdentity) ?? random.pick(controllers);
  };

  const expectedIn = (place: SinkPlace, rows: { home: string[]; rollup: string[] }): string[] =>
    editor.inventoriesOf(place).flatMap((inventory) => (inventory === 'cluster/rollup' ? rows.rollup : rows.home).map((row) => rowOf(inventory, JSON.parse(row)))).sort();
  const equal = async (what: string, meanwhile = async (): Promise<void> => undefined): Promise<void> => {
    for (const place of places) {
      await eventually(
        async () => {
          await meanwhile();
          const [expected, rows] = [expectedIn(place, { home: await expectedRows(admin), rollup: await expectedRollup(admin) }), await place.rows(editor.inventoriesOf(place))];
          if (rows.join('\n') !== expected.join('\n')) throw new Error(differences(rows, expected));
          return true;
        },
        { timeoutMs: 5 * minutes, intervalMs: 300, what: `${place.name}: ${what}` },
      ).catch(async (error: Error) => {
        throw new Error(`${error.message}\n${await explained(place)}`, { cause: error });
      });
    }
  };

  /** What is known of a place that does not hold what it should: the status of the inventories that name its sink, and what the controllers said last of its exports. */
  const explained = async (place: SinkPlace): Promise<string> => {
    const inventoriesSay = await Promise.all(
      editor.inventoriesOf(place).map(async (inventory) => {
        const { metadata, spec, status } = await admin.get<KubeObject>(inventories[inventory]);
        return JSON.stringify({ inventory, generation: metadata.generation, annotations: metadata.annotations, spec, status });
      }),
    );
    const lines = controllers.flatMap(({ identity, log }) => log.map((line) => ({ identity, ...line }) as Record<string, unknown>));
    const ofPlace = lines.filter(({ sink }) => String(sink).endsWith(`/${place.name}`)).sort((a, b) => (String(a['ts']) < String(b['ts']) ? -1 : 1));
    return [...inventoriesSay, ...ofPlace.slice(-60).map((line) => JSON.stringify(line))].join('\n');
  };

  /**
   * It takes a person to let rows go that nothing explains: those that somebody added to a table that then lost its table of states, or that left by the hundred while a
   * sink was away and leaders changed.
   */
  const consent = async (): Promise<void> => {
    for (const path of Object.values(inventories)) {
      const { status } = await admin.get<{ status?: { conditions?: Condition[]; sinkExports?: SinkExport[] } }>(path);
      // Of the whole inventory a sink that fails comes first.
      const said = [status, ...(status?.sinkExports ?? [])].flatMap((one) => one?.conditions ?? []);
      if (!said.some(({ reason }) => reason === 'DeletionHeld')) continue;
      await admin.patch(path, { type: 'merge', body: { metadata: { annotations: { [annotations.allowDeletes]: 'true' } } } });
    }
    // As it does to go on with a target in whose first list the leader ended again and again, which documents wait for.
    for (const path of [`${api}/kollecttargets`, join(dirname(rollupPath), '../kollectclustertargets')]) {
      for (const { metadata, status } of (await admin.page(path, {})).items as (KubeObject & { status?: { conditions?: Condition[] } })[]) {
        if (!status?.conditions?.some(({ reason }) => reason === 'CrashLoop')) continue;
        await admin.patch(`${path}/${metadata.name}`, { type: 'merge', body: { metadata: { annotations: { [annotations.reconcile]: `after-a-crash-${Date.now()}` } } } });
      }
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
  const killAfterCommit = (place: SinkPlace): Promise<boolean> => place.alone(async () => (await place.breakCommit('silence')) && (await restart('SIGKILL')));
  const freezeInCommit = (place: SinkPlace): Promise<boolean> =>
    place.alone(async () => {
      const came = await place.holdCommit();
      await freeze(longMs, () => place.proxy.deliver());
      return came;
    });
  const revertible = (value: string): Promise<unknown> =>
    admin.patch('/api/v1/namespaces/n0/configmaps/revertible', {
      type: 'apply',
      query: { fieldManager: 'test', force: true },
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'revertible' }, data: { value } },
    });
  const holds = async (place: SinkPlace, value: string): Promise<boolean> =>
    (await place.rows(['home/inventory'])).some((row) => row.startsWith('home/inventory ') && ['"name":"revertible"', '"targetName":"all"', `"value":"${value}"`].every((text) => row.includes(text)));
  const allHold = async (where: readonly SinkPlace[], value: string): Promise<boolean> => {
    for (const place of where) if (!(await holds(place, value))) return false;
    return true;
  };
  /** Some places have the value, and perhaps nobody knows of it, when the controller is killed; then it is what it was before. */
  const revert = async (where: readonly SinkPlace[], isConfirmed: boolean, timeoutMs: number): Promise<boolean> => {
    await revertible('before');
    await eventually(() => allHold(where, 'before'), { timeoutMs, what: 'the value before' });
    if (!isConfirmed) for (const { proxy } of where) proxy.breakCommit('silence');
    await revertible('meanwhile');
    const came = await eventually(() => allHold(where, 'meanwhile'), { timeoutMs, intervalMs: 5, what: 'the value meanwhile' }).catch(() => false);
    for (const { proxy } of where) proxy.heal();
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
    ['a leader that is killed after a COMMIT', () => killAfterCommit(calm)],
    ['a leader that is frozen while its COMMIT is on the way', () => freezeInCommit(calm)],
    ['a value that reverts while the controller is down', () => calm.alone(() => revert([calm], random.next() < 0.5, 15_000))],
    ['an API server that is killed', () =>
      turnstile.closed(async () => {
        await cluster.apiserver.restart();
        return await eventually(() => direct.page(`${api}/kollectinventories`, {}).then(() => true), { what: 'an API server that serves our kinds' });
      })],
    ['an API server that is frozen', () =>
      turnstile.closed(async () => {
        await cluster.apiserver.kill('SIGSTOP');
        await pause(500 + random.below(5_000));
        await cluster.apiserver.kill('SIGCONT');
        return true;
      })],
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

  /** Documents are not written before all lists are there, so that these come late. */
  const ofWholes: (readonly [string, () => Promise<boolean>])[] = [
    ...(hasStreams ? [
      ['a leader that is killed after a message', () => killAfterCommit(random.pick(streams))],
      ['a leader that is frozen while its message is on the way', () => freezeInCommit(random.pick(streams))],
    ] as const : []),
    ...(hasBranches ? [
      ['a leader that is killed after a push', () => killAfterCommit(random.pick(branches))],
      ['a leader that is frozen while its push is on the way', () => freezeInCommit(random.pick(branches))],
    ] as const : []),
  ];

  // The table of a place where nothing is taken away: what nobody touched must never leave it.
  await eventually(async () => (await calm.rows([])).length >= untouchedObjects, { timeoutMs: 3 * minutes, what: 'a first export' });
  await calm.sql(`CREATE TABLE removals (name text);
    CREATE FUNCTION note_removal() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.removals VALUES (OLD.payload->>'name'); RETURN OLD; END $$;
    CREATE TRIGGER note_removal BEFORE DELETE ON ${table} FOR EACH ROW WHEN (OLD.inventory_name = 'inventory' AND OLD.target_name = 'all' AND OLD.resource_namespace = '${untouched}') EXECUTE FUNCTION note_removal()`);
  await calm.sql(`INSERT INTO ${table} SELECT * FROM (SELECT (jsonb_populate_record(one, jsonb_build_object('cluster', '${elsewhere}'))).* FROM ${table} AS one) AS copy`);
  const foreignRows = (): Promise<object[]> => calm.sql(`SELECT xmin::text, * FROM ${table} WHERE cluster = '${elsewhere}' ORDER BY source_uid, target_name, inventory_name`);
  const foreign = await foreignRows();

  const started = performance.now();
  let isStorm = true;
  const repeat = async (work: () => Promise<unknown>, gapMs: number): Promise<void> => {
    while (isStorm) {
      await work();
      await pause(random.below(2 * gapMs));
    }
  };
  /** What has not struck yet, and so comes first. */
  let still = (): readonly string[] => missing();
  const draw = <T>(deck: Deck<T>, nameOf: (card: T) => string): T => {
    const wanted = new Set(still());
    let card = deck.draw();
    for (let more = wanted.size > 0 ? deck.size : 0; more > 0 && !wanted.has(nameOf(card)); more--) card = deck.draw();
    return card;
  };
  const isCalm = (place: SinkPlace): boolean => place === calm;
  const ofPlaces = new Map(places.map((place) => [place, new Map([...place.harmless, ...(isCalm(place) ? [] : place.destructive)])]));
  const storms = (chosen: (place: SinkPlace) => readonly NamedStrike[], deckSeed: number): Promise<void>[] =>
    [tables, branches, streams].flatMap((family: readonly SinkPlace[]) => {
      // The places of a family share one deck, so that each kind comes soon.
      const deck = new Deck([...new Set(family.flatMap((place) => chosen(place).map(([name]) => name)))], new Random(deckSeed));
      return family.map((place) =>
        repeat(async () => {
          const name = draw(deck, (card) => card);
          const fault = ofPlaces.get(place)!.get(name);
          if (!fault) return;
          await place.alone(() => strike([name, fault]));
          await place.recover();
        }, 100),
      );
    });
  const processes = new Deck(ofProcesses, random);
  const kinds = new Set([...Chaos.names, ...ofPlaces.values().flatMap((faults) => faults.keys()), ...[...ofProcesses, ...ofWholes].map(([name]) => name)]);
  const harmless = new Set(places.flatMap((place) => place.harmless.map(([name]) => name)));
  const later = new Set([...[...branches, ...streams].flatMap((place) => place.harmless), ...ofWholes].map(([name]) => name));
  const missing = (): string[] => [...kinds].filter((name) => !later.has(name) && !chaos.struckBy.has(name) && !struckBy.has(name));
  const isEnough = (): boolean => faults() >= wantedFaults * 0.8 && missing().length === 0 && ClusterWriter.rareThings.every((thing) => writer.done.has(thing));
  await Promise.all([
    ...storms((place) => [...place.harmless, ...place.destructive], seed + 20),
    repeat(async () => {
      await strike(draw(processes, ([name]) => name));
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
  await writer.end();
  // Lists succeed from here on.
  chaos.interrupt();
  const wholes = new Deck(ofWholes, random);
  still = () => [...later].filter((name) => !struckBy.has(name));
  isStorm = true;
  await Promise.all([
    repeat(async () => {
      if (ofWholes.length > 0) await strike(wholes.draw());
      isStorm = ofWholes.some(([name]) => !struckBy.has(name));
    }, 100),
    ...storms((place) => place.harmless, seed + 25),
    repeat(() => writer.writeOne(), 40),
  ]);
  const stormMs = performance.now() - started;
  chaos.end();
  await editor.end();
  await equal('a sink that equals the cluster', consent);

  // From here on nothing is compared any more: no check, no restart, no edit repairs what a failed write lost.
  chaos.interrupt();
  const struckBefore = new Map(struckBy);
  const soFar = faults();
  still = () => [...harmless].filter((name) => struckBy.get(name) === struckBefore.get(name));
  isStorm = true;
  await Promise.all([
    ...storms((place) => place.harmless, seed + 30),
    (async () => {
      while (faults() < soFar + wantedFaults * 0.2 || still().length > 0) {
        await writer.writeOne();
        await pause(40);
      }
      isStorm = false;
    })(),
  ]);
  chaos.end();
  await equal('a sink that equals the cluster after failed writes');
  for (const isConfirmed of [true, false]) {
    // Once from rest, when status says what each table holds and nothing is under way.
    if (!isConfirmed) {
      await eventually(async () => {
        const { status } = await admin.get<{ status?: { sinkExports?: SinkExport[] } }>(`${api}/kollectinventories/inventory`);
        return status?.sinkExports?.every(({ dirty }) => dirty === false);
      }, { timeoutMs: 2 * minutes, what: 'a status at rest' });
    }
    t.ok(await revert([calm, ...branches, ...streams], isConfirmed, minutes), 'the value came to the sinks');
    await equal('a sink that does not hold a value that was reverted while nobody looked');
  }
  await writer.sentinel('sentinel');
  await equal('a sink that follows a last change');
  const calmMs = performance.now() - started - stormMs;
  for (const path of [...['all', 'labelled', 'gateways', 'secrets'].map((name) => `${api}/kollecttargets/${name}`), ...Object.values(inventories)]) {
    await eventually(async () => {
      const { status } = await admin.get<{ status?: { conditions?: Condition[]; sinkExports?: { rejectedRows?: number }[] } }>(path);
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== 'True' || status?.sinkExports?.some(({ rejectedRows }) => rejectedRows !== 0)) throw new Error(JSON.stringify(status));
      return true;
    }, { timeoutMs: 2 * minutes, what: `${path} to be ready` });
  }
  t.strictSame(await calm.sql('SELECT * FROM removals'), [], 'no untouched row left the table of which nothing was taken');
  t.ok(foreign.length >= untouchedObjects);
  t.strictSame(await foreignRows(), foreign, 'no row of another cluster was touched');
  for (const branch of branches) {
    t.strictSame(await branch.touched(`trees/${here}/home/inventory/all/${untouched}`, 'removed'), [], 'no untouched row left a branch');
    for (const root of ['documents', 'trees']) t.strictSame(await branch.touched(`${root}/${elsewhere}`, 'any'), [], 'no file of another cluster was touched');
  }
  for (const place of streams) t.strictSame(place.odd, [], 'no message tells a secret, or of another cluster');
  const seen: Record<string, string> = {};
  for (const { identity, output } of controllers) seen[`the log of ${identity}`] = output;
  for (const branch of branches) seen[`the history of ${branch.name}`] = await branch.history();
  for (const place of tables) seen[`the tables of ${place.name}`] = JSON.stringify([await place.sql(`SELECT * FROM ${table}`), await place.sql('SELECT * FROM kollect_state')]);
  const lists = ['/api/v1/events', '/apis/events.k8s.io/v1/events', ...['targets', 'inventories', 'profiles', 'databasesinks', ...(hasBranches ? ['snapshotsinks'] : []), ...(hasStreams ? ['eventsinks'] : [])].map((plural) => `${api}/kollect${plural}`)];
  for (const path of [...lists, dirname(rollupPath)]) seen[path] = JSON.stringify((await admin.page(path, {})).items);
  for (const [where, text] of Object.entries(seen)) {
    t.ok(text.length > 2, where);
    for (const secret of [canary, Buffer.from(canary).toString('base64').slice(0, 12)]) t.notOk(text.includes(secret), `no secret in ${where}`);
  }
  const internal = controllers.flatMap(({ log }) => log).filter(({ code, msg }) => code === 'KOL_INTERNAL' || String(msg).startsWith('a promise was rejected'));
  t.strictSame(internal, [], 'no controller met a fault of its own');
  t.ok(faults() >= wantedFaults);
  const counted = [...chaos.struckBy, ...struckBy].map(([name, count]) => `${count} ${name}`);
  const edits = [...writer.done, ...editor.done].map(([name, count]) => `${count} ${name}`);
  t.comment(`seed ${seed}: ${faults()} faults of ${kinds.size} kinds in ${Math.round(stormMs / 1_000)} s, equal ${Math.round(calmMs / 1_000)} s later`);
  t.comment(`faults: ${counted.join(', ')}`);
  t.comment(`changes: ${edits.join(', ')}`);
});
