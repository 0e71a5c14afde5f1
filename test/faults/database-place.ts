import { annotations } from '../../shared/api/annotations.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';
import type { Postgres } from '../servers/postgres/index.ts';
import { inventories } from './home.ts';
import type { Random } from './random.ts';
import { comesTrue, elsewhere, here, rowOf, SinkPlace, type NamedStrike, type PlaceOptions } from './sink-place.ts';
import { TcpProxy } from './tcp-proxy.ts';

export const table = 'inventory_items';
const statementTimeoutMs = 2_000;

/** A database, with a table of rows. */
export class DatabasePlace extends SinkPlace {
  readonly family = { plural: 'kollectdatabasesinks', kind: 'KollectDatabaseSink', refs: 'databaseSinkRefs' } as const;
  readonly #postgres: Postgres;
  /** In the password, which is another one from time to time. */
  readonly #canary: string;
  #passwords = 0;

  static async start(name: string, { postgres, admin, random, canary }: { postgres: Postgres; admin: KubeClient; random: Random; canary: string }): Promise<DatabasePlace> {
    const place = new DatabasePlace({ name, admin, random, proxy: await new TcpProxy(postgres.port, 'COMMIT\0').start() }, postgres, canary);
    await postgres.createDatabase(name);
    await postgres.query(`CREATE ROLE ${name} LOGIN PASSWORD '${place.#password}'; ALTER DATABASE ${name} OWNER TO ${name}`);
    // A sequence keeps what it counted when the transaction is rolled back.
    await place.sql(`CREATE SEQUENCE strikes;
      CREATE FUNCTION strike_statement() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN PERFORM nextval('public.strikes'); IF TG_ARGV[0] = 'slow' THEN PERFORM pg_sleep(30); END IF; RAISE EXCEPTION 'struck' USING ERRCODE = TG_ARGV[0]; END $$;
      CREATE FUNCTION strike_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
          IF NEW.payload::text LIKE '%' || TG_ARGV[2] || '%' AND random() < TG_ARGV[1]::float THEN PERFORM nextval('public.strikes'); RAISE EXCEPTION 'struck' USING ERRCODE = TG_ARGV[0]; END IF;
          RETURN NEW;
        END $$`);
    await place.createSink();
    return place;
  }

  private constructor(options: PlaceOptions, postgres: Postgres, canary: string) {
    super(options);
    this.#postgres = postgres;
    this.#canary = canary;
  }

  async sql<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    return await this.#postgres.query<R>(text, values, this.name);
  }

  /** Without what somebody added to an inventory after its rows had been removed: nobody is known to have written that, so it stays. */
  async rows(naming: readonly string[]): Promise<string[]> {
    const rows = await this.sql<{ inventory: string; place: string; said: string; payload: object }>(
      `SELECT inventory_namespace || '/' || inventory_name AS inventory, payload,
        concat_ws(' ', cluster, target_name, source_uid, resource_namespace) AS place, concat_ws(' ', $2::text, payload->>'targetName', payload->>'uid', payload->>'namespace') AS said
      FROM ${table} WHERE cluster <> $3 AND (source_uid NOT LIKE 'odd-%' OR inventory_namespace || '/' || inventory_name = ANY($1))`,
      [naming, here, elsewhere],
    );
    return rows.map(({ inventory, place, said, payload }) => `${rowOf(inventory, payload)}${place === said ? '' : ` at ${place}`}`).sort();
  }

  edit(): object {
    return { options: { application_name: `chaos-${this.random.below(100)}` } };
  }

  protected get spec(): object {
    const options = { statement_timeout: String(statementTimeoutMs), lock_timeout: '1500' };
    return { type: 'postgres', postgres: { databaseRef: { name: this.name }, table }, options };
  }

  protected get secret(): Record<string, string> {
    return { dsn: `postgres://${this.name}:${this.#password}@127.0.0.1:${this.proxy.port}/${this.name}?sslmode=disable` };
  }

  get #password(): string {
    return `${this.#canary}-${this.#passwords}`;
  }

  get harmless(): readonly NamedStrike[] {
    return [
      ['a sink that refuses connections', () => this.refuse()],
      ['a COMMIT whose answer is lost', () => this.breakCommit('cut')],
      ['a COMMIT that is not answered', () => this.breakCommit('silence')],
      ['a COMMIT that is lost', () => this.breakCommit('drop')],
      ['a COMMIT that arrives late', () => this.late()],
      ['connections to a sink that are reset', async () => this.proxy.cut() > 0],
      ['connections to a sink that drip', () => this.drip()],
      ['connections to a sink that fall silent', () => this.silence()],
      ['a full disk', () => this.#trigger('STATEMENT', `strike_statement('53100')`, true)],
      ['a serialization failure', () => this.#trigger('STATEMENT', `strike_statement('40001')`, true)],
      ['a statement that takes too long', () => this.#trigger('STATEMENT', `strike_statement('slow')`, false)],
      ['a batch that fails in the middle', () => this.#trigger('ROW', `strike_row('40P01', '0.3', '')`, true)],
      ['a poisoned row', () => this.#poison()],
      ['a table that is locked', () => this.#lock()],
      ['a login that is refused', () => this.#login('NOLOGIN', 'LOGIN')],
      ['no connection left', () => this.#login('CONNECTION LIMIT 0', 'CONNECTION LIMIT -1')],
      ['a password that is rotated', () => this.#rotatePassword()],
    ];
  }

  get destructive(): readonly NamedStrike[] {
    return [
      ['a table that is dropped', () => this.#drop(table)],
      ['a table of states that is dropped', () => this.#drop('kollect_state')],
      ['a table that is truncated', () => this.#done(`TRUNCATE ${table}`)],
      ['rows that somebody deletes', () => this.#done(`DELETE FROM ${table} WHERE random() < 0.02`)],
      ['rows that somebody adds', () => this.#done(`INSERT INTO ${table} (inventory_namespace, inventory_name, target_name, source_uid, cluster, resource_namespace, payload, exported_at)
        SELECT inventory_namespace, inventory_name, target_name, 'odd-' || source_uid, cluster, resource_namespace, payload, now() FROM ${table} WHERE random() < 0.02`)],
      ['rows that somebody alters', () => this.#alter()],
    ];
  }

  async #strikes(): Promise<number> {
    return Number((await this.sql<{ last_value: string; is_called: boolean }>('SELECT last_value, is_called FROM strikes')).map(({ last_value, is_called }) => (is_called ? last_value : 0))[0]);
  }

  /** A trigger until it struck, and a while more. */
  async #trigger(each: 'STATEMENT' | 'ROW', action: string, lasts: boolean, during?: () => Promise<unknown>): Promise<boolean> {
    const before = await this.#strikes();
    await this.sql(`CREATE TRIGGER struck BEFORE INSERT OR UPDATE ON ${table} FOR EACH ${each} EXECUTE FUNCTION ${action}`);
    try {
      await during?.();
      const came = await comesTrue(async () => (await this.#strikes()) > before);
      if (lasts) await this.moment(1_000);
      return came;
    } finally {
      await this.#surely(`DROP TRIGGER IF EXISTS struck ON ${table}`);
    }
  }

  /** The object is mended while the table still refuses what it was. */
  async #poison(): Promise<boolean> {
    const path = '/api/v1/namespaces/n0/configmaps';
    const name = `poison-${this.name}`;
    const write = (value: string): Promise<unknown> =>
      this.admin.patch(`${path}/${name}`, { type: 'apply', query: { fieldManager: 'test', force: true }, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } } });
    const before = `before ${this.random.below(1_000)}`;
    await write(before);
    const value = `poison-${this.name}-${this.random.below(1_000)}`;
    try {
      return await this.#trigger('ROW', `strike_row('23514', '1', '${value}')`, true, () => write(value));
    } finally {
      await write(this.random.pick([before, 'mended']));
    }
  }

  async #lock(): Promise<boolean> {
    const waiting = async (): Promise<boolean> => (await this.#postgres.query(`SELECT FROM pg_locks WHERE NOT granted AND relation IS NOT NULL AND database = (SELECT oid FROM pg_database WHERE datname = '${this.name}')`)).length > 0;
    let came = false;
    const looking = comesTrue(waiting, 4_000).then((found) => (came = found));
    await this.sql(`BEGIN; LOCK TABLE ${table}; SELECT pg_sleep(${(1 + this.random.below(30) / 10).toFixed(1)}); COMMIT`);
    await looking;
    return came;
  }

  async #login(off: string, on: string): Promise<boolean> {
    const before = this.proxy.connections;
    await this.sql(`ALTER ROLE ${this.name} ${off}`);
    try {
      await this.#endSessions();
      return await comesTrue(() => this.proxy.connections > before);
    } finally {
      await this.#surely(`ALTER ROLE ${this.name} ${on}`);
    }
  }

  async #rotatePassword(): Promise<boolean> {
    const before = this.proxy.connections;
    this.#passwords++;
    await this.#surely(`ALTER ROLE ${this.name} PASSWORD '${this.#password}'`);
    await this.#surely(endSessions(this.name));
    const came = await comesTrue(() => this.proxy.connections > before);
    await this.updateSecret();
    return came;
  }

  async #endSessions(): Promise<void> {
    await this.sql(endSessions(this.name));
  }

  async #drop(name: string): Promise<boolean> {
    await this.sql(`DROP TABLE ${name}`);
    await comesTrue(async () => (await this.sql(`SELECT FROM pg_class WHERE relname = '${name}'`)).length > 0);
    return true;
  }

  async #done(text: string): Promise<boolean> {
    const [changed] = await this.sql<{ n: number }>(text.startsWith('TRUNCATE') ? text : `WITH changed AS (${text} RETURNING 1) SELECT count(*)::int AS n FROM changed`);
    return changed === undefined || changed.n > 0;
  }

  /** What must not be left undone because the server is away for a moment. */
  async #surely(text: string): Promise<void> {
    await eventually(() => this.sql(text).then(() => true), { what: text });
  }

  /** Some rows get another content, which nobody can tell from their number: the inventories are asked to compare. */
  async #alter(): Promise<boolean> {
    const altered = await this.#done(`UPDATE ${table} SET payload = payload || '{"name":"altered"}' WHERE random() < 0.05`);
    const metadata = { annotations: { [annotations.reconcile]: String(this.random.next()) } };
    for (const path of Object.values(inventories)) await this.admin.patch(path, { type: 'merge', body: { metadata } }).catch(() => undefined);
    return altered;
  }
}

function endSessions(user: string): string {
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${user}'`;
}
