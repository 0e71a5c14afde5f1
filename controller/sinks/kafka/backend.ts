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
import { groupsOf, maxBodyBytes, publish, tombstone, topicMessage, type TopicMessage } from './publish.ts';
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
  /** By inventory, the keys of parts that the topic may have of it, as far as this process published them; empty is that of an export in one part. */
  readonly #parts = new Map<string, Set<string>>();
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
      maxBytes: (of) => maxBodyBytes(topic.maxBytes, of),
      send: async (messages) => {
        const parts = this.#partsOf(identity);
        const gone: string[] = [];
        const known = await this.#send(client, topic, this.#forTopic(messages, topic, identity, timestamp, parts, gone), signal);
        for (const key of gone) parts.delete(key);
        return known;
      },
    };
  }

  /** Nothing is ever known to the topic: it takes the same message twice. */
  async #send({ producer }: KafkaClient, { maxBytes }: Topic, messages: Iterable<TopicMessage>, signal: AbortSignal): Promise<boolean[]> {
    const known: boolean[] = [];
    for (const group of groupsOf(messages, { ...batch, bytes: Math.min(batch.bytes, maxBytes) })) {
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

  #partsOf(identity: InventoryIdentity): Set<string> {
    const inventory = keyOf(identity);
    const parts = this.#parts.get(inventory) ?? new Set();
    this.#parts.set(inventory, parts);
    return parts;
  }

  /**
   * In a topic that is compacted, rows that are gone leave nothing behind, and neither do parts that an export has no more.
   *
   * @param parts of the inventory that the topic may have; those that are sent are added
   * @param gone gets those that it has no more, when all of this has arrived
   */
  *#forTopic(messages: Iterable<Message>, { isCompacted }: Topic, identity: InventoryIdentity, timestamp: Date, parts: Set<string>, gone: string[]): Generator<TopicMessage> {
    for (const message of messages) {
      const [index, total] = (message.headers['Kollect-Part'] ?? '').split('/').map(Number);
      if (total !== undefined) parts.add(message.key.join('/'));
      const sent = topicMessage(identity, message, timestamp);
      const isDeletion = isCompacted && message.headers['Kollect-Event'] === 'delete';
      yield isDeletion ? tombstone(sent, timestamp) : sent;
      if (!isCompacted || total === undefined || index !== total) continue;
      for (const key of parts) {
        if (isPartOf(key, total)) continue;
        gone.push(key);
        yield tombstone(topicMessage(identity, { ...message, key: key === '' ? [] : [key] }, timestamp), timestamp);
      }
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

/** The key of a part, in an export of so many: one alone has no number. */
function isPartOf(key: string, total: number): boolean {
  return key === '' ? total === 1 : total > 1 && Number(key) <= total;
}
