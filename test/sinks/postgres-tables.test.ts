import t from 'tap';
import { startPostgres } from '../servers/postgres/index.ts';
import { change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { columns, count, existing, fourFields, open, postgresPlace, table, withSink, type PostgresPlace } from './postgres-place.ts';

const server = await startPostgres();
const ends: (() => Promise<void> | void)[] = [() => server.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end));

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
