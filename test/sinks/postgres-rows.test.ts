import pg from 'pg';
import t from 'tap';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { columns, count, existing, fourFields, postgresPlace, table, withSink, type PostgresPlace } from './postgres-place.ts';

const server = await startPostgres();
const ends: (() => Promise<void> | void)[] = [() => server.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end));

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
