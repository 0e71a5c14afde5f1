import type { NatsConnection, StreamInfo } from 'nats';
import type { KollectEventSinkSpec } from '../../../shared/api/kollect-event-sink.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { Backend, CheckResult, InventoryIdentity, OpenContext, ProbeResult, Sink, SinkChange, WriteResult } from '../contract.ts';
import { ItemExports } from '../documents/item-exports.ts';
import type { Message, Outlet } from '../documents/outlet.ts';
import { WholeExports } from '../documents/whole-exports.ts';
import { commitMs } from '../runtime/deadline.ts';
import { Connection, managerOf } from './connection.ts';
import { isStreamGone } from './errors.ts';
import { previewMessages } from './preview.ts';
import { probeStream } from './probe.ts';
import { headerBytes, publish } from './publish.ts';
import { natsSecretRef, readSettings, settingsKey, type NatsSinkSettings } from './settings.ts';
import { findStream, keepsAll, mostBytes, prepareStream, takes, verifyStream } from './stream.ts';

/** Messages that are on their way at a time: enough to hide the way there and back. */
const batch = { messages: 1_000, bytes: 4_000_000 };

/** Messages in a stream of NATS JetStream: one for each export, or for each row that changes. */
export const nats: Backend<KollectEventSinkSpec> = {
  type: 'nats',
  family: 'event',
  capabilities: { granularity: 'document', concurrency: 4 },
  granularity: (spec) => (isPerItem(spec) ? 'row' : 'document'),
  // A stream takes whatever comes; messages carry the number of their leader, and readers leave out those of former ones.
  refusesLateWrites: () => false,
  secretRef: natsSecretRef,
  destination: (context) => {
    const { title, stream, subject } = readSettings(context);
    return JSON.stringify([title, stream, subject, context.spec.events?.mode ?? 'aggregate']);
  },
  place: (context) => placeOf(readSettings(context)),
  server: (context) => readSettings(context).title,
  open: async (context) => new NatsSink(context),
  preview: (spec, sample) => previewMessages(spec, sample, isPerItem(spec)),
};

class NatsSink implements Sink {
  readonly #context: OpenContext<KollectEventSinkSpec>;
  readonly #settings: NatsSinkSettings;
  readonly #connection: Connection;
  readonly #release: () => Promise<void>;
  readonly #events: WholeExports | ItemExports;
  /** As it was found or made; undefined until then, and after each error. */
  #stream: StreamInfo | undefined;
  /** When the stream was made that was found first. Another one holds nothing of what was published. */
  #incarnation: string | undefined;
  /** Number of the first message that it had when it was looked at last. */
  #first: number | undefined;
  /** Somebody took messages out of it since, and not everything was told once more. */
  #isPurged = false;
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
    return await this.#use(signal, (client) => probeStream(client, this.#settings));
  }

  async check(_identity: InventoryIdentity, signal: AbortSignal): Promise<CheckResult> {
    return await this.#use(signal, async (client) => {
      const found = await findStream(await managerOf(client), this.#settings);
      if (found && takes(found, this.#settings.subject)) {
        if (this.#isOther(found)) throw this.#lost();
        if (this.#hasLost(found)) {
          this.#events.forget();
          this.#isPurged = true;
        }
        const isEmpty = found.state.last_seq === 0 || (this.#isPurged && found.state.messages === 0);
        return { rows: isEmpty ? 0 : undefined, digest: undefined, isLog: true, isTouched: isEmpty || this.#isPurged };
      }
      if (this.#incarnation !== undefined) throw this.#lost();
      verifyStream(found, this.#settings);
      return { rows: 0, digest: undefined };
    });
  }

  async write(change: SinkChange, signal: AbortSignal): Promise<WriteResult> {
    const { upsertCount, deletes, completeTargets, knownTargets } = change;
    if (upsertCount + deletes.length + completeTargets.length === 0 && knownTargets === undefined) return { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] };
    return await this.#use(signal, async (client) => {
      const stream = this.#stream ?? (await prepareStream(await managerOf(client), this.#settings));
      const isWhole = this.#events instanceof WholeExports || knownTargets !== undefined;
      if (this.#isOther(stream) && !isWhole) throw this.#lost();
      this.#stream = stream;
      const result = await this.#events.write(change, this.#outlet(client, stream, signal));
      if (isWhole && !result.held) this.#isPurged = false;
      return result;
    });
  }

  async remove(identity: InventoryIdentity, isOwn: boolean, signal: AbortSignal): Promise<{ deleted: number }> {
    return await this.#use(signal, async (client) => {
      const found = await findStream(await managerOf(client), this.#settings);
      if (!found || !takes(found, this.#settings.subject)) return { deleted: 0 };
      this.#isOther(found);
      return await this.#events.remove(identity, isOwn, this.#outlet(client, found, signal));
    });
  }

  async close(): Promise<void> {
    await this.#release();
  }

  async #use<T>(signal: AbortSignal, work: (client: NatsConnection) => Promise<T>): Promise<T> {
    try {
      return await this.#connection.use(signal, this.#settings, work);
    } catch (error) {
      this.#stream = undefined;
      const isGone = error instanceof KollectError && isStreamGone(error.cause) && this.#incarnation !== undefined;
      throw isGone ? this.#lost(error.cause) : error;
    }
  }

  #outlet(client: NatsConnection, found: StreamInfo, signal: AbortSignal): Outlet {
    const { stream } = this.#settings;
    const most = mostBytes(client, found);
    this.#lastTimestamp = Math.max(Date.now(), this.#lastTimestamp + 1);
    return {
      timestamp: new Date(this.#lastTimestamp),
      epoch: this.#context.epoch?.current(),
      signal,
      maxBytes: ({ cluster, namespace, name }) => most - headerBytes - Buffer.byteLength(`${cluster}${namespace}${name}${stream}`),
      send: async (messages) => await this.#send(client, messages, signal),
    };
  }

  async #send(client: NatsConnection, messages: Iterable<Message>, signal: AbortSignal): Promise<boolean[]> {
    const known: boolean[] = [];
    for (const group of groupsOf(messages)) {
      signal.throwIfAborted();
      this.#context.fence(commitMs);
      known.push(...(await publish(client, this.#settings, group)));
    }
    signal.throwIfAborted();
    return known;
  }

  /** Notes which stream it is; false when it is the one that it was, or the first. */
  #isOther({ created }: StreamInfo): boolean {
    const incarnation = String(created);
    const isOther = this.#incarnation !== undefined && this.#incarnation !== incarnation;
    if (isOther) {
      this.#events.forget();
      this.#first = undefined;
    }
    this.#incarnation = incarnation;
    return isOther;
  }

  /** Messages are gone that the stream does not drop by itself. */
  #hasLost({ config, state: { first_seq: first, last_seq: last, messages } }: StreamInfo): boolean {
    const former = this.#first;
    this.#first = Math.max(1, first);
    return keepsAll(config) && (former === undefined ? messages === 0 && last > 0 : first > former);
  }

  /** The engine's cursor is void: a stream that is there again holds nothing. */
  #lost(cause?: unknown): KollectError {
    this.#events.forget();
    this.#incarnation = this.#first = undefined;
    const place = placeOf(this.#settings);
    return this.#settings.mustExist
      ? new KollectError('KOL_SINK_DESTINATION_LOST', `${place} is gone: create the stream, or set spec.provisioning.mode to ensure`, { class: 'terminal', cause })
      : new KollectError('KOL_SINK_DESTINATION_LOST', `${place} is gone: it will be created anew, and everything published once more`, { retryAfterMs: 100, cause });
  }
}

function isPerItem({ events }: KollectEventSinkSpec): boolean {
  return events?.mode === 'perItem';
}

function placeOf({ subject, stream, title }: NatsSinkSettings): string {
  return `subject ${JSON.stringify(subject)} of stream ${JSON.stringify(stream)} at ${title}`;
}

function* groupsOf(messages: Iterable<Message>): Generator<readonly Message[]> {
  let group: Message[] = [];
  let bytes = 0;
  for (const message of messages) {
    if (group.length === batch.messages || (group.length > 0 && bytes + message.body.length > batch.bytes)) {
      yield group;
      group = [];
      bytes = 0;
    }
    group.push(message);
    bytes += message.body.length;
  }
  if (group.length > 0) yield group;
}
