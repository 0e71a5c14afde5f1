import type { Reason } from '../../shared/api/conditions.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import type { KollectConnectionTestSpec, KollectConnectionTestStatus } from '../../shared/api/kollect-connection-test.ts';
import { kindByName } from '../../shared/api/kinds.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { ignoreGone } from '../../shared/kube/api-error.ts';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { kollectPath } from '../../shared/kube/paths.ts';
import { patchStatus } from '../../shared/kube/status.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import { checkObject } from '../object-check.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import { sinkKinds } from '../sink-directory.ts';
import { probeProfile, type ProfileProbeOptions } from './profile-probe.ts';
import { probeObject, type ProbeObserver, type ProbeOptions } from './sink-prober.ts';
import { ownersOf } from './test-owner.ts';

const plural = 'kollectconnectiontests';
/** Tests at a time; the others are pending. */
const concurrency = 8;
/** Whoever applies a folder of manifests creates the sink within this time. */
const defaultSinkGraceMs = 10_000;
/** Between two looks for a sink that is not there yet. */
const sinkWaitMs = 500;
/** Timers of Node end at 24 days. */
const longestTimerMs = 86_400_000;
const defaultTtlSeconds = 300;

export interface ConnectionTestReconcilerOptions {
  client: KubeClient;
  tests: Pick<ObjectCache<KubeObject>, 'get' | 'list' | 'onChange'>;
  probe: Pick<ProbeOptions, 'readSecret' | 'policy' | 'mapHosts' | 'load'>;
  profiles: ProfileProbeOptions;
  events: EventRecorder;
  logger: Logger;
  observer?: ProbeObserver | undefined;
  /** How long a sink may be missing before a test says so; 10 s when unset. */
  sinkGraceMs?: number | undefined;
}

/** What this process does about one generation of a test. */
interface Run {
  /** Uid and generation. */
  request: string;
  /** Monotonic milliseconds. */
  since: number;
  cancel: AbortController;
  /** Its result is written, even if the watch has not told yet. */
  isOver: boolean;
}

interface Result {
  verdicts: Verdict[];
  latencyMs?: number | undefined;
}

type FoundSink = { sink: KubeObject; result?: undefined } | { sink?: undefined; result: Result };

/** Runs each KollectConnectionTest once for each generation of its spec, keeps the result for a while, and deletes it. */
export class ConnectionTestReconciler {
  readonly #options: ConnectionTestReconcilerOptions;
  readonly #queue: WorkQueue<string>;
  /** Tests that have ended. Those wait for no others. */
  readonly #expiry: WorkQueue<string>;
  readonly #runs = new Map<string, Run>();
  readonly #stopping = new AbortController();
  #unsubscribe: (() => void) | undefined;

  constructor(options: ConnectionTestReconcilerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'connectiontest', reconcile: (key) => this.#reconcile(key), logger: options.logger, concurrency });
    this.#expiry = new WorkQueue({ name: 'connectiontest-expiry', reconcile: (key) => this.#expire(key), logger: options.logger });
  }

  /** Begins with the tests that the cache holds: what another process left half done is done again. */
  start(): void {
    const { tests } = this.#options;
    this.#unsubscribe = tests.onChange((key, object) => this.#changed(key, object));
    for (const object of tests.list()) this.#changed(`${object.metadata.namespace ?? ''}/${object.metadata.name}`, object);
  }

  /** Cancels tests that run; nothing is written of them. */
  async stop(): Promise<void> {
    this.#unsubscribe?.();
    this.#stopping.abort();
    await Promise.all([this.#queue.stop(), this.#expiry.stop()]);
  }

  #changed(key: string, object: KubeObject | undefined): void {
    const run = this.#runs.get(key);
    const request = object && !object.metadata.deletionTimestamp ? requestOf(object) : undefined;
    if (request === undefined || run?.request !== request) {
      // What is asked now does not wait for what nobody asks any more.
      run?.cancel.abort();
      this.#runs.delete(key);
      this.#queue.forget(key);
      this.#expiry.forget(key);
    }
    if (request === undefined) return;
    if (!this.#runs.has(key)) this.#runs.set(key, { request, since: performance.now(), cancel: new AbortController(), isOver: false });
    (hasEnded(object) ? this.#expiry : this.#queue).add(key);
  }

  async #reconcile(key: string): Promise<void> {
    const object = this.#options.tests.get(key);
    const run = this.#runs.get(key);
    if (!object || !run || run.isOver || hasEnded(object)) return;
    const previous = statusOf(object);
    const ofThisGeneration = previous.observedGeneration === object.metadata.generation;
    const found = await this.#sinkOf(object, run);
    if (found === undefined) return this.#queue.addAfter(key, sinkWaitMs);
    const attempts = ((ofThisGeneration ? previous.attempts : undefined) ?? 0) + 1;
    const result = found.sink ? await this.#run(object, previous, attempts, found.sink, run.cancel.signal) : found.result;
    if (run.cancel.signal.aborted || this.#stopping.signal.aborted) return;
    await this.#finish(object, previous, attempts, result);
    run.isOver = true;
  }

  /** The sink that a test names, or why there is none; undefined while it may still come. */
  async #sinkOf(object: KubeObject, { since }: Run): Promise<FoundSink | undefined> {
    const { client, sinkGraceMs = defaultSinkGraceMs } = this.#options;
    const { namespace = '' } = object.metadata;
    const { message } = checkObject('KollectConnectionTest', object);
    if (message !== undefined) return failed(message.startsWith('spec.sinkRef') ? 'InvalidSinkRef' : 'InvalidSpec', message);
    const { snapshotSinkRef, databaseSinkRef, eventSinkRef } = (object['spec'] as KollectConnectionTestSpec).sinkRef;
    const family = snapshotSinkRef ? 'snapshot' : databaseSinkRef ? 'database' : 'event';
    const name = snapshotSinkRef ?? databaseSinkRef ?? eventSinkRef ?? '';
    const kind = sinkKinds[family];
    const title = `${kind} "${name}" in namespace "${namespace}"`;
    const sinks = kindByName(kind)?.plural ?? '';
    try {
      // Not from a cache: whoever edits a sink and tests it at once means what he wrote.
      return { sink: await client.get<KubeObject>(kollectPath(sinks, { apiVersion: API_VERSION, kind, metadata: { name, namespace } })) };
    } catch (error) {
      if (!(error instanceof KubeApiError) || (error.status !== 404 && error.status !== 403)) throw error;
      if (error.status === 403) return failed('SinkForbidden', `${title} cannot be read: let the controller get ${sinks}, then run the test again`);
      if (performance.now() - since < sinkGraceMs) return undefined;
      return failed('SinkNotFound', `no ${title}: create it, or correct spec.sinkRef, then run the test again`);
    }
  }

  async #run(object: KubeObject, previous: KollectConnectionTestStatus, attempts: number, sink: KubeObject, cancelled: AbortSignal): Promise<Result> {
    const { probe, profiles, observer } = this.#options;
    await this.#own(object, sink);
    const message = `${sink.kind} "${sink.metadata.name}" is being tested`;
    const verdicts: Verdict[] = (['ConnectionVerified', 'Ready'] as const).map((type) => ({ type, status: 'Unknown', reason: 'Progressing', message }));
    await this.#write(object, previous, verdicts, { phase: 'Running', attempts });
    const outcome = await probeObject(sink, { ...probe, signal: AbortSignal.any([this.#stopping.signal, cancelled]) }, observer);
    const { namespace = '' } = object.metadata;
    const { profileRef } = object['spec'] as KollectConnectionTestSpec;
    return {
      latencyMs: outcome.latencyMs,
      verdicts: [...outcome.verdicts.filter(({ type }) => type === 'ConnectionVerified'), ...(profileRef ? [await probeProfile(profiles, namespace, profileRef)] : [])],
    };
  }

  /** With its sink a test is deleted too, unless `spec.ownerSink` is false. */
  async #own(object: KubeObject, sink: KubeObject): Promise<void> {
    const ownerReferences = ownersOf(object, sink);
    if (JSON.stringify(ownerReferences) === JSON.stringify(object.metadata.ownerReferences ?? [])) return;
    const { uid, resourceVersion } = object.metadata;
    await ignoreGone(this.#options.client.patch(kollectPath(plural, object), { type: 'merge', body: { metadata: { uid, resourceVersion, ownerReferences } } }));
  }

  async #finish(object: KubeObject, previous: KollectConnectionTestStatus, attempts: number, { verdicts, latencyMs }: Result): Promise<void> {
    const { events, logger } = this.#options;
    const failure = verdicts.find(({ status }) => status !== 'True');
    const message = verdicts.map((verdict) => verdict.message).join('; ');
    const ready: Verdict = failure ? { ...failure, type: 'Ready' } : { type: 'Ready', status: 'True', reason: 'ProbeSucceeded', message };
    const completedAt = new Date().toISOString();
    await this.#write(object, previous, [...verdicts, ready], { phase: failure ? 'Failed' : 'Succeeded', attempts, latencyMs, completed: true, completedAt });
    const fields = { test: `${object.metadata.namespace ?? ''}/${object.metadata.name}`, message: ready.message };
    if (failure) {
      events.event(object, 'Warning', failure.reason, failure.message);
      logger.warn('connection test failed', { ...fields, reason: failure.reason });
    } else {
      events.event(object, 'Normal', 'ConnectionVerified', message);
      logger.info('connection test succeeded', fields);
    }
  }

  async #write(object: KubeObject, previous: KollectConnectionTestStatus, verdicts: readonly Verdict[], fields: KollectConnectionTestStatus): Promise<void> {
    const { generation } = object.metadata;
    const conditions = conditionsOf(verdicts, previous.conditions, generation, new Date().toISOString());
    const status: KollectConnectionTestStatus = { ...fields, conditions, observedGeneration: generation };
    await ignoreGone(patchStatus(this.#options.client, plural, object, status));
  }

  /** Deletes a test that has been kept for long enough, by the time of its end: restarts of the controller do not matter. */
  async #expire(key: string): Promise<void> {
    const object = this.#options.tests.get(key);
    if (!object || !hasEnded(object)) return;
    const { completedAt = '' } = statusOf(object);
    const { ttlSecondsAfterFinished = defaultTtlSeconds } = object['spec'] as Partial<KollectConnectionTestSpec>;
    const ttlMs = ttlSecondsAfterFinished * 1_000;
    // A clock that was set back keeps nothing for longer than its time.
    const leftMs = Math.min(ttlMs, Date.parse(completedAt) + ttlMs - Date.now());
    if (leftMs > 0) return this.#expiry.addAfter(key, Math.min(leftMs, longestTimerMs));
    const { uid, resourceVersion } = object.metadata;
    try {
      await this.#options.client.delete(kollectPath(plural, object), { uid, resourceVersion });
    } catch (error) {
      // Gone, or changed meanwhile, which the watch is about to tell.
      if (!(error instanceof KubeApiError) || (error.status !== 404 && error.status !== 409)) throw error;
    }
  }
}

function statusOf(object: KubeObject): KollectConnectionTestStatus {
  return object['status'] ?? {};
}

/** Its spec as it is now was tested. */
function hasEnded(object: KubeObject | undefined): boolean {
  const { completed, observedGeneration } = object ? statusOf(object) : {};
  return completed === true && observedGeneration === object?.metadata.generation;
}

function requestOf({ metadata }: KubeObject): string {
  return `${metadata.uid}/${metadata.generation}`;
}

function failed(reason: Reason, message: string): FoundSink {
  return { result: { verdicts: [{ type: 'ConnectionVerified', status: 'False', reason, message }] } };
}
