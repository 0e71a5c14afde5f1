import { Socket } from 'node:net';
import { finished } from 'node:stream/promises';
import { once } from 'node:events';
import pg from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import { KollectError } from '../../../shared/errors.ts';
import type { CheckedAddress } from '../contract.ts';
import { endFormerLeaders, marking, type LeaderMark } from './former-leaders.ts';
import { endsSession, sqlState } from './errors.ts';
import { MessageBound } from './message-bound.ts';
import type { ResolvedSettings } from './settings.ts';

/** Budget for connection, TLS and login when the connection string names none. */
const connectTimeoutMs = 10_000;
/** How long the server may say nothing: a machine that is gone answers nothing, and keep-alive notices only after hours. */
const silenceTimeoutMs = 120_000;
/** What the server's own timeout needs to arrive here. */
const timeoutGraceMs = 10_000;
const cancelTimeoutMs = 2_000;
/** The catalogue of earlier versions lacks `pg_attribute.attgenerated`. */
const oldestVersion = 12;

export interface Statement {
  text: string;
  values?: readonly unknown[];
}

export interface TransactionOptions {
  lock?: bigint;
  leader?: LeaderMark | undefined;
  beforeCommit?: () => void;
}

/** Of several statements the last one's. */
export interface StatementResult<R> {
  rows: R[];
  rowCount: number;
}

/** One connection. Its errors are those of pg; who catches them last turns them into errors of the catalogue. */
export class Session {
  readonly #client: pg.Client;
  readonly #socket: Socket;
  readonly #address: CheckedAddress;
  readonly #settings: ResolvedSettings;
  /** TLS came about. */
  readonly encrypted: boolean;
  /** Unusable: to be thrown away. */
  broken = false;
  /** Why we ended it ourselves. */
  fault: KollectError | undefined;

  private constructor(client: pg.Client, socket: Socket, address: CheckedAddress, settings: ResolvedSettings, encrypted: boolean) {
    this.#client = client;
    this.#socket = socket;
    this.#address = address;
    this.#settings = settings;
    this.encrypted = encrypted;
    const end = (): void => {
      this.broken = true;
    };
    client.on('error', end);
    client.on('end', end);
  }

  /** Connects and logs in at the first of the addresses that answers. */
  static async open(settings: ResolvedSettings, address: CheckedAddress, signal: AbortSignal): Promise<Session> {
    let failure: unknown;
    for (const host of [address.host, ...address.others]) {
      const target = { ...address, host, others: [] };
      try {
        if (settings.tls.use === 'never') return await Session.#openAt(settings, target, false, signal);
        return await Session.#openAt(settings, target, true, signal);
      } catch (error) {
        failure = error;
        if (settings.tls.use === 'preferred' && error instanceof Error && error.message.includes('does not support SSL')) {
          return await Session.#openAt(settings, target, false, signal);
        }
        // A server that answered has spoken for all of them.
        if (signal.aborted || error instanceof pg.DatabaseError || error instanceof KollectError) throw error;
      }
    }
    throw failure;
  }

  static async #openAt(settings: ResolvedSettings, address: CheckedAddress, encrypted: boolean, signal: AbortSignal): Promise<Session> {
    const { dsn, tls, applicationName } = settings;
    const socket = new Socket();
    const client = new pg.Client({
      host: address.host,
      port: address.port,
      user: dsn.user,
      database: dsn.database,
      // A function: a missing password must not be looked up in the environment or in a file of this process.
      password: () => dsn.password ?? '',
      application_name: applicationName,
      ...(dsn.options === undefined ? {} : { options: dsn.options }),
      ssl: encrypted ? tls.options : false,
      enableChannelBinding: dsn.channelBinding,
      connectionTimeoutMillis: dsn.connectTimeoutMs ?? connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 30_000,
      stream: () => socket,
    });
    const session = new Session(client, socket, address, settings, encrypted);
    const bound = new MessageBound();
    // With TLS the client itself takes one byte in the clear, and no other.
    if (encrypted) client.connection.once('sslconnect', () => bound.watch(client.connection.stream));
    else bound.watch(socket);
    let version: string | undefined;
    client.connection.on('parameterStatus', ({ parameterName, parameterValue }: { parameterName: string; parameterValue: string }) => {
      if (parameterName === 'server_version') version = parameterValue;
    });
    const abort = (): void => void socket.destroy(new Error('connection ended by the caller'));
    signal.addEventListener('abort', abort, { once: true });
    try {
      signal.throwIfAborted();
      await client.connect();
      bound.loggedIn();
      if (version !== undefined && Number.parseInt(version, 10) < oldestVersion) {
        throw new KollectError('KOL_SINK_SCHEMA', `the server is PostgreSQL ${version.split(' ')[0]}, and exports need PostgreSQL ${oldestVersion} or later: upgrade it, or export to another one`);
      }
      return session;
    } catch (error) {
      socket.destroy();
      throw error;
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  async query<R extends pg.QueryResultRow = pg.QueryResultRow>(statement: string | Statement): Promise<StatementResult<R>> {
    return await this.#guarded(async () => {
      const result: pg.QueryResult<R> | pg.QueryResult<R>[] =
        typeof statement === 'string'
          ? await this.#client.query<R>(statement)
          : await this.#client.query<R>({ ...statement, values: [...(statement.values ?? [])] });
      const last = Array.isArray(result) ? result.at(-1) : result;
      return { rows: last?.rows ?? [], rowCount: last?.rowCount ?? 0 };
    });
  }

  /** Sends lines in the text format of COPY, as fast as the server takes them. */
  async copyIn(text: string, lines: Iterable<string>): Promise<void> {
    await this.#guarded(async () => {
      const stream = this.#client.query(copyFrom(text));
      const done = finished(stream);
      // Awaited below, or never when an earlier await throws.
      done.catch(() => undefined);
      for (const chunk of lines) if (!stream.write(chunk)) await Promise.race([once(stream, 'drain'), done]);
      stream.end();
      await done;
    });
  }

  /**
   * Runs `work` between BEGIN and COMMIT with the timeouts of the sink; rolls back when it throws. With `lock` it waits for other
   * transactions of that number to end, and with `leader` ends those of earlier ones. `beforeCommit` may throw.
   */
  async transaction<T>(work: () => Promise<T>, { lock, leader, beforeCommit }: TransactionOptions = {}): Promise<T> {
    const { begin } = this.#settings;
    try {
      await (lock === undefined ? this.query(begin) : this.#beginLocked(lock, leader));
      const result = await work();
      beforeCommit?.();
      await this.query('COMMIT');
      return result;
    } catch (error) {
      if (!(error instanceof KollectError) && endsSession(error)) this.broken = true;
      if (!this.broken) await this.query('ROLLBACK').catch(() => (this.broken = true));
      throw error;
    }
  }

  /** Waiting in vain is an error of its own: it says nothing of how long the work takes. */
  async #beginLocked(lock: bigint, leader: LeaderMark | undefined): Promise<void> {
    try {
      const mark = leader === undefined ? '' : `, ${marking(leader)}`;
      const { rows } = await this.query<{ free: boolean }>(`${this.#settings.begin}; SELECT pg_try_advisory_xact_lock(${lock}) AS free${mark}`);
      if (rows[0]?.free) return;
      if (leader !== undefined) await this.query(endFormerLeaders(lock, leader));
      await this.query(`SELECT pg_advisory_xact_lock(${lock})`);
    } catch (cause) {
      if (sqlState(cause) !== '57014' && sqlState(cause) !== '55P03') throw cause;
      throw new KollectError('KOL_SINK_BUSY', 'another session writes the same rows, and has not ended in time', { cause });
    }
  }

  /**
   * Asks the server to stop what it is doing for this session, which does nothing more from now on. The connection goes when the server has said that it did,
   * or does not say so in time, and not before: a pooler that saw the client leave would not know any more whom to stop.
   */
  cancel(fault: KollectError): void {
    this.fault ??= fault;
    this.broken = true;
    this.#requestCancel();
    setTimeout(() => this.#socket.destroy(), cancelTimeoutMs);
  }

  async close(): Promise<void> {
    if (this.broken) this.#socket.destroy();
    else await this.#guarded(() => this.#client.end()).catch(() => this.#socket.destroy());
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    if (this.fault) throw this.fault;
    const { statementTimeoutMs } = this.#settings;
    const limitMs = statementTimeoutMs === undefined ? silenceTimeoutMs : statementTimeoutMs + timeoutGraceMs;
    // A server that is there ends the statement, and then says so itself.
    let timer = setTimeout(() => {
      this.#requestCancel();
      timer = setTimeout(() => this.cancel(new KollectError('KOL_SINK_UNAVAILABLE', `the database has not answered for ${limitMs / 1000} s`)), timeoutGraceMs);
    }, limitMs);
    try {
      return await work();
    } finally {
      clearTimeout(timer);
    }
  }

  /**
   * The message that ends a statement is sent on a connection of its own, in the clear, and answered by nothing but its end. PgBouncer
   * does not pass it on when our side of that connection ends first.
   */
  #requestCancel(): void {
    const socket = new Socket();
    // Not in the types: what the server gave at login for this purpose.
    const { processID, secretKey } = this.#client as unknown as { processID: number | null; secretKey: number | null };
    if (typeof processID !== 'number' || typeof secretKey !== 'number') return;
    const message = Buffer.alloc(16);
    for (const [index, value] of [16, 80_877_102, processID, secretKey].entries()) message.writeInt32BE(value, index * 4);
    socket.setTimeout(cancelTimeoutMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.connect({ host: this.#address.host, port: this.#address.port }).write(message);
    socket.resume();
  }
}
