import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import { listOnce, Reflector, type ReflectorHandler, type ReflectorObserver, type ReflectorState } from '../../shared/kube/reflector.ts';
import type { Logger } from '../../shared/log.ts';
import type { Subscription } from './subscription.ts';

/** Subscriptions that arrive together share one list: long enough for a folder of manifests, short enough not to be noticed. */
const backfillDelayMs = 300;
const backfillRetryMs = 2_000;

export interface ResourceWatchOptions {
  client: KubeClient;
  resource: ApiResource;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** The state of the watch or the progress of a subscription changed. */
  onChange: (subscriptions: Iterable<Subscription>) => void;
}

/**
 * One watch of one resource, shared by all targets that collect it. The reflector keeps no objects; whoever subscribes later, or
 * wants more than before, is served by a list of its own beside the running watch.
 */
export class ResourceWatch implements ReflectorHandler {
  readonly resource: ApiResource;
  readonly #options: ResourceWatchOptions;
  readonly #reflector: Reflector;
  readonly #subscriptions = new Set<Subscription>();
  /** Lists under way, by subscription. A sweep needs the list that it belongs to. */
  readonly #epochs = new Map<Subscription, number>();
  readonly #waiting = new Set<Subscription>();
  /** The list beside the watch, and the uids of which the watch knows newer than its pages. */
  #backfill: { abort: AbortController; newer: Set<string> } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ResourceWatchOptions) {
    this.#options = options;
    this.resource = options.resource;
    this.#reflector = new Reflector({
      client: options.client,
      path: options.resource.path(),
      name: `${options.resource.plural}.${options.resource.group}`.replace(/\.$/, ''),
      handler: this,
      logger: options.logger,
      observe: options.observe,
    });
  }

  get state(): ReflectorState {
    return this.#reflector.state;
  }

  get idle(): boolean {
    return this.#subscriptions.size === 0;
  }

  start(): void {
    this.#reflector.start();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#backfill?.abort.abort();
    await this.#reflector.stop();
  }

  /** Begins to feed a subscription. It is synced once a list that began afterwards is complete. */
  add(subscription: Subscription): void {
    this.#subscriptions.add(subscription);
    if (this.state.phase !== 'Pending') this.relist(subscription);
  }

  remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    this.#waiting.delete(subscription);
    this.#epochs.delete(subscription);
  }

  /** A namespace joined, or the profile changed: only a list can tell what the watch has already passed by. */
  relist(subscription: Subscription): void {
    this.#waiting.add(subscription);
    this.#scheduleBackfill(backfillDelayMs);
  }

  listStarted(): void {
    this.#backfill?.abort.abort();
    this.#backfill = undefined;
    this.#waiting.clear();
    this.#epochs.clear();
    for (const subscription of this.#subscriptions) this.#epochs.set(subscription, subscription.rows.beginList());
  }

  listed(object: KubeObject): void {
    this.changed(object);
  }

  listCompleted(_epoch: number, _resourceVersion: string, untaken?: ReadonlySet<string>): void {
    this.#complete(this.#subscriptions, untaken);
    if (this.#waiting.size > 0) this.#scheduleBackfill(backfillDelayMs);
  }

  changed(object: KubeObject): void {
    this.#backfill?.newer.add(object.metadata.uid ?? '');
    this.#forEach(this.#subscriptions, (subscription) => subscription.apply(object));
  }

  deleted(object: KubeObject): void {
    this.#backfill?.newer.add(object.metadata.uid ?? '');
    this.#forEach(this.#subscriptions, (subscription) => subscription.remove(object));
  }

  stateChanged(state: ReflectorState): void {
    if (state.phase === 'Failed') {
      for (const subscription of this.#subscriptions) subscription.synced = false;
      // The next complete list serves everybody.
      this.#backfill?.abort.abort();
    }
    if (state.phase === 'Synced' && this.#waiting.size > 0) this.#scheduleBackfill(backfillDelayMs);
    this.#options.onChange(this.#subscriptions);
  }

  /** One subscription that fails takes nothing from the others; the first error is thrown in the end. */
  #forEach(subscriptions: Iterable<Subscription>, work: (subscription: Subscription) => void): void {
    const errors: unknown[] = [];
    for (const subscription of subscriptions) {
      if (!this.#subscriptions.has(subscription)) continue;
      try {
        work(subscription);
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw errors[0];
  }

  #complete(subscriptions: Iterable<Subscription>, spared?: ReadonlySet<string>): void {
    const completed = [];
    for (const subscription of subscriptions) {
      if (!this.#subscriptions.has(subscription)) continue;
      const epoch = this.#epochs.get(subscription);
      if (epoch === undefined) continue;
      this.#epochs.delete(subscription);
      const swept = subscription.rows.completeList(epoch, spared);
      if (swept > 0) {
        const target = `${subscription.rows.namespace}/${subscription.rows.name}`;
        this.#options.logger.info('rows of objects that are gone were removed after a list', { target, rows: swept });
      }
      subscription.synced = true;
      completed.push(subscription);
    }
    this.#options.onChange(completed);
  }

  #scheduleBackfill(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      void this.#runBackfill();
    }, delayMs);
  }

  /**
   * Lists once for all that wait. What the watch reports meanwhile is newer than the pages, so the pages skip it: an object that was
   * deleted while its page was on the way does not come back.
   */
  async #runBackfill(): Promise<void> {
    if (this.#backfill !== undefined || this.#waiting.size === 0 || this.state.phase !== 'Synced') return;
    const served = [...this.#waiting];
    this.#waiting.clear();
    const run = { abort: new AbortController(), newer: new Set<string>() };
    const untaken = new Set<string>();
    this.#backfill = run;
    for (const subscription of served) this.#epochs.set(subscription, subscription.rows.beginList());
    try {
      await listOnce(
        this.#options.client,
        this.resource.path(),
        {
          signal: run.abort.signal,
          onRestart: () => {
            for (const subscription of served) this.#epochs.set(subscription, subscription.rows.beginList());
          },
        },
        (object) => {
          const uid = object.metadata.uid ?? '';
          if (run.abort.signal.aborted || run.newer.has(uid)) return;
          try {
            this.#forEach(served, (subscription) => subscription.apply(object));
          } catch (error) {
            untaken.add(uid);
            this.#options.logger.error('an object could not be taken', { resource: this.resource.plural, error });
          }
        },
      );
      // What the pages passed over exists, or was removed by the watch.
      if (!run.abort.signal.aborted) this.#complete(served, run.newer.union(untaken));
    } catch (error) {
      if (!run.abort.signal.aborted) {
        this.#options.logger.warn('list for new targets failed, will be repeated', { resource: this.resource.plural, error: String(error) });
        for (const subscription of served) if (this.#subscriptions.has(subscription)) this.#waiting.add(subscription);
      }
    } finally {
      if (this.#backfill === run) this.#backfill = undefined;
      if (this.#waiting.size > 0) this.#scheduleBackfill(backfillRetryMs);
    }
  }
}
