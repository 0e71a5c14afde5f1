import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import type { Sink } from '../../controller/sinks/contract.ts';
import { postgresError } from '../../controller/sinks/postgres/errors.ts';
import { parseDsn } from '../../controller/sinks/postgres/dsn.ts';
import { CountedResources } from '../../controller/sinks/runtime/shared-resources.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { canary, change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { open, postgresPlace, table, type PostgresPlace } from './postgres-place.ts';

const certificates = mkdtempSync(join(tmpdir(), 'kollect-test-tls-'));
const authority = createAuthority('test authority', 1);
const issued = issueCertificate(authority, { hosts: ['database.example'], days: 1 });
const access = 'hostssl all certified 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n';
const files = { 'tls.crt': issued.certificate, 'tls.key': issued.key, 'ca.crt': authority.certificate, 'hba.conf': access };
for (const [name, text] of Object.entries(files)) writeFileSync(join(certificates, name), text, { mode: 0o600 });
if (process.getuid?.() === 0) for (const path of ['.', ...Object.keys(files)]) chownSync(join(certificates, path), 65_534, 65_534);

const ends: (() => Promise<void> | void)[] = [];
const [server, encrypted] = await Promise.all([
  startPostgres(),
  startPostgres({
    settings: {
      ssl: 'on',
      ssl_cert_file: join(certificates, 'tls.crt'),
      ssl_key_file: join(certificates, 'tls.key'),
      ssl_ca_file: join(certificates, 'ca.crt'),
      hba_file: join(certificates, 'hba.conf'),
    },
  }),
]);
t.teardown(async () => {
  for (const end of ends) await end();
  await Promise.all([server.stop(), encrypted.stop()]);
  rmSync(certificates, { recursive: true });
});

const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end));
const count = async (place: PostgresPlace): Promise<number> => (await place.contents()).length;

const columns = `inventory_namespace text NOT NULL, inventory_name text NOT NULL, target_name text NOT NULL, source_uid text NOT NULL,
  cluster text NOT NULL DEFAULT '', resource_namespace text NOT NULL DEFAULT '', payload jsonb NOT NULL, exported_at timestamptz NOT NULL`;
const fourFields = 'inventory_namespace, inventory_name, target_name, source_uid';
const existing = { provisioning: { mode: 'existing' } };

async function withSink(t: { teardown(end: () => Promise<void>): void }, place: PostgresPlace, spec?: Parameters<PostgresPlace['opened']>[0]): Promise<Sink> {
  const { sink } = await place.opened(spec);
  t.teardown(() => sink.close());
  return sink;
}

t.test('ensure creates the table with the documented columns and key', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  t.match(await sink.probe(signal), { message: /login succeeded, the first export will create table "public"\."inventory_items"/ });
  await sink.write(whole([row('a')]), signal);
  const found = await place.sql(
    `SELECT a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END AS text FROM pg_attribute a
     WHERE a.attrelid = '${table}'::regclass AND a.attnum > 0 ORDER BY a.attnum`,
  );
  t.strictSame(found.map(({ text }) => text), [
    'inventory_namespace text not null',
    'inventory_name text not null',
    'target_name text not null',
    'source_uid text not null',
    'cluster text not null',
    'resource_namespace text not null',
    'payload jsonb not null',
    'exported_at timestamp with time zone not null',
    'payload_sha256 bytea',
  ]);
  const [key] = await place.sql(`SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = '${table}'::regclass AND contype = 'p'`);
  t.equal(key?.text, 'PRIMARY KEY (inventory_namespace, inventory_name, cluster, target_name, source_uid)', 'of many clusters each finds its rows together');
  const [stored] = await place.sql(`SELECT resource_namespace, encode(payload_sha256, 'hex') AS hash FROM ${table}`);
  t.strictSame(stored, { resource_namespace: 'ns', hash: Buffer.from(row('a').hash, 'latin1').toString('hex') });
  t.match(await sink.probe(signal), { message: /PostgreSQL \d+\S*, without TLS: login succeeded, table .* has the columns, the key and the privileges/ });
});

t.test('two processes that create the table at the same time do not fail', async (t) => {
  const place = await newPlace();
  const sinks = await Promise.all(Array.from({ length: 6 }, () => withSink(t, place)));
  await Promise.all(sinks.map((sink, index) => sink.write(whole(rows(3), { identity: identity(`shop-${index}`) }), signal)));
  t.equal(await count(place), 18);
});

t.test('a table with the four-field key and without the hash is used as it is', async (t) => {
  const place = await newPlace();
  await place.sql(`CREATE TABLE ${table} (${columns}, PRIMARY KEY (${fourFields})); GRANT ALL ON ${table} TO user_${place.database}`);
  const sink = await withSink(t, place, existing);
  t.match(await sink.write(whole(rows(3, { v: 1 })), signal), { written: 3 });
  t.match(await sink.write(change(rows(2, { v: 2 }), { deletes: ['u000002'] }), signal), { written: 2, deleted: 1 });
  t.match(await sink.write(whole(rows(2, { v: 2 }), { identity: identity('shop', 'west') }), signal), { written: 2 }, 'rows that nobody owns are taken over');
  t.strictSame((await place.contents()).map(({ cluster }) => cluster), ['west', 'west']);
  t.strictSame(await place.sql(`SELECT FROM pg_attribute WHERE attrelid = '${table}'::regclass AND attname = 'payload_sha256'`), [], 'existing adds nothing');
});

t.test('where the key has no cluster, rows of another cluster are neither overwritten nor deleted', async (t) => {
  for (const [spec, hash] of [[existing, ''], [{}, ', payload_sha256 bytea']] as const) {
    const place = await newPlace();
    await place.sql(`CREATE TABLE ${table} (${columns}${hash}, PRIMARY KEY (${fourFields})); GRANT ALL ON ${table} TO user_${place.database}`);
    const sink = await withSink(t, place, spec);
    const of = (cluster: string) => ({ identity: identity('shop', cluster) });
    await sink.write(whole(rows(3, { v: 1 }), of('east')), signal);
    const before = await place.contents();
    const inTheWay = (uid: string, cluster: string) => ({
      code: 'KOL_SINK_OWNER',
      class: 'terminal',
      message: `table "public"."inventory_items" holds row web/${uid} of inventory team-a/shop for cluster "east", and its key has no cluster, so that there is no room beside it for ${cluster}: add cluster to the key, export to another table, or delete those rows if nobody needs them`,
    });
    const attempts: [string, ReturnType<typeof whole>, string][] = [
      ['a whole pass of equal rows', whole(rows(3, { v: 1 }), of('west')), 'u000000'],
      ['a whole pass of which one row is in the way', whole(rows(40, { v: 2 }).slice(2), of('west')), 'u000002'],
      ['a change', change([row('new'), row('u000001', { v: 2 })], { ...of('west'), deletes: ['u000000'] }), 'u000001'],
    ];
    for (const [what, write, uid] of attempts) {
      t.match(await failure(sink.write(write, signal)), inTheWay(uid, 'cluster "west"'), what);
      t.strictSame(await place.contents(), before, what);
    }
    t.match(await failure(sink.write(change(rows(1, { v: 2 })), signal)), inTheWay('u000000', 'a cluster without a name'));
    t.match(await sink.write(whole([row('theirs')], of('west')), signal), { written: 1 }, 'other rows of the same inventory are taken');
    t.match(await sink.write(change(rows(3, { v: 2 }), { ...of('east'), deletes: ['theirs'] }), signal), { written: 3, deleted: 0 });
    await place.sql(`ALTER TABLE ${table} DROP CONSTRAINT ${table}_pkey, ADD PRIMARY KEY (${fourFields}, cluster)`);
    t.match(await failure(sink.write(whole(rows(3, { v: 1 }), of('west')), signal)), { code: 'KOL_SINK_SCHEMA', message: /lost its unique key/ });
    t.match(await sink.write(whole(rows(3, { v: 1 }), of('west')), signal), { written: 3, deleted: 1 }, 'once there is room');
    t.equal(await count(place), 6);
    await place.sql(`DROP TABLE ${table}; CREATE TABLE ${table} (${columns.replace("cluster text NOT NULL DEFAULT ''", 'cluster text')}, PRIMARY KEY (${fourFields})); GRANT ALL ON ${table} TO user_${place.database}`);
    const later = await withSink(t, place, existing);
    await later.write(whole(rows(3, { v: 1 }), of('')), signal);
    await place.sql(`UPDATE ${table} SET cluster = NULL WHERE source_uid = 'u000001'`);
    t.match(await later.write(whole(rows(2, { v: 1 }), of('east')), signal), { written: 2 }, 'what is nobody\'s is taken over, equal or not');
    t.strictSame((await place.contents()).map(({ cluster }) => cluster), ['', 'east', 'east']);
  }
});

t.test('rows that a trigger leaves out are told of as refused, and those that it alters are not', async (t) => {
  for (const hashed of [true, false]) {
    const place = await newPlace();
    if (!hashed) {
      await place.sql(`CREATE TABLE ${table} (${columns}, PRIMARY KEY (${fourFields}, cluster)) PARTITION BY LIST (cluster); CREATE TABLE part PARTITION OF ${table} DEFAULT; GRANT ALL ON ${table} TO user_${place.database}`);
    }
    const sink = await withSink(t, place, hashed ? {} : existing);
    await sink.write(whole(rows(40, { v: 1 })), signal);
    await place.sql(`CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.payload->'attributes'->>'v' IN ('gone', 'more') THEN RETURN NULL; END IF;
        IF NEW.payload->'attributes'->>'v' = 'other' THEN NEW.payload = '{"attributes": {"v": "altered"}}'; END IF; RETURN NEW; END $$;
      CREATE TRIGGER meddle BEFORE INSERT OR UPDATE ON ${hashed ? table : 'part'} FOR EACH ROW EXECUTE FUNCTION meddle()`);
    const values = async () => (await place.contents()).map(({ uid, payload }) => `${uid}=${JSON.parse(payload).attributes.v}`).filter((text) => !text.endsWith('=1'));
    const leftOut = (uid: string) => ({ key: { targetName: 'web', uid }, code: 'LeftOut', message: 'left out by the database, without an error: look at the triggers of the table' });
    const some = [row('new', { v: 'gone' }), row('other', { v: 'other' }), row('u000001', { v: 'gone' }), row('u000002', { v: 2 })];
    t.match(await sink.write(change([...some, ...rows(5, { v: 1 }).slice(3)]), signal), { confirmed: 4, written: 2, rejected: [leftOut('new'), leftOut('u000001')] });
    t.strictSame(await values(), ['other=altered', 'u000002=2']);
    const all = [...some, ...rows(40, { v: 1 }).slice(3), row('u000000', { v: 'more' })];
    t.match(await sink.write(whole(all), signal), { confirmed: 39, rejected: [leftOut('new'), leftOut('u000001'), leftOut('u000000')] });
    t.strictSame(await values(), ['other=altered', 'u000002=2'], 'and older rows of theirs stay');
    t.equal(await count(place), 41);
    await place.sql(`TRUNCATE ${table}`);
    t.match(await failure(sink.write(whole(rows(60, { v: 'gone' })), signal)), { code: 'KOL_SINK_SCHEMA', message: /refuses every row, the last one with code LeftOut/ });
  }
});

t.test('ensure adds the nullable column to a table of its own, and does without where it may not', async (t) => {
  const owned = await newPlace();
  const sink = await withSink(t, owned);
  await sink.write(whole(rows(1, { v: 1 })), signal);
  await owned.sql(`ALTER TABLE ${table} DROP COLUMN payload_sha256`);
  const again = await withSink(t, owned);
  t.match(await again.write(whole(rows(1, { v: 1 })), signal), { written: 0 }, 'which is no reason to write rows again');
  await again.write(change(rows(1, { v: 2 })), signal);
  t.strictSame(await owned.sql(`SELECT length(payload_sha256) AS bytes FROM ${table}`), [{ bytes: 32 }]);

  const foreign = await newPlace();
  await foreign.sql(`CREATE TABLE ${table} (${columns}, PRIMARY KEY (${fourFields}, cluster)); GRANT ALL ON ${table} TO user_${foreign.database}`);
  const other = await withSink(t, foreign);
  t.match(await other.write(whole(rows(2)), signal), { written: 2 });
});

t.test('existing issues no DDL and names all that is missing', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place, existing);
  for (const attempt of [() => sink.probe(signal), () => sink.write(whole(rows(1)), signal)]) {
    t.match(await failure(attempt()), { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: /table "public"\."inventory_items" does not exist, .*create it, or set the mode to ensure/ });
  }
  t.notOk(await place.touched());
  const cases: [string, string, RegExp][] = [
    ['columns', `CREATE TABLE ${table} (inventory_namespace text, payload json, owner text NOT NULL)`, /lacks column inventory_name of type text; .*type jsonb at column payload, which is json; .*a default at column "owner".*; a primary key or unique constraint/],
    ['the key', `CREATE TABLE ${table} (${columns}, UNIQUE (source_uid))`, /lacks a primary key or unique constraint, not deferrable, on \(inventory_namespace, inventory_name, cluster, target_name, source_uid\), with or without cluster$/],
    ['a key that is always checked', `CREATE TABLE ${table} (${columns}, PRIMARY KEY (${fourFields}) DEFERRABLE)`, /lacks a primary key/],
    ['a key over all rows', `CREATE TABLE ${table} (${columns}); CREATE UNIQUE INDEX ON ${table} (${fourFields}) WHERE cluster = ''`, /lacks a primary key/],
    ['being a table', `CREATE TABLE base (${columns}); CREATE VIEW ${table} AS SELECT * FROM base`, /is not a table/],
  ];
  for (const [what, ddl, message] of cases) {
    const place = await newPlace();
    await place.sql(ddl);
    const sink = await withSink(t, place, existing);
    t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_SCHEMA', message }, `the probe misses ${what}`);
    t.match(await failure(sink.write(whole(rows(1)), signal)), { code: 'KOL_SINK_SCHEMA', message }, `the export misses ${what}`);
  }
});

t.test('missing privileges are named, and granting them is enough', async (t) => {
  const place = await newPlace();
  const user = `user_${place.database}`;
  await place.sql(`CREATE TABLE ${table} (${columns}, PRIMARY KEY (${fourFields})); GRANT SELECT, INSERT ON ${table} TO ${user}`);
  const sink = await withSink(t, place);
  const lacks = { code: 'KOL_SINK_AUTH', class: 'terminal', message: /lacks UPDATE, DELETE for table "public"\."inventory_items": grant it/ };
  t.match(await failure(sink.probe(signal)), lacks);
  t.match(await failure(sink.write(whole(rows(1)), signal)), lacks);
  await place.sql(`GRANT UPDATE, DELETE ON ${table} TO ${user}`);
  t.match(await sink.write(whole(rows(1)), signal), { written: 1 });
  await place.sql(`REVOKE INSERT ON ${table} FROM ${user}`);
  t.match(await failure(sink.write(change([row('new')]), signal)), { code: 'KOL_SINK_AUTH', message: /lacks a privilege for table .*SQLSTATE 42501/ }, 'lost while running');

  const closed = await newPlace();
  await closed.sql(`REVOKE ALL ON SCHEMA public FROM public; ALTER SCHEMA public OWNER TO postgres`);
  t.match(await failure((await withSink(t, closed)).probe(signal)), { code: 'KOL_SINK_AUTH', message: /does not exist and the user .* lacks USAGE on schema "public", CREATE on schema "public": grant it/ });
  const nowhere = { postgres: { databaseRef: { name: 'dsn' }, table, schema: 'no"where' } };
  t.match(await failure((await withSink(t, closed, nowhere)).probe(signal)), { code: 'KOL_SINK_SCHEMA', message: /schema "no""where" does not exist/ });
});

t.test('a table dropped while we run is created again by a complete pass only', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole(rows(3)), signal);
  for (const attempt of [() => sink.write(change(rows(1, { v: 2 })), signal), () => sink.write(change(rows(1), { complete: ['jobs'] }), signal), () => sink.check(identity(), signal)]) {
    await place.sql(`DROP TABLE ${table}`);
    t.match(await failure(attempt()), { code: 'KOL_SINK_DESTINATION_LOST', class: 'transient', message: /is gone/ });
    t.notOk(await place.touched(), 'a part of the rows would look like all of them');
    t.match(await sink.write(whole(rows(3)), signal), { written: 3 });
  }
  await place.sql(`DROP TABLE ${table}`);
  const later = await withSink(t, place);
  t.match(await failure(later.write(change(rows(1)), signal)), { code: 'KOL_SINK_DESTINATION_LOST' }, 'also when it was gone before this process connected');
  t.match(await later.write(whole(rows(3)), signal), { written: 3 });

  const strict = await withSink(t, place, existing);
  await strict.write(whole(rows(3)), signal);
  await place.sql(`DROP TABLE ${table}`);
  t.match(await failure(strict.write(change(rows(1, { v: 3 })), signal)), { code: 'KOL_SINK_DESTINATION_LOST', class: 'terminal', message: /create it/ });
  t.match(await failure(strict.write(whole(rows(3)), signal)), { code: 'KOL_SINK_SCHEMA' });
  t.notOk(await place.touched());
});

t.test('a key or column that goes while we run is named at the next write', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole(rows(1)), signal);
  await place.sql(`ALTER TABLE ${table} DROP CONSTRAINT ${table}_pkey`);
  t.match(await failure(sink.write(change(rows(1, { v: 2 })), signal)), { code: 'KOL_SINK_SCHEMA', message: /lost its unique key/ });
  t.match(await failure(sink.write(change(rows(1, { v: 2 })), signal)), { code: 'KOL_SINK_SCHEMA', message: /lacks a primary key or unique constraint/ });
  await place.sql(`ALTER TABLE ${table} ADD PRIMARY KEY (${fourFields}), DROP COLUMN payload_sha256`);
  t.match(await sink.write(change(rows(1, { v: 2 })), signal), { written: 1 });
});

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
  t.match(await failure((await withSink(t, place)).probe(signal)), { class: 'transient', message: /no connection left/ });
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
  const readOnly = { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /^the database is read-only: it is a standby/ };
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

t.test('what others made under names of the catalogue is not used, wherever the search path has it', async (t) => {
  const hijacked = (head: string): string => `CREATE FUNCTION ${head} LANGUAGE plpgsql AS $$ BEGIN RAISE 'hijacked' USING ERRCODE = 'XX000'; END $$;`;
  const same = (schema: string, type: string): string => `${hijacked(`${schema}.same_${type}(${type}, ${type}) RETURNS boolean`)}
    CREATE OPERATOR ${schema}.= (FUNCTION = ${schema}.same_${type}, LEFTARG = ${type}, RIGHTARG = ${type}); CREATE OPERATOR ${schema}.> (FUNCTION = ${schema}.same_${type}, LEFTARG = ${type}, RIGHTARG = ${type});`;
  const first = ['now() RETURNS timestamptz', 'length(text) RETURNS int', '"left"(text, int) RETURNS text', 'substr(text, int) RETURNS text', 'json_to_recordset(json) RETURNS SETOF record', 'current_setting(text) RETURNS text',
    'set_config(text, text, boolean) RETURNS text', 'rtrim(text, text) RETURNS text', 'concat(text, text) RETURNS text', 'pg_try_advisory_xact_lock(bigint) RETURNS boolean', 'pg_advisory_xact_lock(bigint) RETURNS void',
    'pg_advisory_xact_lock_shared(int, int) RETURNS void', 'hashtextextended(text, bigint) RETURNS bigint', 'has_table_privilege(oid, text) RETURNS boolean', 'pg_has_role(oid, text) RETURNS boolean'];
  const cases: [string, string, (user: string) => string][] = [
    ['a schema before the catalogue, of the role', '', (user) => `ALTER ROLE ${user} SET search_path = evil, pg_catalog, public`],
    ['a schema before the catalogue, of the connection string', '&options=-c%20search_path%3Devil,pg_catalog', () => ''],
    ['no schema at all', '&options=-c%20search_path%3D', () => ''],
    ['operators that match columns better, behind the catalogue', '', (user) => `${same('public', 'varchar')} CREATE FUNCTION public."left"(varchar, int) RETURNS text LANGUAGE sql AS $$ SELECT 'hijacked' $$;
      CREATE TABLE public.${table} (${columns.replaceAll(' text', ' varchar')}, PRIMARY KEY (${fourFields}, cluster)); GRANT ALL ON public.${table} TO ${user}`],
  ];
  for (const [what, query, arrange] of cases) {
    const place = await newPlace();
    const user = `user_${place.database}`;
    await place.sql(`CREATE SCHEMA evil; GRANT ALL ON SCHEMA evil TO public; CREATE TABLE evil.pg_class (); CREATE TABLE evil.pg_namespace (); CREATE TABLE evil.pg_locks (); CREATE TABLE evil.${table} (); CREATE TABLE evil.kollect_state ();
      ${first.map((head) => hijacked(`evil.${head}`)).join('\n')} ${same('evil', 'text')} CREATE DOMAIN evil.jsonb AS int; CREATE DOMAIN evil.timestamptz AS int; ${arrange(user)}`);
    const { sink } = await open({ dsn: `${place.dsn}${query}`, installation: 'ours', epoch: { current: () => 1, outrank: () => undefined } });
    t.match(await sink.probe(signal), { message: /login succeeded/ }, what);
    t.match(await sink.write(whole(rows(50, { v: 1 }), { after: { rows: 50, digest: 'd' } }), signal), { written: 50 }, what);
    t.match(await sink.write(change(rows(2, { v: 2 }), { deletes: ['u000009'] }), signal), { written: 2, deleted: 1 }, what);
    t.match(await sink.write(whole(rows(40, { v: 1 }), { after: { rows: 40, digest: 'e' } }), signal), { written: 3, deleted: 10 }, what);
    t.strictSame(await sink.differing!(identity(), rows(41, { v: 1 }), signal).then((found) => found.map(({ uid }) => uid)), ['u000040'], what);
    t.match(await sink.check(identity(), signal), { rows: 40, digest: 'e', owned: true }, what);
    t.match(await sink.remove(identity(), true, signal), { deleted: 40 }, what);
    await sink.close();
  }
});

t.test('statement_timeout is applied, and large passes adapt to it', async (t) => {
  const place = await newPlace();
  const plain = await withSink(t, place);
  await plain.write(whole([]), signal);
  // 800 rows take longer than the timeout in one statement, and the least that is tried a seventh of it.
  await place.sql(`CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.003); RETURN NEW; END $$;
                   CREATE TRIGGER slow BEFORE INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION slow()`);
  const sink = await withSink(t, place, { options: { statement_timeout: '2000', application_name: 'inventory-export' } });
  t.match(await sink.write(whole(rows(800)), signal), { written: 800, rejected: [] });
  t.equal(await count(place), 800);
  t.strictSame(await place.sql(`SELECT application_name FROM pg_stat_activity WHERE usename = 'user_${place.database}' AND application_name <> 'kollect'`), [{ application_name: 'inventory-export' }]);
  await place.sql(`CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(30); RETURN NEW; END $$`);
  t.match(await failure(sink.write(change([row('new')]), signal)), { class: 'transient', message: /raise spec\.options\.statement_timeout/ });
  t.match(await failure(place.opened({ options: { statement_timeout: '30s' } })), { code: 'KOL_SINK_CONFIG', message: /spec\.options\.statement_timeout is not a whole number of milliseconds/ });
});

t.test('a table that refuses every row is an error of the table, found without trying each', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole([]), signal);
  await place.refuse('team-a');
  t.match(await failure(sink.write(whole(rows(3_000)), signal)), { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: /refuses every row, the last one with code 23514 \(refused because of its content\)/ });
});

t.test('a table that refuses many rows takes all others, wherever they come', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole([]), signal);
  await place.sql(`ALTER TABLE ${table} ADD CONSTRAINT no_pods CHECK (target_name <> 'pods')`);
  const pods = rows(210).map((pod) => ({ ...pod, targetName: 'pods' }));
  const refused = (count: number) => ({ length: count, 0: { key: { targetName: 'pods', uid: 'u000000' }, code: '23514', message: 'refused by the constraint "no_pods"' } });
  t.match(await sink.write(change([...pods.slice(0, 52), ...rows(2_500, { v: 1 })]), signal), { written: 2_500, rejected: refused(52) });
  t.match(await sink.write(change(pods.slice(0, 52)), signal), { written: 0, rejected: refused(52) }, 'the table holds rows of others');

  await place.sql(`TRUNCATE ${table}; ALTER TABLE ${table} ADD CONSTRAINT small CHECK (payload->'attributes'->>'v' IS DISTINCT FROM 'large') NOT VALID`);
  await sink.write(whole(rows(120, { v: 1 })), signal);
  const large = { length: 110, 109: { key: { uid: 'u000109' }, message: 'refused by the constraint "small"' } };
  t.match(await sink.write(change(rows(110, { v: 'large' }), { deletes: ['u000115'] }), signal), { written: 0, deleted: 1, rejected: large }, 'or older ones of the same target, though there is no other');
  t.match(await sink.write(whole(rows(115, { v: 'large' }).concat(row('last'))), signal), { written: 1, deleted: 4, rejected: { length: 115 } });
  await place.refuse('team-a');
  t.match(await failure(sink.write(change(rows(110, { v: 2 })), signal)), { code: 'KOL_SINK_SCHEMA', message: /refuses every row/ }, 'which it does not take any more when it is at fault');
  await place.sql(`DROP TRIGGER refuse ON ${table}`);

  // Chunks of 200 rows, because larger ones are cancelled.
  await place.sql(`TRUNCATE ${table}; CREATE FUNCTION limited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF (SELECT count(*) FROM affected) > 300 THEN RAISE query_canceled; END IF; RETURN NULL; END $$;
    CREATE TRIGGER limited AFTER INSERT ON ${table} REFERENCING NEW TABLE AS affected FOR EACH STATEMENT EXECUTE FUNCTION limited()`);
  await sink.write(change(rows(1_600)), signal);
  await place.sql(`TRUNCATE ${table}; INSERT INTO ${table} VALUES ('team-a', 'shop', 'web', 'stale', '', '', '{}', now())`);
  const all = whole([...pods, ...rows(100)]);
  t.match(await sink.write({ ...all, completeTargets: ['pods', 'web'], knownTargets: ['pods', 'web'] }, signal), { written: 100, deleted: 1, rejected: refused(210) });
  await place.sql(`TRUNCATE ${table}`);
  t.match(await failure(sink.write({ ...whole(pods), completeTargets: ['pods'], knownTargets: ['pods'] }, signal)), { code: 'KOL_SINK_SCHEMA', message: /refuses every row/ });
});

t.test('rows that somebody else writes during the first export go with it', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole([]), signal);
  await place.sql(`CREATE FUNCTION intrude() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO ${table} SELECT inventory_namespace, inventory_name, target_name, 'intruder', cluster, '', '{}', now() FROM ${table} LIMIT 1 ON CONFLICT DO NOTHING; RETURN NULL; END $$;
    CREATE TRIGGER intrude AFTER INSERT ON ${table} FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION intrude()`);
  t.match(await sink.write(whole(rows(3)), signal), { written: 3, deleted: 1 });
  t.equal(await count(place), 3);
});

t.test('rows are counted again when the table has changed, and not before', async (t) => {
  const place = await newPlace();
  const other = new pg.Client(server.dsn(place.database));
  await other.connect();
  t.teardown(() => other.end());
  for (const spec of [{}, existing]) {
    const sink = await withSink(t, place, spec);
    await sink.write(whole(rows(3)), signal);
    t.match(await sink.check(identity(), signal), { rows: 3 });
    // What was written is told a little later.
    await eventually(async () => {
      await sink.check(identity(), signal);
      await other.query(`BEGIN; LOCK TABLE ${table}`);
      try {
        return (await sink.check(identity(), AbortSignal.timeout(1_000)).catch(() => undefined))?.rows === 3;
      } finally {
        await other.query('ROLLBACK');
      }
    });
    t.match(await sink.check(identity('other'), signal), { rows: 0 });
    await place.sql(`DELETE FROM ${table} WHERE source_uid = 'u000001'`);
    await eventually(async () => (await sink.check(identity(), signal)).rows === 2);
    await sink.write(change(rows(3)), signal);
    t.match(await sink.check(identity(), signal), { rows: 3 }, 'what it writes itself counts at once');
    await place.sql(`TRUNCATE ${table}`);
    t.match(await sink.check(identity(), signal), { rows: 0 });
  }
});

t.test('rows that were edited by hand are found, whatever the edit left of the hash', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole(rows(5, { v: 1 })), signal);
  await place.sql(`UPDATE ${table} SET payload = jsonb_set(payload, '{attributes,v}', '2') WHERE source_uid = 'u000001'; UPDATE ${table} SET resource_namespace = 'x' WHERE source_uid = 'u000002';
    UPDATE ${table} SET payload_sha256 = '\\x00' WHERE source_uid = 'u000003'; DELETE FROM ${table} WHERE source_uid = 'u000004'`);
  const found = await sink.differing!(identity(), rows(5, { v: 1 }), signal);
  t.strictSame(found.map(({ uid }) => uid), ['u000001', 'u000002', 'u000003', 'u000004']);
  t.match(await sink.write(change(found), signal), { written: 4 });
  t.strictSame(await sink.differing!(identity(), rows(5, { v: 1 }), signal), []);
  await place.sql(`DROP TABLE ${table}`);
  t.match(await failure(sink.differing!(identity(), rows(1), signal)), { code: 'KOL_SINK_DESTINATION_LOST' });
});

t.test('what the server says is told apart by its code, and not repeated', (t) => {
  const name = { schema: 's', table: 'x', sql: '"s"."x"', title: 'table "s"."x"' };
  const cases: [string, string, string, RegExp][] = [
    ['28000', 'KOL_SINK_AUTH', 'terminal', /pg_hba\.conf/],
    ['25006', 'KOL_SINK_UNAVAILABLE', 'transient', /read-only/],
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

t.test('a deferred constraint is charged to the row that breaks it', async (t) => {
  const place = await newPlace();
  const sink = await withSink(t, place);
  await sink.write(whole([]), signal);
  await place.sql(`CREATE TABLE teams (name text PRIMARY KEY); INSERT INTO teams VALUES ('x');
    ALTER TABLE ${table} ADD team text GENERATED ALWAYS AS (payload->'attributes'->>'team') STORED,
      ADD CONSTRAINT known_team FOREIGN KEY (team) REFERENCES teams DEFERRABLE INITIALLY DEFERRED`);
  const mixed = [row('a', { team: 'x' }), row('b', { team: 'nobody' }), row('c', { team: 'x' })];
  for (const write of [change(mixed), whole(mixed)]) {
    t.match(await sink.write(write, signal), { rejected: [{ key: { uid: 'b' }, code: '23503', message: 'refused by the constraint "known_team"' }] });
    t.strictSame((await place.contents()).map(({ uid }) => uid), ['a', 'c']);
  }
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
  t.match(await failure(direct.sink.probe(signal)), { message: 'the database cannot be reached (ECONNREFUSED: nothing listens there)' });
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

t.test('at most two sessions a destination, shared by its sinks, and none after the last is closed', async (t) => {
  const place = await newPlace();
  const shared = new CountedResources();
  const opened = await Promise.all(Array.from({ length: 5 }, () => open({ dsn: place.dsn, shared })));
  const sessions = async () => (await place.sql(`SELECT FROM pg_stat_activity WHERE usename = 'user_${place.database}' AND backend_type = 'client backend'`)).length;
  await Promise.all(opened.map(({ sink }, index) => sink.write(whole(rows(50), { identity: identity(`shop-${index}`) }), signal)));
  t.equal(await count(place), 250);
  t.ok((await sessions()) <= 2);
  t.equal(shared.size, 1);
  for (const { sink } of opened.slice(1)) await sink.close();
  t.ok((await sessions()) >= 1);
  await opened[0]!.sink.close();
  await opened[0]!.sink.close();
  await eventually(async () => (await sessions()) === 0);
  t.equal(shared.size, 0);
});

t.test('a name that led to an allowed address leads to no other one when it is dialled again', async (t) => {
  const place = await newPlace();
  const answers = [['127.0.0.1'], ['169.254.169.254'], ['127.0.0.1', '169.254.169.254'], ['::ffff:169.254.169.254'], ['127.0.0.1']];
  const asked: string[] = [];
  const lookupAll = async (host: string) => {
    asked.push(host);
    return answers.shift() ?? [];
  };
  const dsn = place.dsn.replace('@127.0.0.1:', '@rebound.example:');
  const { sink } = await open({ dsn, lookupAll });
  await sink.write(whole(rows(3)), signal);
  t.strictSame(asked, ['rebound.example'], 'what was checked is dialled, and the name is not looked up by anybody else');
  await sink.close();
  for (const _ of [1, 2, 3]) {
    const again = (await open({ dsn, lookupAll })).sink;
    t.match(await failure(again.check(identity(), signal)), { code: 'KOL_SINK_ADDRESS', class: 'terminal', message: /^the host of the connection string is refused: it is the address of a cloud metadata service$/ });
    await again.close();
  }
  const last = (await open({ dsn, lookupAll })).sink;
  t.match(await last.check(identity(), signal), { rows: 3 });
  await last.close();
  t.equal(asked.length, 5, 'each time anew');
});

t.test('the fingerprint follows the destination and never the credentials', async (t) => {
  const base = { dsn: `postgres://u:${canary}@db:5432/inv` };
  const of = async (options: Partial<Parameters<typeof open>[0]>) => {
    const { fingerprint, sink } = await open({ ...base, ...options });
    await sink.close();
    return fingerprint;
  };
  const first = await of({});
  t.match(first, /^[0-9a-f]{64}$/);
  for (const dsn of ['postgres://other:secret@DB/inv', 'host=db user=u dbname=inv password=new', `postgres://u:${canary}@db/inv?sslmode=require`]) t.equal(await of({ dsn }), first, dsn);
  t.equal(await of({ spec: { options: { statement_timeout: '5' } } }), first);
  const others = [
    { dsn: 'postgres://u@db:5433/inv' },
    { dsn: 'postgres://u@db2/inv' },
    { dsn: 'postgres://u@db/inv2' },
    { spec: { cluster: 'west' } },
    { spec: { postgres: { databaseRef: { name: 'dsn' }, table: 'other' } } },
    { spec: { postgres: { databaseRef: { name: 'dsn' }, table, schema: 'other' } } },
  ];
  t.equal(new Set([first, ...(await Promise.all(others.map(of)))]).size, others.length + 1);
});

t.test('passes at all tables of a database take turns', async (t) => {
  const of = async (options: Partial<Parameters<typeof open>[0]>) => {
    const { server: found, sink } = await open({ dsn: 'postgres://u@db:5432/inv', ...options });
    await sink.close();
    return found;
  };
  const first = await of({});
  t.equal(await of({ spec: { cluster: 'west', postgres: { databaseRef: { name: 'dsn' }, table: 'other', schema: 'other' } } }), first);
  t.equal(await of({ dsn: 'postgres://other:secret@DB/inv' }), first);
  for (const dsn of ['postgres://u@db:5433/inv', 'postgres://u@db2/inv', 'postgres://u@db/inv2']) t.not(await of({ dsn }), first);
});

t.test('a wrong password, user, database or host says which, and shows none of them', async (t) => {
  const place = await newPlace();
  const dsn = new URL(place.dsn);
  const changed = (change: (url: URL) => void): string => {
    const url = new URL(dsn);
    change(url);
    return url.href;
  };
  const cases: [string, string, object][] = [
    ['password', changed((url) => (url.password = `${canary}-wrong`)), { code: 'KOL_SINK_AUTH', class: 'terminal', message: /refused the login: correct user and password .*28P01/ }],
    ['no password', changed((url) => (url.password = '')), { code: 'KOL_SINK_AUTH', message: /asks for a password and the connection string has none/ }],
    ['user', changed((url) => (url.username = 'nobody-there')), { code: 'KOL_SINK_AUTH', message: /refused the login/ }],
    ['database', changed((url) => (url.pathname = '/nothing-there')), { code: 'KOL_SINK_AUTH', message: /the database that the connection string names does not exist/ }],
    ['host', changed((url) => (url.hostname = 'nothing-there.invalid')), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /^the host of the connection string cannot be resolved \(ENOTFOUND|EAI_AGAIN\)/ }],
    ['port', changed((url) => (url.port = '1')), { code: 'KOL_SINK_UNAVAILABLE', message: /cannot be reached \(ECONNREFUSED/ }],
  ];
  for (const [what, dsn, expected] of cases) {
    const { sink } = await open({ dsn });
    const error = await failure(sink.probe(signal));
    t.match(error, expected, what);
    for (const hidden of ['nothing-there', 'nobody-there', '127.0.0.1', place.database]) t.notOk(error.message.includes(hidden), `${what}: hides ${hidden}`);
    if (what === 'database') t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 }, 'no database, nothing to remove');
    await sink.close();
  }
});

t.test('a removal leaves what waits for consent, and portions that nobody is known to own', async (t) => {
  const place = await newPlace();
  const ours = await place.opened({}, { installation: 'ours' });
  await ours.sink.write(whole(rows(1), { identity: identity('other') }), signal);
  const { namespace, name } = identity();
  const insert = (inventory: string) => place.sql(`INSERT INTO ${table} (inventory_namespace, inventory_name, target_name, source_uid, payload, exported_at) VALUES ('${namespace}', '${inventory}', 'web', 'gone', '{}', now())`);
  await insert(name);
  await insert(`${name}.part-0001-of-0002`);
  t.match(await ours.sink.write(whole(rows(1), { staleLimit: { rows: 0, exempt: [] } }), signal), { held: 2 });
  const before = await place.contents();
  t.strictSame(await ours.sink.remove(identity(), false, signal), { deleted: 0 });
  const brought = await withSink(t, place, existing);
  t.strictSame(await brought.remove(identity(), false, signal), { deleted: 0 });
  t.strictSame(await place.contents(), before);
  t.strictSame(await brought.remove(identity(), true, signal), { deleted: 2 });
  t.equal(await count(place), 2, 'what was written under other names stays');

  await insert(name);
  await ours.sink.write(whole(rows(1)), signal);
  await insert(`${name}.part-0002-of-0002`);
  t.strictSame(await ours.sink.remove(identity(), false, signal), { deleted: 2 }, 'who owns the rows removes them with their portions');
  t.equal(await count(place), 1);
  await ours.sink.close();
});

t.test('the address policy holds for the host of the connection string', async (t) => {
  const strict = { allowPrivate: false, allowLoopback: false };
  for (const [host, message] of [
    ['127.0.0.1', /the host of the connection string is refused: it is a loopback address/],
    ['localhost', /is refused: it is a name of the loopback address/],
    ['10.1.2.3', /is refused: it is a private address/],
    ['169.254.169.254', /metadata/],
    ['[::ffff:127.0.0.1]', /loopback/],
  ] as const) {
    const { sink } = await open({ dsn: `postgres://u:${canary}@${host}/db`, policy: strict });
    const error = await failure(sink.probe(signal));
    t.match(error, { code: 'KOL_SINK_ADDRESS', class: 'terminal', message });
    t.notOk(error.message.includes(host));
    await sink.close();
  }
  const place = await newPlace();
  const mapped = await open({
    dsn: place.dsn.replace(/127\.0\.0\.1:\d+/, 'postgres.kollect-system.svc:5432'),
    policy: strict,
    mapHosts: new Map([['postgres.kollect-system.svc:5432', { host: '127.0.0.1', port: server.port }]]),
  });
  t.match(await mapped.sink.probe(signal), { message: /login succeeded/ }, 'unless the operator mapped it');
  await mapped.sink.close();
});

t.test('sslmode means what it means to libpq', async (t) => {
  const pem = (text: string) => Buffer.from(text).toString('base64');
  const trusted = { caBundle: pem(authority.certificate) };
  const strange = { caBundle: pem(createAuthority('another authority', 1).certificate) };
  const at = async (which: typeof server, options: { query?: string; host?: string; tls?: object }): Promise<string> => {
    const { query = '', host = 'database.example', tls } = options;
    const opened = await open({
      dsn: `postgres://postgres:${which.password}@${host}/postgres${query}`,
      spec: tls ? { tls } : {},
      mapHosts: new Map([[`${host}:5432`, { host: '127.0.0.1', port: which.port }]]),
    });
    return await opened.sink.probe(signal).then(
      ({ message }) => message,
      (error: Error) => error.message,
    ).finally(() => opened.sink.close());
  };
  const cases: [string, typeof server, Parameters<typeof at>[1], RegExp][] = [
    ['nothing said, no TLS there', server, {}, /without TLS: login/],
    ['nothing said, TLS there', encrypted, {}, /over TLS, server not verified: login/],
    ['disable', encrypted, { query: '?sslmode=disable' }, /without TLS: login/],
    ['require, no TLS there', server, { query: '?sslmode=require' }, /offers no TLS/],
    ['require', encrypted, { query: '?sslmode=require' }, /over TLS, server not verified: login/],
    ['require with an authority', encrypted, { query: '?sslmode=require', tls: trusted, host: 'other.example' }, /over TLS, authority of the server verified: login/],
    ['require with another authority', encrypted, { query: '?sslmode=require', tls: strange }, /authority that is not trusted|signed by itself/],
    ['verify-ca without an authority', encrypted, { query: '?sslmode=verify-ca' }, /authority that is not trusted|signed by itself/],
    ['verify-full', encrypted, { query: '?sslmode=verify-full', tls: trusted }, /over TLS, authority and name of the server verified: login/],
    ['verify-full at another name', encrypted, { query: '?sslmode=verify-full', tls: trusted, host: 'other.example' }, /certificate of the server is for another host/],
    ['an authority, nothing else said', encrypted, { tls: trusted, host: 'other.example' }, /certificate of the server is for another host/],
    ['an authority, no TLS there', server, { tls: trusted }, /offers no TLS/],
    ['verify-full and insecureSkipVerify', encrypted, { query: '?sslmode=verify-full', tls: { insecureSkipVerify: true } }, /over TLS, server not verified: login/],
  ];
  for (const [what, which, options, expected] of cases) t.match(await at(which, options), expected, what);
  t.match(await failure(open({ dsn: 'postgres://u@h/d?sslmode=disable', spec: { tls: trusted } })), { code: 'KOL_SINK_CONFIG', message: /sslmode=disable while spec\.tls names an authority/ });
});

t.test('a client certificate logs in without a password, and only the right one', async (t) => {
  await encrypted.query('CREATE ROLE certified LOGIN; REVOKE CREATE ON SCHEMA public FROM public');
  const probe = async (signer: typeof authority | undefined, subject: string) => {
    const own = signer && issueCertificate(signer, { hosts: [subject], days: 1, usage: 'client' });
    const { sink } = await open({
      dsn: 'postgres://certified@database.example/postgres',
      spec: { tls: { caBundle: Buffer.from(authority.certificate).toString('base64'), ...(own && { clientCertificateSecretRef: { name: 'dsn' } }) } },
      secrets: own ? { 'tls.crt': own.certificate, 'tls.key': own.key } : {},
      mapHosts: new Map([['database.example:5432', { host: '127.0.0.1', port: encrypted.port }]]),
    });
    return await sink.probe(signal).finally(() => sink.close());
  };
  t.match(await failure(probe(authority, 'certified')), { message: /lacks CREATE on schema "public"/ }, 'logged in');
  t.match(await failure(probe(authority, 'somebody-else')), { code: 'KOL_SINK_AUTH', message: /refused the login/ });
  t.match(await failure(probe(undefined, '')), { code: 'KOL_SINK_AUTH' });
  t.match((await failure(probe(createAuthority('another authority', 1), 'certified'))).code, /KOL_SINK_(?:CONFIG|UNAVAILABLE)/);
});

t.test('connection strings are read as PostgreSQL reads them, and no error repeats them', async (t) => {
  const base = { host: 'h', port: 5432, user: 'u', password: undefined, database: 'u', sslmode: undefined };
  t.match(parseDsn('postgres://u@h'), base);
  t.match(parseDsn('postgresql://u:p%40s%2Fs@h:6000/data%20base?sslmode=require&connect_timeout=3&pool_max_conns=4'), { ...base, port: 6000, password: 'p@s/s', database: 'data base', sslmode: 'require', connectTimeoutMs: 3_000 });
  t.match(parseDsn("host=h user=u password='it\\'s a \\\\ secret' dbname = d port=80"), { ...base, port: 80, password: "it's a \\ secret", database: 'd' });
  t.match(parseDsn('postgres://u@[2001:db8::1]:5433/d'), { host: '2001:db8::1', port: 5433 });
  t.match(parseDsn('postgres:///d?host=h&user=u'), { host: 'h', user: 'u', database: 'd' });
  const bad: [string, RegExp][] = [
    ['postgres://u:p@/d', /names no host|no URL/],
    ['postgres://h/d', /names no user/],
    ['postgres://u@h,g/d', /names several hosts|no URL/],
    ['host=/run/postgresql user=u', /socket of the local machine/],
    ['postgres://u@h/d?sslmode=maybe', /sets sslmode to something else than disable, allow/],
    ['postgres://u@h/d?sslrootcert=/etc/passwd', /use spec\.tls\.caSecretRef/],
    ['postgres://u@h/d?sslkey=/x', /use spec\.tls\.clientCertificateSecretRef/],
    ['host=h user=u port=http', /port that is not a number/],
    ['postgres://u:p@h:543x/d', /port that is not a number from 1 to 65535/],
    ['postgres://u:p@[2001:db8::1]:70000/d?sslmode=require', /port that is not a number/],
    ['postgres://h:0/d', /port that is not a number|names no user/],
    ['postgres://u:p/w@h:5432/d', /percent-encode/],
    ['postgres://u:p#w@h:70000/d', /percent-encode/],
    ['mysql://u@h/d', /neither a URL .* nor a list of pairs/],
    ['postgres://u:50%-off@h/d', /percent/],
  ];
  for (const [dsn, message] of bad) t.throws(() => parseDsn(dsn), { code: 'KOL_SINK_CONFIG', message }, dsn);
  t.match(await failure(open({ dsn: `postgres://u:${canary}/#@h/d` })), { code: 'KOL_SINK_CONFIG' });
  t.match(await failure(open({ dsn: `db.example ${canary}` })), { message: 'the connection string in the Secret is neither a URL (postgres://user:password@host:5432/database) nor a list of pairs (host=… user=…)' });
  t.notMatch((await failure(open({ dsn: 'password' }))).message, 'user:password', 'unless that is the password');
});
