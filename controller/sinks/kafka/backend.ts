import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { Backend, CheckResult, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { ItemExports } from '../documents/item-exports.ts';
import { keyOf, type Message, type Outlet } from '../documents/outlet.ts';
import { WholeExports } from '../documents/whole-exports.ts';
import { commitMs } from '../runtime/deadline.ts';
import { Connection, type KafkaClient } from './connection.ts';
import { isTopicGone } from './errors.ts';
import { previewMessages } from './preview.ts';
import { probeTopic } from './probe.ts';
import { headerBytes, publish, tombstone, topicMessage, type TopicMessage } from './publish.ts';
import { kafkaSecretRef, readSettings, settingsKey, type KafkaSinkSettings } from './settings.ts';
import { findTopic, missingTopic, nextOffsets, prepareTopic, type Topic } from './topic.ts';

/** Messages that are sent together, if the topic takes so much: one batch of a partition. */
const batch = { messages: 2_000, bytes: 1_000_000 };

/** Messages in a topic of Kafka: one for each export, or for each row that changes. */
export const kafka: Backend<KollectEventSinkSpec> = {
  type: 'kafka',
  family: 'event',
  capabilities: { granularity: 'document', concurrency: 4 },
  granularity: (spec) => (isPerItem(spec) ? 'row' : 'document'),
  // A topic takes whatever comes; messages carry the number of their leader, and readers leave out those of former ones.
  refusesLateWrites: () => false,
  secretRef: kafkaSecretRef,
  destination: (context) => {
    const { title, topic } = readSettings(context);
    return JSON.stringify([title, topic, context.spec.events?.mode ?? 'aggregate']);
  },
  place: (context) => placeOf(readSettings(context)),
  server: (context) => readSettings(context).title,
  open: async (context) => new KafkaSink(context),
  preview: (spec, sample) => previewMessages(spec, sample, isPerItem(spec)),
};

class KafkaSink implements Sink {
  readonly #context: OpenContext<KollectEventSinkSpec>;
  readonly #settings: KafkaSinkSettings;
  readonly #connection: Connection;
  readonly #release: () => Promise<void>;
  readonly #events: WholeExports | ItemExports;
  /** As it was found or made; undefined until then, and after each error. */
  #topic: Topic | undefined;
  /** What each partition had at least when something was confirmed there. One that has less is another one. */
  readonly #confirmed = new Map<number, bigint>();
  #isKnown = false;
  /** Of the last export of an inventory. */
  readonly #parts = new Map<string, number>();
  #lastTimestamp = 0;

  constructor(context: OpenContext<KollectEventSinkSpec>) {
    this.#context = context;
    this.#settings = readSettings(context);
    const { value, release } = context.shared.lease(settingsKey(this.#settings), () => new Connection(this.#settings, context.dialer));
    this.#connection = value;
    this.#release = release;
    this.#events = isPerItem(context.spec) ? new ItemExports() : new WholeExports();
  }

  async probe(signal: AbortSignal): Promise<ProbeResult> {
    return await this.#use(signal, (client) => probeTopic(client, this.#settings));
  }

  async check(_identity: InventoryIdentity, signal: AbortSignal): Promise<CheckResult> {
    return await this.#use(signal, async ({ admin }) => {
      const next = await nextOffsets(admin, this.#settings.topic);
      if (next) {
        if (this.#isOther(next)) throw this.#lost();
        const isEmpty = next.values().every((offset) => offset === 0n);
        return { rows: isEmpty ? 0 : undefined, digest: undefined, isLog: true, isTouched: isEmpty };
      }
      if (this.#isKnown) throw this.#lost();
      if (this.#settings.mustExist) throw missingTopic(this.#settings);
      return { rows: 0, digest: undefined };
    });
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { upsertCount, deletes, completeTargets, knownTargets } = change;
    if (upsertCount + deletes.length + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    return await this.#use(signal, async (client) => {
      const topic = this.#topic ?? (await this.#prepare(client));
      return await this.#events.write(change, this.#outlet(client, topic, change.identity, signal));
    });
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    return await this.#use(signal, async (client) => {
      const found = await findTopic(client.admin, this.#settings);
      if (!found) return { deleted: 0 };
      if (this.#isOther(found.next)) this.#forget();
      return await this.#events.remove(identity, isOwn, this.#outlet(client, found, identity, signal));
    });
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #prepare({ admin }: KafkaClient): Promise<Topic> {
    const topic = await prepareTopic(admin, this.#settings);
    if (this.#isOther(topic.next)) throw this.#lost();
    this.#isKnown = true;
    this.#topic = topic;
    return topic;
  }

  async #use<T>(signal: AbortSignal, work: (client: KafkaClient) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.use(signal, this.#settings, work);
    } catch (error) {
      this.#topic = undefined;
      throw isTopicGone(error) && this.#isKnown ? this.#lost(error) : error;
    }
  }

  #outlet(client: KafkaClient, topic: Topic, identity: InventoryIdentity, signal: AbortSignal): Outlet {
    this.#lastTimestamp = Math.max(Date.now(), this.#lastTimestamp + 1);
    const timestamp = new Date(this.#lastTimestamp);
    return {
      timestamp,
      epoch: this.#context.epoch?.current(),
      signal,
      maxBytes: ({ cluster, namespace, name }) => topic.maxBytes - headerBytes - 2 * Buffer.byteLength(`${cluster}${namespace}${name}`),
      send: async (messages) => await this.#send(client, topic, this.#forTopic(messages, topic, identity, timestamp), signal),
    };
  }

  /** Nothing is ever known to the topic: it takes the same message twice. */
  async #send({ producer }: KafkaClient, { maxBytes }: Topic, messages: Iterable<TopicMessage>, signal: AbortSignal): Promise<boolean[]> {
    const known: boolean[] = [];
    for (const group of groupsOf(messages, Math.min(batch.bytes, maxBytes))) {
      signal.throwIfAborted();
      this.#context.fence(commitMs);
      for (const { partition, baseOffset = '-1' } of await publish(producer, this.#settings, group)) {
        const [at, least] = [BigInt(baseOffset), this.#confirmed.get(partition) ?? 0n];
        if (at >= 0n && at < least) throw this.#lost();
        if (at >= 0n) this.#confirmed.set(partition, at + 1n);
      }
      known.push(...group.map(() => false));
    }
    signal.throwIfAborted();
    return known;
  }

  /** In a topic that is compacted, rows that are gone leave nothing behind, and neither do parts that an export has no more. */
  *#forTopic(messages: Iterable<Message>, { isCompacted }: Topic, identity: InventoryIdentity, timestamp: Date): Generator<TopicMessage> {
    const inventory = keyOf(identity);
    for (const message of messages) {
      const sent = topicMessage(identity, message, timestamp);
      const isDeletion = isCompacted && message.headers['Kollect-Event'] === 'delete';
      yield isDeletion ? tombstone(sent, timestamp) : sent;
      const [index, total] = (message.headers['Kollect-Part'] ?? '').split('/').map(Number);
      if (!isCompacted || total === undefined || index !== total) continue;
      const before = this.#parts.get(inventory) ?? total;
      this.#parts.set(inventory, total);
      for (const key of formerKeys(before, total)) yield tombstone(topicMessage(identity, { ...message, key }, timestamp), timestamp);
    }
  }

  /** The topic has less than it had. */
  #isOther(next: Topic['next']): boolean {
    return this.#confirmed.entries().some(([partition, least]) => (next.get(partition) ?? 0n) < least);
  }

  #forget(): void {
    this.#events.forget();
    this.#confirmed.clear();
    this.#parts.clear();
    this.#isKnown = false;
    this.#topic = undefined;
  }

  /** The engine's cursor is void: a topic that is there again holds nothing. */
  #lost(cause?: unknown): KollectError {
    this.#forget();
    const place = placeOf(this.#settings);
    return this.#settings.mustExist
      ? new KollectError('KOL_SINK_DESTINATION_LOST', `${place} is gone, or was made anew: create the topic, or set spec.provisioning.mode to ensure`, { class: 'terminal', cause })
      : new KollectError('KOL_SINK_DESTINATION_LOST', `${place} is gone, or was made anew: everything will be published once more`, { retryAfterMs: 100, cause });
  }
}

function isPerItem({ events }: KollectEventSinkSpec): boolean {
  return events?.mode === 'perItem';
}

function placeOf({ topic, title }: KafkaSinkSettings): string {
  return `topic ${JSON.stringify(topic)} at ${title}`;
}

/** Keys of parts that an export of so many had before, and has no more: one alone has no number. */
function formerKeys(before: number, total: number): readonly string[][] {
  if (before === total) return [];
  if (before === 1) return [[]];
  const first = total === 1 ? 1 : total + 1;
  return Array.from({ length: Math.max(0, before - first + 1) }, (_, index) => [String(first + index)]);
}

function* groupsOf(messages: Iterable<TopicMessage>, most: number): Generator<readonly TopicMessage[]> {
  let group: TopicMessage[] = [];
  let bytes = 0;
  for (const message of messages) {
    const size = (message.value?.length ?? 0) + headerBytes;
    if (group.length === batch.messages || (group.length > 0 && bytes + size > most)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(message);
    bytes += size;
  }
  if (group.length > 0) yield group;
}
