// Keeps the inventories that Kollect publishes in a topic of Kafka, in both modes of spec.events.mode. As a program it reads a topic from its beginning and prints
// one line of JSON a row:
//
//   node kafka-consumer.ts 127.0.0.1:9092 inventory.changes
import kafkajs from 'kafkajs';
import { Inventories, type Message } from './nats-consumer.ts';

/** What is read of a message of the client. */
export interface KafkaMessage {
  key: Buffer | null;
  value: Buffer | null;
  headers?: Record<string, unknown>;
}

/**
 * The message as `Inventories` takes it. In a topic that is compacted a message without a value says that the row of its key is gone; undefined for one that is not about a row.
 */
export function messageOf({ key, value, headers = {} }: KafkaMessage): Message | undefined {
  const get = (name: string): string => String(headers[name] ?? '');
  if (value) return { data: value, headers: { get } };
  if (get('Kollect-Event') !== 'delete') return undefined;
  const [targetName, uid] = String(key).split('/').slice(-2);
  const event = { timestamp: get('Kollect-Timestamp'), cluster: get('Kollect-Cluster'), namespace: get('Kollect-Namespace'), type: 'delete', key: { targetName, uid } };
  return { data: Buffer.from(JSON.stringify(event)), headers: { get } };
}

async function main([brokers = '127.0.0.1:9092', topic = 'inventory.changes']: string[]): Promise<void> {
  const kafka = new kafkajs.Kafka({ brokers: brokers.split(','), logLevel: kafkajs.logLevel.ERROR });
  const admin = kafka.admin();
  await admin.connect();
  const left = new Map((await admin.fetchTopicOffsets(topic)).filter(({ low, high }) => low !== high).map(({ partition, high }) => [partition, BigInt(high)]));
  await admin.disconnect();
  const inventories = new Inventories();
  const consumer = kafka.consumer({ groupId: `kollect-example-${process.pid}` });
  await consumer.connect();
  await consumer.subscribe({ topic, fromBeginning: true });
  const done = Promise.withResolvers<void>();
  if (left.size === 0) done.resolve();
  await consumer.run({
    eachBatch: async ({ batch, resolveOffset }) => {
      for (const message of batch.messages) {
        const read = messageOf(message);
        if (read) inventories.apply(read);
        resolveOffset(message.offset);
      }
      // Without these lines it follows the topic.
      if (BigInt(batch.lastOffset()) + 1n >= (left.get(batch.partition) ?? 0n)) left.delete(batch.partition);
      if (left.size === 0) done.resolve();
    },
  });
  await done.promise;
  await consumer.disconnect();
  for (const row of inventories.rows()) process.stdout.write(`${JSON.stringify(row)}\n`);
}

if (import.meta.main) await main(process.argv.slice(2));
