import pg from 'pg';
import t from 'tap';
import { maxRowBytes } from '../../controller/sinks/postgres/rows.ts';
import { startPgbouncer } from '../servers/pgbouncer/index.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { change, failure, row, rows, signal, whole } from './conformance.ts';
import { conforms } from './conforms.ts';
import { open, postgresPlace, type PostgresPlace } from './postgres-place.ts';

/** The sink behind PgBouncer in transaction mode, as many installations have it. */
// It keeps some for each user.
const server = await startPostgres({ settings: { max_connections: '300' } });
const pooler = await startPgbouncer(server);
const ends: (() => Promise<void> | void)[] = [];
t.teardown(async () => {
  for (const end of ends) await end();
  await pooler.stop();
  await server.stop();
});
const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end), pooler.value.port);

conforms({
  name: 'postgres behind a pooler',
  supports: { changes: true, rowRefusal: true, counts: true, digests: true, owners: true, rowQuestions: true, nul: false },
  maxRowBytes,
  destination: newPlace,
});

t.test('transactions are given several sessions, and leave nothing in any', async (t) => {
  const place = await newPlace();
  const { sink } = await place.opened({ options: { statement_timeout: '61000', lock_timeout: '62000' } }, { installation: 'ours' });
  t.teardown(() => sink.close());
  await sink.write(whole(rows(11_000, { v: 0 })), signal);
  await place.sql(`CREATE TABLE sessions (pid int); CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN INSERT INTO public.sessions VALUES (pg_backend_pid()); RETURN NULL; END $$;
    CREATE TRIGGER note AFTER INSERT ON inventory_items FOR EACH STATEMENT EXECUTE FUNCTION note()`);
  for (let pass = 1; pass < 10; pass++) t.match(await sink.write(change([row('u000000', { v: pass })]), signal), { written: 1 });
  const [used] = await place.sql<{ count: string }>('SELECT count(DISTINCT pid) AS count FROM sessions');
  t.ok(Number(used?.count) > 1, `${used?.count} sessions`);

  const other = new pg.Client({ connectionString: place.dsn });
  await other.connect();
  t.teardown(() => other.end());
  const shown = new Set<string>();
  for (let turn = 0; turn < 6; turn++) {
    const { rows: found } = await other.query(`SELECT current_setting('statement_timeout') || ' ' || current_setting('lock_timeout') || ' ' || current_setting('search_path') AS text, pg_my_temp_schema() = 0 OR NOT EXISTS (SELECT FROM pg_class WHERE relnamespace = pg_my_temp_schema()) AS clean`);
    shown.add(JSON.stringify(found[0]));
  }
  t.strictSame([...shown], [JSON.stringify({ text: '0 0 "$user", public', clean: true })]);
});

t.test('what the pooler refuses is told as if it were the database', async (t) => {
  const place = await newPlace();
  for (const part of ['password', 'username'] as const) {
    const dsn = new URL(place.dsn);
    dsn[part] = 'wrong';
    const { sink } = await open({ dsn: dsn.href });
    t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_AUTH', class: 'terminal', message: /refused the login/ });
    await sink.close();
  }
  const { sink } = await open({ dsn: `${place.dsn}&options=-c%20search_path%3Dapp` });
  t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_CONFIG', class: 'terminal', message: /^a pooler .* does not pass on the options of the connection string/ });
  await sink.close();
});
