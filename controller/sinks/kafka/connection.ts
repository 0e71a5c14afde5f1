import type { Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin, type Producer } from 'kafkajs';
import { KollectError } from '../../../shared/errors.ts';
import type { Dialer } from '../contract.ts';
import { SharedSession, type ClientSession } from '../runtime/shared-session.ts';
import { guardClient } from './client-guards.ts';
import { kafkaError } from './errors.ts';
import { saslOf } from './login.ts';
import { answerMs, byInventory } from './publish.ts';
import type { KafkaSinkSettings } from './settings.ts';
import { dialledSocket } from './socket.ts';

/** To connect to one broker. */
const connectMs = 3_000;
/** Less than a second: what takes longer is repeated by those who ask. */
const retry = { retries: 3, initialRetryTime: 100, maxRetryTime: 500 } as const;
/** For what is under way when nobody needs the connection any more. */
const drainMs = 2_000;

type ConnectionSettings = Pick<KafkaSinkSettings, 'brokers' | 'title' | 'login' | 'tls' | 'clientName' | 'acks'>;
type Names = Parameters<typeof kafkaError>[1];

/** What a pass works with. */
export interface KafkaClient {
  producer: Producer;
  admin: Admin;
}

/**
 * Connections to the brokers of a cluster with one login, for all sinks that write there. They are made when they are needed, to addresses that were checked, those that brokers
 * tell of among them. After any error they are made anew, with another producer: nobody can tell what one may still send that has failed.
 */
export class Connection {
  readonly #sessions: SharedSession<Session>;

  constructor(settings: ConnectionSettings, dialer: Dialer) {
    guardClient();
    this.#sessions = new SharedSession(() => new Session(settings, dialer));
  }

  /** Runs `work`, at the same time as that of others. Rejects when `signal` aborts; what was sent by then may arrive. */
  async use<T>(signal: AbortSignal, names: Names, work: (client: KafkaClient) => Promise<T>): Promise<T> {
    return await this.#sessions.use(signal, work, (error, { refusal }) => {
      const meant = kafkaError(error, names);
      return meant.class === 'transient' && refusal ? refusal : meant;
    });
  }

  /** Lets what was sent go out, and closes. Nothing is opened from then on. */
  async close(): Promise<void> {
    await this.#sessions.close();
  }
}

/** One producer, and what it needs. */
class Session implements KafkaClient, ClientSession {
  readonly producer: Producer;
  readonly admin: Admin;
  /** Logged in. */
  readonly ready: Promise<void>;
  /** Why an address that a broker told of was not dialled. */
  refusal: KollectError | undefined;
  readonly #sockets = new Set<Socket>();
  #isOver = false;

  constructor({ brokers, login, tls, clientName, acks }: ConnectionSettings, dialer: Dialer) {
    const kafka = new kafkajs.Kafka({
      clientId: clientName,
      brokers: brokers.map(({ host, port }) => `${host}:${port}`),
      // What the socket is made with is decided below.
      ssl: tls !== undefined,
      ...(login.mechanism !== 'none' && { sasl: saslOf(login) }),
      connectionTimeout: connectMs,
      authenticationTimeout: answerMs,
      requestTimeout: answerMs,
      retry,
      // Errors come to who asked.
      logCreator: () => () => undefined,
      socketFactory: ({ host, port, onConnect }) => this.#dial(dialledSocket(dialer, { host, port }, tls), onConnect, tls !== undefined),
    });
    this.producer = kafka.producer({ idempotent: acks === 'all', maxInFlightRequests: 1, allowAutoTopicCreation: false, createPartitioner: byInventory, retry });
    this.admin = kafka.admin({ retry: { ...retry, retries: 1 } });
    this.ready = this.#connect(brokers, dialer);
  }

  /** Ends what is under way, and whatever would try again. */
  destroy(): void {
    this.#isOver = true;
    for (const socket of this.#sockets) socket.destroy(new Error('the connection is closed'));
    this.#disconnect().catch(() => undefined);
  }

  async close(): Promise<void> {
    if (this.#isOver) return;
    await Promise.race([this.#disconnect().catch(() => undefined), sleep(drainMs, undefined, { ref: false })]);
    this.destroy();
  }

  async #connect(brokers: ConnectionSettings['brokers'], dialer: Dialer): Promise<void> {
    await anyAllowed(brokers, dialer);
    await Promise.all([this.producer.connect(), this.admin.connect()]);
  }

  async #disconnect(): Promise<void> {
    await Promise.all([this.producer.disconnect(), this.admin.disconnect()]);
  }

  #dial(socket: Socket, onConnect: () => void, isEncrypted: boolean): Socket {
    this.#sockets.add(socket);
    socket.once(isEncrypted ? 'secureConnect' : 'connect', onConnect);
    socket.once('close', () => this.#sockets.delete(socket));
    socket.on('error', (error) => {
      if (error instanceof KollectError && error.class === 'terminal') this.refusal = error;
    });
    if (this.#isOver) socket.destroy(new Error('the connection is closed'));
    return socket;
  }
}

/** Tells at once what the client would try several times: that none of the brokers may be dialled, or has an address. */
async function anyAllowed(brokers: ConnectionSettings['brokers'], dialer: Dialer): Promise<void> {
  const found = await Promise.allSettled(brokers.map(({ host, port }) => dialer.resolve(host, port)));
  const failed = found.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown);
  const refused = failed.find((error) => error instanceof KollectError && error.class === 'terminal');
  if (refused !== undefined || failed.length === brokers.length) throw refused ?? failed[0];
}
