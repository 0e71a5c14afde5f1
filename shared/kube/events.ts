import type { KubeObject } from '../api/kube-object.ts';
import { cutToBytes } from '../cut.ts';
import type { Logger } from '../log.ts';
import { KubeApiError, type KubeClient } from './client.ts';

/** The same event within this time is counted on the first one. */
const aggregateMs = 10 * 60_000;
/** Of the note of an event. */
const maximumMessageBytes = 1_024;
/** Events remembered, and objects with a budget; the oldest goes. */
const maximumRemembered = 2_000;
/** Different events waiting to be written. More than this while the API server is away are not worth keeping. */
const maximumWaiting = 500;
/** Per object, as client-go has it: 25 at once, then one in five minutes. */
const burst = 25;
const refillMs = 300_000;

interface Waiting {
  object: KubeObject;
  type: 'Normal' | 'Warning';
  reason: string;
  message: string;
  count: number;
  first: Date;
  last: Date;
}

interface Written {
  path: string;
  count: number;
  at: number;
}

interface Budget {
  tokens: number;
  at: number;
}

export interface EventRecorderOptions {
  client: KubeClient;
  /** Such as `kollect-controller`. */
  component: string;
  /** Name of this process. */
  instance: string;
  logger: Logger;
}

/**
 * Writes events that `kubectl describe` shows. Equal ones are counted on one event. Losing one is no reason to fail, so nothing here throws, and
 * neither a loop nor an API server that is away makes it grow.
 */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #waiting = new Map<string, Waiting>();
  readonly #written = new Map<string, Written>();
  readonly #budgets = new Map<string, Budget>();
  #draining: Promise<void> | undefined;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const text = cutToBytes(message, maximumMessageBytes);
    const key = [object.metadata.uid, type, reason, text].join('\u0000');
    const now = new Date();
    const waiting = this.#waiting.get(key);
    if (waiting) {
      waiting.count++;
      waiting.last = now;
      return;
    }
    if (this.#waiting.size >= maximumWaiting || !this.#spend(object.metadata.uid ?? '')) {
      this.#options.logger.debug('event left out, there are too many', { reason, object: object.metadata.name });
      return;
    }
    const { apiVersion, kind, metadata } = object;
    this.#waiting.set(key, { object: { apiVersion, kind, metadata }, type, reason, message: text, count: 1, first: now, last: now });
    this.#draining ??= this.#drain();
  }

  /** Resolves when what was recorded so far is written, or when the time is up. */
  async flush(timeoutMs = 5_000): Promise<void> {
    if (!this.#draining) return;
    let timer: NodeJS.Timeout | undefined;
    await Promise.race([this.#draining, new Promise((resolve) => (timer = setTimeout(resolve, timeoutMs)))]);
    clearTimeout(timer);
  }

  async #drain(): Promise<void> {
    // Whoever records is not held up, and what he records together is counted together.
    await Promise.resolve();
    for (const [key, waiting] of this.#waiting) {
      this.#waiting.delete(key);
      try {
        await this.#write(key, waiting);
      } catch (error) {
        this.#options.logger.warn('event could not be written', { reason: waiting.reason, object: waiting.object.metadata.name, error });
      }
    }
    this.#draining = undefined;
  }

  async #write(key: string, waiting: Waiting): Promise<void> {
    const { client } = this.#options;
    const at = performance.now();
    const known = this.#written.get(key);
    if (known && at - known.at < aggregateMs) {
      const count = known.count + waiting.count;
      try {
        await client.patch(known.path, { type: 'merge', body: { count, lastTimestamp: seconds(waiting.last) } });
        remember(this.#written, key, { ...known, count, at });
        return;
      } catch (error) {
        // It expired, or somebody cleaned up.
        if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
      }
    }
    const event = this.#eventOf(waiting);
    const path = `/api/v1/namespaces/${event.metadata.namespace}/events`;
    await client.create(path, event);
    remember(this.#written, key, { path: `${path}/${event.metadata.name}`, count: waiting.count, at });
  }

  #eventOf({ object, type, reason, message, count, first, last }: Waiting) {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const { component, instance } = this.#options;
    const unique = `${first.getTime().toString(16)}${Math.floor(Math.random() * 0xffff).toString(16)}`;
    return {
      apiVersion: 'v1',
      kind: 'Event',
      // Events of cluster-scoped objects live in the namespace "default". A name that is cut must not end in a separator.
      metadata: { name: `${name.slice(0, 200).replace(/[-.]+$/, '')}.${unique}`, namespace: namespace || 'default' },
      involvedObject: { apiVersion: object.apiVersion, kind: object.kind, name, ...(namespace ? { namespace } : {}), uid, resourceVersion },
      type,
      reason,
      message,
      count,
      firstTimestamp: seconds(first),
      lastTimestamp: seconds(last),
      source: { component },
      reportingComponent: component,
      reportingInstance: instance,
    };
  }

  #spend(uid: string): boolean {
    const now = performance.now();
    const { tokens, at } = this.#budgets.get(uid) ?? { tokens: burst, at: now };
    const left = Math.min(burst, tokens + (now - at) / refillMs);
    remember(this.#budgets, uid, { tokens: left < 1 ? left : left - 1, at: now });
    return left >= 1;
  }
}

/** Puts an entry last, and drops the first one of too many. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  if (map.size <= maximumRemembered) return;
  const { value: oldest } = map.keys().next();
  if (oldest !== undefined) map.delete(oldest);
}

/** Kubernetes' own times of events have no fraction. */
function seconds(time: Date): string {
  return time.toISOString().replace(/\.\d+Z$/, 'Z');
}
