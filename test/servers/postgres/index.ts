import { randomBytes, randomUUID } from 'node:crypto';
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import pg from 'pg';
import { freePort } from '../free-port.ts';
import { openKeeper, plainEnvironment } from '../keeper.ts';
import type { Keeper, KeptProcess, ProcessCommand, StartOptions } from '../keeper.ts';
import type { Report } from '../progress.ts';
import { untilReady } from '../ready.ts';
import { obtainPostgres, programsFor } from './binaries.ts';

export interface PostgresOptions {
  /** Settings of the server, such as `{ max_connections: '20' }`. */
  settings?: Readonly<Record<string, string>>;
  /** Of the superuser; random when unset. */
  password?: string;
  report?: Report | undefined;
}

export interface Postgres {
  /** `postgres://…` for a database, `postgres` by default, as the superuser. */
  dsn(database?: string): string;
  superuser: string;
  password: string;
  port: number;
  /** Temporary, removed in the end. */
  folder: string;
  keeper: Keeper;
  process(): KeptProcess;
  /** Makes an empty database and gives its name. */
  createDatabase(name?: string): Promise<string>;
  /** Runs one statement as the superuser and gives its rows. */
  query<R extends object = Record<string, unknown>>(sql: string, values?: readonly unknown[], database?: string): Promise<R[]>;
  /** SIGKILL unless said otherwise: connections break without a word. SIGSTOP and SIGCONT freeze and thaw the server. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again after `kill()`, or kills and starts it: same port, same data. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

const superuser = 'postgres';
/** `nobody` everywhere on Linux: PostgreSQL refuses to run as root. */
const unprivileged = { uid: 65_534, gid: 65_534 };

/**
 * Starts PostgreSQL with an empty cluster of databases on 127.0.0.1, in about a second. Passwords are checked. Data is not flushed to the disk,
 * which survives a killed server and is lost only with the machine.
 *
 * @example
 * const postgres = await startPostgres();
 * t.teardown(() => postgres.stop());
 * const client = new pg.Client(postgres.dsn(await postgres.createDatabase()));
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<Postgres> {
  const binaries = await obtainPostgres({ report: options.report });
  const keeper = await openKeeper();
  try {
    const user = process.getuid?.() === 0 ? unprivileged : undefined;
    const server: Server = { keeper, user, programs: programsFor(binaries, user, keeper.folder), data: join(keeper.folder, 'data'), settings: options.settings ?? {} };
    const password = options.password ?? randomBytes(12).toString('hex');
    await initialise(server, password);
    const { port, process: first } = await startOnFreePort(server, password);
    return describe(server, port, password, first);
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

interface Server {
  keeper: Keeper;
  user: { uid: number; gid: number } | undefined;
  programs: string;
  data: string;
  settings: Readonly<Record<string, string>>;
}

async function initialise({ keeper, user, programs, data }: Server, password: string): Promise<void> {
  const passwordFile = join(keeper.folder, 'password');
  writeFileSync(passwordFile, password, { mode: 0o600 });
  mkdirSync(data, { mode: 0o700 });
  if (user !== undefined) {
    // He must reach his folder through this one.
    chmodSync(keeper.folder, 0o711);
    for (const path of [passwordFile, data]) chownSync(path, user.uid, user.gid);
  }
  const args = ['-D', data, '-U', superuser, `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8', '--locale=C', '--no-sync'];
  const initdb = await keeper.start({ name: 'initdb', command: join(programs, 'initdb'), args, ...user, env: environment() });
  const { code, signal } = await initdb.untilExit();
  if (code !== 0) throw new Error(`initdb ended with ${signal ?? `code ${code}`}:\n${initdb.logs(15)}`);
}

/** Another process may take a port between the choice and the start. */
async function startOnFreePort(server: Server, password: string): Promise<{ port: number; process: KeptProcess }> {
  for (let attempt = 1; ; attempt++) {
    const port = await freePort();
    try {
      return { port, process: await startServer(server, port, password) };
    } catch (error) {
      if (attempt === 3 || !(error instanceof Error) || !error.message.includes('Address already in use')) throw error;
    }
  }
}

async function startServer(server: Server, port: number, password: string): Promise<KeptProcess> {
  const running = await server.keeper.start(command(server, port));
  await untilReady(running, { name: 'postgres', check: () => answers(dsnOf(port, password, 'postgres')) });
  return running;
}

function command({ user, programs, data, settings }: Server, port: number): StartOptions {
  const flags = { listen_addresses: '127.0.0.1', unix_socket_directories: '', fsync: 'off', max_connections: '50', ...settings };
  const args = ['-D', data, '-p', String(port), ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
  return {
    name: 'postgres',
    command: join(programs, 'postgres'),
    args,
    ...user,
    env: environment(),
    // Fast shutdown, then immediate shutdown: both remove what it holds in the kernel, which SIGKILL does not.
    stop: [
      { signal: 'SIGINT', graceMs: 10_000 },
      { signal: 'SIGQUIT', graceMs: 5_000 },
    ],
    afterwards: removeSharedMemory(data),
  };
}

/** A server killed by SIGKILL leaves a System V segment; the seventh line of its pid file ends with the segment's id. */
function removeSharedMemory(data: string): ProcessCommand {
  const script = 'id=$(sed -n 7p "$1/postmaster.pid" 2>/dev/null | awk \'{ print $2 }\'); [ -z "$id" ] || ipcrm -m "$id"';
  return { command: 'sh', args: ['-c', script, 'sh', data], env: plainEnvironment(), log: '/dev/null', stop: [] };
}

/** Messages in English, whatever the machine speaks; no setting for clients that somebody has exported. */
function environment(): NodeJS.ProcessEnv {
  const kept = Object.entries(plainEnvironment()).filter(([name]) => !name.startsWith('PG'));
  return { ...Object.fromEntries(kept), LC_ALL: 'C', TZ: 'UTC' };
}

function describe(server: Server, port: number, password: string, first: KeptProcess): Postgres {
  let current = first;
  const dsn = (database = 'postgres') => dsnOf(port, password, database);
  const query: Postgres['query'] = async <R extends object>(sql: string, values: readonly unknown[] = [], database?: string) => {
    const client = new pg.Client({ connectionString: dsn(database) });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query<R & pg.QueryResultRow>(sql, [...values])).rows;
    } finally {
      await client.end();
    }
  };
  const createDatabase = async (name = `test_${randomUUID().replaceAll('-', '')}`) => {
    await query(`create database ${pg.escapeIdentifier(name)}`);
    return name;
  };
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    current.signal(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT' && signal !== 'SIGHUP') await current.untilExit();
  };
  const restart = async () => {
    if (current.exit() === undefined) await kill();
    current = await startAgain(server, port, password);
  };
  const { keeper } = server;
  return { dsn, superuser, password, port, folder: keeper.folder, keeper, process: () => current, createDatabase, query, kill, restart, stop: () => keeper.stop() };
}

/** Sessions of a killed server end only when they notice, and it does not start while one is left. */
async function startAgain(server: Server, port: number, password: string): Promise<KeptProcess> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    try {
      return await startServer(server, port, password);
    } catch (error) {
      const inUse = error instanceof Error && /still in use|Address already in use/.test(error.message);
      if (!inUse || performance.now() > deadline) throw error;
      await pause(100);
    }
  }
}

function dsnOf(port: number, password: string, database: string): string {
  return `postgres://${superuser}:${encodeURIComponent(password)}@127.0.0.1:${port}/${encodeURIComponent(database)}`;
}

async function answers(connectionString: string): Promise<boolean> {
  const client = new pg.Client({ connectionString, connectionTimeoutMillis: 2_000 });
  client.on('error', () => {});
  await client.connect();
  await client.end();
  return true;
}
