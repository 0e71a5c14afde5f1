import { setTimeout as pause } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { ChunkedWrite, chunkLimit } from '../../controller/sinks/postgres/chunked-write.ts';
import { RowIndex } from '../../controller/sinks/runtime/row-index.ts';
import type { Session } from '../../controller/sinks/postgres/session.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { postgresPlace, table, type PostgresPlace } from './postgres-place.ts';

const ends: (() => Promise<void> | void)[] = [];
const server = await startPostgres();
t.teardown(async () => {
  for (const end of ends) await end();
  await server.stop();
});

const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end));
const columns = `inventory_namespace text NOT NULL, inventory_name text NOT NULL, target_name text NOT NULL, source_uid text NOT NULL,
  cluster text NOT NULL DEFAULT '', resource_namespace text NOT NULL DEFAULT '', payload jsonb NOT NULL, exported_at timestamptz NOT NULL`;
const key = 'inventory_namespace, inventory_name, target_name, source_uid';
const v = (stored: { payload: string } | undefined): unknown => (JSON.parse(stored?.payload ?? '{}') as { attributes?: { v: unknown } }).attributes?.v;

t.test('a removal waits for a commit that is still on its way, and leaves nothing behind', async (t) => {
  for (const write of [change, whole]) {
    const place = await newPlace();
    const { sink } = await place.opened();
    await sink.write(whole(rows(3)), signal);
    place.proxy.breakCommit('delay');
    const abort = new AbortController();
    const writing = failure(sink.write(write(rows(5, { v: 2 })), abort.signal));
    await eventually(() => place.proxy.holds);
    abort.abort();
    await writing;
    let removed = false;
    const removal = sink.remove(identity(), true, signal).then(() => (removed = true));
    await eventually(async () => (await place.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).length === 1, { what: 'a removal that waits' });
    t.notOk(removed);
    place.proxy.deliver();
    await removal;
    t.strictSame(await place.contents(), []);
    await sink.close();
  }
});

t.test('an interrupted full pass does not send again what was confirmed', async (t) => {
  const place = await newPlace();
  const { sink } = await place.opened();
  t.teardown(() => sink.close());
  const all = rows(35_000, { v: 1 });
  await sink.write(whole([row('stale', { v: 1 }), all[34_999]!]), signal);
  place.proxy.breakCommit('drop', 2);
  t.match(await failure(sink.write(whole(all), signal)), { class: 'transient' });
  t.equal((await place.contents()).length, 20_002, 'two chunks are in, and nothing was deleted before the last');
  const resumed = await sink.write(whole(all), signal);
  t.match(resumed, { confirmed: 35_000, written: 14_999, deleted: 1 });
  const perRow = Buffer.byteLength(all[0]!.payload);
  t.equal(Math.round(resumed.bytes / perRow), 15_000);
  t.equal((await place.contents()).length, 35_000);

  // Rows that changed meanwhile are other rows, and other inventories have nothing to do with it.
  place.proxy.breakCommit('cut', 1);
  const changed = all.map(({ uid }) => row(uid, { v: 2 }));
  await failure(sink.write(whole(changed), signal));
  t.match(await sink.write(whole(changed.slice(0, 5_000), { identity: identity('other') }), signal), { written: 5_000 });
  const again = changed.map((entry, index) => (index < 100 ? row(entry.uid, { v: 3 }) : entry));
  await sink.write(whole(again), signal);
  const stored = (await place.contents()).filter(({ inventory }) => inventory === 'team-a/shop');
  t.strictSame([v(stored[0]), v(stored[99]), v(stored[100]), v(stored.at(-1)), stored.length], [3, 3, 2, 2, 35_000]);
});

for (const [title, pass] of Object.entries({
  'too long ago': (t: Test) => {
    const now = performance.now.bind(performance);
    t.capture(performance, 'now', () => now() + 600_001);
  },
  'and nobody came for long': (_: Test, ends: (() => void)[]) => ends.forEach((end) => end()),
}))
  t.test(`a full pass that was interrupted ${title} begins anew`, async (t) => {
    const place = await newPlace();
    const { sink } = await place.opened();
    t.teardown(() => sink.close());
    const all = rows(12_000, { v: 1 });
    await sink.write(whole([]), signal);
    place.proxy.breakCommit('drop', 1);
    const ends: (() => void)[] = [];
    const { setTimeout: begin } = globalThis;
    const begun = t.capture(globalThis, 'setTimeout', ((work: () => void, ms?: number) => {
      if (ms === 600_000) ends.push(work);
      return begin(work, ms);
    }) as typeof setTimeout);
    t.match(await failure(sink.write(whole(all), signal)), { class: 'transient' });
    begun.restore();
    t.equal(ends.length, 1);
    pass(t, ends);
    const { bytes } = await sink.write(whole(all), signal);
    t.equal(Math.round(bytes / Buffer.byteLength(all[0]!.payload)), 12_000);
  });

t.test('others have their turn while what was confirmed is left out', async (t) => {
  const all = rows(20_000);
  const session = { broken: false, query: async () => ({ rows: [{ count: all.length }], rowCount: 1 }), transaction: async (work: () => Promise<unknown>) => await work() } as unknown as Session;
  const layout = { incarnation: '', key: [], hashed: true, staging: true, state: false };
  const target = { table: { schema: 'public', table, sql: table, title: table }, layout, identity: identity(), fence: () => undefined, epoch: undefined, installation: undefined };
  const work = new ChunkedWrite(session, target, whole(all), { ...chunkLimit }, await RowIndex.of(all));
  let turns = 0;
  let counting = setImmediate(function count() {
    turns++;
    counting = setImmediate(count);
  });
  t.match(await work.run(), { confirmed: all.length, written: 0, bytes: 0 });
  clearImmediate(counting);
  t.equal(work.confirmed.length, all.length);
  t.ok(turns >= 20, 'one for each slice');
});

t.test('an interrupted full pass begins anew in a table that is not the one it had begun in', async (t) => {
  const all = rows(25_000, { v: 1 });
  const after = { rows: all.length, digest: 'd' };
  const created = `CREATE TABLE ${table} (${columns}, PRIMARY KEY (${key}, cluster))`;
  for (const loss of [`DROP TABLE ${table}`, `TRUNCATE ${table}`, `DROP TABLE ${table}; ${created}`]) {
    const place = await newPlace();
    const { sink } = await place.opened({}, { installation: 'ours' });
    await sink.write(whole([]), signal);
    // The first transaction asks whose the rows are.
    place.proxy.breakCommit('drop', 3);
    t.match(await failure(sink.write(whole(all, { after }), signal)), { class: 'transient' });
    t.equal((await place.contents()).length, 20_000);
    await place.sql(`${loss}; GRANT ALL ON ALL TABLES IN SCHEMA public TO user_${place.database}`);
    await sink.write(whole(all, { after }), signal).catch(() => sink.write(whole(all, { after }), signal));
    t.equal((await place.contents()).length, 25_000, loss);
    t.match(await sink.check(identity(), signal), { rows: 25_000 });
    await sink.close();
  }
});

t.test('deltas and deletions adapt to the statement timeout, and grow again', async (t) => {
  const place = await newPlace();
  const { sink } = await place.opened();
  await sink.write(whole(rows(1_600, { v: 1 })), signal);
  // Time is measured in rows: statements that touch more than the ceiling are cancelled.
  await place.sql(`CREATE TABLE ceiling (rows int); INSERT INTO ceiling VALUES (300); CREATE TABLE statements (rows int);
    CREATE FUNCTION limited() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE touched int := (SELECT count(*) FROM affected); BEGIN
      IF touched > (SELECT rows FROM ceiling) THEN RAISE query_canceled; END IF; INSERT INTO statements VALUES (touched); RETURN NULL; END $$;
    CREATE TRIGGER updated AFTER UPDATE ON ${table} REFERENCING NEW TABLE AS affected FOR EACH STATEMENT EXECUTE FUNCTION limited();
    CREATE TRIGGER deleted AFTER DELETE ON ${table} REFERENCING OLD TABLE AS affected FOR EACH STATEMENT EXECUTE FUNCTION limited()`);
  const largest = async () => (await place.sql<{ max: number }>('SELECT max(rows) FROM statements'))[0]?.max;
  t.match(await sink.write(change(rows(1_600, { v: 2 })), signal), { written: 1_600 });
  t.equal(await largest(), 200);
  await place.sql('UPDATE ceiling SET rows = 1000000; ALTER TABLE inventory_items DISABLE TRIGGER deleted');
  await sink.write(whole(rows(8_000, { v: 2 })), signal);
  await sink.write(whole(rows(8_000, { v: 3 })), signal);
  t.ok(Number(await largest()) >= 800, 'what was slow once is not for ever');
  await sink.close();
  await place.sql('UPDATE ceiling SET rows = 300; ALTER TABLE inventory_items ENABLE TRIGGER deleted; DELETE FROM statements');
  const { sink: other } = await place.opened();
  t.teardown(() => other.close());
  t.strictSame(await other.remove(identity(), true, signal), { deleted: 8_000 });
  t.ok(Number(await largest()) <= 300);
  t.strictSame(await place.contents(), []);
});

t.test('an inventory that cannot be counted in time is compared and removed all the same', async (t) => {
  const place = await newPlace();
  // As the planner would choose of its own accord for far more rows.
  for (const plan of ['seqscan', 'bitmapscan', 'sort']) await place.sql(`ALTER ROLE user_${place.database} SET enable_${plan} = off`);
  const { sink } = await place.opened({}, { installation: 'ours' });
  t.teardown(() => sink.close());
  await sink.write(whole(rows(8_000)), signal);
  // Time is measured in rows: statements that visit more of them are cancelled.
  await place.sql(`CREATE FUNCTION limited() RETURNS boolean LANGUAGE plpgsql AS $$ DECLARE visited int := 1; BEGIN
      IF current_setting('visited.at', true) = statement_timestamp()::text THEN visited := current_setting('visited.rows')::int + 1; END IF;
      IF visited > 6000 THEN RAISE query_canceled; END IF;
      PERFORM set_config('visited.at', statement_timestamp()::text, true), set_config('visited.rows', visited::text, true); RETURN true; END $$;
    ALTER TABLE ${table} ENABLE ROW LEVEL SECURITY; ALTER TABLE ${table} FORCE ROW LEVEL SECURITY; CREATE POLICY limited ON ${table} USING (limited()); ANALYZE ${table}`);
  t.match(await sink.check(identity(), signal, true), { rows: undefined, owned: true });
  t.match(await sink.write(whole(rows(7_999)), signal), { written: 0, deleted: 1 });
  const portion = () => place.sql(`INSERT INTO ${table} (inventory_namespace, inventory_name, target_name, source_uid, payload, exported_at) VALUES ('team-a', 'shop.part-0001-of-0001', 'web', 'gone', '{}', now())`);
  await place.sql('DELETE FROM kollect_state');
  await portion();
  t.match(await sink.write(whole(rows(7_999), { staleLimit: { rows: 0, exempt: [] } }), signal), { held: 1 });
  t.match(await sink.write(whole(rows(7_999)), signal), { deleted: 1 });
  await portion();
  t.strictSame(await sink.remove(identity(), false, signal), { deleted: 8_000 });
});

t.test('waiting for another session is not taken for a chunk that is too large', async (t) => {
  const place = await newPlace();
  const { sink } = await place.opened();
  t.teardown(() => sink.close());
  await sink.write(whole(rows(1)), signal);
  const held = await place.holdNextWrite();
  const abort = new AbortController();
  const first = failure(sink.write(change(rows(1, { v: 2 })), abort.signal));
  await held.waiting();
  const { sink: second } = await place.opened({ options: { statement_timeout: '300' } });
  t.teardown(() => second.close());
  for (const write of [change, whole]) t.match(await failure(second.write(write(rows(1_000)), signal)), { code: 'KOL_SINK_BUSY', message: /^another session writes the same rows/ });
  abort.abort();
  await first;
  await held.release();
});

t.test('existing issues no DDL of any kind, and needs no right to make temporary tables', async (t) => {
  const place = await newPlace();
  const user = `user_${place.database}`;
  await place.sql(`CREATE TABLE ${table} (${columns}, PRIMARY KEY (${key}, cluster)); GRANT SELECT, INSERT, UPDATE, DELETE ON ${table} TO ${user};
    ALTER DATABASE ${place.database} OWNER TO postgres; REVOKE TEMPORARY ON DATABASE ${place.database} FROM public; REVOKE CREATE ON SCHEMA public FROM public;
    CREATE FUNCTION no_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'DDL: %', tg_tag USING ERRCODE = 'insufficient_privilege'; END $$; CREATE EVENT TRIGGER no_ddl ON ddl_command_start EXECUTE FUNCTION no_ddl()`);
  const { sink } = await place.opened({ provisioning: { mode: 'existing' } }, { installation: 'ours' });
  t.teardown(() => sink.close());
  t.match(await sink.probe(signal), { message: /has the columns, the key and the privileges/ });
  t.match(await sink.write(whole(rows(12_000, { v: 1 })), signal), { written: 12_000 });
  t.match(await sink.write(change(rows(3, { v: 2 }), { deletes: ['u000100'] }), signal), { written: 3, deleted: 1 });
  t.match(await sink.write(whole(rows(10, { v: 2 })), signal), { written: 7, deleted: 11_989 });
  t.match(await sink.check(identity(), signal), { rows: 10, digest: undefined });
  t.match(await sink.remove(identity(), true, signal), { deleted: 10 });

  const ensured = (await place.opened({}, { installation: 'ours' })).sink;
  t.teardown(() => ensured.close());
  t.match(await ensured.write(whole(rows(12_000, { v: 1 })), signal), { written: 12_000 }, 'ensure makes do with what there is, too');
});

t.test('tables as people make them', async (t) => {
  const cases: [string, { schema?: string; table: string }, (place: PostgresPlace) => string][] = [
    ['another schema, names in mixed case', { schema: 'Fleet "A"', table: 'Inventory Items' }, () => `CREATE SCHEMA "Fleet ""A"""; CREATE TABLE "Fleet ""A"""."Inventory Items" (${columns}, PRIMARY KEY (${key}, cluster))`],
    ['more columns than ours', { table }, () => `CREATE TABLE ${table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, ${columns}, kind text GENERATED ALWAYS AS (payload->>'kind') STORED, note text, seen timestamptz NOT NULL DEFAULT now(), UNIQUE (${key}))`],
    ['the columns in another order and of other text types', { table }, () => `CREATE TABLE ${table} (payload jsonb, exported_at timestamp, cluster varchar(80) NOT NULL, source_uid varchar NOT NULL, target_name varchar(300), resource_namespace text, inventory_name text, inventory_namespace text, UNIQUE (source_uid, target_name, inventory_name, inventory_namespace, cluster))`],
    ['partitioned by cluster', { table }, () => `CREATE TABLE ${table} (${columns}, PRIMARY KEY (${key}, cluster)) PARTITION BY LIST (cluster); CREATE TABLE east PARTITION OF ${table} FOR VALUES IN ('east'); CREATE TABLE rest PARTITION OF ${table} DEFAULT`],
    ['partitioned by hash, with the four-field key', { table }, () => `CREATE TABLE ${table} (${columns}, PRIMARY KEY (${key})) PARTITION BY HASH (source_uid); CREATE TABLE h0 PARTITION OF ${table} FOR VALUES WITH (MODULUS 2, REMAINDER 0); CREATE TABLE h1 PARTITION OF ${table} FOR VALUES WITH (MODULUS 2, REMAINDER 1)`],
  ];
  for (const [what, { schema = 'public', table: name }, ddl] of cases) {
    for (const mode of ['ensure', 'existing']) {
      const place = await newPlace();
      await place.sql(ddl(place));
      const full = `"${schema.replaceAll('"', '""')}"."${name}"`;
      await place.sql(`GRANT USAGE ON SCHEMA "${schema.replaceAll('"', '""')}" TO user_${place.database}; GRANT SELECT, INSERT, UPDATE, DELETE ON ${full} TO user_${place.database}`);
      const { sink } = await place.opened({ postgres: { databaseRef: { name: 'dsn' }, table: name, schema }, provisioning: { mode } }, { installation: 'ours' });
      const count = async () => (await place.sql<{ cluster: string }>(`SELECT cluster FROM ${full}`)).length;
      const east = identity('shop', 'east');
      t.match(await sink.probe(signal), { message: /login succeeded, table .* has the columns/ }, `${what}, ${mode}`);
      t.match(await sink.write(whole(rows(40, { v: 1 }), { identity: east }), signal), { written: 40 });
      t.match(await sink.write(whole(rows(40, { v: 1 }), { identity: east }), signal), { written: 0, deleted: 0 });
      t.match(await sink.write(change(rows(3, { v: 2 }), { identity: east, deletes: ['u000030', 'u000031'] }), signal), { written: 3, deleted: 2 });
      t.match(await sink.write(whole(rows(30, { v: 1 }), { identity: { ...identity('stock', 'west') } }), signal), { written: 30 });
      t.match(await sink.write(whole(rows(30, { v: 1 }), { identity: east }), signal), { written: 3, deleted: 8 });
      t.equal(await count(), 60);
      t.match(await sink.check(east, signal), { rows: 30 });
      t.strictSame(await sink.remove(east, true, signal), { deleted: 30 });
      t.equal(await count(), 30);
      await sink.close();
    }
  }
});

t.test('the table of states is made beside ours, and done without where that is not allowed', async (t) => {
  const place = await newPlace();
  const user = `user_${place.database}`;
  const after = { rows: 2, digest: 'd' };
  const { sink } = await place.opened({}, { installation: 'ours' });
  t.teardown(() => sink.close());
  await sink.write(whole(rows(2), { after }), signal);
  t.strictSame(await place.sql('SELECT table_name, inventory_namespace, inventory_name, cluster, installation, row_count, digest FROM kollect_state'), [
    { table_name: table, inventory_namespace: 'team-a', inventory_name: 'shop', cluster: '', installation: 'ours', row_count: '2', digest: 'd' },
  ]);
  t.match(await failure((await place.opened({}, { installation: 'theirs' })).sink.write(change(rows(1)), signal)), { message: /holds rows of inventory team-a\/shop of a cluster without a name that another installation wrote: give each cluster a name of its own in spec\.cluster/ });
  await place.sql('DROP TABLE kollect_state');
  t.match(await failure(sink.write(change(rows(1, { v: 2 })), signal)), { class: 'transient' });
  t.match(await sink.write(whole(rows(2), { after }), signal), { confirmed: 2 });
  t.match(await sink.check(identity(), signal), { rows: 2, digest: 'd' }, 'dropped, it is made again');
  t.notMatch(await sink.probe(signal), { message: /kollect_state/ });

  for (const obstacle of [`REVOKE ALL ON kollect_state FROM ${user}; ALTER TABLE kollect_state OWNER TO postgres`, 'DROP TABLE kollect_state; CREATE VIEW kollect_state AS SELECT 1 AS something']) {
    await place.sql(obstacle);
    const { sink: without } = await place.opened({}, { installation: 'ours' });
    t.match(await without.write(whole(rows(2, { v: obstacle.length }), { after }), signal), { written: 2 });
    t.match(await without.check(identity(), signal), { rows: 2, digest: undefined });
    t.match(await without.probe(signal), { message: /; kollect_state beside it cannot be created or written/ });
    await without.close();
  }
});

t.test('two large passes of one inventory end in one of the two, and do not fail', async (t) => {
  const place = await newPlace();
  const sinks = await Promise.all([place.opened(), place.opened()]);
  await sinks[0].sink.write(whole([]), signal);
  await Promise.all(sinks.map(async ({ sink }, index) => {
    await pause(index * 20);
    await sink.write(whole(rows(12_000, { v: index })), signal);
  }));
  t.equal((await place.contents()).length, 12_000);
  for (const { sink } of sinks) await sink.close();
});

t.test('what an earlier leader has under way is ended by a later one, and what it begins is refused', async (t) => {
  for (const write of [change, whole]) {
    const place = await newPlace();
    const met: number[] = [];
    const asLeader = async (epoch: number | undefined) => {
      const { sink } = await place.opened({}, { installation: 'ours', epoch: epoch === undefined ? undefined : { current: () => epoch, outrank: (higher) => met.push(higher) } });
      t.teardown(() => sink.close());
      return sink;
    };
    const values = async () => (await place.contents()).map(v);
    const [former, later] = [await asLeader(1), await asLeader(2)];
    await former.write(whole(rows(2)), signal);
    place.proxy.breakCommit('delay');
    const late = failure(former.write(write(rows(2, { v: 'late' })), signal));
    await eventually(() => place.proxy.holds, { what: 'a commit on its way' });
    t.match(await later.write(whole(rows(2, { v: 'new' })), signal), { written: 2 }, 'it waits for nobody');
    place.proxy.deliver();
    t.match(await late, { class: 'transient' });
    t.strictSame(await values(), ['new', 'new']);
    t.match(await failure(former.write(write(rows(2, { v: 'late' })), signal)), { code: 'KOL_LEADER_LOST', message: /written by leader 2 since, and this process was leader 1/ });
    t.strictSame(await values(), ['new', 'new']);
    t.strictSame(met, [2], 'a leader whose Lease began anew is told what to exceed');
    t.match(await (await asLeader(undefined)).write(whole(rows(2, { v: 'alone' })), signal), { written: 2 }, 'without an election there is one process');
    t.match(await failure(former.write(whole(rows(2)), signal)), { code: 'KOL_LEADER_LOST' }, 'which does not make the former leaders good again');
  }
});

t.test('an earlier leader that froze while it sent rows is not waited for', async (t) => {
  const place = await newPlace();
  const epoch = (current: number) => ({ current: () => current, outrank: () => undefined });
  const former = (await place.opened({}, { installation: 'ours', epoch: epoch(1) })).sink;
  const later = (await place.opened({}, { installation: 'ours', epoch: epoch(2), dsn: place.dsn.replace(`:${place.proxy.port}/`, `:${server.port}/`) })).sink;
  await later.check(identity(), signal).catch(() => undefined);
  await former.write(whole(rows(1)), signal);
  const sent = place.proxy.sent;
  const abort = new AbortController();
  const late = failure(former.write(whole(rows(10_000, { v: 'late'.repeat(200) })), abort.signal));
  await eventually(() => place.proxy.sent > sent + 500_000, { what: 'some rows on their way', intervalMs: 1 });
  place.proxy.freeze();
  const copying = async () => (await place.sql(`SELECT FROM pg_stat_activity WHERE datname = '${place.database}' AND wait_event = 'ClientRead' AND query LIKE 'COPY%'`)).length === 1;
  await eventually(copying, { what: 'a server that waits for further rows, and would for ever' });
  t.match(await later.write(whole(rows(2, { v: 'new' })), signal), { written: 2 });
  t.strictSame((await place.contents()).map(v), ['new', 'new']);
  abort.abort();
  t.match(await late, { class: 'transient' });
  await Promise.all([former.close(), later.close()]);
});

t.test('one leader does not end its own transactions', async (t) => {
  const place = await newPlace();
  const open = async () => (await place.opened({}, { installation: 'ours', epoch: { current: () => 1, outrank: () => undefined } })).sink;
  const [first, second] = [await open(), await open()];
  await first.write(whole(rows(1)), signal);
  place.proxy.breakCommit('delay');
  const abort = new AbortController();
  const writing = failure(first.write(change(rows(1, { v: 2 })), abort.signal));
  await eventually(() => place.proxy.holds, { what: 'a commit on its way' });
  abort.abort();
  await writing;
  const waiting = second.write(change(rows(1, { v: 3 })), signal);
  await eventually(async () => (await place.sql(`SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)).length === 1, { what: 'a second pass that waits' });
  place.proxy.deliver();
  t.match(await waiting, { written: 1 });
  t.equal(v((await place.contents())[0]), 3);
  await Promise.all([first.close(), second.close()]);
});
