import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import { Reflector, type ReflectorHandler, type ReflectorObserver, type ReflectorPace, type ReflectorState } from '../../shared/kube/reflector.ts';
import { MetadataReader } from '../../shared/kube/metadata-reader.ts';
import type { Logger } from '../../shared/log.ts';
import { Audit, type AuditObserver } from './audit.ts';
import { Backfill } from './backfill.ts';
import type { ListSlots } from './list-slots.ts';
import type { Subscription } from './subscription.ts';
import type { WatchShape } from './watch-shape.ts';

export interface ResourceWatchOptions {
  client: KubeClient;
  resource: ApiResource;
  /** The one namespace that is watched; all when unset. */
  namespace?: string | undefined;
  shape: WatchShape;
  slots: ListSlots;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** See `BackfillOptions`. */
  backfillDelayMs?: number | undefined;
  pace?: ReflectorPace | undefined;
  /** See `ReflectorOptions`. */
  pollMs?: number | undefined;
  /** Comparisons of rows with what exists, see `AuditOptions`. */
  audit?: { slots: ListSlots; intervalMs: number; observe?: AuditObserver | undefined } | undefined;
  /** The state of the watch or the progress of a subscription changed. */
  onChange: (subscriptions: Iterable<Subscription>) => void;
}

/**
 * One watch of one resource, in one namespace or in all, shared by all targets that collect it. The reflector keeps no objects; whoever subscribes
 * later, or wants more than before, is served by a list beside the running watch.
 */
export class ResourceWatch implements ReflectorHandler {
  readonly resource: ApiResource;
  readonly #options: ResourceWatchOptions;
  readonly #reflector: Reflector;
  readonly #backfill: Backfill;
  readonly #audit: Audit;
  readonly #subscriptions = new Set<Subscription>();
  /** Those for which a list was completed, while nothing says that their rows may be stale. */
  readonly #synced = new Set<Subscription>();
  /** What the list under way is to each. A sweep needs the list that it belongs to. */
  readonly #epochs = new Map<Subscription, number>();

  constructor(options: ResourceWatchOptions) {
    const { client, resource, namespace, logger, shape } = options;
    this.#options = options;
    this.resource = resource;
    const metadata = new MetadataReader(client, resource);
    const reader = shape.metadataOnly ? metadata : client;
    const selectors = { labelSelector: shape.labelSelector, fieldSelector: shape.fieldSelector };
    const name = `${resource.plural}.${resource.group}`.replace(/\.$/, '') + (namespace === undefined ? '' : ` in ${namespace}`);
    this.#reflector = new Reflector({ client: reader, ...selectors, path: resource.path(namespace), name, resource, handler: this, logger, observe: options.observe, pollMs: options.pollMs, ...options.pace });
    this.#backfill = new Backfill({
      ...options,
      client: reader,
      selectors,
      delayMs: options.backfillDelayMs,
      mayRun: () => this.state.phase === 'Synced',
      isFed: (subscription) => this.#subscriptions.has(subscription),
      apply: (object, subscriptions) => this.#forEach(subscriptions, (subscription) => subscription.apply(object)),
      complete: (subscription, epoch, spared, inNamespace) => this.#sweep(subscription, epoch, spared, inNamespace),
      served: (subscriptions) => this.#served(subscriptions),
    });
    this.#audit = new Audit({
      ...(options.audit ?? { slots: options.slots, intervalMs: 0 }),
      // What is listed again and again needs no audit.
      ...(options.pollMs === undefined ? {} : { intervalMs: 0 }),
      reader: metadata,
      selectors,
      resource,
      namespace,
      logger,
      synced: () => this.#synced,
      mayRun: () => this.state.phase === 'Synced' && this.position !== undefined && !this.#backfill.isBusy,
      position: () => this.position,
      mend: (subscription, namespaces) => this.relist(subscription, namespaces),
    });
  }

  get state(): ReflectorState {
    return this.#reflector.state;
  }

  get subscriptions(): ReadonlySet<Subscription> {
    return this.#subscriptions;
  }

  /** Everything up to this version has been handed over. */
  get position(): string | undefined {
    return this.#reflector.resourceVersion;
  }

  isSynced(subscription: Subscription): boolean {
    return this.#synced.has(subscription);
  }

  start(): void {
    this.#reflector.start();
    this.#audit.start();
  }

  /** Feeds nobody from here on. Resolves when nothing is open. */
  async stop(): Promise<void> {
    this.#subscriptions.clear();
    this.#synced.clear();
    this.#epochs.clear();
    this.#backfill.stop();
    this.#audit.stop();
    await this.#reflector.stop();
  }

  /**
   * Begins to feed a subscription. It is synced once a list that began afterwards is complete; or from the beginning, when another watch has fed it
   * until now.
   */
  add(subscription: Subscription, synced = false): void {
    if (this.#subscriptions.has(subscription)) return;
    this.#subscriptions.add(subscription);
    if (synced) this.#synced.add(subscription);
    if (this.state.phase !== 'Pending') this.#backfill.want(subscription);
  }

  remove(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    this.#synced.delete(subscription);
    this.#epochs.delete(subscription);
    this.#backfill.forget(subscription);
    this.#audit.forget(subscription);
  }

  /** Namespaces joined, or select other objects than before, all of them when unset: only a list can tell what the watch has already passed by. */
  relist(subscription: Subscription, namespaces?: readonly string[]): void {
    this.#audit.forget(subscription);
    this.#backfill.want(subscription, this.#synced.has(subscription) ? namespaces : undefined);
  }

  listStarted(): void {
    this.#backfill.cancel();
    this.#audit.cancel();
    this.#epochs.clear();
    for (const subscription of this.#subscriptions) this.#epochs.set(subscription, subscription.rows.beginList());
  }

  listed(object: KubeObject): void {
    this.changed(object);
  }

  async listCompleted(_epoch: number, _resourceVersion: string, untaken?: ReadonlySet<string>): Promise<void> {
    const completed = [...this.#epochs];
    this.#epochs.clear();
    for (const [subscription, epoch] of completed) await this.#sweep(subscription, epoch, untaken, this.#options.namespace);
    this.#served(completed.map(([subscription]) => subscription));
  }

  changed(object: KubeObject): void {
    this.#backfill.overtake(object);
    this.#audit.overtake(object);
    this.#forEach(this.#subscriptions, (subscription) => subscription.apply(object));
  }

  deleted(object: KubeObject): void {
    this.#backfill.overtake(object);
    this.#audit.overtake(object);
    this.#forEach(this.#subscriptions, (subscription) => subscription.remove(object));
  }

  stateChanged(state: ReflectorState): void {
    if (state.phase === 'Failed') {
      this.#synced.clear();
      // The next complete list serves everybody.
      this.#backfill.cancel();
      this.#audit.cancel();
    }
    if (state.phase === 'Synced') this.#backfill.resume();
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

  async #sweep(subscription: Subscription, epoch: number, spared: ReadonlySet<string> | undefined, namespace: string | undefined): Promise<void> {
    if (!this.#subscriptions.has(subscription)) return;
    const swept = await subscription.rows.completeList(epoch, spared, namespace, subscription.listed(namespace));
    if (swept === 0) return;
    const target = `${subscription.rows.namespace}/${subscription.rows.name}`;
    this.#options.logger.info('rows of objects that are gone were removed after a list', { target, rows: swept });
  }

  #served(subscriptions: Iterable<Subscription>): void {
    const served = [...subscriptions].filter((subscription) => this.#subscriptions.has(subscription));
    for (const subscription of served) this.#synced.add(subscription);
    this.#options.onChange(served);
  }
}
