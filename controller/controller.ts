import { setTimeout as sleep } from 'node:timers/promises';
import { annotations } from '../shared/api/annotations.ts';
import type { KollectClusterTargetSpec } from '../shared/api/kollect-cluster-target.ts';
import type { KollectTargetSpec } from '../shared/api/kollect-target.ts';
import type { KnownObject } from '../shared/admission/lookups.ts';
import { knownObject } from '../shared/admission/state/object-lookups.ts';
import { API_VERSION } from '../shared/api/group.ts';
import type { KubeObject } from '../shared/api/kube-object.ts';
import { SharedTurns } from '../shared/in-turns.ts';
import { KubeApiError, KubeClient } from '../shared/kube/client.ts';
import { loadConnection } from '../shared/kube/config.ts';
import { Discovery } from '../shared/kube/discovery.ts';
import { EventRecorder } from '../shared/kube/events.ts';
import { ObjectCache } from '../shared/kube/object-cache.ts';
import type { ReflectorPace } from '../shared/kube/reflector.ts';
import type { Logger } from '../shared/log.ts';
import type { AddressPolicy } from '../shared/net/address-policy.ts';
import type { HostMap } from '../shared/net/host-map.ts';
import { userAgent } from '../shared/version.ts';
import { AccessReviews } from './collect/access-reviews.ts';
import { Collector } from './collect/collector.ts';
import { Definitions } from './collect/definitions.ts';
import { watchMemory, type MemoryWatermark } from './collect/memory-watermark.ts';
import { RowStore } from './collect/row-store.ts';
import { CompiledProfiles } from './collect/compiled-profiles.ts';
import { ScopeJudge } from './collect/scope-judge.ts';
import type { NamespaceDefaults, NamespaceFacts } from './collect/selection.ts';
import { clusterTargets, namespacedTargets } from './collect/target-kind.ts';
import { TargetReconciler } from './collect/target-reconciler.ts';
import { ClusterRows, type ClusterSources } from './inventory/cluster-rows.ts';
import { clusterInventories, namespacedInventories } from './inventory/inventory-kind.ts';
import { InventoryReconciler } from './inventory/inventory-reconciler.ts';
import { NamespaceRows } from './inventory/namespace-rows.ts';
import type { ViewTarget } from './inventory/view.ts';
import { ControllerMetrics } from './observe/metrics.ts';
import { ProfileMetrics } from './observe/profile-metrics.ts';
import { PreviewReconciler } from './probe/preview-reconciler.ts';
import { ConnectionTestReconciler } from './probe/connection-test-reconciler.ts';
import { SinkReconciler } from './probe/sink-reconciler.ts';
import type { Leadership } from './leadership.ts';
import { installationUid } from './installation.ts';
import { CachedSinkDirectory } from './sink-directory.ts';
import { enabledBackends } from './sinks/registry.ts';
import { SecretPoll } from './sinks/runtime/secret-poll.ts';
import { withGrant, type SecretObject } from './sinks/runtime/secrets.ts';
import { CountedResources } from './sinks/runtime/shared-resources.ts';

export interface ControllerSettings {
  kubeconfig: string;
  policy: AddressPolicy;
  mapHosts: HostMap;
  /** Types of sinks that are exported to; all when unset or empty. */
  sinkTypes?: readonly string[] | undefined;
  /** All when empty. */
  watchNamespaces: readonly string[];
  namespaceDefaults: NamespaceDefaults;
  /** Keys to redact besides the built-in ones. */
  scrubKeys: readonly string[];
  /** No cluster kinds are worked on. */
  tenantMode: boolean;
  /** Name of this process in events. */
  identity: string;
  /** Asked before every write, here and to sinks; without it this process is the only one. */
  leadership?: Leadership | undefined;
  /** See `WatchScopesOptions`. */
  denialGraceMs?: number | undefined;
  maxNamespaceWatches?: number | undefined;
  pollMs?: number | undefined;
  /** See `AuditOptions`; never when unset. */
  auditIntervalMs?: number | undefined;
  /** See `BindingOptions`. */
  verifyIntervalMs?: number | undefined;
  /** Least time between two computations of the metrics of a profile. */
  metricsSampleIntervalMs: number;
  logger: Logger;
  pace?: ControllerPace | undefined;
}

/** How patient the process is with the API server. What is unset is right for clusters; whoever breaks connections on purpose has less time. */
export interface ControllerPace {
  watch?: ReflectorPace;
  answerTimeoutMs?: number;
  backfillDelayMs?: number;
  /** How long an answer about rights holds. */
  reviewAgeMs?: number;
  /** See `TargetReconcilerOptions`. */
  longestMarkMs?: number;
  /** How long a cluster inventory waits for its first target after it was created. */
  targetsGraceMs?: number;
  /** Time between two looks at the Secrets that are in use. */
  secretPollMs?: number;
}

/** Namespaces created and deleted in one go are looked at once. */
const namespaceDelayMs = 200;
/** Whoever applies a folder of manifests creates the targets within this time. */
const defaultTargetsGraceMs = 300_000;
/** Scopes that cannot be read hold up the targets that they bound, sinks the inventories that name them, and nothing else. */
const optionalWaitMs = 5_000;

/** The wiring of the process: who watches what, and who tells whom. */
export class Controller {
  readonly metrics: ControllerMetrics;
  readonly server: string;
  readonly #memory: MemoryWatermark = watchMemory();
  readonly rows = new RowStore(this.#memory);
  readonly #logger: Logger;
  readonly #client: KubeClient;
  readonly #caches: Record<'profiles' | 'targets' | 'inventories' | 'snapshot' | 'database' | 'event', ObjectCache<KubeObject>>;
  readonly #namespaces: ObjectCache<NamespaceFacts>;
  /** Those of namespaces, and of the cluster unless in tenant mode. */
  readonly #scopes: ObjectCache<KnownObject>[];
  readonly #clusterTargetCache: ObjectCache<KubeObject> | undefined;
  readonly #collector: Collector;
  readonly #definitions: Definitions;
  readonly #targets: TargetReconciler<KollectTargetSpec>;
  readonly #clusterTargets: TargetReconciler<KollectClusterTargetSpec> | undefined;
  readonly #clusterInventoryCache: ObjectCache<KubeObject> | undefined;
  readonly #inventories: InventoryReconciler<NamespaceRows>;
  readonly #clusterInventories: InventoryReconciler<ClusterRows> | undefined;
  readonly #sinks: SinkReconciler;
  readonly #previews: PreviewReconciler;
  readonly #testCache: ObjectCache<KubeObject>;
  readonly #tests: ConnectionTestReconciler;
  readonly #secretPoll: SecretPoll;
  readonly #events: EventRecorder;
  #ready = false;
  #stopping = false;
  #namespaceTimer: NodeJS.Timeout | undefined;
  #takeoverTimer: NodeJS.Timeout | undefined;

  static async create(settings: ControllerSettings): Promise<Controller> {
    return new Controller(settings, await loadConnection({ kubeconfig: settings.kubeconfig }));
  }

  private constructor(settings: ControllerSettings, connection: Awaited<ReturnType<typeof loadConnection>>) {
    const { logger, pace, leadership } = settings;
    this.#logger = logger;
    this.server = connection.server;
    const store = this.rows;
    this.metrics = new ControllerMetrics({
      rows: () => store.count,
      rowBytes: () => [...store.targets()].reduce((sum, target) => sum + target.bytes, 0),
      unchanged: () => store.unchanged,
      refused: () => [...store.targets()].map(({ namespace, name, refused }) => ({ target_namespace: namespace, target_name: name, count: refused.count })),
      watches: () =>
        [...this.#collector.watches()].map(({ resource, state }) => ({
          group: resource.group,
          version: resource.version,
          resource: resource.plural,
          phase: state.phase,
          reason: state.reason ?? '',
        })),
      bindings: () =>
        [...this.#inventories.bindings(), ...(this.#clusterInventories?.bindings() ?? [])].map(({ inventory, sink, binding: { lag } }) => ({
          inventory,
          sink,
          lagRows: lag.rows,
          lagSeconds: lag.ms / 1000,
        })),
    });
    new ProfileMetrics({ store, registry: this.metrics.registry, intervalMs: settings.metricsSampleIntervalMs });
    const observe = (event: string): void => this.metrics.kube(event);
    const client = new KubeClient(connection, {
      userAgent: userAgent('controller'),
      answerTimeoutMs: pace?.answerTimeoutMs,
      beforeWrite: leadership && (() => leadership.assertLeads()),
      observe: { request: (method, status) => this.metrics.kube(`request ${method} ${status}`), bytes: (count) => this.metrics.kube('list bytes', count) },
    });
    this.#client = client;
    const watched = settings.watchNamespaces.length === 0 ? undefined : [...new Set(settings.watchNamespaces)];
    const caching = { client, logger, observe, ...pace?.watch };
    const clusterWide = (plural: string) => ({ ...caching, path: `/apis/${API_VERSION}/${plural}`, name: plural });
    const namespaced = (plural: string) => ({ ...clusterWide(plural), parts: watched?.map((namespace) => ({ path: `/apis/${API_VERSION}/namespaces/${namespace}/${plural}` })) });
    const cache = (plural: string): ObjectCache<KubeObject> => new ObjectCache(namespaced(plural));
    const keepScope = (object: KubeObject): KnownObject => knownObject(object)!;
    this.#caches = {
      profiles: cache('kollectprofiles'),
      targets: cache('kollecttargets'),
      inventories: cache('kollectinventories'),
      snapshot: cache('kollectsnapshotsinks'),
      database: cache('kollectdatabasesinks'),
      event: cache('kollecteventsinks'),
    };
    this.#namespaces = new ObjectCache<NamespaceFacts>({
      ...caching,
      path: '/api/v1/namespaces',
      parts: watched?.map((name) => ({ path: '/api/v1/namespaces', fieldSelector: `metadata.name=${name}` })),
      name: 'namespaces',
      keep: ({ metadata: { name, labels, annotations } }) => ({ name, labels, annotations }),
    });
    this.#events = new EventRecorder({ client, component: 'kollect-controller', instance: settings.identity, logger });

    const { targets, profiles, inventories, snapshot, database, event } = this.#caches;
    const namespaces = this.#namespaces;
    const reviews = new AccessReviews(client, pace?.reviewAgeMs);
    this.#collector = new Collector({
      client,
      reviews,
      store,
      clusterWide: watched === undefined,
      denialGraceMs: settings.denialGraceMs,
      maxNamespaceWatches: settings.maxNamespaceWatches,
      pollMs: settings.pollMs,
      auditIntervalMs: settings.auditIntervalMs,
      observeAudits: this.metrics,
      backfillDelayMs: pace?.backfillDelayMs,
      pace: pace?.watch,
      logger,
      observe,
      // Cluster-scoped objects are cached under `/<name>`.
      namespaces: { get: (name) => namespaces.get(`/${name}`), list: () => namespaces.list() },
      namespaceDefaults: settings.namespaceDefaults,
      onProgress: (namespace, name) => (namespace === '' ? this.#clusterTargets : this.#targets)?.progressed(namespace, name),
    });
    const scopes = new ObjectCache({ ...namespaced('kollectscopes'), keep: keepScope });
    const clusterScopes = settings.tenantMode ? undefined : new ObjectCache({ ...clusterWide('kollectclusterscopes'), keep: keepScope });
    this.#scopes = [scopes, ...(clusterScopes ? [clusterScopes] : [])];
    const discovery = new Discovery(client);
    this.#definitions = new Definitions({
      client,
      discovery,
      graceMs: settings.denialGraceMs,
      reviews,
      logger,
      observe,
      pace: pace?.watch,
      onChange: (group) => {
        discovery.invalidateGroup(group);
        this.#targets.definitionsChanged(group);
        this.#clusterTargets?.definitionsChanged(group);
      },
    });
    const judge = new ScopeJudge({ scopes, clusterScopes });
    const compiled = new CompiledProfiles({ scrubKeys: settings.scrubKeys });
    const common = {
      client,
      profiles,
      compiled,
      scopes: judge,
      store,
      logger,
      events: this.#events,
      collector: this.#collector,
      discovery,
      definitions: this.#definitions,
      longestMarkMs: pace?.longestMarkMs,
      observer: this.metrics,
      onProgress: (namespace: string) => (namespace === '' ? this.#clusterInventories : this.#inventories)?.targetsChanged(namespace),
    };
    this.#targets = new TargetReconciler({ ...common, kind: namespacedTargets, targets, sinkReachable: (namespace) => this.#inventories.sinkReachable(namespace) });
    this.#clusterTargetCache = settings.tenantMode ? undefined : new ObjectCache<KubeObject>(clusterWide(clusterTargets.plural));
    this.#clusterTargets = this.#clusterTargetCache && new TargetReconciler({ ...common, kind: clusterTargets, targets: this.#clusterTargetCache });
    const readSecret = async (namespace: string, name: string): Promise<SecretObject | undefined> => {
      try {
        const secret = await client.get<SecretObject>(`/api/v1/namespaces/${namespace}/secrets/${name}`);
        return withGrant(secret, namespaces.get(`/${namespace}`)?.annotations?.[annotations.grantTo]);
      } catch (error) {
        if (error instanceof KubeApiError && error.status === 404) return undefined;
        throw error;
      }
    };
    const load = settings.sinkTypes?.length ? enabledBackends(settings.sinkTypes) : undefined;
    const probe = { readSecret, policy: settings.policy, mapHosts: settings.mapHosts, load };
    const fence = leadership && ((ms: number): void => leadership.assertLeads(ms));
    const epoch = leadership && { current: (): number => leadership.epoch, outrank: (met: number): void => leadership.outrank(met) };
    const poll = new SecretPoll(readSecret, pace?.secretPollMs);
    this.#secretPoll = poll;
    const runtime = { ...probe, fence, epoch, poll, shared: new CountedResources(), installation: installationUid(client) };
    const sinks = { snapshot, database, event };
    this.#sinks = new SinkReconciler({ client, caches: sinks, probe, poll, events: this.#events, logger, observer: this.metrics });
    this.#previews = new PreviewReconciler({ client, caches: sinks, policy: settings.policy, load, logger });
    this.#testCache = cache('kollectconnectiontests');
    this.#tests = new ConnectionTestReconciler({ client, tests: this.#testCache, probe, profiles: { client, compiled, discovery, reviews }, events: this.#events, logger, observer: this.metrics });
    const exporting = {
      client,
      store,
      logger,
      events: this.#events,
      sinks: new CachedSinkDirectory(sinks, runtime),
      scopes: judge,
      isSynced: (target: ViewTarget) => this.#collector.isSynced(target.namespace, target.name),
      frozen: (target: ViewTarget) => this.#collector.frozen(target.namespace, target.name),
      isListing: (target: ViewTarget) => this.#collector.isListing(target.namespace, target.name),
      isTurning: (target: ViewTarget) => this.#collector.isTurning(target.namespace, target.name),
      verifyIntervalMs: settings.verifyIntervalMs,
      observer: this.metrics,
      onExported: (...sink: Parameters<SinkReconciler['exported']>) => this.#sinks.exported(...sink),
    };
    this.#inventories = new InventoryReconciler({
      ...exporting,
      kind: namespacedInventories,
      inventories,
      targetsGraceMs: 0,
      rowsOf: ({ metadata: { namespace = '' } }, onChange) => new NamespaceRows(targets, namespace, onChange),
    });
    const sources: ClusterSources | undefined = this.#clusterTargetCache && {
      targets: this.#clusterTargetCache,
      namespaces,
      store,
      isListed: (target) => exporting.isSynced(target) || exporting.frozen(target) !== undefined,
      turns: new SharedTurns(),
      onFault: (error) => logger.error('the rows of a cluster inventory are selected anew, because that broke off', { error }),
    };
    this.#clusterInventoryCache = settings.tenantMode ? undefined : new ObjectCache<KubeObject>(clusterWide(clusterInventories.plural));
    this.#clusterInventories =
      sources &&
      this.#clusterInventoryCache &&
      new InventoryReconciler({
        ...exporting,
        kind: clusterInventories,
        inventories: this.#clusterInventoryCache,
        targetsGraceMs: pace?.targetsGraceMs ?? defaultTargetsGraceMs,
        rowsOf: (_inventory, onChange) => new ClusterRows(sources, onChange),
      });
  }

  /** Why the process is not ready; undefined when it is. */
  get notReady(): string | undefined {
    if (this.#stopping) return 'stopping';
    return this.#ready ? undefined : 'the first lists of Kollect objects are not complete';
  }

  /** Resolves when everything runs. */
  async start(): Promise<void> {
    const caches = this.#needed();
    for (const cache of [...caches, ...this.#optional(), this.#testCache]) cache.start();
    await Promise.all(caches.map((cache) => cache.synced));
    await Promise.race([Promise.all(this.#optional().map((cache) => cache.synced)), sleep(optionalWaitMs, undefined, { ref: false })]);
    if (this.#stopping) return;
    this.#namespaces.onChange(() => {
      this.#namespaceTimer ??= setTimeout(() => {
        this.#namespaceTimer = undefined;
        this.#collector.namespacesChanged();
      }, namespaceDelayMs);
    });
    this.#namespaces.onChange((key) => {
      for (const rows of this.#clusterInventories?.rows() ?? []) rows.namespaceChanged(key.slice(1));
    });
    await Promise.all([this.#targets.markInitialLists(), this.#clusterTargets?.markInitialLists()]);
    if (this.#stopping) return;
    // Targets first: an inventory must know all of its targets before it compares what a sink holds.
    this.#definitions.start();
    this.#targets.start();
    this.#clusterTargets?.start();
    this.#caches.targets.onChange((key) => this.#inventories.targetChanged(key));
    this.#clusterTargetCache?.onChange((key) => this.#clusterInventories?.targetChanged(key));
    this.#inventories.start();
    this.#clusterInventories?.start();
    this.#sinks.start();
    this.#previews.start();
    this.#tests.start();
    this.#secretPoll.start();
    this.#ready = true;
    this.#logger.info('running', {
      profiles: [...this.#caches.profiles.list()].length,
      targets: [...this.#caches.targets.list()].length,
      inventories: [...this.#caches.inventories.list()].length,
    });
  }

  /**
   * A former leader did not hand over: something that it sent may still arrive where nothing refuses it, but not later than this. What was compared before that is
   * compared again.
   */
  expectLateWrites(ms: number): void {
    this.#takeoverTimer = setTimeout(() => {
      for (const inventories of [this.#inventories, this.#clusterInventories]) for (const { binding } of inventories?.bindings() ?? []) binding.compareAfterTakeover();
    }, ms);
  }

  /** Stops taking work in, cancels what is in flight and closes what is open. Whatever is cut off is repeated after the next start. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearTimeout(this.#namespaceTimer);
    clearTimeout(this.#takeoverTimer);
    this.#memory.stop();
    await Promise.all([this.#definitions.stop(), this.#targets.stop(), this.#clusterTargets?.stop(), this.#inventories.stop(), this.#clusterInventories?.stop(), this.#sinks.stop(), this.#previews.stop(), this.#tests.stop(), this.#secretPoll.stop()]);
    // After those who tell it what to collect.
    await this.#collector.stop();
    await Promise.all([...this.#needed(), ...this.#optional(), this.#testCache].map((cache) => cache.stop()));
    await this.#events.flush();
    await this.#client.close();
  }

  /** What cannot be read of these is reported by those who need it. */
  #optional(): ObjectCache<unknown>[] {
    const { snapshot, database, event } = this.#caches;
    return [snapshot, database, event, ...this.#scopes] as ObjectCache<unknown>[];
  }

  /** Without these there is nothing to do. */
  #needed(): ObjectCache<unknown>[] {
    const { profiles, targets, inventories } = this.#caches;
    return [profiles, targets, inventories, this.#namespaces, ...[this.#clusterTargetCache, this.#clusterInventoryCache].filter((cache) => cache !== undefined)] as ObjectCache<unknown>[];
  }
}
