import type { KubeObject } from '../api/kube-object.ts';
import type { Logger } from '../log.ts';
import { objectKey } from './object-key.ts';
import type { ObjectReader } from './pages.ts';

const firstDelayMs = 500;
const lastDelayMs = 300_000;
/** More than this are cheaper to list than to read one by one. */
const listAbove = 100;

export interface RedeliveryOptions {
  client: ObjectReader;
  /** Collection path, and what of it is followed. */
  path: string;
  resource?: { group: string; plural: string } | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  name: string;
  handler: { changed(object: KubeObject): void; deleted(object: KubeObject): void };
  logger: Logger;
  /** Asks for everything to be listed again. */
  relist: () => void;
}

interface Untaken {
  how: 'changed' | 'deleted';
  /** Metadata only: the object itself is not kept. */
  object: KubeObject;
}

/**
 * Objects whose handler threw, by key. They are read again, with growing pauses, and handed over until the handler takes them, or until something
 * newer of the same object was taken.
 */
export class Redelivery {
  readonly #options: RedeliveryOptions;
  readonly #untaken = new Map<string, Untaken>();
  #timer: NodeJS.Timeout | undefined;
  #delayMs = firstDelayMs;

  constructor(options: RedeliveryOptions) {
    this.#options = options;
  }

  add({ apiVersion, kind, metadata }: KubeObject, how: Untaken['how']): void {
    const { name, namespace, uid, resourceVersion } = metadata;
    const kept = { name, ...(uid === undefined ? {} : { uid }), ...(namespace === undefined ? {} : { namespace }), ...(resourceVersion === undefined ? {} : { resourceVersion }) };
    this.#untaken.set(objectKey({ metadata }, this.#options.resource), { how, object: { apiVersion, kind, metadata: kept } });
    this.#arm();
  }

  /** Something of this object was taken; what was not before is outdated. */
  taken(object: KubeObject): void {
    if (this.#untaken.size > 0) this.#untaken.delete(objectKey(object, this.#options.resource));
  }

  /** A complete list told everything else. */
  retain(untaken: ReadonlySet<string>): void {
    for (const key of this.#untaken.keys()) if (!untaken.has(key)) this.#untaken.delete(key);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#untaken.clear();
  }

  #arm(): void {
    this.#timer ??= setTimeout(() => void this.#again(), this.#delayMs * (0.5 + Math.random() / 2));
  }

  async #again(): Promise<void> {
    const { logger, name, relist } = this.#options;
    this.#delayMs = Math.min(lastDelayMs, this.#delayMs * 2);
    const many = this.#untaken.size > listAbove;
    if (many) relist();
    for (const [key, entry] of many ? [] : this.#untaken) {
      try {
        const present = entry.how === 'deleted' ? undefined : await this.#read(entry.object);
        // Stopped, or overtaken by the watch while it was read.
        if (this.#untaken.get(key) !== entry) continue;
        if (entry.how === 'deleted') this.#options.handler.deleted(entry.object);
        else if (present && objectKey(present, this.#options.resource) === key) this.#options.handler.changed(present);
        this.#untaken.delete(key);
      } catch (error) {
        if (this.#untaken.get(key) !== entry) continue;
        logger.error('an object could not be handed over again, will be repeated', { resource: name, object: entry.object.metadata.name, error });
      }
    }
    this.#timer = undefined;
    if (this.#untaken.size > 0) this.#arm();
    else this.#delayMs = firstDelayMs;
  }

  /** By a list of one, which needs no other permission and no other selectors than the watch. Undefined: it is gone, or selected no more. */
  async #read({ metadata: { name, namespace } }: KubeObject): Promise<KubeObject | undefined> {
    const { client, path, labelSelector, fieldSelector } = this.#options;
    const one = [fieldSelector, `metadata.name=${name}`, namespace && `metadata.namespace=${namespace}`].filter((part) => !!part).join(',');
    const { items } = await client.page(path, { labelSelector, fieldSelector: one });
    return items[0];
  }
}
