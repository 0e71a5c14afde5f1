import { setTimeout as sleep } from 'node:timers/promises';
import kafkajs, { type Admin } from 'kafkajs';
import { KollectError } from '../../../shared/errors.ts';
import { isTopicGone, missingTopicText, protocolError } from './errors.ts';
import type { TopicSettings } from './settings.ts';

/** A topic as it was found. */
export interface Topic {
  /** Where the next message of each partition goes, by partition. */
  next: ReadonlyMap<number, bigint>;
  /** Of a batch of messages, as the broker has it. */
  maxBytes: number;
  /** It keeps the last message of each key only. */
  isCompacted: boolean;
  /** The user may read the configuration: otherwise that of brokers that nobody configured is taken. */
  isConfigKnown: boolean;
}

/** To create a topic, and until all brokers know of it. */
const createMs = 5_000;
const pauseMs = 100;
/** Of brokers that nobody configured: 1 MiB and what a batch has around it. */
const defaultMaxBytes = 1_048_588;

/** The topic as it is; undefined when there is none. */
export async function findTopic(admin: Admin, { topic }: TopicSettings): Promise<Topic | undefined> {
  const next = await nextOffsets(admin, topic);
  if (next === undefined) return undefined;
  try {
    const { resources } = await admin.describeConfigs({ includeSynonyms: false, resources: [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configNames: ['max.message.bytes', 'cleanup.policy'] }] });
    const entries = resources[0]?.configEntries ?? [];
    const value = (name: string): string | undefined => entries.find(({ configName }) => configName === name)?.configValue;
    return { next, maxBytes: Number(value('max.message.bytes') ?? defaultMaxBytes), isCompacted: value('cleanup.policy')?.includes('compact') === true, isConfigKnown: true };
  } catch (error) {
    if (protocolError(error) !== 'TOPIC_AUTHORIZATION_FAILED') throw error;
    return { next, maxBytes: defaultMaxBytes, isCompacted: false, isConfigKnown: false };
  }
}

/** Where the next message of each partition goes; undefined when there is no such topic. */
export async function nextOffsets(admin: Admin, topic: string): Promise<ReadonlyMap<number, bigint> | undefined> {
  try {
    return new Map((await admin.fetchTopicOffsets(topic)).map(({ partition, high }) => [partition, BigInt(high)]));
  } catch (error) {
    if (isTopicGone(error)) return undefined;
    throw error;
  }
}

/** The topic. Under `ensure` it is created when it is missing; one that is there stays as it is. Throws `KOL_SINK_SCHEMA`. */
export async function prepareTopic(admin: Admin, settings: TopicSettings): Promise<Topic> {
  const found = await findTopic(admin, settings);
  if (found) return found;
  if (settings.mustExist) throw missingTopic(settings);
  await admin.createTopics({ topics: [newTopic(settings)], waitForLeaders: false, timeout: createMs });
  for (let attempt = 0; attempt < createMs / pauseMs; attempt++) {
    const created = await findTopic(admin, settings).catch((error: unknown) => {
      if (['LEADER_NOT_AVAILABLE', 'NOT_LEADER_FOR_PARTITION'].includes(protocolError(error) ?? '')) return undefined;
      throw error;
    });
    if (created) return created;
    await sleep(pauseMs);
  }
  throw new KollectError('KOL_SINK_UNAVAILABLE', `topic ${JSON.stringify(settings.topic)} was created, and is not known to all brokers yet`);
}

/** Throws unless the user may create the topic. Nothing is created. */
export async function verifyCreation(admin: Admin, settings: TopicSettings): Promise<void> {
  await admin.createTopics({ topics: [newTopic(settings)], validateOnly: true, waitForLeaders: false, timeout: createMs });
}

/** What is asked of the brokers for a topic that is created. */
export function newTopic({ topic, created: { partitions = -1, replicas = -1, cleanupPolicy } }: TopicSettings): { topic: string; numPartitions: number; replicationFactor: number; configEntries: { name: string; value: string }[] } {
  return { topic, numPartitions: partitions, replicationFactor: replicas, configEntries: cleanupPolicy === undefined ? [] : [{ name: 'cleanup.policy', value: cleanupPolicy }] };
}

export function missingTopic({ topic }: TopicSettings): KollectError {
  return new KollectError('KOL_SINK_SCHEMA', missingTopicText(topic));
}
