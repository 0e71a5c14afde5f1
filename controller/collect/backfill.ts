import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import { listOnce } from '../../shared/kube/list.ts';
import { objectKey } from '../../shared/kube/object-key.ts';
import type { ObjectReader } from '../../shared/kube/pages.ts';
import type { Logger } from '../../shared/log.ts';
import type { ListSlots } from './list-slots.ts';
import type { Subscription } from './subscription.ts';

/** Long enough for a folder of manifests, or for a script that labels namespaces one by one. */
const defaultDelayMs = 2_000;
const firstBackoffMs = 2_000;
const lastBackoffMs = 120_000;
/** Up to this many namespaces are listed one by one; a list of everything costs less than more of them. */
const maxSingleNamespaces = 8;

export interface BackfillOptions {
  client: ObjectReader;
  /** Those of the watch. */
  selectors: { labelSelector?: string | undefined; fieldSelector?: string | undefined };
  resource: ApiResource;
  /** The one namespace that is watched; all when unset. */
  namespace?: string | undefined;
  slots: ListSlots;
  logger: Logger;
  /** Time from the first wish to the list, 25 % more or less; 2,000 when unset. */
  delayMs?: number | undefined;
  /** False while the watch has no complete list of its own, which will serve everybody. */
  mayRun: () => boolean;
  /** False once a subscription is not fed any more. */
  isFed: (subscription: Subscription) => boolean;
  apply: (object: KubeObject, subscriptions: Iterable<Subscription>) => void;
  /** A list is complete for a subscription: of a namespace, or of everything. */
  complete: (subscription: Subscription, epoch: number, spared: ReadonlySet<string>, namespace: string | undefined) => Promise<void>;
  /** All that these wanted was listed. */
  served: (subscriptions: Iterable<Subscription>) => void;
}

/** Namespaces, or everything that the subscription may want. */
type Wish = Set<string> | 'all';

/** The lists beside one watch: one serves all who wait. */
export class Backfill {
  readonly #options: BackfillOptions;
  readonly #waiting = new Map<Subscription, Wish>();
  /** The list under way, and the uids of which the watch knows newer than its pages. */
  #run: { abort: AbortController; newer: Set<string> } | undefined;
  #timer: NodeJS.Timeout | undefined;
  #backoffMs = firstBackoffMs;
  #stopped = false;

  constructor(options: BackfillOptions) {
    this.#options = options;
  }

  /** Asks for a list of some namespaces, or of everything. */
  want(subscription: Subscription, namespaces?: readonly string[]): void {
    const wish = this.#waiting.get(subscription);
    if (namespaces === undefined || wish === 'all') this.#waiting.set(subscription, 'all');
    else this.#waiting.set(subscription, new Set([...(wish ?? []), ...namespaces]));
    this.resume();
  }

  /** A list is wanted or under way. */
  get isBusy(): boolean {
    return this.#run !== undefined || this.#waiting.size > 0;
  }

  forget(subscription: Subscription): void {
    this.#waiting.delete(subscription);
  }

  /** The watch tells of an object what no page can know. */
  overtake(object: KubeObject): void {
    this.#run?.newer.add(objectKey(object, this.#options.resource));
  }

  /** A list of the watch itself serves everybody. */
  cancel(): void {
    this.#run?.abort.abort();
    this.#run = undefined;
    this.#waiting.clear();
  }

  resume(): void {
    const { delayMs = defaultDelayMs } = this.#options;
    if (this.#waiting.size > 0) this.#schedule(delayMs * (0.75 + Math.random() / 2));
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.cancel();
  }

  #schedule(delayMs: number): void {
    if (this.#stopped || this.#run) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#options.slots.run(() => this.#serve());
    }, delayMs);
  }

  async #serve(): Promise<void> {
    if (this.#stopped || this.#run || this.#waiting.size === 0 || !this.#options.mayRun()) return;
    const wishes = new Map(this.#waiting);
    this.#waiting.clear();
    const run = { abort: new AbortController(), newer: new Set<string>() };
    this.#run = run;
    let delayMs: number | undefined;
    try {
      for (const namespace of this.#scopes(wishes)) {
        const wanting = [...wishes.keys()].filter((subscription) => namespace === undefined || wants(subscription, wishes, namespace));
        await this.#list(namespace, wanting, run);
        if (run.abort.signal.aborted) return;
      }
      this.#backoffMs = firstBackoffMs;
      // Who asked for more meanwhile is served by the next list.
      this.#options.served([...wishes.keys()].filter((subscription) => !this.#waiting.has(subscription)));
    } catch (error) {
      if (run.abort.signal.aborted) return;
      this.#options.logger.warn('list for targets failed, will be repeated', { resource: this.#options.resource.plural, error: String(error) });
      for (const [subscription, wish] of wishes) if (this.#options.isFed(subscription)) this.want(subscription, wish === 'all' ? undefined : [...wish]);
      delayMs = Math.random() * this.#backoffMs;
      this.#backoffMs = Math.min(lastBackoffMs, this.#backoffMs * 2);
    } finally {
      if (this.#run === run) this.#run = undefined;
      if (delayMs === undefined) this.resume();
      else if (this.#waiting.size > 0) this.#schedule(delayMs);
    }
  }

  /** The namespaces to list one by one, or the one scope of the watch. */
  #scopes(wishes: ReadonlyMap<Subscription, Wish>): readonly (string | undefined)[] {
    const { resource, namespace } = this.#options;
    if (namespace !== undefined || !resource.namespaced) return [namespace];
    const wanted = new Set<string>();
    for (const [subscription, wish] of wishes) {
      for (const name of wish === 'all' ? subscription.effectiveNamespaces : wish) wanted.add(name);
      if (wanted.size > maxSingleNamespaces) return [undefined];
    }
    return [...wanted];
  }

  /**
   * What the watch reports meanwhile is newer than the pages, so the pages skip it: an object that was deleted while its page was on the way does not
   * come back.
   */
  async #list(namespace: string | undefined, subscriptions: readonly Subscription[], { abort, newer }: { abort: AbortController; newer: Set<string> }): Promise<void> {
    const { client, selectors, resource, logger, apply, complete } = this.#options;
    const epochs = new Map<Subscription, number>();
    const untaken = new Set<string>();
    const onRestart = (): void => {
      for (const subscription of subscriptions) epochs.set(subscription, subscription.rows.beginList());
    };
    onRestart();
    await listOnce(client, resource.path(namespace), { ...selectors, signal: abort.signal, onRestart }, (object) => {
      const uid = objectKey(object, resource);
      if (newer.has(uid)) return;
      try {
        apply(object, subscriptions);
      } catch (error) {
        untaken.add(uid);
        logger.error('an object could not be taken', { resource: resource.plural, error });
      }
    });
    // What the pages passed over exists, or was removed by the watch.
    const spared = newer.union(untaken);
    for (const [subscription, epoch] of epochs) await complete(subscription, epoch, spared, namespace);
  }
}

function wants(subscription: Subscription, wishes: ReadonlyMap<Subscription, Wish>, namespace: string): boolean {
  const wish = wishes.get(subscription);
  return wish === 'all' ? subscription.includes(namespace) : wish?.has(namespace) === true;
}
