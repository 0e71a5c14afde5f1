import { finalizers } from '../../shared/api/annotations.ts';
import type { KollectProfile } from '../../shared/api/kollect-profile.ts';
import type { KollectTarget } from '../../shared/api/kollect-target.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { compileProfile, type CompiledProfile } from '../../shared/extract/compile-profile.ts';
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
import type { RowStore } from './row-store.ts';
import { targetStatus, type TargetOutcome } from './target-status.ts';

/** A resource that the API server does not know may appear with a CRD. */
const unknownResourceRetryMs = 10_000;
/** Rows come and go without an event of the target; its count follows at this pace. */
const countRefreshMs = 10_000;

export interface TargetReconcilerOptions {
  client: KubeClient;
  discovery: Discovery;
  targets: ObjectCache<KubeObject>;
  profiles: ObjectCache<KubeObject>;
  collector: Collector;
  store: RowStore;
  events: EventRecorder;
  logger: Logger;
  /** A target appeared, went, or changed its progress. */
  onProgress: (namespace: string) => void;
}

/** Keeps the collection of every KollectTarget what its spec and profile say, and its status true. */
export class TargetReconciler {
  readonly #options: TargetReconcilerOptions;
  readonly #queue: WorkQueue<string>;
  readonly #status: StatusWriter;
  /** Compiled once per generation. */
  readonly #compiled = new Map<string, { version: string; profile: CompiledProfile | KollectError }>();

  constructor(options: TargetReconcilerOptions) {
    this.#options = options;
    this.#status = new StatusWriter({
      client: options.client,
      plural: 'kollecttargets',
      logger: options.logger,
      onTransition: (object, before, after) => recordTransition(options.events, object, before, after),
    });
    this.#queue = new WorkQueue({ name: 'kollecttarget', reconcile: (key) => this.#reconcile(key), logger: options.logger });
  }

  start(): void {
    const { targets, profiles } = this.#options;
    targets.onChange((key, target) => {
      this.#announce(target);
      this.#queue.add(key);
    });
    profiles.onChange((key) => {
      if (!profiles.get(key)) this.#compiled.delete(key);
      const [namespace, name] = splitKey(key);
      for (const target of targets.byNamespace(namespace)) {
        if ((target['spec'] as { profileRef?: unknown } | undefined)?.profileRef === name) this.#queue.add(keyOf(target));
      }
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

  async stop(): Promise<void> {
    await this.#queue.stop();
    this.#status.stop();
  }

  async #reconcile(key: string): Promise<void> {
    const { targets, client, collector, store } = this.#options;
    const [namespace, name] = splitKey(key);
    const raw = targets.get(key);
    if (!raw || raw.metadata.deletionTimestamp) {
      collector.forget(namespace, name);
      if (raw) this.#status.forget(raw.metadata.uid ?? '');
      if (raw) await removeFinalizer(client, 'kollecttargets', raw, finalizers.target);
      else this.#options.onProgress(namespace);
      return;
    }
    await addFinalizer(client, 'kollecttargets', raw, finalizers.target);
    const rows = store.open(namespace, name);
    const outcome = await this.#arrange(raw, namespace, name);
    const target = raw as unknown as KollectTarget;
    const previous = this.#status.latest(raw) as KollectTarget['status'];
    this.#status.submit(raw, targetStatus(target, previous, outcome, rows, new Date().toISOString()));
    this.#queue.addAfter(key, countRefreshMs);
  }

  /** Starts, changes or freezes the collection. */
  async #arrange(raw: KubeObject, namespace: string, name: string): Promise<TargetOutcome> {
    const { collector, profiles, discovery } = this.#options;
    const freeze = (reason: string, message: string): TargetOutcome => {
      collector.freeze(namespace, name);
      return { kind: 'degraded', reason, message };
    };

    const checked = checkObject<KollectTarget>('KollectTarget', raw);
    if (!checked.object) return freeze('InvalidSpec', checked.message);
    const { spec } = checked.object;
    if (spec.suspend) return freeze('Suspended', 'spec.suspend is true: rows stay as they are until it is removed');

    const profileKey = `${namespace}/${spec.profileRef}`;
    const rawProfile = profiles.get(profileKey);
    if (!rawProfile) return freeze('ProfileNotFound', `no KollectProfile "${spec.profileRef}" in namespace "${namespace}"`);
    const profile = this.#compile(profileKey, rawProfile);
    if (profile instanceof KollectError) return freeze('InvalidProfile', `KollectProfile "${spec.profileRef}": ${profile.message}`);
    const { gvk } = profile;
    const foreign = spec.resourceRules?.findIndex((rule) => !sameKind(rule.gvk, gvk)) ?? -1;
    if (foreign >= 0) {
      return freeze('InvalidSpec', `spec.resourceRules[${foreign}].gvk: rules can select only the kind of the profile, ${gvk.kind}`);
    }

    // A path that vanished may have become another one: a definition was replaced.
    if (collector.state(namespace, name)?.watch.reason === 'NotFound') discovery.invalidate(gvk.group, gvk.version);
    const resource = await discovery.resolve(gvk);
    if (!resource) {
      this.#queue.addAfter(`${namespace}/${name}`, unknownResourceRetryMs);
      const apiVersion = gvk.group ? `${gvk.group}/${gvk.version}` : gvk.version;
      return freeze('InformerRegistrationFailed', `the API server knows no ${gvk.kind} in ${apiVersion}; is its CustomResourceDefinition installed?`);
    }
    collector.collect(namespace, name, {
      fingerprint: [raw.metadata.uid, raw.metadata.generation, rawProfile.metadata.uid, rawProfile.metadata.generation, resource.path()].join(),
      spec,
      profile,
      resource,
    });
    return { kind: 'collecting', state: collector.state(namespace, name)! };
  }

  #compile(key: string, raw: KubeObject): CompiledProfile | KollectError {
    const version = `${raw.metadata.uid}/${raw.metadata.generation}/${JSON.stringify(raw.metadata.annotations ?? {})}`;
    const known = this.#compiled.get(key);
    if (known?.version === version) return known.profile;
    const profile = compileChecked(raw);
    this.#compiled.set(key, { version, profile });
    return profile;
  }
}

function compileChecked(raw: KubeObject): CompiledProfile | KollectError {
  const checked = checkObject<KollectProfile>('KollectProfile', raw);
  if (!checked.object) return new KollectError('KOL_EXTRACT_PATH', checked.message);
  try {
    return compileProfile(checked.object);
  } catch (error) {
    if (error instanceof KollectError) return error;
    throw error;
  }
}

function sameKind(left: { group?: string | undefined; version: string; kind: string }, right: { group: string; version: string; kind: string }): boolean {
  return (left.group ?? '') === right.group && left.version === right.version && left.kind === right.kind;
}

function keyOf(object: KubeObject): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

function splitKey(key: string): [string, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash), key.slice(slash + 1)];
}
