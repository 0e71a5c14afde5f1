import { randomUUID } from 'node:crypto';
import { connect, DeliverPolicy, type JetStreamManager, type JsMsg, type NatsConnection } from 'nats';
import type { KollectEventSinkSpec } from '../../shared/api/kollect-event-sink.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import { Inventories, type Row } from '../../docs/examples/nats-consumer.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { eventually } from '../servers/eventually.ts';
import type { Nats } from '../servers/nats/index.ts';
import { canary, type Destination, type StoredRow } from './conformance.ts';

type Spec = Omit<Partial<KollectEventSinkSpec>, 'nats'> & { nats?: Partial<NonNullable<KollectEventSinkSpec['nats']>> };

export interface OpenNatsOptions extends Partial<Omit<OpenSinkOptions, 'sink' | 'readSecret'>> {
  spec?: Spec;
  secret?: Record<string, string>;
}

/** A KollectEventSink that reads Secret `nats`, opened as the controller does. */
export async function openNats(url: string, { spec, secret = {}, policy = { allowPrivate: true, allowLoopback: true }, ...options }: OpenNatsOptions = {}): Promise<OpenedSink> {
  const data = Object.fromEntries(Object.entries(secret).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const secretRef = Object.keys(secret).length > 0 ? { secretRef: { name: 'nats' } } : {};
  const sink = { kind: 'KollectEventSink', metadata: { name: 'events', namespace: 'team-a' }, spec: { type: 'nats', ...secretRef, ...spec, nats: { url, subject: 'inventory.events', ...spec?.nats } } };
  return await openSink({ sink, readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }), policy, ...options });
}

export interface NatsPlace extends Destination {
  stream: string;
  subject: string;
  url: string;
  proxy: TcpProxy;
  manager: JetStreamManager;
  opened(options?: OpenNatsOptions): Promise<OpenedSink>;
  messages(): Promise<JsMsg[]>;
}

/** A stream of its own behind a proxy that can lose answers. The server knows user `kollect`, whose password is the canary. */
export async function natsPlace(server: Nats, mode: 'aggregate' | 'perItem', onEnd: (end: () => Promise<void> | void) => void): Promise<NatsPlace> {
  const stream = `s${randomUUID().slice(0, 8)}`;
  const subject = `${stream}.events`;
  const proxy = await new TcpProxy(server.port, `HPUB ${subject} `).start();
  onEnd(() => proxy.stop());
  const client = await adminOf(server);
  onEnd(() => client.close());
  const manager = await client.jetstreamManager();
  const url = `nats://127.0.0.1:${proxy.port}`;
  const opened: NatsPlace['opened'] = ({ spec, ...options } = {}) =>
    openNats(url, { spec: { events: { mode }, ...spec, nats: { stream, subject, ...spec?.nats } }, secret: { username: 'kollect', password: canary }, ...options });
  const messages = async (from = 1): Promise<JsMsg[]> => {
    const found: JsMsg[] = [];
    const last = (await manager.streams.info(stream).catch(() => undefined))?.state.last_seq ?? 0;
    if (from > last) return found;
    const consumer = await client.jetstream().consumers.get(stream, { deliver_policy: DeliverPolicy.StartSequence, opt_start_seq: from });
    for await (const message of await consumer.consume({ max_messages: 1_000 })) {
      found.push(message);
      if (message.info.pending === 0) break;
    }
    await consumer.delete();
    return found;
  };
  const inventories = new Inventories();
  /** Text of each row, and the message that it came with. */
  const last = new Map<string, { text: string; seq: number }>();
  let next = 1;
  return {
    stream,
    subject,
    url,
    proxy,
    manager,
    opened,
    messages: () => messages(),
    open: async (options) => (await opened(options)).sink,
    contents: async () => {
      for (const message of await messages(next)) {
        next = message.seq + 1;
        inventories.apply(message);
        const { cluster, namespace, payload } = message.json<{ cluster: string; namespace: string; payload?: Row | Row[] }>();
        const inventory = message.headers?.get('Kollect-Inventory') ?? '';
        const text = /"payload":\[?(.*?)\]?\}$/s.exec(message.string())?.[1] ?? '';
        const texts = Array.isArray(payload) ? text.split(/,(?=\{"targetNamespace")/) : [text];
        for (const [at, row] of [payload ?? []].flat().entries()) last.set(nameOf({ cluster, namespace, inventory, row }), { text: texts[at] ?? '', seq: message.seq });
      }
      const stored = inventories.rows().map((found): [string, StoredRow] => {
        const { cluster, namespace, inventory, row } = found;
        const { text = '', seq = 0 } = last.get(nameOf(found)) ?? {};
        return [nameOf(found), { inventory: `${namespace}/${inventory}`, cluster, target: row.targetName, uid: row.uid, payload: text, written: String(seq) }];
      });
      return stored.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    },
    refuse: async () => undefined,
    touched: async () => (await manager.streams.info(stream).catch(() => undefined)) !== undefined,
    loseConfirmation: (later) => (later === Infinity ? proxy.heal() : proxy.breakCommit('cut', later)),
    loseAnswer: () => proxy.breakCommit('silence'),
    holdNextWrite: async () => {
      const sent = proxy.sent;
      proxy.freeze();
      return { waiting: () => eventually(async () => proxy.sent > sent, { what: 'a message that waits' }).then(() => undefined), release: async () => proxy.thaw() };
    },
  };
}

export function adminOf(server: Nats): Promise<NatsConnection> {
  return connect({ servers: `127.0.0.1:${server.port}`, user: 'kollect', pass: canary });
}

function nameOf({ cluster, namespace, inventory, row: { targetName, uid } }: ReturnType<Inventories['rows']>[number]): string {
  return [`${namespace}/${inventory}`, cluster, targetName, uid].join('\0');
}
