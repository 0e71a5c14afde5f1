import { isIP } from 'node:net';
import { checkServerIdentity } from 'node:tls';
import { MongoClient, type AuthMechanism, type MongoClientOptions } from 'mongodb';
import { KollectError } from '../../../shared/errors.ts';
import type { CheckedAddress, Dialer } from '../contract.ts';
import { SharedSession, type ClientSession } from '../runtime/shared-session.ts';
import { guardClient } from './client-guards.ts';
import { mongoError } from './errors.ts';
import type { MongoSinkSettings } from './settings.ts';
import { parseHost, type MongoHost } from './uri.ts';

/** To connect and log in to one server. */
const connectMs = 3_000;
/** A statement that takes longer is given up. */
const statementMs = 60_000;

/** A name that nobody has: what is dialled instead is told by the dialer. */
const placeholder = 'checked.invalid';

/** Sessions at the server that takes writes, for all sinks that write there with one login. Looked for anew after any error: another server may have taken over. */
export class Connection {
  readonly #settings: MongoSinkSettings;
  readonly #sessions: SharedSession<Session>;

  constructor(settings: MongoSinkSettings, dialer: Dialer) {
    this.#settings = settings;
    this.#sessions = new SharedSession(() => new Session(settings, dialer));
  }

  /** Runs `work`, at the same time as that of others. Rejects when `signal` aborts; what was sent by then may be done, and nothing is sent again. */
  async use<T>(signal: AbortSignal, work: (client: MongoClient) => Promise<T>): Promise<T> {
    return await this.#sessions.use(signal, async (session) => await work(session.client), (error) => mongoError(error, this.#settings));
  }

  async close(): Promise<void> {
    await this.#sessions.close();
  }
}

class Session implements ClientSession {
  readonly ready: Promise<void>;
  readonly #settings: MongoSinkSettings;
  readonly #dialer: Dialer;
  #client: MongoClient | undefined;
  #isOver = false;

  constructor(settings: MongoSinkSettings, dialer: Dialer) {
    this.#settings = settings;
    this.#dialer = dialer;
    guardClient();
    this.ready = this.#find();
  }

  get client(): MongoClient {
    if (!this.#client) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the connection to the server is being closed');
    return this.#client;
  }

  destroy(): void {
    this.#isOver = true;
    this.#client?.close(true).catch(() => undefined);
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#client?.close();
  }

  /**
   * The first server that takes writes: one of those that the connection string names, or that these name as theirs. Each is connected to by itself, since the client
   * would dial whatever servers tell of.
   */
  async #find(): Promise<void> {
    const hosts = [...this.#settings.uri.hosts];
    const tried = new Set<string>();
    let last: unknown = new KollectError('KOL_SINK_UNAVAILABLE', 'none of the servers takes writes at the moment: look at the replica set');
    for (let host = hosts.shift(); host !== undefined; host = hosts.shift()) {
      const name = `${host.host}:${host.port}`;
      if (tried.has(name)) continue;
      tried.add(name);
      const client = new MongoClient(`mongodb://${placeholder}:${host.port}/`, this.#options(host));
      try {
        await this.#dialer.resolve(host.host, host.port);
        this.#client = client;
        if (this.#isOver) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the connection to the server is being closed');
        await client.connect();
        const { isWritablePrimary, msg, primary } = await client.db('admin').command({ hello: 1 });
        if (isWritablePrimary === true || msg === 'isdbgrid') return;
        if (typeof primary === 'string') hosts.unshift(parseHost(primary));
      } catch (error) {
        last = error;
        if (mongoError(error, this.#settings).class === 'terminal') break;
      }
      this.#client = undefined;
      await client.close(true).catch(() => undefined);
    }
    throw last;
  }

  #options({ host, port }: MongoHost): MongoClientOptions {
    const { uri, tls, maxPoolSize, w, wtimeoutMs, clientName } = this.#settings;
    const { user, password, authSource, authMechanism } = uri;
    const lookup: MongoClientOptions['lookup'] = (_name, options, found) => {
      this.#dialer.resolve(host, port).then(
        (address) => (options.all ? found(null, addressesOf(address)) : found(null, address.host, isIP(address.host))),
        (error: NodeJS.ErrnoException) => found(error, []),
      );
    };
    return {
      directConnection: true,
      lookup,
      appName: clientName,
      maxPoolSize,
      maxIdleTimeMS: 300_000,
      connectTimeoutMS: connectMs,
      serverSelectionTimeoutMS: connectMs,
      waitQueueTimeoutMS: statementMs,
      socketTimeoutMS: statementMs,
      // Whoever failed repeats the pass.
      retryWrites: false,
      retryReads: false,
      writeConcern: { w, ...(wtimeoutMs !== undefined && { wtimeoutMS: wtimeoutMs }) },
      ...((user !== undefined || authMechanism === 'MONGODB-X509') && {
        ...(user !== undefined && { auth: { username: user, ...(password !== undefined && { password }) } }),
        authSource,
        ...(authMechanism && { authMechanism: authMechanism as AuthMechanism }),
      }),
      ...(tls && {
        tls: true,
        // Names only: the protocol knows no addresses.
        servername: isIP(host) === 0 ? host : '',
        checkServerIdentity: (_name: string, certificate) => checkServerIdentity(host, certificate),
        rejectUnauthorized: tls.verifies,
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...tls.client,
      }),
    };
  }
}

function addressesOf({ host, others }: CheckedAddress): { address: string; family: number }[] {
  return [host, ...others].map((address) => ({ address, family: isIP(address) }));
}
