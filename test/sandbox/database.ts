import pg from 'pg';
import type { Postgres } from '../servers/postgres/index.ts';

export interface CollectedItem {
  kind: string;
  namespace: string;
  name: string;
  attributes: Record<string, unknown>;
}

/** One row that was really written or deleted, as the database itself saw it. */
export interface RowChange {
  operation: 'INSERT' | 'UPDATE' | 'DELETE';
  /** `default/deployments` */
  inventory: string;
  kind: string;
  name: string;
  /** Undefined where there is none, and for rows too large for a notification. */
  before?: CollectedItem;
  after?: CollectedItem;
}

export interface Database {
  /** For people: a URL that works from this machine, as the user of the walkthrough. */
  url: string;
  /** All rows, by namespace and name. */
  rows(): Promise<CollectedItem[]>;
  /** Calls `listener` with each change as it is committed. Gives a function that ends it. */
  onChange(listener: (change: RowChange) => void): () => void;
  close(): Promise<void>;
}

const name = 'inventory';
/** As the Secret of the walkthrough has it. The database is reachable from this machine only and thrown away in the end. */
const login = { user: 'kollect', password: 'example' };

/** Makes the database and the user of the PostgreSQL walkthrough, and listens to all changes of the table that Kollect will create there. */
export async function createInventoryDatabase(postgres: Postgres): Promise<Database> {
  await postgres.query(`create role ${login.user} login password '${login.password}'`);
  await postgres.query(`create database ${name} owner ${login.user}`);
  await postgres.query(notifications, [], name);
  const listeners = new Set<(change: RowChange) => void>();
  const client = new pg.Client({ connectionString: postgres.dsn(name) });
  // The server may be stopped before us.
  client.on('error', () => {});
  client.on('notification', ({ payload }) => {
    const change = JSON.parse(payload ?? '{}') as RowChange;
    for (const listener of listeners) listener(change);
  });
  await client.connect();
  await client.query('listen sandbox');
  return {
    url: `postgres://${login.user}:${login.password}@127.0.0.1:${postgres.port}/${name}`,
    rows: async () => {
      const { rows } = await client.query<{ payload: CollectedItem }>(`select payload from inventory_items order by payload->>'namespace', payload->>'name'`);
      return rows.map(({ payload }) => payload);
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    close: () => client.end(),
  };
}

/** A trigger for each row, made as soon as the table is: counts what is written, not what the controller says. A notification holds 8000 bytes. */
const notifications = `
create function sandbox_row() returns trigger language plpgsql as $$
declare
  head jsonb := jsonb_build_object('operation', tg_op);
  change jsonb;
begin
  if tg_op = 'DELETE' then
    head := head || jsonb_build_object('inventory', old.inventory_namespace || '/' || old.inventory_name, 'kind', old.payload->'kind', 'name', old.payload->'name');
    change := jsonb_build_object('before', old.payload);
  else
    head := head || jsonb_build_object('inventory', new.inventory_namespace || '/' || new.inventory_name, 'kind', new.payload->'kind', 'name', new.payload->'name');
    change := jsonb_build_object('after', new.payload);
    if tg_op = 'UPDATE' then
      change := change || jsonb_build_object('before', old.payload);
    end if;
  end if;
  if octet_length((head || change)::text) < 7900 then
    head := head || change;
  end if;
  perform pg_notify('sandbox', head::text);
  return null;
end $$;

create function sandbox_table() returns event_trigger language plpgsql security definer as $$
begin
  if exists (select from pg_event_trigger_ddl_commands() where object_identity = 'public.inventory_items') then
    create trigger sandbox_row after insert or update or delete on public.inventory_items for each row execute function public.sandbox_row();
  end if;
end $$;

create event trigger sandbox_table on ddl_command_end when tag in ('CREATE TABLE') execute function sandbox_table();
`;
