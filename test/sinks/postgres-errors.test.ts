import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { postgresError } from '../../controller/sinks/postgres/errors.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { canary, change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { open, postgresPlace, table, withSink, type PostgresPlace } from './postgres-place.ts';

const server = await startPostgres();
const ends: (() => Promise<void> | void)[] = [() => server.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end));

t.test('a full disk, a locked table and too many connections are transient, and say what they are', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place, { options: { lock_timeout: '100' } });
  await sink.write(whole(rows(3, { v: 1 })), signal);
  await place.sql(`CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full USING MESSAGE = 'could not extend file "base/1/2" at host 10.0.0.1: No space left on device'; END $$;
                   CREATE TRIGGER full_disk BEFORE UPDATE OR DELETE ON ${table} FOR EACH ROW EXECUTE FUNCTION full_disk()`);
  for (const attempt of [change(rows(1, { v: 2 })), whole(rows(3, { v: 2 })), change([], { deletes: ['u000000'] })]) {
    t.match(await failure(sink.write(attempt, signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /^the disk of the database is full: free some space or enlarge it \(SQLSTATE 53100\)$/ });
  }
  await place.sql(`DROP TRIGGER full_disk ON ${table}`);
  t.match(await sink.write(change(rows(1, { v: 2 })), signal), { written: 1 });

  const blocker = await withSink(t, place);
  await place.sql(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
                   CREATE TRIGGER slow BEFORE UPDATE ON ${table} FOR EACH ROW WHEN (NEW.payload->'attributes'->>'v' = '7') EXECUTE FUNCTION slow()`);
  const abort = new AbortController();
  const blocking = blocker.write(change(rows(1, { v: 6 }).concat(row('u000001', { v: 7 }))), abort.signal).catch(() => undefined);
  await eventually(async () => (await place.sql(`SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'`)).length > 0);
  t.match(await failure(sink.write(change(rows(1, { v: 3 })), signal)), { class: 'transient', message: /^another session writes the same rows/ });
  abort.abort();
  await blocking;

  await place.sql(`ALTER ROLE user_${place.database} CONNECTION LIMIT 0`);
  t.match(await failure((await withSink(t, place)).probe(signal)), { code: 'KOL_SINK_BUSY', class: 'transient', message: /may have no more connections: raise CONNECTION LIMIT/ }, 'of the login, and of nobody else');
  await place.sql(`ALTER ROLE user_${place.database} CONNECTION LIMIT -1; ALTER DATABASE ${place.database} CONNECTION LIMIT 0`);
  t.match(await failure((await withSink(t, place)).probe(signal)), { code: 'KOL_SINK_BUSY', message: /raise CONNECTION LIMIT/ });
});

t.test('a table that is locked for long is not taken for a server that does not answer', async (t) => {
  const place = await newPlace();
  const unlimited = (await place.opened({ options: { lock_timeout: '0' } }, { budgets: { check: 300 } })).sink;
  t.teardown(() => unlimited.close());
  const limited = await withSink(t, place, { options: { statement_timeout: '4000' } });
  await limited.write(whole(rows(3)), signal);
  const other = new pg.Client(server.dsn(place.database));
  await other.connect();
  t.teardown(() => other.end());
  await other.query(`BEGIN; LOCK TABLE ${table}`);
  t.match(await failure(unlimited.check(identity(), signal, true)), { code: 'KOL_SINK_BUSY', message: 'the sink has not answered within 0.3 s' });
  t.match(await failure(limited.check(identity(), signal, true)), { code: 'KOL_SINK_BUSY', message: /is locked by another session/ }, 'the lock is named before the time is over');
  await other.query('ROLLBACK');
  t.match(await limited.check(identity(), signal, true), { rows: 3 });
  place.proxy.freeze();
  t.match(await failure(unlimited.check(identity(), signal, true)), { code: 'KOL_SINK_UNAVAILABLE' });
});

t.test('a server that is too old is named, and nothing is asked of it', async (t) => {
  const place = await newPlace();
  place.proxy.filter = (bytes) => Buffer.from(bytes.toString('latin1').replace(/(?<=server_version\0)\d\d(?=\.)/, '11'), 'latin1');
  const sink = await withSink(t, place);
  const [{ version }] = (await place.sql<{ version: string }>('SHOW server_version').then((rows) => rows.map((row) => ({ version: Object.values(row)[0] as string })))) as [{ version: string }];
  const tooOld = { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: `the server is PostgreSQL ${version.replace(/^\d\d/, '11')}, and exports need PostgreSQL 12 or later: upgrade it, or export to another one` };
  t.match(await failure(sink.probe(signal)), tooOld);
  t.match(await failure(sink.write(whole(rows(1)), signal)), tooOld);
  t.notOk(await place.touched());
});

t.test('a standby passes no test and takes no rows until it is promoted', async (t) => {
  const own = await startPostgres();
  t.teardown(() => own.stop());
  const place = await postgresPlace(own, (end) => t.teardown(end));
  const sink = await withSink(t, place);
  await sink.write(whole(rows(3)), signal);
  await own.kill('SIGINT');
  writeFileSync(join(own.folder, 'data', 'standby.signal'), '');
  await own.restart();
  const readOnly = { code: 'KOL_SINK_BUSY', class: 'transient', message: /^the database is read-only: it is a standby/ };
  t.match(await eventually(() => sink.check(identity(), signal).catch(() => undefined)), { rows: 3 }, 'it can be read');
  t.match(await failure(sink.probe(signal)), readOnly);
  const fresh = await withSink(t, place);
  for (const attempt of [() => sink.write(change(rows(1, { v: 2 })), signal), () => fresh.write(whole(rows(40)), signal), () => sink.remove(identity(), true, signal)]) t.match(await failure(attempt()), readOnly);
  await own.query('SELECT pg_promote()');
  t.match(await sink.probe(signal), { message: /login succeeded/ });
  t.match(await sink.write(change(rows(1, { v: 2 })), signal), { written: 1 });
});

t.test('a session that may not write is not used again', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole(rows(1)), signal);
  const attempts = [() => sink.write(change(rows(1, { v: 'refused' })), signal), () => sink.probe(signal)];
  for (const [round, attempt] of attempts.entries()) {
    await place.sql(`ALTER ROLE user_${place.database} SET default_transaction_read_only = on; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'user_${place.database}'`);
    const refusal = (): Promise<string> => attempt().then(() => 'none', (error: Error) => error.message);
    await eventually(async () => (await refusal()).includes('read-only'), { what: 'a new session, which may not write' });
    await place.sql(`ALTER ROLE user_${place.database} RESET default_transaction_read_only`);
    t.match(await sink.write(change(rows(1, { v: round })), signal), { written: 1 });
  }
});

t.test('a deadlock with somebody else is transient, and undone as a whole', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole(rows(2, { v: 1 })), signal);
  const other = new pg.Client({ connectionString: server.dsn(place.database) });
  await other.connect();
  t.teardown(() => other.end());
  // The one who finds the deadlock is the one who gives way.
  await other.query(`SET deadlock_timeout = '1h'; BEGIN; UPDATE ${table} SET exported_at = now() WHERE source_uid = 'u000001'`);
  const writing = failure(sink.write(change(rows(2, { v: 2 })), signal));
  await eventually(async () => (await place.sql(`SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)).length === 1, { what: 'a write that waits' });
  const crossing = other.query(`UPDATE ${table} SET exported_at = now() WHERE source_uid = 'u000000'`);
  t.match(await writing, { code: 'KOL_SINK_BUSY', class: 'transient', message: /another session wrote the same rows at the same time \(SQLSTATE 40P01\)/ });
  await crossing;
  await other.query('COMMIT');
  t.strictSame((await place.contents()).map(({ payload }) => JSON.parse(payload).attributes.v), [1, 1]);
  t.match(await sink.write(change(rows(2, { v: 2 })), signal), { written: 2 });
});

t.test('a transaction that the server ended for idling is transient, and undone as a whole', async (t) => {
  const place = await newPlace();
  let idleMs = 0;
  const fence = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, idleMs);
  const { sink } = await place.opened({ options: { idle_in_transaction_session_timeout: '200' } }, { fence });
  t.teardown(() => sink.close());
  await sink.write(whole(rows(2, { v: 1 })), signal);
  for (const write of [change, whole]) {
    idleMs = 1_000;
    t.match(await failure(sink.write(write(rows(2, { v: 2 })), signal)), { class: 'transient' });
    t.strictSame((await place.contents()).map(({ payload }) => JSON.parse(payload).attributes.v), [1, 1]);
    idleMs = 0;
    t.match(await sink.write(write(rows(2, { v: 2 })), signal), { written: 2 });
    await sink.write(whole(rows(2, { v: 1 })), signal);
  }
});

t.test('what the server says is told apart by its code, and not repeated', (t) => {
  const name = { schema: 's', table: 'x', sql: '"s"."x"', title: 'table "s"."x"' };
  const cases: [string, string, string, RegExp][] = [
    ['28000', 'KOL_SINK_AUTH', 'terminal', /pg_hba\.conf/],
    ['25006', 'KOL_SINK_BUSY', 'transient', /read-only/],
    ['53300', 'KOL_SINK_UNAVAILABLE', 'transient', /raise max_connections/],
    ['53200', 'KOL_SINK_UNAVAILABLE', 'transient', /out of memory/],
    ['57P03', 'KOL_SINK_UNAVAILABLE', 'transient', /starting or stopping/],
    ['57P01', 'KOL_SINK_UNAVAILABLE', 'transient', /ended the session/],
    ['08006', 'KOL_SINK_UNAVAILABLE', 'transient', /connection to the database failed/],
    ['40P01', 'KOL_SINK_BUSY', 'transient', /another session wrote the same rows/],
    ['57014', 'KOL_SINK_BUSY', 'transient', /raise spec\.options\.statement_timeout/],
    ['55P03', 'KOL_SINK_BUSY', 'transient', /is locked by another session/],
    ['25P03', 'KOL_SINK_BUSY', 'transient', /ended the session/],
    ['3F000', 'KOL_SINK_SCHEMA', 'terminal', /schema "s" does not exist/],
    ['42P01', 'KOL_SINK_SCHEMA', 'terminal', /table "s"\."x" does not exist/],
    ['XX000', 'KOL_SINK_BUSY', 'transient', /answered with SQLSTATE XX000/],
  ];
  for (const [code, expected, errorClass, message] of cases) {
    const error = Object.assign(new pg.DatabaseError(`no pg_hba.conf entry for host "h", user "${canary}"`, 0, 'error'), { code });
    t.match(postgresError(error, name), { code: expected, class: errorClass, message }, code);
    t.notMatch(postgresError(error, name).message, canary);
  }
  const pooled = { 'password authentication failed': /correct user and password .*28P01/, 'no such user': /28P01/, 'no such database: x': /does not exist.*3D000/, 'remaining connection slots are reserved': /no connection left/, 'something else': /connection to the database failed \(SQLSTATE 08P01\)/ };
  for (const [text, message] of Object.entries(pooled)) t.match(postgresError(Object.assign(new pg.DatabaseError(text, 0, 'error'), { code: '08P01' }), name).message, message, `a pooler: ${text}`);
  t.match(postgresError(new TypeError('x is not a function'), name), { code: 'KOL_INTERNAL' }, 'a fault of ours is not called one of the connection');
  t.end();
});

t.test('a killed server is transient, and the sink goes on when it is back', async (t) => {
  const own = await startPostgres();
  t.teardown(() => own.stop());
  const place = await postgresPlace(own, (end) => t.teardown(end));
  const sink = await withSink(t, place);
  await sink.write(whole(rows(3, { v: 1 })), signal);
  await own.kill();
  for (const attempt of [() => sink.write(change(rows(1, { v: 2 })), signal), () => sink.check(identity(), signal), () => sink.probe(signal)]) {
    t.match(await failure(attempt()), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient' });
  }
  const direct = await open({ dsn: own.dsn(place.database) });
  t.teardown(() => direct.sink.close());
  t.match(await failure(direct.sink.probe(signal)), { message: 'the database cannot be reached, nothing listens there (ECONNREFUSED): correct host and port, or start the server' });
  await own.restart();
  t.match(await sink.write(change(rows(1, { v: 2 })), signal), { written: 1 });
  await own.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'user_${place.database}'`);
  await eventually(async () => (await sink.write(change(rows(1, { v: 3 })), signal).catch(() => undefined))?.written === 1);
  t.match(await sink.check(identity(), signal), { rows: 3 });
});

t.test('a frozen server does not hold a cancelled write, nor a close', async (t) => {
  const place = await newPlace();
  const { sink } = await place.opened();
  await sink.write(whole(rows(3)), signal);
  place.proxy.freeze();
  const abort = new AbortController();
  const running = failure(sink.write(change(rows(3, { v: 2 })), abort.signal));
  setTimeout(() => abort.abort(), 200);
  t.match(await running, { message: 'the work was cancelled' });
  const waiting = failure(sink.write(change(rows(3, { v: 2 })), signal));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await sink.close();
  t.match(await waiting, { class: 'transient' });
});
