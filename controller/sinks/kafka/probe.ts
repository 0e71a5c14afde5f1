import type { ProbeResult } from '../contract.ts';
import type { KafkaClient } from './connection.ts';
import type { KafkaSinkSettings } from './settings.ts';
import { findTopic, missingTopic, verifyCreation } from './topic.ts';

/**
 * Verifies what an export needs: login, a producer, which only those get who may write to some topic, and the topic or the right to create it. Nothing is written. Whether
 * the user may write to this very topic is known to the first export.
 */
export async function probeTopic({ admin }: KafkaClient, settings: KafkaSinkSettings): Promise<ProbeResult> {
  const { topic, tls, login, mustExist } = settings;
  const found = await findTopic(admin, settings);
  if (!found && mustExist) throw missingTopic(settings);
  if (!found) await verifyCreation(admin, settings);
  const way = `${tls ? 'TLS' : 'without TLS'}, ${login.mechanism === 'none' ? 'without a login' : `login with ${login.mechanism} succeeded`}`;
  const state = found
    ? `topic ${JSON.stringify(topic)} has ${found.next.size} partition${found.next.size === 1 ? '' : 's'}${found.isCompacted ? ', is compacted' : ''} and takes ${found.maxBytes} bytes at a time${found.isConfigKnown ? '' : ', if nobody configured it: the user may not read that (DescribeConfigs)'}; whether the user may write to it is known to the first export`
    : `the first export will create topic ${JSON.stringify(topic)}`;
  return { message: `Kafka, ${way}: ${state}`, isPassing: !found };
}
