import type { Limits } from '../../shared/api/collection-filter.ts';
import { gvkOfKey } from '../../shared/api/gvk.ts';
import type { CompiledProfile } from '../../shared/extract/compile-profile.ts';
import { inTurns } from '../../shared/in-turns.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import type { ReflectorObserver, ReflectorPace, ReflectorState } from '../../shared/kube/reflector.ts';
import type { Logger } from '../../shared/log.ts';
import type { AccessReviews } from './access-reviews.ts';
import type { AuditObserver } from './audit.ts';
import { ListSlots } from './list-slots.ts';
import { RefusalKeeper } from './refusal-keeper.ts';
import { ResourceWatch } from './resource-watch.ts';
import type { RowStore } from './row-store.ts';
import type { TargetRows } from './target-rows.ts';
import type { CollectionSpec, NamespaceCeiling, NamespaceDefaults, NamespaceFacts } from './selection.ts';
import { Subscription } from './subscription.ts';
import { WatchScopes } from './watch-scopes.ts';

/** Exports wait no longer than this for rows of one making: long enough to list a million objects. */
const longestTurnMs = 300_000;

/** Frozen namespaces that are told one by one; beyond them the whole kind counts as frozen. */
const frozenNamespaces = 100;

/** Source of the cluster's namespaces, kept up to date by whoever owns it. */
export interface NamespaceSource {
  get(name: string): NamespaceFacts | undefined;
  list(): Iterable<NamespaceFacts>;
}

/** What a target collects of one resource, resolved: nothing in here can fail any more. */
export interface ResourcePlan {
  /** The kind, as `gvkKey` gives it; the rows of a resource are kept under it. */
  key: string;
  /** Unset while the resource cannot be collected: its rows stay as they are, within the ceiling. */
  collect?:
    | {
        /** Changes exactly when objects must be selected or read in another way. */
        fingerprint: string;
        /** Of several rules only those for this resource. */
        spec: CollectionSpec;
        profile: CompiledProfile;
        resource: ApiResource;
      }
    | undefined;
}

export interface CollectionPlan {
  /** Rows of resources that are not among these leave. None: the target may have no rows. */
  resources: readonly ResourcePlan[];
  /** What a scope leaves of the namespaces; all when unset. */
  ceiling?: NamespaceCeiling | undefined;
  /** The lowest of what target and scopes allow. */
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
  narrowMs?: number | undefined;
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
  /** Whether the rows are all that there is, of each resource. */
  synced: boolean;
  /** Those that are collected. */
  resources: readonly ResourceState[];
  /** What the spec selects, and what of it the scope allows. */
  matchedNamespaces: readonly string[];
  effectiveNamespaces: readonly string[];
  /** `KollectScope "team"`, when one bounds the namespaces. */
  scope: string | undefined;
  lastFailure: string | undefined;
}

export interface ResourceState {
  /** See `ResourcePlan`. */
  key: string;
  resource: ApiResource;
  watch: ReflectorState;
  synced: boolean;
  /** Lists of it are under way. */
  listing: boolean;
  /** Namespaces that are not watched but listed now and then, because there are too many, and how often. */
  polled: { namespaces: number; everyMs: number };
}

/** Rows of a kind, whose parts are in lower case, in one namespace or in all. */
export interface FrozenRows {
  group: string;
  kind: string;
  namespace: string | undefined;
}

interface Collection {
  plan: CollectionPlan;
  rows: TargetRows;
  /** What runs, by key of the resource. */
  parts: Map<string, Part>;
}

interface Part {
  fingerprint: string;
  subscription: Subscription;
  scopes: WatchScopes;
  /** When rows that were made by an earlier plan count like all others, in monotonic milliseconds. */
  turnsUntil: number;
}

/** Runs what targets want: the watches of a resource start when the first target needs them and stop after the last. */
export class Collector {
  readonly #options: CollectorOptions;
  readonly #collections = new Map<string, Collection>();
  /** By path of the resource. */
  readonly #resources = new Map<string, WatchScopes>();
  readonly #slots = new ListSlots();
  /** Audits have time: one list at a time, and none that others wait for. */
  readonly #auditSlots = new ListSlots(1);
  readonly #refusals: RefusalKeeper;
  #stopped = false;
  /** Namespaces changed, and not all targets have looked at them since. */
  #isOutdated = false;
  #isResolving = false;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#refusals = new RefusalKeeper({
      collections: () => [...this.#collections.values()].map(({ rows, parts }) => ({ rows, relist: () => relistRefused(parts.values()) })),
      onChange: ({ namespace, name }) => options.onProgress(namespace, name),
    });
  }

  /** Starts or changes the collection of a target. The same plan again costs nothing, and what stays in a plan goes on as it is. Nothing starts after `stop`. */
  collect(namespace: string, name: string, plan: CollectionPlan): void {
    if (this.#stopped) return;
    const key = `${namespace}/${name}`;
    const running = this.#collections.get(key);
    const rows = this.#options.store.open(namespace, name);
    this.#refusals.limit(rows, plan.limits ?? {});
    const collection: Collection = { plan, rows, parts: new Map() };
    this.#collections.set(key, collection);
    rows.retain(new Set(plan.resources.map((resource) => resource.key)));
    const isBoundAnew = running?.plan.ceiling?.key !== plan.ceiling?.key;
    for (const resource of plan.resources) {
      const part = running?.parts.get(resource.key);
      if (!resource.collect) {
        if (plan.ceiling) rows.bound(resource.key, plan.ceiling.allows);
        continue;
      }
      if (part?.fingerprint !== resource.collect.fingerprint) {
        collection.parts.set(resource.key, this.#begin(collection, resource.key, resource.collect, part));
        continue;
      }
      collection.parts.set(resource.key, part);
      if (isBoundAnew) this.#resolve(collection, part);
    }
    const released = [...(running?.parts.values() ?? [])].filter((part) => !collection.parts.values().some((other) => other === part));
    for (const part of released) this.#release(part);
    // Watches report what they begin; nobody else does what ended.
    if (!running || outline(running.plan) !== outline(plan)) this.#options.onProgress(namespace, name);
  }

  /** Stops collecting and keeps the rows as they are: nothing proves that they are gone. */
  freeze(namespace: string, name: string): void {
    if (this.#end(`${namespace}/${name}`)) this.#options.onProgress(namespace, name);
  }

  /** Stops collecting and forgets the rows: the target is gone. */
  forget(namespace: string, name: string): void {
    this.#end(`${namespace}/${name}`);
    this.#options.store.close(namespace, name);
  }

  state(namespace: string, name: string): CollectionState | undefined {
    const running = this.#collections.get(`${namespace}/${name}`);
    if (!running) return undefined;
    const parts = [...running.parts];
    const [first] = running.parts.values();
    return {
      synced: isSynced(running),
      resources: parts.map(([key, { subscription, scopes }]) => ({
        key,
        resource: scopes.resource,
        watch: scopes.state(subscription),
        synced: scopes.isSynced(subscription),
        listing: scopes.frozen(subscription) === undefined,
        polled: scopes.polled(subscription),
      })),
      // The same for all resources: rules say nothing of it.
      matchedNamespaces: first?.subscription.matchedNamespaces ?? [],
      effectiveNamespaces: first?.subscription.effectiveNamespaces ?? [],
      scope: running.plan.ceiling?.scope,
      lastFailure: parts.map(([, { subscription }]) => subscription.lastFailure).find((failure) => failure !== undefined),
    };
  }

  /** Lists everything of a target once more; rows of objects that are not there leave. */
  relist(namespace: string, name: string): void {
    for (const { subscription, scopes } of this.#collections.get(`${namespace}/${name}`)?.parts.values() ?? []) scopes.relist(subscription);
  }

  /** Whether the rows are all that there is. */
  isSynced(namespace: string, name: string): boolean {
    const running = this.#collections.get(`${namespace}/${name}`);
    return running !== undefined && isSynced(running);
  }

  /** Whether lists are under way that are to tell of all that there is. */
  isListing(namespace: string, name: string): boolean {
    const running = this.#collections.get(`${namespace}/${name}`);
    if (!running || running.parts.size !== running.plan.resources.length || isSynced(running)) return false;
    return running.parts.values().every(({ subscription, scopes }) => scopes.isSynced(subscription) || scopes.frozen(subscription) === undefined);
  }

  /**
   * Rows that may not be all that there is, because their kind cannot be listed, everywhere or in a namespace. Undefined while lists are under way, and
   * when nothing at all can be listed.
   */
  frozen(namespace: string, name: string): FrozenRows[] | undefined {
    const running = this.#collections.get(`${namespace}/${name}`);
    if (!running) return undefined;
    const frozen: FrozenRows[] = [];
    let isAll = running.plan.resources.length > 0;
    for (const { key } of running.plan.resources) {
      const { group = '', kind = '' } = gvkOfKey(key);
      const part = running.parts.get(key);
      const where = part ? part.scopes.frozen(part.subscription) : 'everywhere';
      if (where === undefined) return undefined;
      if (where !== 'everywhere') isAll = false;
      const namespaces = where === 'everywhere' || where.length > frozenNamespaces ? [undefined] : where;
      frozen.push(...namespaces.map((inNamespace) => ({ group, kind, namespace: inNamespace })));
    }
    return isAll ? undefined : frozen;
  }

  /**
   * Whether the rows are being made anew, by another profile or selection than some of them still are. Not for long: neither a list that never completes nor
   * one that is refused holds up the rest.
   */
  isTurning(namespace: string, name: string): boolean {
    const running = this.#collections.get(`${namespace}/${name}`);
    return running !== undefined && running.parts.values().some(isMadeAnew);
  }

  /** Namespaces were created, deleted or relabelled. Targets follow in turns with everybody else: each looks at all namespaces. */
  namespacesChanged(): void {
    this.#isOutdated = true;
    if (!this.#isResolving) void this.#resolveAll();
  }

  /** States of all watches, for metrics. */
  *watches(): Generator<{ resource: ApiResource; state: ReflectorState }> {
    for (const scopes of this.#resources.values()) for (const state of scopes.states()) yield { resource: scopes.resource, state };
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#refusals.stop();
    this.#collections.clear();
    await Promise.all([...this.#resources.values()].map((scopes) => scopes.stop()));
    this.#resources.clear();
  }

  #scopesOf(resource: ApiResource): WatchScopes {
    const path = resource.path();
    let scopes = this.#resources.get(path);
    if (!scopes) {
      const { client, reviews, logger, observe, clusterWide, maxNamespaceWatches, pollMs, narrowMs, denialGraceMs, backfillDelayMs, pace, auditIntervalMs = 0, observeAudits } = this.#options;
      const audit = { slots: this.#auditSlots, intervalMs: auditIntervalMs, observe: observeAudits };
      scopes = new WatchScopes({
        resource,
        reviews,
        logger,
        clusterWide,
        denialGraceMs,
        maxNamespaceWatches,
        pollMs,
        narrowMs,
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

  #begin({ rows, plan }: Collection, key: string, { fingerprint, spec, profile, resource }: NonNullable<ResourcePlan['collect']>, before: Part | undefined): Part {
    const ofResource = rows.resource(key);
    const turnsUntil = before && isMadeAnew(before) ? before.turnsUntil : performance.now() + (ofResource.isEmpty ? 0 : longestTurnMs);
    const subscription = new Subscription({
      rows: ofResource,
      spec,
      profile,
      resource,
      namespaces: (namespaceName) => this.#options.namespaces.get(namespaceName),
      defaults: this.#options.namespaceDefaults,
    });
    ofResource.profile = profile;
    subscription.resolveNamespaces(this.#options.namespaces.list(), plan.ceiling);
    const scopes = this.#scopesOf(resource);
    scopes.add(subscription);
    return { fingerprint, subscription, scopes, turnsUntil };
  }

  async #resolveAll(): Promise<void> {
    this.#isResolving = true;
    while (this.#isOutdated) {
      this.#isOutdated = false;
      await inTurns(this.#running(), ([target, resource]) => {
        // As it is planned by now.
        const collection = this.#collections.get(target);
        const part = collection?.parts.get(resource);
        if (collection && part) this.#resolve(collection, part);
      });
    }
    this.#isResolving = false;
  }

  /** Keys of targets, each with that of a resource. */
  *#running(): Generator<[target: string, resource: string]> {
    for (const [target, { parts }] of this.#collections) for (const resource of parts.keys()) yield [target, resource];
  }

  #resolve({ plan, rows }: Collection, { subscription, scopes }: Part): void {
    const { changed, left } = subscription.resolveNamespaces(this.#options.namespaces.list(), plan.ceiling);
    if (changed.length === 0 && left.length === 0) return;
    scopes.namespacesChanged(subscription, changed);
    this.#options.onProgress(rows.namespace, rows.name);
  }

  /** True when it ran. */
  #end(key: string): boolean {
    const running = this.#collections.get(key);
    if (!running) return false;
    this.#collections.delete(key);
    for (const part of running.parts.values()) this.#release(part);
    return true;
  }

  #release({ subscription, scopes }: Part): void {
    scopes.remove(subscription);
    if (!scopes.idle) return;
    this.#resources.delete(scopes.resource.path());
    void scopes.stop();
  }
}

/** Every resource of the plan is collected, and its lists are complete. */
function isSynced({ plan, parts }: Collection): boolean {
  return parts.size === plan.resources.length && parts.values().every(({ subscription, scopes }) => scopes.isSynced(subscription));
}

function isMadeAnew({ turnsUntil, scopes, subscription }: Part): boolean {
  return turnsUntil > performance.now() && !scopes.isSynced(subscription) && scopes.state(subscription).phase !== 'Failed';
}

/** Equal when the same is collected in the same way. */
function outline({ resources }: CollectionPlan): string {
  return JSON.stringify(resources.map(({ key, collect }) => [key, collect?.fingerprint]));
}

function relistRefused(parts: Iterable<Part>): void {
  for (const { subscription, scopes } of parts) if (subscription.rows.refused.any) scopes.relist(subscription);
}
