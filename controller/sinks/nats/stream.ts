import { RetentionPolicy, type JetStreamManager, type NatsConnection, type StreamConfig, type StreamInfo } from 'nats';
import { KollectError } from '../../../shared/errors.ts';
import { answerOf, answers, missingStreamText } from './errors.ts';
import type { NatsSinkSettings, StreamSettings } from './settings.ts';
import { covers } from './subject.ts';

/** In the metadata of streams that were created here, which alone are ever changed. */
const ownMark = { 'kollect.dev/managed': 'true' } as const;

/** The stream as it is; undefined when there is none. */
export async function findStream(manager: JetStreamManager, { stream }: NatsSinkSettings): Promise<StreamInfo | undefined> {
  try {
    return await manager.streams.info(stream);
  } catch (error) {
    if (answerOf(error) === answers.streamNotFound) return undefined;
    throw error;
  }
}

/**
 * The stream, fit for the subject. Under `ensure` it is created when it is missing, and one that was created so gets the subject when it lacks it; whatever else there
 * is stays as it is. Throws `KOL_SINK_SCHEMA`.
 */
export async function prepareStream(manager: JetStreamManager, settings: NatsSinkSettings): Promise<StreamInfo> {
  const { stream, subject, mustExist } = settings;
  const found = await findStream(manager, settings);
  if (found && takes(found, subject)) return verified(found, settings);
  if (mustExist || (found && !isOwn(found))) throw unfit(found, settings);
  if (found) return verified(await manager.streams.update(stream, { ...found.config, subjects: [...found.config.subjects, subject] }), settings);
  try {
    return await manager.streams.add(newStream(settings));
  } catch (error) {
    // Somebody else did at the same moment, with another subject.
    if (answerOf(error) !== answers.nameInUse) throw error;
    const other = await findStream(manager, settings);
    if (!other || (!takes(other, subject) && !isOwn(other))) throw error;
    return verified(takes(other, subject) ? other : await manager.streams.update(stream, { ...other.config, subjects: [...other.config.subjects, subject] }), settings);
  }
}

/** Throws `KOL_SINK_SCHEMA` unless the stream takes the subject, or will once it is prepared. */
export function verifyStream(found: StreamInfo | undefined, settings: NatsSinkSettings): void {
  if (found && takes(found, settings.subject)) verified(found, settings);
  else if (settings.mustExist || (found && !isOwn(found))) throw unfit(found, settings);
}

/** The stream takes messages of the subject. */
export function takes({ config }: StreamInfo, subject: string): boolean {
  return (config.subjects ?? []).some((pattern) => covers(pattern, subject));
}

/** Bytes that a message may have, headers included. */
export function mostBytes({ info }: NatsConnection, stream: StreamInfo | undefined): number {
  const ofStream = stream?.config.max_msg_size ?? 0;
  return Math.min(info?.max_payload ?? Infinity, ofStream > 0 ? ofStream : Infinity);
}

/** The stream has no limit by which it drops messages, and those who read take none out. */
export function keepsAll({ retention, max_age: age, max_msgs: messages, max_bytes: bytes, max_msgs_per_subject: ofSubject }: StreamConfig): boolean {
  return retention === RetentionPolicy.Limits && [age, messages, bytes, ofSubject].every((limit) => limit <= 0);
}

function isOwn({ config }: StreamInfo): boolean {
  return Object.entries(ownMark).every(([key, value]) => config.metadata?.[key] === value);
}

/** The settings that a missing stream is created with. */
export function newStream({ stream, subject, created }: StreamSettings): Partial<StreamConfig> & { name: string } {
  return { name: stream, subjects: [subject], description: 'Inventories exported by Kollect', storage: created.storage, num_replicas: created.replicas, max_age: created.maxAgeNs, metadata: ownMark };
}

function verified(found: StreamInfo, { stream }: NatsSinkSettings): StreamInfo {
  const { sealed, no_ack: isSilent } = found.config;
  if (sealed) throw new KollectError('KOL_SINK_SCHEMA', `stream ${JSON.stringify(stream)} is sealed, and takes no messages: name another one`);
  if (isSilent) throw new KollectError('KOL_SINK_SCHEMA', `stream ${JSON.stringify(stream)} confirms no messages (no_ack), so nobody knows what it holds: turn no_ack off, or name another one`);
  return found;
}

function unfit(found: StreamInfo | undefined, { stream, subject }: NatsSinkSettings): KollectError {
  if (!found) return new KollectError('KOL_SINK_SCHEMA', missingStreamText(stream));
  const subjects = (found.config.subjects ?? []).map((taken) => JSON.stringify(taken)).join(', ') || 'no subjects';
  return new KollectError('KOL_SINK_SCHEMA', `stream ${JSON.stringify(stream)} takes ${subjects.slice(0, 200)} and not ${JSON.stringify(subject)}: add the subject to it, or name another stream; only streams that Kollect has created are changed`);
}
