import kafkajs, { type ICustomPartitioner, type IHeaders, type Message as KafkaMessage, type Producer, type RecordMetadata } from 'kafkajs';
import type { InventoryIdentity } from '../contract.ts';
import type { Message } from '../documents/outlet.ts';
import type { TopicSettings } from './settings.ts';

/** To answer a question, or to confirm a message. Takes milliseconds; seconds while a partition looks for a leader. */
export const answerMs = 10_000;

/** How much longer than its body a message is for its key, its headers and its place in a batch, at most, beside the values of identity, which come twice. */
export const headerBytes = 1_024;

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
