import type { Sink } from '../../controller/sinks/contract.ts';
import { CountedResources } from '../../controller/sinks/runtime/shared-resources.ts';
import { openSink, type OpenedSink, type OpenSinkOptions, type SinkObject } from '../../controller/sinks/runtime/open-sink.ts';
import type { AddressPolicy } from '../../shared/net/address-policy.ts';
import type { HostMap } from '../../shared/net/host-map.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { eventually } from '../servers/eventually.ts';
import type { Postgres } from '../servers/postgres/index.ts';
import { canary, type Destination, type StoredRow } from './conformance.ts';

export const loopback: AddressPolicy = { allowPrivate: true, allowLoopback: true };
export const table = 'inventory_items';

/** Columns that a table has to have, for CREATE TABLE. */
export const columns = `inventory_namespace text NOT NULL, inventory_name text NOT NULL, target_name text NOT NULL, source_uid text NOT NULL,
  cluster text NOT NULL DEFAULT '', resource_namespace text NOT NULL DEFAULT '', payload jsonb NOT NULL, exported_at timestamptz NOT NULL`;
/** The key of older tables. */
export const fourFields = 'inventory_namespace, inventory_name, target_name, source_uid';
export const existing = { provisioning: { mode: 'existing' } };

type SinkSpec = SinkObject['spec'];

/** A KollectDatabaseSink that reads the key `dsn` of Secret `dsn`. */
export function sinkObject(spec: Partial<SinkSpec> = {}): SinkObject {
  return {
    kind: 'KollectDatabaseSink',
    metadata: { name: 'pg', namespace: 'team-a' },
    spec: { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table }, ...spec },
  };
}

export interface OpenOptions extends Pick<OpenSinkOptions, 'fence' | 'epoch' | 'installation' | 'lookupAll' | 'budgets'> {
  dsn: string;
  spec?: Partial<SinkSpec>;
  policy?: AddressPolicy;
  mapHosts?: HostMap;
  shared?: CountedResources;
  secrets?: Record<string, string>;
}

export function open({ dsn, spec = {}, secrets = {}, policy = loopback, ...rest }: OpenOptions): Promise<OpenedSink> {
  const data = Object.fromEntries(Object.entries({ dsn, ...secrets }).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  return openSink({
    sink: sinkObject(spec),
    readSecret: async (namespace, name) => (namespace === 'team-a' && name === 'dsn' ? { metadata: { resourceVersion: '1' }, data } : undefined),
    policy,
    ...rest,
  });
}

export interface PostgresPlace extends Destination {
  database: string;
  /** Of a user who owns the database, with the canary as his password. */
  dsn: string;
  sql<R extends Record<string, unknown> = Record<string, unknown>>(text: string): Promise<R[]>;
  /** What sinks go through on their way to the server. */
  proxy: TcpProxy;
  opened(spec?: Partial<SinkSpec>, options?: Partial<OpenOptions>): Promise<OpenedSink>;
}

/** A database of its own behind a proxy that can lose answers, which leads to the server or to a pooler at `port`. */
export async function postgresPlace(server: Postgres, onEnd: (end: () => Promise<void> | void) => void, port = server.port): Promise<PostgresPlace> {
  const database = await server.createDatabase();
  const user = `user_${database}`;
  const sql: PostgresPlace['sql'] = (text) => server.query(text, [], database);
  await server.query(`CREATE ROLE ${user} LOGIN PASSWORD '${canary}'; ALTER DATABASE ${database} OWNER TO ${user}`);
  const proxy = await new TcpProxy(port, 'COMMIT\0').start();
  onEnd(() => proxy.stop());
  const dsn = `postgres://${user}:${canary}@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
  const opened: PostgresPlace['opened'] = (spec = {}, options = {}) => open({ dsn, spec, ...options });
  return {
    database,
    dsn,
    sql,
    opened,
    proxy,
    open: async (options = { installation: 'ours' }) => (await opened({}, options)).sink,
    contents: () =>
      sql<StoredRow & Record<string, unknown>>(
        `SELECT inventory_namespace || '/' || inventory_name AS inventory, cluster, target_name AS target, source_uid AS uid, payload::text AS payload,
           exported_at::text || ' ' || xmin::text AS written FROM ${table} ORDER BY 1, 2, 3, 4`,
      ),
    refuse: (text) =>
      sql(`CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.payload::text LIKE '%${text}%' THEN RAISE check_violation USING MESSAGE = 'refused: ' || NEW.payload::text; END IF; RETURN NEW; END $$;
           CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON ${table} FOR EACH ROW EXECUTE FUNCTION refuse()`).then(() => undefined),
    touched: async () => (await sql(`SELECT FROM pg_class WHERE relnamespace = 'public'::regnamespace`)).length > 0,
    loseConfirmation: (later) => (later === Infinity ? proxy.heal() : proxy.breakCommit('cut', later)),
    loseAnswer: () => proxy.breakCommit('silence'),
    holdNextWrite: async () => {
      await sql(`CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;
                 CREATE TRIGGER hold BEFORE INSERT OR UPDATE ON ${table} FOR EACH STATEMENT EXECUTE FUNCTION hold()`);
      const sleeping = async () => (await server.query(`SELECT FROM pg_stat_activity WHERE datname = '${database}' AND wait_event = 'PgSleep'`)).length;
      return {
        waiting: () => eventually(async () => (await sleeping()) === 1, { what: 'a statement that waits' }).then(() => undefined),
        release: async () => {
          await eventually(async () => (await sleeping()) === 0, { what: 'the end of the cancelled statement' });
          await sql(`DROP TRIGGER hold ON ${table}`);
        },
      };
    },
  };
}

/** Rows of all inventories. */
export const count = async (place: PostgresPlace): Promise<number> => (await place.contents()).length;

/** A sink that is open until the test ends. */
export async function withSink(t: { teardown(end: () => Promise<void>): void }, place: PostgresPlace, spec?: Parameters<PostgresPlace['opened']>[0]): Promise<Sink> {
  const { sink } = await place.opened(spec);
  t.teardown(() => sink.close());
  return sink;
}
