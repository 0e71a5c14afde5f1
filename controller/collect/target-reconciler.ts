import { setTimeout as sleep } from 'node:timers/promises';
import { annotations } from '../../shared/api/annotations.ts';
import type { KollectTargetStatus } from '../../shared/api/kollect-target.ts';
import { gvkOfKey } from '../../shared/api/gvk.ts';
import type { LooseGvk } from '../../shared/api/gvk.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { Discovery } from '../../shared/kube/discovery.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../shared/kube/finalizers.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import type { Verdict } from '../observe/conditions.ts';
import type { ReferenceObserver } from '../observe/references.ts';
import { recordTransition } from '../observe/transitions.ts';
import { StatusWriter } from '../observe/status-writer.ts';
import type { Collector } from './collector.ts';
import { InitialLists, initialListStatus, isSuspended, progress, type InitialList } from './initial-lists.ts';
import type { CompiledProfiles } from './compiled-profiles.ts';
import type { Definitions } from './definitions.ts';
import { ResourcePlanner, type Problem } from './resource-planner.ts';
import type { RowStore } from './row-store.ts';
import type { TargetRows } from './target-rows.ts';
import type { ScopeJudge, ScopeVerdict } from './scope-judge.ts';
import type { TargetKind } from './target-kind.ts';
import { planTarget, targetGvkOf } from './target-plan.ts';
import { startingStatus, targetStatus, type TargetOutcome } from './target-status.ts';

/** Rows come and go without an event of the target, and a resource that the API server does not know may appear; both are followed at this pace. */
const refreshMs = 10_000;
const defaultLongestMarkMs = 5_000;
/** Who is told to stop has not long. */
const longestUnmarkMs = 2_000;
const marksAtATime = 8;

export interface TargetReconcilerOptions<Spec> {
  kind: TargetKind<Spec>;
  client: KubeClient;
  discovery: Discovery;
  definitions: Pick<Definitions, 'isGone'>;
  targets: ObjectCache<KubeObject>;
  profiles: ObjectCache<KubeObject>;
  compiled: CompiledProfiles;
  scopes: ScopeJudge;
  collector: Collector;
  store: RowStore;
  events: EventRecorder;
  logger: Logger;
  observer: ReferenceObserver;
  /** From when a target is first seen: its list waits no longer than this for the mark that says that it begins. 5,000 ms when unset. */
  longestMarkMs?: number | undefined;
  /** See `targetStatus`. */
  sinkReachable?: ((namespace: string) => Verdict) | undefined;
  /** A target appeared, went, or changed its progress. */
  onProgress: (namespace: string) => void;
}

/** Keeps the collection of every target of a kind what its spec, profile and scope say, and its status true. */
export class TargetReconciler<Spec extends { suspend?: boolean | undefined }> {
  readonly #options: TargetReconcilerOptions<Spec>;
  readonly #queue: WorkQueue<string>;
  readonly #status: StatusWriter;
  readonly #planner: ResourcePlanner;
  /** Value of the annotation that asked for a list last. What it said at the start is answered by the first one. */
  readonly #asked = new Map<string, string | undefined>();
  readonly #initialLists = new InitialLists();
  readonly #stopping = new AbortController();

  constructor(options: TargetReconcilerOptions<Spec>) {
    this.#options = options;
    this.#planner = new ResourcePlanner(options);
    this.#status = new StatusWriter({
      client: options.client,
      plural: options.kind.plural,
      logger: options.logger,
      onTransition: (object, before, after) => recordTransition(options.events, object, before, after),
    });
    this.#queue = new WorkQueue({ name: options.kind.kind.toLowerCase(), reconcile: (key) => this.#reconcile(key), logger: options.logger });
  }

  /** Marks all first lists that are expected, before any of them begins, so that targets that share a list still do. Later ones are marked one by one. */
  async markInitialLists(): Promise<void> {
    // All at once, because none of them waits for another.
    const lists = Array.from(this.#options.targets.list(), (target) => ({ target, list: this.#initialLists.of(target) }));
    await this.#eachInParallel(lists, async ({ target, list }) => {
      if (isSuspended(list)) this.#options.logger.error('target suspended: its first list has ended the controller again and again', { target: keyOf(target), crashes: list.crashes });
      // Those that were degraded will likely not be listed.
      else if (!target.metadata.deletionTimestamp && !isDegraded(target)) await this.#mark(target, list);
    });
  }

  start(): void {
    const { kind, targets, profiles, compiled, scopes } = this.#options;
    targets.onChange((key, target) => {
      this.#announce(target);
      this.#queue.add(key);
    });
    profiles.onChange((key) => {
      if (!profiles.get(key)) compiled.forget(key);
      for (const target of targets.list()) {
        const { namespace, name } = kind.profileOf(target);
        if (`${namespace}/${name}` === key) this.#queue.add(keyOf(target));
      }
    });
    scopes.onChange(kind.kind, (namespace) => {
      for (const target of namespace === undefined ? targets.list() : targets.byNamespace(namespace)) this.#queue.add(keyOf(target));
    });
    for (const target of targets.list()) {
      this.#announce(target);
      this.#queue.add(keyOf(target));
    }
  }

  /**
   * Opens the rows of a target the moment it is known, before anything is collected: an inventory must never take a target for absent
   * whose turn has not come yet. All who come together wait together for their marks, when the API server takes none.
   */
  #announce(target: KubeObject | undefined): void {
    if (!target || target.metadata.deletionTimestamp) return;
    this.#options.store.open(target.metadata.namespace ?? '', target.metadata.name);
    this.#initialLists.of(target);
  }

  /** The collector reports progress of a target. */
  progressed(namespace: string, name: string): void {
    this.#queue.add(`${namespace}/${name}`);
    this.#options.onProgress(namespace);
  }

  /** Kinds of a group appeared, went, or are served in another way. */
  definitionsChanged(group: string): void {
    const { kind, targets, profiles } = this.#options;
    for (const target of targets.list()) {
      const { namespace, name } = kind.profileOf(target);
      const profile = profiles.get(`${namespace}/${name}`);
      const rules = (target['spec'] as { resourceRules?: readonly { gvk?: LooseGvk }[] } | undefined)?.resourceRules ?? [];
      if ([profile && targetGvkOf(profile), ...rules.map(({ gvk }) => gvk)].some((gvk) => gvk?.group === group)) this.#queue.add(keyOf(target));
    }
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#queue.stop();
    await Promise.race([this.#unmark(), sleep(longestUnmarkMs, undefined, { ref: false })]);
    this.#status.stop();
  }

  async #reconcile(key: string): Promise<void> {
    const { kind, targets, client, collector, store } = this.#options;
    const [namespace, name] = splitKey(key);
    const raw = targets.get(key);
    if (!raw || raw.metadata.deletionTimestamp) {
      collector.forget(namespace, name);
      this.#asked.delete(key);
      this.#initialLists.forget(key);
      if (raw) this.#status.forget(raw.metadata.uid ?? '');
      if (raw) await removeFinalizer(client, kind.plural, raw, kind.finalizer);
      else this.#options.onProgress(namespace);
      return;
    }
    await addFinalizer(client, kind.plural, raw, kind.finalizer);
    const rows = store.open(namespace, name);
    const list = this.#initialLists.of(raw);
    const outcome = await this.#arrange(raw, namespace, name, list);
    this.#relistWhenAsked(key, raw);
    const now = new Date().toISOString();
    if (outcome.kind === 'collecting') progress(list, outcome.state, now);
    else list.startedAt = undefined;
    const previous = this.#status.latest(raw) as KollectTargetStatus | undefined;
    this.#status.submit(raw, targetStatus(raw, previous, outcome, rows, now, this.#options.sinkReachable?.(namespace), initialListStatus(list)));
    this.#queue.addAfter(key, refreshMs);
  }

  /** Before the first list of a target begins; resolves when the API server knows, or soon without. */
  async #mark(target: KubeObject, list: InitialList): Promise<void> {
    if (list.begun || this.#stopping.signal.aborted) return;
    list.begun = true;
    const now = new Date().toISOString();
    list.startedAt = now;
    const patienceMs = list.since + (this.#options.longestMarkMs ?? defaultLongestMarkMs) - performance.now();
    // Then it goes with what status has to say anyway.
    if (patienceMs <= 0) return;
    this.#status.submit(target, startingStatus(target, this.#status.latest(target) as KollectTargetStatus | undefined, initialListStatus(list), now));
    await Promise.race([this.#status.flush(target), sleep(patienceMs, undefined, { ref: false, signal: this.#stopping.signal }).catch(() => undefined)]);
  }

  /** Whoever is told to stop has not crashed. */
  async #unmark(): Promise<void> {
    await this.#eachInParallel([...this.#initialLists.marked()], async (key) => {
      const target = this.#options.targets.get(key);
      if (!target) return;
      const list = this.#initialLists.of(target);
      list.startedAt = undefined;
      const status: KollectTargetStatus = { ...(this.#status.latest(target) as KollectTargetStatus | undefined), initialList: initialListStatus(list) };
      this.#status.submit(target, status);
      await this.#status.flush(target);
    });
  }

  async #eachInParallel<T>(items: T[], work: (item: T) => Promise<void>): Promise<void> {
    const waiting = items.values();
    await Promise.all(Array.from({ length: marksAtATime }, async () => {
      for (const item of waiting) await work(item);
    }));
  }

  #relistWhenAsked(key: string, { metadata }: KubeObject): void {
    const { namespace = '', name } = metadata;
    const before = this.#asked.get(key);
    const request = metadata.annotations?.[annotations.reconcile] ?? before;
    if (request !== before && this.#asked.has(key)) {
      this.#options.logger.info('everything is listed again, as the annotation asks', { target: key });
      this.#options.collector.relist(namespace, name);
    }
    this.#asked.set(key, request);
  }

  /** Starts, changes or freezes the collection. */
  async #arrange(raw: KubeObject, namespace: string, name: string, list: InitialList): Promise<TargetOutcome> {
    const { kind, collector, store } = this.#options;
    const running = collector.state(namespace, name)?.resources;
    const planned = await planTarget(raw, { ...this.#options, planner: this.#planner }, { obstacle: crashLoop(list), running });
    const { problems, profile } = planned;
    if (profile) this.#options.observer.resolved(kind.kind, 'profile', profile);
    if (planned.kind === 'frozen') {
      collector.freeze(namespace, name);
      if (planned.verdict.kind === 'allowed') confine(store.open(namespace, name), planned.verdict);
      return { kind: 'degraded', problems };
    }
    if (planned.kind === 'denied') {
      collector.collect(namespace, name, { resources: [] });
      return { kind: 'denied', problems };
    }
    const { plan } = planned;
    const isCollecting = plan.resources.some(({ collect }) => collect);
    if (isCollecting) await this.#mark(raw, list);
    collector.collect(namespace, name, plan);
    if (isCollecting) return { kind: 'collecting', state: collector.state(namespace, name)!, problems };
    return { kind: plan.resources.length === 0 ? 'denied' : 'degraded', problems };
  }
}

function crashLoop(list: InitialList): Problem | undefined {
  if (!isSuspended(list)) return undefined;
  const what = `the controller ended ${list.crashes} times in a row during the first list of this target, which is not collected any more; its rows stay as they are`;
  const remedy = 'select or extract less, set spec.limits or give the controller more memory, then change the spec or give the annotation kollect.dev/reconcile a new value';
  return { reason: 'CrashLoop', message: `${what}: ${remedy}` };
}

function isDegraded({ status }: KubeObject & { status?: unknown }): boolean {
  return (status as KollectTargetStatus | undefined)?.conditions?.some(({ type, status: value }) => type === 'Degraded' && value === 'True') === true;
}

/** Removes what a scope denies of rows that stay while nothing is collected. */
function confine(rows: TargetRows, { ceiling, denies }: Extract<ScopeVerdict, { kind: 'allowed' }>): void {
  const allowed = rows.keys.filter((key) => denies(gvkOfKey(key)) === undefined);
  rows.retain(new Set(allowed));
  if (ceiling) for (const key of allowed) rows.bound(key, ceiling.allows);
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function splitKey(key: string): [string, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}
