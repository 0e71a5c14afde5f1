import type { KollectTargetStatus } from '../../shared/api/kollect-target.ts';
import type { Reason } from '../../shared/api/conditions.ts';
import { isSameGvk } from '../../shared/api/gvk.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import type { Discovery } from '../../shared/kube/discovery.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import { addFinalizer, removeFinalizer } from '../../shared/kube/finalizers.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import { checkObject } from '../object-check.ts';
import { recordTransition } from '../observe/transitions.ts';
import { StatusWriter } from '../observe/status-writer.ts';
import type { Collector } from './collector.ts';
import { lowestLimits } from './limits.ts';
import type { CompiledProfiles } from './compiled-profiles.ts';
import type { Definitions } from './definitions.ts';
import type { RowStore } from './row-store.ts';
import type { ScopeJudge } from './scope-judge.ts';
import type { TargetKind } from './target-kind.ts';
import { targetStatus, type TargetOutcome } from './target-status.ts';

/** A resource that the API server does not know may appear with a CRD. */
const unknownResourceRetryMs = 10_000;
/** Rows come and go without an event of the target; its count follows at this pace. */
const countRefreshMs = 10_000;

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
  /** A target appeared, went, or changed its progress. */
  onProgress: (namespace: string) => void;
}

/** Keeps the collection of every target of a kind what its spec, profile and scope say, and its status true. */
export class TargetReconciler<Spec extends { suspend?: boolean | undefined }> {
  readonly #options: TargetReconcilerOptions<Spec>;
  readonly #queue: WorkQueue<string>;
  readonly #status: StatusWriter;

  constructor(options: TargetReconcilerOptions<Spec>) {
    this.#options = options;
    this.#status = new StatusWriter({
      client: options.client,
      plural: options.kind.plural,
      logger: options.logger,
      onTransition: (object, before, after) => recordTransition(options.events, object, before, after),
    });
    this.#queue = new WorkQueue({ name: options.kind.kind.toLowerCase(), reconcile: (key) => this.#reconcile(key), logger: options.logger });
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
   * whose turn has not come yet.
   */
  #announce(target: KubeObject | undefined): void {
    if (target && !target.metadata.deletionTimestamp) this.#options.store.open(target.metadata.namespace ?? '', target.metadata.name);
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
      const spec = profiles.get(`${namespace}/${name}`)?.['spec'] as { targetGVK?: { group?: unknown } } | undefined;
      if (spec?.targetGVK?.group === group) this.#queue.add(keyOf(target));
    }
  }

  async stop(): Promise<void> {
    await this.#queue.stop();
    this.#status.stop();
  }

  async #reconcile(key: string): Promise<void> {
    const { kind, targets, client, collector, store } = this.#options;
    const [namespace, name] = splitKey(key);
    const raw = targets.get(key);
    if (!raw || raw.metadata.deletionTimestamp) {
      collector.forget(namespace, name);
      if (raw) this.#status.forget(raw.metadata.uid ?? '');
      if (raw) await removeFinalizer(client, kind.plural, raw, kind.finalizer);
      else this.#options.onProgress(namespace);
      return;
    }
    await addFinalizer(client, kind.plural, raw, kind.finalizer);
    const rows = store.open(namespace, name);
    const outcome = await this.#arrange(raw, namespace, name);
    const previous = this.#status.latest(raw) as KollectTargetStatus | undefined;
    this.#status.submit(raw, targetStatus(raw, previous, outcome, rows, new Date().toISOString()));
    this.#queue.addAfter(key, countRefreshMs);
  }

  /** Starts, changes or freezes the collection. */
  async #arrange(raw: KubeObject, namespace: string, name: string): Promise<TargetOutcome> {
    const { kind, collector, profiles, compiled, scopes, discovery, definitions } = this.#options;
    const freeze = (reason: Reason, message: string): TargetOutcome => {
      collector.freeze(namespace, name);
      return { kind: 'degraded', reason, message };
    };

    const checked = checkObject<{ spec: Spec }>(kind.kind, raw);
    if (!checked.object) return freeze('InvalidSpec', checked.message);
    const { spec } = checked.object;
    // Before all else: what a scope denies does not stay because the target is suspended, or its profile is missing.
    const verdict = scopes.judge(kind.kind, raw, spec);
    if (verdict.kind === 'unknown') return freeze('ScopeLookupFailed', verdict.message);
    if (verdict.kind === 'denied') {
      collector.deny(namespace, name);
      return verdict;
    }
    if (spec.suspend) return freeze('Suspended', 'spec.suspend is true: rows stay as they are until it is removed');

    const reference = kind.profileOf(raw);
    const rawProfile = profiles.get(`${reference.namespace}/${reference.name}`);
    if (!rawProfile) return freeze('ProfileNotFound', `no KollectProfile "${reference.name}" in namespace "${reference.namespace}"`);
    const profile = compiled.of(rawProfile);
    if (profile instanceof KollectError) return freeze('InvalidProfile', `KollectProfile "${reference.name}": ${profile.message}`);
    const selection = kind.selectionOf(spec);
    const { gvk } = profile;
    const foreign = selection.resourceRules?.findIndex((rule) => !isSameGvk(rule.gvk, gvk)) ?? -1;
    if (foreign >= 0) {
      return freeze('InvalidSpec', `spec.resourceRules[${foreign}].gvk: rules can select only the kind of the profile, ${gvk.kind}`);
    }

    // A path that vanished may have become another one: a definition was replaced. And the API server serves a kind some time longer than its definition exists.
    if (collector.state(namespace, name)?.watch.reason === 'NotFound' || definitions.isGone(gvk)) discovery.invalidate(gvk.group, gvk.version);
    const resource = await discovery.resolve(gvk);
    if (!resource) {
      this.#queue.addAfter(`${namespace}/${name}`, unknownResourceRetryMs);
      if (definitions.isGone(gvk)) {
        collector.deny(namespace, name);
        return { kind: 'degraded', reason: 'InformerRegistrationFailed', message: `the CustomResourceDefinition of ${gvk.kind} in ${gvk.group} was deleted` };
      }
      const apiVersion = gvk.group ? `${gvk.group}/${gvk.version}` : gvk.version;
      return freeze('InformerRegistrationFailed', `the API server knows no ${gvk.kind} in ${apiVersion}; is its CustomResourceDefinition installed?`);
    }
    collector.collect(namespace, name, {
      fingerprint: [raw.metadata.uid, raw.metadata.generation, rawProfile.metadata.uid, rawProfile.metadata.generation, resource.path()].join(),
      spec: selection,
      ceiling: verdict.ceiling,
      limits: lowestLimits([selection.limits, verdict.limits]),
      profile,
      resource,
    });
    return { kind: 'collecting', state: collector.state(namespace, name)! };
  }
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function splitKey(key: string): [string, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}
