import type { Limits } from '../../shared/api/collection-filter.ts';
import type { CompiledProfile } from '../../shared/extract/compile-profile.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import type { ReflectorObserver, ReflectorPace, ReflectorState } from '../../shared/kube/reflector.ts';
import type { Logger } from '../../shared/log.ts';
import type { AccessReviews } from './access-reviews.ts';
import type { AuditObserver } from './audit.ts';
import { ListSlots } from './list-slots.ts';
import { RefusalKeeper } from './refusal-keeper.ts';
import { ResourceWatch } from './resource-watch.ts';
import type { RowStore, TargetRows } from './row-store.ts';
import type { CollectionSpec, NamespaceCeiling, NamespaceDefaults, NamespaceFacts } from './selection.ts';
import { Subscription } from './subscription.ts';
import { WatchScopes } from './watch-scopes.ts';

/** Exports wait no longer than this for rows of one making: long enough to list a million objects. */
const longestTurnMs = 300_000;

/** Source of the cluster's namespaces, kept up to date by whoever owns it. */
export interface NamespaceSource {
  get(name: string): NamespaceFacts | undefined;
  list(): Iterable<NamespaceFacts>;
}

/** What a target collects, resolved: nothing in here can fail any more. */
export interface CollectionPlan {
  /** Changes exactly when objects must be selected or read in another way: the generations of target and profile. */
  fingerprint: string;
  spec: CollectionSpec;
  /** What a scope leaves of the namespaces; all when unset. It may change while the fingerprint stays. */
  ceiling?: NamespaceCeiling | undefined;
  profile: CompiledProfile;
  resource: ApiResource;
  /** The lowest of what target and scopes allow; those of the spec when unset. They are no part of the fingerprint. */
  limits?: Limits | undefined;
}

export interface CollectorOptions {
  client: KubeClient;
  reviews: AccessReviews;
  store: RowStore;
  namespaces: NamespaceSource;
  namespaceDefaults?: NamespaceDefaults | undefined;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** Something about this target's collection changed: state, count or failures. */
  onProgress: (namespace: string, name: string) => void;
  /** See `WatchScopesOptions`. */
  clusterWide?: boolean | undefined;
  maxNamespaceWatches?: number | undefined;
  pollMs?: number | undefined;
  denialGraceMs?: number | undefined;
  /** See `BackfillOptions`. */
  backfillDelayMs?: number | undefined;
  pace?: ReflectorPace | undefined;
  /** See `AuditOptions`; never when unset. */
  auditIntervalMs?: number | undefined;
  observeAudits?: AuditObserver | undefined;
}

/** How far a target is. */
export interface CollectionState {
  synced: boolean;
  watch: ReflectorState;
  resource: ApiResource;
  /** What the spec selects, and what of it the scope allows. */
  matchedNamespaces: readonly string[];
  effectiveNamespaces: readonly string[];
  /** `KollectScope "team"`, when one bounds the namespaces. */
  scope: string | undefined;
  lastFailure: string | undefined;
}

interface Collection {
  plan: CollectionPlan;
  rows: TargetRows;
  subscription: Subscription;
  scopes: WatchScopes;
  /** When rows that were made by an earlier plan count like all others, in monotonic milliseconds. */
  turnsUntil: number;
}

/** Runs what targets want: the watches of a resource start when the first target needs them and stop after the last. */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #collections = new Map<string, Collection>();
  /** Targets that may collect nothing: it is known that they have no rows. */
  readonly #denied = new Set<string>();
  /** By path of the resource. */
  readonly #resources = new Map<string, WatchScopes>();
  readonly #slots = new ListSlots();
  /** Audits have time: one list at a time, and none that others wait for. */
  readonly #auditSlots = new ListSlots(1);
  readonly #refusals: RefusalKeeper;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#refusals = new RefusalKeeper({
      collections: () => [...this.#collections.values()].map(({ rows, subscription, scopes }) => ({ rows, relist: () => scopes.relist(subscription) })),
      onChange: ({ namespace, name }) => options.onProgress(namespace, name),
    });
  }

  /** Starts or changes the collection of a target. The same plan again costs nothing. */
  collect(namespace: string, name: string, plan: CollectionPlan): void {
    const key = `${namespace}/${name}`;
    const running = this.#collections.get(key);
    const rows = this.#options.store.open(namespace, name);
    this.#refusals.limit(rows, plan.limits ?? plan.spec.limits ?? {});
    this.#denied.delete(key);
    if (running?.plan.fingerprint === plan.fingerprint) {
      const isBoundAnew = running.plan.ceiling?.key !== plan.ceiling?.key;
      running.plan = plan;
      if (isBoundAnew) this.#resolve(running);
      return;
    }
    const resourceKey = keyOf(plan.resource);
    rows.profile = plan.profile;
    rows.retain(new Set([resourceKey]));
    const subscription = new Subscription({
      rows: rows.resource(resourceKey),
      spec: plan.spec,
      profile: plan.profile,
      namespaced: plan.resource.namespaced,
      namespaces: (namespaceName) => this.#options.namespaces.get(namespaceName),
      defaults: this.#options.namespaceDefaults,
    });
    subscription.resolveNamespaces(this.#options.namespaces.list(), plan.ceiling);
    const scopes = this.#scopesOf(plan.resource);
    const now = performance.now();
    const turnsUntil = running && running.turnsUntil > now && this.#isTurning(running) ? running.turnsUntil : now + (rows.count > 0 ? longestTurnMs : 0);
    this.#collections.set(key, { plan, rows, subscription, scopes, turnsUntil });
    scopes.add(subscription);
    if (running) this.#release(running);
  }

  /** Stops collecting and keeps the rows as they are: nothing proves that they are gone. */
  freeze(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    const wasDenied = this.#denied.delete(key);
    if (this.#end(key) || wasDenied) this.#options.onProgress(namespace, name);
  }

  /** Stops collecting and removes the rows: a scope does not allow any of them. */
  deny(namespace: string, name: string): void {
    const key = `${namespace}/${name}`;
    const wasRunning = this.#end(key);
    const isNew = !this.#denied.has(key);
    this.#denied.add(key);
    this.#options.store.open(namespace, name).clear();
    if (wasRunning || isNew) this.#options.onProgress(namespace, name);
  }

  /** Stops collecting and forgets the rows: the target is gone. */
  forget(namespace: string, name: string): void {
    this.#end(`${namespace}/${name}`);
    this.#denied.delete(`${namespace}/${name}`);
    this.#options.store.close(namespace, name);
  }

  state(namespace: string, name: string): CollectionState | undefined {
    const running = this.#collections.get(`${namespace}/${name}`);
    return (
      running && {
        synced: running.scopes.isSynced(running.subscription),
        watch: running.scopes.state(running.subscription),
        resource: running.plan.resource,
        matchedNamespaces: running.subscription.matchedNamespaces,
        scope: running.plan.ceiling?.scope,
        effectiveNamespaces: running.subscription.effectiveNamespaces,
        lastFailure: running.subscription.lastFailure,
      }
    );
  }

  /** Whether the rows are all that there is. */
  isSynced(namespace: string, name: string): boolean {
    const key = `${namespace}/${name}`;
    const running = this.#collections.get(key);
    return this.#denied.has(key) || running?.scopes.isSynced(running.subscription) === true;
  }

  /**
   * Whether the rows are being made anew, by another profile or selection than some of them still are. Not for long: neither a list that never completes nor
   * one that is refused holds up the rest.
   */
  isTurning(namespace: string, name: string): boolean {
    const running = this.#collections.get(`${namespace}/${name}`);
    return running !== undefined && this.#isTurning(running);
  }

  /** Namespaces were created, deleted or relabelled. */
  namespacesChanged(): void {
    for (const collection of this.#collections.values()) this.#resolve(collection);
  }

  /** States of all watches, for metrics. */
  *watches(): Generator<{ resource: ApiResource; state: ReflectorState }> {
    for (const scopes of this.#resources.values()) for (const state of scopes.states()) yield { resource: scopes.resource, state };
  }

  async stop(): Promise<void> {
    this.#refusals.stop();
    this.#collections.clear();
    await Promise.all([...this.#resources.values()].map((scopes) => scopes.stop()));
    this.#resources.clear();
  }

  #scopesOf(resource: ApiResource): WatchScopes {
    const path = resource.path();
    let scopes = this.#resources.get(path);
    if (!scopes) {
      const { client, reviews, logger, observe, clusterWide, maxNamespaceWatches, pollMs, denialGraceMs, backfillDelayMs, pace, auditIntervalMs = 0, observeAudits } = this.#options;
      const audit = { slots: this.#auditSlots, intervalMs: auditIntervalMs, observe: observeAudits };
      scopes = new WatchScopes({
        resource,
        reviews,
        logger,
        clusterWide,
        denialGraceMs,
        maxNamespaceWatches,
        pollMs,
        watch: (scope, onChange) =>
          new ResourceWatch({ client, resource, ...scope, slots: this.#slots, logger, observe, backfillDelayMs, pace, audit, onChange }),
        onChange: (subscriptions) => {
          for (const { rows } of subscriptions) this.#options.onProgress(rows.namespace, rows.name);
        },
      });
      this.#resources.set(path, scopes);
    }
    return scopes;
  }

  #resolve({ subscription, scopes, plan }: Collection): void {
    const { changed, left } = subscription.resolveNamespaces(this.#options.namespaces.list(), plan.ceiling);
    if (changed.length === 0 && left.length === 0) return;
    scopes.namespacesChanged(subscription, changed);
    this.#options.onProgress(subscription.rows.namespace, subscription.rows.name);
  }

  #isTurning({ turnsUntil, scopes, subscription }: Collection): boolean {
    return turnsUntil > performance.now() && !scopes.isSynced(subscription) && scopes.state(subscription).phase !== 'Failed';
  }

  /** True when it ran. */
  #end(key: string): boolean {
    const running = this.#collections.get(key);
    if (!running) return false;
    this.#collections.delete(key);
    this.#release(running);
    return true;
  }

  #release({ subscription, scopes }: Collection): void {
    scopes.remove(subscription);
    if (!scopes.idle) return;
    this.#resources.delete(scopes.resource.path());
    void scopes.stop();
  }
}

/** Names the rows of a resource, wherever the API server serves it. */
function keyOf({ group, version, kind }: ApiResource): string {
  return `${group}/${version}/${kind}`;
}
