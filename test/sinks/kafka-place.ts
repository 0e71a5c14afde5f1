import { randomUUID } from 'node:crypto';
import kafkajs, { type Admin } from 'kafkajs';
import type { KollectEventSinkSpec } from '../../shared/api/kollect-event-sink.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import { guardClient } from '../../controller/sinks/kafka/client-guards.ts';
import { messageOf, type KafkaMessage } from '../../docs/examples/kafka-consumer.ts';
import { Inventories, type Row } from '../../docs/examples/nats-consumer.ts';
import { TcpProxy } from '../faults/tcp-proxy.ts';
import { eventually } from '../servers/eventually.ts';
import type { Kafka } from '../servers/kafka/index.ts';
import { canary, type Destination, type StoredRow } from './conformance.ts';

type Spec = Omit<Partial<KollectEventSinkSpec>, 'kafka'> & { kafka?: Partial<NonNullable<KollectEventSinkSpec['kafka']>> };

export interface OpenKafkaOptions extends Partial<Omit<OpenSinkOptions, 'sink' | 'readSecret'>> {
  spec?: Spec | undefined;
  secret?: Record<string, string>;
}

/** A KollectEventSink that reads Secret `kafka`, opened as the controller does. */
export async function openKafka(broker: string, { spec, secret = {}, policy = { allowPrivate: true, allowLoopback: true }, ...options }: OpenKafkaOptions = {}): Promise<OpenedSink> {
  const data = Object.fromEntries(Object.entries(secret).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const secretRef = Object.keys(secret).length > 0 ? { secretRef: { name: 'kafka' } } : {};
  const sink = { kind: 'KollectEventSink', metadata: { name: 'events', namespace: 'team-a' }, spec: { type: 'kafka', ...secretRef, ...spec, kafka: { brokers: [broker], topic: 'inventory.changes', ...spec?.kafka } } };
  return await openSink({ sink, readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }), policy, ...options });
}

/** A message as a topic has it. */
export interface StoredMessage extends KafkaMessage {
  partition: number;
  offset: string;
  timestamp: string;
  text: string;
  header(name: string): string | undefined;
}

export interface KafkaReader {
  admin: Admin;
  /** All messages of a topic, from an offset of each partition on; none when there is no topic. */
  read(topic: string, from?: ReadonlyMap<number, bigint>): Promise<StoredMessage[]>;
  exists(topic: string): Promise<boolean>;
  close(): Promise<void>;
}

interface FetchedPartition {
  partition: number;
  messages: { offset: string; key: Buffer | null; value: Buffer | null; headers: Record<string, Buffer>; timestamp: string; isControlRecord?: boolean }[];
}

interface Cluster {
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  refreshMetadata(): Promise<void>;
  findControllerBroker(): Promise<{ fetch(request: object): Promise<{ responses: { partitions: FetchedPartition[] }[] }> }>;
}

/** Reads topics as they are. A consumer of a group takes seconds to begin; what it fetches with is asked here. */
export async function readerOf(server: Kafka): Promise<KafkaReader> {
  guardClient();
  const kafka = new kafkajs.Kafka({ brokers: [`127.0.0.1:${server.plainPort}`], logCreator: () => () => undefined });
  const admin = kafka.admin();
  const symbol = Object.getOwnPropertySymbols(kafka).find(({ description }) => description?.endsWith('createCluster'))!;
  const cluster = (kafka as unknown as Record<symbol, (options: object) => Cluster>)[symbol]!({});
  await Promise.all([admin.connect(), cluster.connect()]);
  await cluster.refreshMetadata();
  const exists = async (topic: string) => (await admin.listTopics()).includes(topic);
  return {
    admin,
    exists,
    read: async (topic, from) => {
      if (!(await exists(topic))) return [];
      const found: StoredMessage[] = [];
      const ends = new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, low, high }) => [partition, { at: from?.get(partition) ?? BigInt(low), high: BigInt(high) }]));
      const broker = await cluster.findControllerBroker();
      for (const [partition, { at: start, high }] of ends) {
        for (let at = start; at < high; ) {
          const { responses } = await broker.fetch({ replicaId: -1, isolationLevel: 1, maxWaitTime: 100, minBytes: 1, maxBytes: 50_000_000, topics: [{ topic, partitions: [{ partition, fetchOffset: String(at), maxBytes: 50_000_000 }] }] });
          const messages = responses[0]?.partitions[0]?.messages ?? [];
          for (const { offset, key, value, headers, timestamp } of messages) {
            if (BigInt(offset) < at) continue;
            at = BigInt(offset) + 1n;
            found.push({ partition, offset, key, value, headers, timestamp, text: String(value), header: (name) => headers[name]?.toString() });
          }
        }
      }
      return found;
    },
    close: async () => {
      await Promise.all([admin.disconnect(), cluster.disconnect()]);
    },
  };
}

export interface KafkaPlace extends Destination {
  topic: string;
  proxy: TcpProxy;
  reader: KafkaReader;
  opened(options?: OpenKafkaOptions): Promise<OpenedSink>;
  messages(): Promise<StoredMessage[]>;
}

/** A topic of its own behind a proxy that can lose answers. The server knows user `kollect`, whose password is the canary. */
export async function kafkaPlace(server: Kafka, reader: KafkaReader, mode: 'aggregate' | 'perItem', onEnd: (end: () => Promise<void> | void) => void, extra: Spec = {}): Promise<KafkaPlace> {
  const topic = `t-${randomUUID().slice(0, 8)}`;
  // A header of every message that is published.
  const proxy = await new TcpProxy(server.port, 'Kollect-Generation').start();
  onEnd(() => proxy.stop());
  const broker = `127.0.0.1:${server.port}`;
  const mapHosts = new Map([[broker, { host: '127.0.0.1', port: proxy.port }]]);
  const opened: KafkaPlace['opened'] = ({ spec, ...options } = {}) =>
    openKafka(broker, { spec: { events: { mode }, ...extra, ...spec, kafka: { topic, ...extra.kafka, ...spec?.kafka } }, mapHosts, secret: { username: 'kollect', password: canary }, ...options });
  const inventories = new Inventories();
  /** Text of each row, and the message that it came with. */
  const last = new Map<string, { text: string; seq: string }>();
  const next = new Map<number, bigint>();
  return {
    topic,
    proxy,
    reader,
    opened,
    messages: () => reader.read(topic),
    open: async (options) => (await opened(options)).sink,
    contents: async () => {
      for (const message of await reader.read(topic, next)) {
        next.set(message.partition, BigInt(message.offset) + 1n);
        const read = messageOf(message);
        if (read) inventories.apply(read);
        if (!message.value) continue;
        const { cluster, namespace, inventory, payload } = JSON.parse(message.text) as { cluster: string; namespace: string; inventory: string; payload?: Row };
        if (payload) last.set(nameOf({ cluster, namespace, inventory, row: payload }), { text: /"payload":(.*)\}$/s.exec(message.text)?.[1] ?? '', seq: message.offset });
      }
      const stored = inventories.rows().map((found): [string, StoredRow] => {
        const { cluster, namespace, inventory, row } = found;
        const { text = '', seq = '' } = last.get(nameOf(found)) ?? {};
        return [nameOf(found), { inventory: `${namespace}/${inventory}`, cluster, target: row.targetName, uid: row.uid, payload: text, written: seq }];
      });
      return stored.sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row);
    },
    refuse: async () => undefined,
    touched: () => reader.exists(topic),
    // The client asks again, on another connection, before it gives up.
    loseConfirmation: (later) => (later === Infinity ? proxy.heal() : proxy.breakCommit('cut', later, true)),
    loseAnswer: () => proxy.breakCommit('silence'),
    holdNextWrite: async () => {
      const sent = proxy.sent;
      proxy.freeze();
      return { waiting: () => eventually(async () => proxy.sent > sent, { what: 'a message that waits' }).then(() => undefined), release: async () => proxy.thaw() };
    },
  };
}

function nameOf({ cluster, namespace, inventory, row: { targetName, uid } }: ReturnType<Inventories['rows']>[number]): string {
  return [`${namespace}/${inventory}`, cluster, targetName, uid].join('\0');
}
