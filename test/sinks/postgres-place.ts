import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { once } from 'node:events';
import { CountedResources } from '../../controller/sinks/runtime/shared-resources.ts';
import { openSink, type OpenedSink, type SinkObject } from '../../controller/sinks/runtime/open-sink.ts';
import type { AddressPolicy } from '../../shared/net/address-policy.ts';
import type { HostMap } from '../../shared/net/host-map.ts';
import { eventually } from '../servers/eventually.ts';
import type { Postgres } from '../servers/postgres/index.ts';
import { canary, type Destination, type StoredRow } from './conformance.ts';

export const loopback: AddressPolicy = { allowPrivate: true, allowLoopback: true };
export const table = 'inventory_items';

type SinkSpec = SinkObject['spec'];

/** A KollectDatabaseSink that reads the key `dsn` of Secret `dsn`. */
export function sinkObject(spec: Partial<SinkSpec> = {}): SinkObject {
  return {
    kind: 'KollectDatabaseSink',
    metadata: { name: 'pg', namespace: 'team-a' },
    spec: { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table }, ...spec },
  };
}

export interface OpenOptions {
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
  /** From now on no byte passes between sinks and server. */
  freeze(): void;
  opened(spec?: Partial<SinkSpec>): Promise<OpenedSink>;
}

/** A database of its own behind a proxy that can lose answers. */
export async function postgresPlace(server: Postgres, onEnd: (end: () => Promise<void> | void) => void): Promise<PostgresPlace> {
  const database = await server.createDatabase();
  const user = `user_${database}`;
  const sql: PostgresPlace['sql'] = (text) => server.query(text, [], database);
  await server.query(`CREATE ROLE ${user} LOGIN PASSWORD '${canary}'; ALTER DATABASE ${database} OWNER TO ${user}`);
  const proxy = await startProxy(server.port);
  onEnd(() => proxy.close());
  const dsn = `postgres://${user}:${canary}@127.0.0.1:${proxy.port}/${database}?sslmode=disable`;
  const opened = (spec?: Partial<SinkSpec>) => open({ dsn, ...(spec === undefined ? {} : { spec }) });
  return {
    database,
    dsn,
    sql,
    opened,
    freeze: () => proxy.freeze(),
    open: async () => (await opened()).sink,
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
    loseConfirmation: (later) => proxy.loseCommit(later),
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

/** Passes bytes on, until it is told to lose the answer to a COMMIT: then both sides find their connection cut. */
export async function startProxy(target: number): Promise<{ port: number; loseCommit(later: number): void; freeze(): void; close(): Promise<void> }> {
  let commitsUntilLoss = Infinity;
  let frozen = false;
  const sockets = new Set<Socket>();
  const listener = createServer((client) => {
    const upstream = connect(target, '127.0.0.1');
    let lost = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', (bytes) => {
      if (frozen) return;
      // Statements are sent one at a time, so that a COMMIT is a message of its own.
      if (bytes.includes('COMMIT\0')) lost = commitsUntilLoss-- === 0;
      upstream.write(bytes);
    });
    upstream.on('data', (bytes) => {
      if (lost) client.destroy();
      else if (!frozen) client.write(bytes);
    });
  });
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as AddressInfo).port,
    loseCommit: (later) => {
      commitsUntilLoss = later;
    },
    freeze: () => {
      frozen = true;
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      listener.close();
    },
  };
}
