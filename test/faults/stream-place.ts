import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { connect, DeliverPolicy, DiscardPolicy, type NatsConnection } from 'nats';
import { Inventories } from '../../docs/examples/nats-consumer.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { eventually } from '../servers/eventually.ts';
import { startNats, type Nats } from '../servers/nats/index.ts';
import type { Random } from './random.ts';
import { comesTrue, here, rowOf, SinkPlace, type NamedStrike, type PlaceOptions } from './sink-place.ts';
import { TcpProxy } from './tcp-proxy.ts';

/** A message for each export, or for each row that changes. */
export type StreamMode = 'aggregate' | 'perItem';

const stream = 'chaos';
const subject = 'chaos.events';
const admin = { user: 'admin', pass: 'admin' };

/** A NATS server of its own with a stream, and a reader who keeps what its messages tell. */
export class StreamPlace extends SinkPlace {
  readonly family = { plural: 'kollecteventsinks', kind: 'KollectEventSink', refs: 'eventSinkRefs' } as const;
  /** Messages that hold the canary, or tell of another cluster. */
  readonly odd: string[] = [];
  readonly #server: Nats;
  readonly #client: NatsConnection;
  readonly #mode: StreamMode;
  readonly #canary: string;
  #passwords = 0;
  /** When the stream was made that is being read, what it has told so far, and the number of the next message. */
  #read = { created: '', inventories: new Inventories(), next: 1 };

  static async start(name: string, { admin: kube, random, canary, mode }: { admin: KubeClient; random: Random; canary: string; mode: StreamMode }): Promise<StreamPlace> {
    const server = await startNats({ config: () => `authorization { users: [ { user: ${admin.user}, password: ${admin.pass} }, { user: kollect, password: "${canary}-0" } ] }` });
    const proxy = await new TcpProxy(server.port, `HPUB ${subject} `).start();
    const client = await connect({ servers: `127.0.0.1:${server.port}`, ...admin, maxReconnectAttempts: -1, reconnectTimeWait: 100 });
    const place = new StreamPlace({ name, admin: kube, random, proxy }, server, client, { mode, canary });
    await place.createSink();
    return place;
  }

  private constructor(options: PlaceOptions, server: Nats, client: NatsConnection, { mode, canary }: { mode: StreamMode; canary: string }) {
    super(options);
    this.#server = server;
    this.#client = client;
    this.#mode = mode;
    this.#canary = canary;
  }

  async stop(): Promise<void> {
    await this.#client.close();
    await this.#server.stop();
  }

  get harmless(): readonly NamedStrike[] {
    return [
      ['a NATS server that refuses connections', () => this.refuse()],
      ['a message whose answer is lost', () => this.breakCommit('cut')],
      ['a message that is not answered', () => this.breakCommit('silence')],
      ['a message that is lost', () => this.breakCommit('drop')],
      ['a message that arrives late', () => this.late()],
      ['connections to a NATS server that are reset', async () => this.proxy.cut() > 0],
      ['connections to a NATS server that drip', () => this.drip()],
      ['connections to a NATS server that fall silent', () => this.silence()],
      ['a NATS server that is killed', () => this.#kill()],
      ['a NATS server that is frozen', () => this.#freeze()],
      ['a stream that is full', () => this.#fill()],
      ['a password of NATS that is rotated', () => this.#rotatePassword()],
    ];
  }

  get destructive(): readonly NamedStrike[] {
    return [['a stream that is deleted', () => this.#deleteStream()]];
  }

  async rows(): Promise<string[]> {
    await this.#catchUp();
    return this.#read.inventories.rows().map(({ namespace, inventory, row }) => rowOf(`${namespace}/${inventory}`, row)).sort();
  }

  edit(): object {
    return { connectionTest: this.random.next() < 0.5 };
  }

  protected get spec(): object {
    return { type: 'nats', secretRef: { name: this.name }, events: { mode: this.#mode }, nats: { url: `nats://127.0.0.1:${this.proxy.port}`, subject, stream } };
  }

  protected get secret(): Record<string, string> {
    return { username: 'kollect', password: this.#password };
  }

  get #password(): string {
    return `${this.#canary}-${this.#passwords}`;
  }

  /** Reads what is new in the stream, or all of it when it is another one. */
  async #catchUp(): Promise<void> {
    const manager = await this.#client.jetstreamManager();
    const { created, state } = await manager.streams.info(stream);
    if (String(created) !== this.#read.created) this.#read = { created: String(created), inventories: new Inventories(), next: 1 };
    if (state.last_seq < this.#read.next) return;
    const consumer = await this.#client.jetstream().consumers.get(stream, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: this.#read.next });
    for await (const message of await consumer.consume({ max_messages: 500 })) {
      this.#read.next = message.seq + 1;
      this.#read.inventories.apply(message);
      const text = `${message.string()} ${JSON.stringify([...(message.headers ?? [])])}`;
      if (text.includes(this.#canary) || message.json<{ cluster: string }>().cluster !== here) this.odd.push(text);
      if (message.info.pending === 0) break;
    }
    await consumer.delete();
  }

  async #kill(): Promise<boolean> {
    await this.#server.kill();
    await this.moment(1_000);
    await this.#server.start();
    return true;
  }

  async #freeze(): Promise<boolean> {
    await this.#server.kill('SIGSTOP');
    await this.moment(3_000);
    await this.#server.kill('SIGCONT');
    return true;
  }

  /** It takes no message until there is room again. */
  async #fill(): Promise<boolean> {
    const manager = await this.#client.jetstreamManager();
    const before = this.proxy.commits;
    const { config, state } = await manager.streams.info(stream);
    await manager.streams.update(stream, { ...config, max_bytes: state.bytes + 1, discard: DiscardPolicy.New });
    const came = await comesTrue(() => this.proxy.commits > before);
    await this.moment(1_000);
    await eventually(() => manager.streams.update(stream, { ...config, max_bytes: -1 }), { what: 'room in the stream' });
    return came;
  }

  async #rotatePassword(): Promise<boolean> {
    const file = join(this.#server.keeper.folder, `nats-${this.#server.port}.conf`);
    const before = this.proxy.connections;
    const text = await readFile(file, 'utf8');
    await writeFile(file, text.replace(this.#password, `${this.#canary}-${++this.#passwords}`));
    // Who is logged in with the former one is thrown out.
    this.#server.process().signal('SIGHUP');
    const came = await comesTrue(() => this.proxy.connections > before);
    await this.updateSecret();
    return came;
  }

  async #deleteStream(): Promise<boolean> {
    const manager = await this.#client.jetstreamManager();
    return await manager.streams.delete(stream);
  }
}
