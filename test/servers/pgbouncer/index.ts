import { chmodSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { librariesIn, obtainPackages } from '../debian-packages.ts';
import { freePort } from '../free-port.ts';
import { plainEnvironment } from '../keeper.ts';
import { launch, type Launched } from '../launch.ts';
import type { ObtainOptions } from '../obtain.ts';
import type { Postgres } from '../postgres/index.ts';
import type { Report } from '../progress.ts';

/** `value.port` takes the logins of the server behind it. */
export type Pgbouncer = Launched<{ port: number }>;

/** Gives the folder with Debian's PgBouncer. Rejects with `ObtainError`. */
export function obtainPgbouncer(options: ObtainOptions = {}): Promise<string> {
  return obtainPackages({ name: 'pgbouncer', packages: ['pgbouncer'], dependencies: /^lib(?:c-ares|event)/ }, options);
}

/** Starts PgBouncer in front of a PostgreSQL: each transaction gets the session that has waited longest, and none is cleaned in between. */
export async function startPgbouncer(postgres: Postgres, options: { report?: Report | undefined } = {}): Promise<Pgbouncer> {
  const folder = await obtainPgbouncer({ report: options.report });
  const path = join(folder, 'usr', 'sbin', 'pgbouncer');
  const libraries = librariesIn(folder);
  return await launch({
    prepare: async (keeper) => {
      const port = await freePort();
      const [settings, users] = [join(keeper.folder, 'pgbouncer.ini'), join(keeper.folder, 'users.txt')];
      writeFileSync(users, `"${postgres.superuser}" "${postgres.password}"\n`);
      const lines = {
        listen_addr: '127.0.0.1',
        listen_port: port,
        unix_socket_dir: '',
        auth_type: 'scram-sha-256',
        auth_file: users,
        auth_user: postgres.superuser,
        auth_query: 'SELECT usename, passwd FROM pg_catalog.pg_shadow WHERE usename = $1',
        pool_mode: 'transaction',
        min_pool_size: 3,
        default_pool_size: 3,
        server_round_robin: 1,
        server_idle_timeout: 2,
        // It refuses to run as root.
        ...(process.getuid?.() === 0 ? { user: 'nobody' } : {}),
      };
      writeFileSync(settings, ['[databases]', `* = host=127.0.0.1 port=${postgres.port}`, '[pgbouncer]', ...Object.entries(lines).map(([name, value]) => `${name} = ${value}`), ''].join('\n'));
      chmodSync(keeper.folder, 0o711);
      const env = { ...plainEnvironment(), LD_LIBRARY_PATH: libraries };
      return { start: { name: 'pgbouncer', command: path, args: [settings], env }, check: () => answers(postgres.dsn().replace(`:${postgres.port}/`, `:${port}/`)), value: { port } };
    },
  });
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  await client.connect();
  await client.end();
  return true;
}
