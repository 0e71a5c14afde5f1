import type { KubeObject } from '../api/kube-object.ts';
import type { Logger } from '../log.ts';
import type { KubeClient } from './client.ts';

/** The same event within this time is counted on the first one. */
const aggregateMs = 10 * 60_000;
const maximumMessage = 1_024;
/** Objects and reasons remembered; the oldest goes. */
const maximumRemembered = 2_000;

interface Remembered {
  path: string;
  count: number;
  at: number;
}

/** Writes events that `kubectl describe` shows. Losing one is no reason to fail, so nothing here throws. */
export class EventRecorder {
  readonly #client: KubeClient;
  readonly #component: string;
  readonly #instance: string;
  readonly #logger: Logger;
  readonly #remembered = new Map<string, Remembered>();
  #tail: Promise<void> = Promise.resolve();

  constructor(options: { client: KubeClient; component: string; instance: string; logger: Logger }) {
    this.#client = options.client;
    this.#component = options.component;
    this.#instance = options.instance;
    this.#logger = options.logger;
  }

  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void {
    const text = message.slice(0, maximumMessage);
    this.#tail = this.#tail.then(() => this.#write(object, type, reason, text)).catch((error: unknown) => {
      this.#logger.warn('event could not be written', { reason, object: object.metadata.name, error });
    });
  }

  /** Resolves when what was recorded so far is written. */
  flush(): Promise<void> {
    return this.#tail;
  }

  async #write(object: KubeObject, type: string, reason: string, message: string): Promise<void> {
    const { metadata } = object;
    const key = [metadata.uid, type, reason, message].join('\u0000');
    const now = new Date();
    const known = this.#remembered.get(key);
    if (known && now.getTime() - known.at < aggregateMs) {
      known.count++;
      known.at = now.getTime();
      await this.#client.patch(known.path, { type: 'merge', body: { count: known.count, lastTimestamp: now.toISOString().replace(/\.\d+Z$/, 'Z') } });
      return;
    }
    // Events of cluster-scoped objects live in the namespace "default".
    const namespace = metadata.namespace || 'default';
    const name = `${metadata.name.slice(0, 200)}.${now.getTime().toString(16)}${Math.floor(Math.random() * 0xffff).toString(16)}`;
    const time = now.toISOString().replace(/\.\d+Z$/, 'Z');
    await this.#client.create(`/api/v1/namespaces/${namespace}/events`, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: {
        apiVersion: object.apiVersion,
        kind: object.kind,
        name: metadata.name,
        ...(metadata.namespace ? { namespace: metadata.namespace } : {}),
        uid: metadata.uid,
        resourceVersion: metadata.resourceVersion,
      },
      type,
      reason,
      message,
      source: { component: this.#component },
      reportingComponent: this.#component,
      reportingInstance: this.#instance,
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    });
    this.#remembered.delete(key);
    this.#remembered.set(key, { path: `/api/v1/namespaces/${namespace}/events/${name}`, count: 1, at: now.getTime() });
    if (this.#remembered.size > maximumRemembered) this.#remembered.delete(this.#remembered.keys().next().value!);
  }
}
