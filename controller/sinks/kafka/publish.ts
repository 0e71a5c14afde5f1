import kafkajs, { type ICustomPartitioner, type IHeaders, type Message as KafkaMessage, type Producer, type RecordMetadata } from 'kafkajs';
import type { InventoryIdentity } from '../contract.ts';
import type { Message } from '../documents/outlet.ts';
import type { TopicSettings } from './settings.ts';

/** To answer a question, or to confirm a message. Takes milliseconds; seconds while a partition looks for a leader. */
export const answerMs = 10_000;

/** A message as it goes to the brokers. */
export type TopicMessage = Omit<KafkaMessage, 'key' | 'value' | 'headers'> & { key: string; value: Buffer | null; headers: IHeaders };

const compressionTypes: Readonly<Record<TopicSettings['compression'], kafkajs.CompressionTypes>> = {
  none: kafkajs.CompressionTypes.None,
  gzip: kafkajs.CompressionTypes.GZIP,
  zstd: kafkajs.CompressionTypes.ZSTD,
};

/** Publishes messages in their order, all or none of those that go to one partition, and says where they are. */
export async function publish(producer: Producer, { topic, acks, compression }: TopicSettings, messages: readonly TopicMessage[]): Promise<RecordMetadata[]> {
  return await producer.send({ topic, acks: acks === 'all' ? -1 : 1, compression: compressionTypes[compression], timeout: answerMs, messages: [...messages] });
}

/** Of a message in a batch, at most: its length, attributes, time and offset, and how many headers it has, each a number of variable length. */
const recordBytes = 32;
/** Of a string in a message: its length. */
const lengthBytes = 5;
/** What a batch has around its messages. */
const batchBytes = 61;
/** What the key says behind the inventory, and headers that do not name it, at most. */
const otherBytes = 1_024;

/**
 * Bytes of a message in a batch, at most. Compression may save some of them.
 *
 * @param valueBytes of its body
 */
export function sizeOf({ key, headers }: Pick<TopicMessage, 'key' | 'headers'>, valueBytes: number): number {
  let bytes = recordBytes + 2 * lengthBytes + Buffer.byteLength(key) + valueBytes;
  for (const [name, value] of Object.entries(headers)) bytes += 2 * lengthBytes + Buffer.byteLength(name) + Buffer.byteLength(String(value));
  return bytes;
}

/** What the body of a message of an inventory may have in a topic that takes so many bytes at once. */
export function maxBodyBytes(topicBytes: number, identity: InventoryIdentity): number {
  const { cluster, namespace, name } = identity;
  const headers = { 'Kollect-Cluster': cluster, 'Kollect-Namespace': namespace, 'Kollect-Inventory': name };
  return topicBytes - batchBytes - sizeOf({ key: keyText(identity, []), headers }, otherBytes);
}

/** Messages in groups that a topic takes at once: each has at most so many bytes, unless one alone has more. */
export function* groupsOf(messages: Iterable<TopicMessage>, most: { messages: number; bytes: number }): Generator<readonly TopicMessage[]> {
  let group: TopicMessage[] = [];
  let bytes = batchBytes;
  for (const message of messages) {
    const size = sizeOf(message, message.value?.length ?? 0);
    if (group.length === most.messages || (group.length > 0 && bytes + size > most.bytes)) {
      yield group;
      group = [];
      bytes = batchBytes;
    }
    group.push(message);
    bytes += size;
  }
  if (group.length > 0) yield group;
}

/**
 * `<cluster>/<namespace>/<name>` of the inventory, and what the message is about in it.
 *
 * @example keyText({ cluster: 'prod', namespace: 'team-a', name: 'api', generation: 1 }, ['2']) // 'prod/team-a/api/2'
 */
export function keyText({ cluster, namespace, name }: InventoryIdentity, key: readonly string[]): string {
  return [cluster, namespace, name, ...key].join('/');
}

/** @param timestamp of the pass, which all of its messages have */
export function topicMessage(identity: InventoryIdentity, { body, key, headers }: Message, timestamp: Date): TopicMessage {
  return { key: keyText(identity, key), value: Buffer.from(body.buffer, body.byteOffset, body.byteLength), headers: { ...headers }, timestamp: String(timestamp.getTime()) };
}

/** Says that nothing is known under a key any more; a topic that is compacted forgets what it had there. */
export function tombstone(message: TopicMessage, timestamp: Date): TopicMessage {
  return { ...message, value: null, headers: { ...message.headers, 'Kollect-Timestamp': timestamp.toISOString() } };
}

/** All messages of an inventory go to one partition, where they keep their order: that which other clients choose for its key. */
export const byInventory: ICustomPartitioner = () => {
  const byKey = kafkajs.Partitioners.DefaultPartitioner();
  return ({ message, ...rest }) => {
    const of = (name: string): string => String(message.headers?.[`Kollect-${name}`] ?? '');
    return byKey({ ...rest, message: { ...message, key: [of('Cluster'), of('Namespace'), of('Inventory')].join('/') } });
  };
};
