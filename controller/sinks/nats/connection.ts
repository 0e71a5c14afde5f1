import { setTimeout as sleep } from 'node:timers/promises';
import { connect, ErrorCode as NatsCode, NatsError, type JetStreamManager, type NatsConnection } from 'nats';
import { KollectError } from '../../../shared/errors.ts';
import type { CheckedAddress, Dialer } from '../contract.ts';
import { natsError } from './errors.ts';
import { authenticatorOf, type NatsSinkSettings } from './settings.ts';

/** To connect and log in at one address. */
const connectMs = 5_000;
/** To confirm a message, or to answer a question. Takes milliseconds; seconds while a cluster looks for a leader. */
export const answerMs = 10_000;
/** Whether a connection is alive is known after a round trip. */
const roundTripMs = 2_000;
/** A connection that does not react to so many pings is lost. */
const ping = { pingInterval: 20_000, maxPingOut: 2 } as const;

type ConnectionSettings = Pick<NatsSinkSettings, 'servers' | 'title' | 'login' | 'tls' | 'clientName'>;

/**
 * One connection to NATS with one login, for all sinks that write there. Made when it is needed, to addresses that were checked; servers that the server tells of are
 * not used. It is not made again by itself: who waits how long is decided by those who ask for it.
 */
export class Connection {
  readonly #settings: ConnectionSettings;
  readonly #dialer: Dialer;
  #current: Promise<NatsConnection> | undefined;
  /** Somebody gave up waiting for an answer. */
  #isDoubted = false;

  constructor(settings: ConnectionSettings, dialer: Dialer) {
    this.#settings = settings;
    this.#dialer = dialer;
  }

  /** Runs `work` with the connection, which it may use at the same time as others. Rejects when `signal` aborts; what was sent by then may arrive. */
  async use<T>(signal: AbortSignal, names: Parameters<typeof natsError>[1], work: (client: NatsConnection) => Promise<T>): Promise<T> {
    const aborted = Promise.withResolvers<never>();
    const abort = (): void => {
      this.#isDoubted = true;
      aborted.reject(new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled'));
    };
    if (signal.aborted) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
    signal.addEventListener('abort', abort, { once: true });
    try {
      const working = this.#open().then(work);
      // It goes on for a while after an abort, and nobody hears it.
      working.catch(() => undefined);
      return await Promise.race([working, aborted.promise]);
    } catch (error) {
      if (error instanceof NatsError && error.code === NatsCode.Timeout) this.#isDoubted = true;
      throw natsError(error, names);
    } finally {
      signal.removeEventListener('abort', abort);
    }
  }

  /** Lets what was sent go out, and closes. */
  async close(): Promise<void> {
    const current = this.#current;
    this.#current = undefined;
    const client = await current?.catch(() => undefined);
    if (!client) return;
    await Promise.race([client.drain().catch(() => undefined), sleep(roundTripMs, undefined, { ref: false })]);
    await client.close();
  }

  async #open(): Promise<NatsConnection> {
    const client = await this.#current?.catch(() => undefined);
    if (client && !client.isClosed() && !(await this.#isLost(client))) return client;
    // Another may have come first while this one was waiting.
    const current = await this.#current?.catch(() => undefined);
    if (current && current !== client && !current.isClosed()) return current;
    const opening = this.#dial();
    this.#current = opening;
    opening.catch(() => {
      if (this.#current === opening) this.#current = undefined;
    });
    return await opening;
  }

  /** After somebody gave up waiting, the server is asked whether it is there at all. */
  async #isLost(client: NatsConnection): Promise<boolean> {
    if (!this.#isDoubted) return false;
    this.#isDoubted = false;
    const answers = await Promise.race([client.flush().then(() => true, () => false), sleep(roundTripMs, false, { ref: false })]);
    if (!answers) void client.close();
    return !answers;
  }

  /** The first server that answers. One that refuses the login, or has an address that is refused, ends the search. */
  async #dial(): Promise<NatsConnection> {
    let last: unknown;
    for (const server of this.#settings.servers) {
      try {
        const address = await this.#dialer.resolve(server.host, server.port);
        for (const host of [address.host, ...address.others]) {
          try {
            return await this.#connect({ ...address, host });
          } catch (error) {
            last = error;
            if (error instanceof NatsError && error.isAuthError()) throw error;
          }
        }
      } catch (error) {
        last = error;
        if (!(error instanceof KollectError) || error.class === 'terminal') throw error;
      }
    }
    throw last;
  }

  /** Encrypted where the server can do that, and not otherwise unless it must be. */
  async #connect(address: CheckedAddress): Promise<NatsConnection> {
    const { ca, client, verifies, isRequired } = this.#settings.tls;
    // More than the client's type knows of reaches `tls.connect`.
    const tls = { servername: address.servername, minVersion: 'TLSv1.2', rejectUnauthorized: verifies, ...(ca === undefined ? {} : { ca }), ...client };
    try {
      return await this.#connectWith(address, tls);
    } catch (error) {
      if (isRequired || !(error instanceof NatsError) || error.code !== NatsCode.ServerOptionNotAvailable) throw error;
      return await this.#connectWith(address, undefined);
    }
  }

  async #connectWith({ host, port }: CheckedAddress, tls: object | undefined): Promise<NatsConnection> {
    const { login, clientName } = this.#settings;
    const authenticator = authenticatorOf(login);
    return await connect({
      servers: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      resolve: false,
      reconnect: false,
      ignoreClusterUpdates: true,
      timeout: connectMs,
      name: clientName,
      noAsyncTraces: true,
      ...ping,
      ...(authenticator && { authenticator }),
      ...(tls && { tls }),
    });
  }
}

/** Questions about streams. None is asked in order to make it. */
export async function managerOf(client: NatsConnection): Promise<JetStreamManager> {
  return await client.jetstreamManager({ checkAPI: false, timeout: answerMs });
}
