import { AsyncLocalStorage } from 'node:async_hooks';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Socket } from 'node:net';
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
/** Of the line with which a server begins. Real ones have less than 2 KiB, and 22 bytes for each server of a large cluster. */
const greetingBytes = 2 ** 20;
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
  #current: NatsConnection | undefined;
  #opening: Promise<NatsConnection> | undefined;
  #isClosed = false;
  /** The sockets of the dialling that is under way: the client leaves those open that nobody greets in time. */
  readonly #dialled = new AsyncLocalStorage<Socket[]>();
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

  /** Lets what was sent go out, and closes. Nothing is opened from then on. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#opening?.catch(() => undefined);
    const client = this.#current;
    if (!client || client.isClosed()) return;
    await Promise.race([client.drain().catch(() => undefined), sleep(roundTripMs, undefined, { ref: false })]);
    await client.close();
  }

  /** Whoever comes meanwhile gets the same. */
  #open(): Promise<NatsConnection> {
    this.#opening ??= this.#renew().finally(() => (this.#opening = undefined));
    return this.#opening;
  }

  async #renew(): Promise<NatsConnection> {
    const client = this.#current;
    if (client && !client.isClosed() && !(await this.#isLost(client))) return client;
    if (this.#isClosed) throw closing();
    const opened = await this.#dial();
    if (this.#isClosed) {
      await opened.close();
      throw closing();
    }
    this.#current = opened;
    return opened;
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
    const sockets: Socket[] = [];
    const note = (message: unknown): void => {
      if (this.#dialled.getStore() !== sockets) return;
      const { socket } = message as { socket: Socket };
      sockets.push(socket);
      boundGreeting(socket);
    };
    subscribe('net.client.socket', note);
    try {
      return await this.#dialled.run(sockets, () =>
        connect({
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
        }),
      );
    } catch (error) {
      for (const socket of sockets) socket.destroy();
      throw error;
    } finally {
      unsubscribe('net.client.socket', note);
    }
  }
}

/** The client keeps what comes until a line is whole, and removes all listeners when it is connected, and once more when it was greeted. */
function boundGreeting(socket: Socket): void {
  const look = (): void => {
    if (socket.bytesRead > greetingBytes) socket.destroy(new Error('it greets without end'));
  };
  socket.once('connect', () => queueMicrotask(() => socket.on('data', look)));
}

function closing(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the connection to the server is being closed');
}

/** Questions about streams. None is asked in order to make it. */
export async function managerOf(client: NatsConnection): Promise<JetStreamManager> {
  return await client.jetstreamManager({ checkAPI: false, timeout: answerMs });
}
