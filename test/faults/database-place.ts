import { setTimeout as pause } from 'node:timers/promises';
import { annotations } from '../../shared/api/annotations.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';
import type { Postgres } from '../servers/postgres/index.ts';
import { api, createInHome } from './home.ts';
import type { Random } from './random.ts';
import { TcpProxy, type CommitFault } from './tcp-proxy.ts';

export const table = 'inventory_items';
const statementTimeoutMs = 2_000;

/** A fault of a destination; tells whether it struck. It is over when this resolves. */
type Strike = () => Promise<boolean>;

/** A database behind a proxy, the sink in front of it, and all that can happen to them. */
export class DatabasePlace {
  readonly name: string;
  readonly proxy: TcpProxy;
  readonly #postgres: Postgres;
  readonly #admin: KubeClient;
  readonly #random: Random;
  #passwords = 0;
  #last: Promise<unknown> = Promise.resolve();

  static async start(name: string, { postgres, admin, random }: { postgres: Postgres; admin: KubeClient; random: Random }): Promise<DatabasePlace> {
    const place = new DatabasePlace(name, postgres, admin, random, await new TcpProxy(postgres.port, 'COMMIT\0').start());
    await postgres.createDatabase(name);
    await postgres.query(`CREATE ROLE ${name} LOGIN PASSWORD 'p0'; ALTER DATABASE ${name} OWNER TO ${name}`);
    // A sequence keeps what it counted when the transaction is rolled back.
    await place.sql(`CREATE SEQUENCE strikes;
      CREATE FUNCTION strike_statement() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN PERFORM nextval('public.strikes'); IF TG_ARGV[0] = 'slow' THEN PERFORM pg_sleep(30); END IF; RAISE EXCEPTION 'struck' USING ERRCODE = TG_ARGV[0]; END $$;
      CREATE FUNCTION strike_row() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
        BEGIN
          IF NEW.payload::text LIKE '%' || TG_ARGV[2] || '%' AND random() < TG_ARGV[1]::float THEN PERFORM nextval('public.strikes'); RAISE EXCEPTION 'struck' USING ERRCODE = TG_ARGV[0]; END IF;
          RETURN NEW;
        END $$`);
    await admin.create('/api/v1/namespaces/home/secrets', { metadata: { name }, stringData: { dsn: place.#dsn } });
    const options = { statement_timeout: String(statementTimeoutMs), lock_timeout: '1500' };
    await createInHome(admin, 'kollectdatabasesinks', 'KollectDatabaseSink', name, { type: 'postgres', postgres: { databaseRef: { name }, table }, options });
    return place;
  }

  private constructor(name: string, postgres: Postgres, admin: KubeClient, random: Random, proxy: TcpProxy) {
    this.name = name;
    this.#postgres = postgres;
    this.#admin = admin;
    this.#random = random;
    this.proxy = proxy;
  }

  async sql<R extends object>(text: string, values: readonly unknown[] = []): Promise<R[]> {
    return await this.#postgres.query<R>(text, values, this.name);
  }

  /** One thing after another. */
  async alone<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.catch(() => undefined).then(work);
    this.#last = mine;
    return await mine;
  }

  /** Something is written again, unless that takes long: a sink that fails again and again is tried less and less often. */
  async recover(): Promise<void> {
    const before = this.proxy.commits;
    await comesTrue(() => this.proxy.commits > before);
  }

  /** The next commit meets this. Tells whether one came. */
  async breakCommit(kind: CommitFault): Promise<boolean> {
    this.proxy.breakCommit(kind);
    const came = await comesTrue(() => !this.proxy.waits);
    this.proxy.heal();
    return came;
  }

  /** The next commit is under way until the proxy delivers it. Tells whether one came. */
  async holdCommit(): Promise<boolean> {
    this.proxy.breakCommit('delay');
    const came = await comesTrue(() => this.proxy.holds);
    this.proxy.heal();
    return came;
  }

  /** Faults that take nothing away, by name. */
  get harmless(): (readonly [string, Strike])[] {
    return [
      ['a sink that refuses connections', () => this.#refuse()],
      ['a COMMIT whose answer is lost', () => this.breakCommit('cut')],
      ['a COMMIT that is not answered', () => this.breakCommit('silence')],
      ['a COMMIT that is lost', () => this.breakCommit('drop')],
      ['a COMMIT that arrives late', () => this.#late()],
      ['connections to a sink that are reset', async () => this.proxy.cut() > 0],
      ['connections to a sink that drip', () => this.#drip()],
      ['connections to a sink that fall silent', () => this.#silence()],
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

  /** Faults that take rows away or change them. */
  get destructive(): (readonly [string, Strike])[] {
    return [
      ['a table that is dropped', () => this.#drop(table)],
      ['a table of states that is dropped', () => this.#drop('kollect_state')],
      ['a table that is truncated', () => this.#done(`TRUNCATE ${table}`)],
      ['rows that somebody deletes', () => this.#done(`DELETE FROM ${table} WHERE random() < 0.02`)],
      ['rows that somebody adds', () => this.#done(`INSERT INTO ${table} (inventory_namespace, inventory_name, target_name, source_uid, cluster, resource_namespace, payload, exported_at)
        SELECT inventory_namespace, inventory_name, target_name, 'odd-' || source_uid, cluster, resource_namespace, payload, now() FROM ${table} WHERE random() < 0.02`)],
    ];
  }

  get #dsn(): string {
    return `postgres://${this.name}:p${this.#passwords}@127.0.0.1:${this.proxy.port}/${this.name}?sslmode=disable`;
  }

  #moment(mostMs: number): Promise<void> {
    return pause(100 + this.#random.below(mostMs));
  }

  async #refuse(): Promise<boolean> {
    const before = this.proxy.connections;
    this.proxy.refuses = true;
    this.proxy.cut();
    const came = await comesTrue(() => this.proxy.connections > before);
    await this.#moment(1_500);
    this.proxy.refuses = false;
    return came;
  }

  async #late(): Promise<boolean> {
    const came = await this.holdCommit();
    // The client has gone and comes again while the server still waits for the first commit.
    this.proxy.cut();
    await this.#moment(4_000);
    this.proxy.deliver();
    return came;
  }

  async #drip(): Promise<boolean> {
    const before = this.proxy.sent;
    this.proxy.drips = true;
    const came = await comesTrue(() => this.proxy.sent > before);
    await this.#moment(1_500);
    this.proxy.drips = false;
    return came;
  }

  async #silence(): Promise<boolean> {
    const before = this.proxy.sent;
    this.proxy.freeze();
    const came = await comesTrue(() => this.proxy.sent > before);
    await this.#moment(3_000);
    this.proxy.thaw();
    return came;
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
      if (lasts) await this.#moment(1_000);
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
      this.#admin.patch(`${path}/${name}`, { type: 'apply', query: { fieldManager: 'test', force: true }, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } } });
    const before = `before ${this.#random.below(1_000)}`;
    await write(before);
    const value = `poison-${this.name}-${this.#random.below(1_000)}`;
    try {
      return await this.#trigger('ROW', `strike_row('23514', '1', '${value}')`, true, () => write(value));
    } finally {
      await write(this.#random.pick([before, 'mended']));
    }
  }

  async #lock(): Promise<boolean> {
    const waiting = async (): Promise<boolean> => (await this.#postgres.query(`SELECT FROM pg_locks WHERE NOT granted AND relation IS NOT NULL AND database = (SELECT oid FROM pg_database WHERE datname = '${this.name}')`)).length > 0;
    let came = false;
    const looking = comesTrue(waiting, 4_000).then((found) => (came = found));
    await this.sql(`BEGIN; LOCK TABLE ${table}; SELECT pg_sleep(${(1 + this.#random.below(30) / 10).toFixed(1)}); COMMIT`);
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
    await this.#surely(`ALTER ROLE ${this.name} PASSWORD 'p${this.#passwords}'`);
    await this.#surely(endSessions(this.name));
    const came = await comesTrue(() => this.proxy.connections > before);
    await this.#admin.patch(`/api/v1/namespaces/home/secrets/${this.name}`, { type: 'merge', body: { stringData: { dsn: this.#dsn } } });
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
  async alter(random: Random): Promise<boolean> {
    const altered = await this.#done(`UPDATE ${table} SET payload = payload || '{"name":"altered"}' WHERE random() < 0.05`);
    const metadata = { annotations: { [annotations.reconcile]: String(random.next()) } };
    for (const name of ['inventory', 'second']) await this.#admin.patch(`${api}/kollectinventories/${name}`, { type: 'merge', body: { metadata } }).catch(() => undefined);
    return altered;
  }
}

function endSessions(user: string): string {
  return `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '${user}'`;
}

/** Whether it comes true before the time is over. */
async function comesTrue(what: () => boolean | Promise<boolean>, ms = 15_000): Promise<boolean> {
  const end = performance.now() + ms;
  const now = async (): Promise<boolean> => await what();
  while (performance.now() < end) {
    if (await now().catch(() => false)) return true;
    await pause(20);
  }
  return false;
}
