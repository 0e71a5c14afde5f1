import { annotations } from '../../shared/api/annotations.ts';
import { kindByName } from '../../shared/api/kinds.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { SinkStatus } from '../../shared/api/sink-common.ts';
import { ignoreGone } from '../../shared/kube/api-error.ts';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { kollectPath } from '../../shared/kube/paths.ts';
import { isBefore } from '../../shared/kube/resource-version.ts';
import { patchStatusFields } from '../../shared/kube/status.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import { sinkKinds } from '../sink-directory.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import type { SinkObject } from '../sinks/runtime/open-sink.ts';
import type { SecretPoll } from '../sinks/runtime/secret-poll.ts';
import type { ReadSecret } from '../sinks/runtime/secrets.ts';
import { exportedVerdict, hasFailed, keptConditions } from './kept-conditions.ts';
import { retryDelayMs, type RetryTimes } from './retry-delay.ts';
import { probeObject, type ProbeObserver, type ProbeOptions, type ProbeOutcome } from './sink-prober.ts';

/** Tests at a time, each of which may wait 15 s for a server that says nothing, */
const concurrency = 16;
/** and how many of them may be of sinks that failed before. */
const repeats = 8;

export interface SinkReconcilerOptions {
  client: KubeClient;
  caches: Record<SinkFamily, ObjectCache<KubeObject>>;
  probe: Pick<ProbeOptions, 'readSecret' | 'policy' | 'mapHosts' | 'load'>;
  poll: SecretPoll;
  events: EventRecorder;
  logger: Logger;
  observer?: ProbeObserver | undefined;
  retry?: RetryTimes | undefined;
}

type SinkKey = `${SinkFamily}/${string}/${string}`;

interface Progress {
  /** Uid and generation of the sink. A write of status changes neither. */
  version: string;
  /** What its annotation asks with, undefined when it does not. */
  asked: string | undefined;
  isAnswered: boolean;
  failures: number;
  /** An export has succeeded since the last test began. */
  exported: boolean;
  /** What the last test said does not go with an export that succeeds. */
  isPassing: boolean;
  /** It was tested again because of one, and that is not done for each. */
  refreshed: boolean;
  /** Ends the looks at the Secrets that the last test read. */
  endPoll: (() => void) | undefined;
  /** Aborted when nobody wants to know any more. */
  cancel: AbortController;
}

/** Tests sinks when they are created, edited or annotated, and says in their conditions what came of it. */
export class SinkReconciler {
  readonly #options: SinkReconcilerOptions;
  readonly #queue: WorkQueue<SinkKey>;
  readonly #progress = new Map<SinkKey, Progress>();
  /** Sinks as they were after the last write here, which the watch may tell of later. */
  readonly #written = new Map<SinkKey, KubeObject>();
  readonly #stopping = new AbortController();
  #unsubscribe: (() => void)[] = [];

  constructor(options: SinkReconcilerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'sink', reconcile: (key) => this.#reconcile(key), logger: options.logger, concurrency, repeats });
  }

  /** Begins with the sinks that the caches hold. */
  start(): void {
    for (const [family, cache] of Object.entries(this.#options.caches) as [SinkFamily, ObjectCache<KubeObject>][]) {
      this.#unsubscribe.push(cache.onChange((key, object) => this.#changed(`${family}/${key}` as SinkKey, object)));
      for (const object of cache.list()) this.#changed(`${family}/${object.metadata.namespace ?? ''}/${object.metadata.name}`, object);
    }
  }

  /** Cancels tests that run. */
  async stop(): Promise<void> {
    for (const end of this.#unsubscribe.splice(0)) end();
    this.#stopping.abort();
    await this.#queue.stop();
  }

  /** An export to a sink has succeeded: it is tested once more if its last test failed, or told of what was still to be created. */
  exported(family: SinkFamily, namespace: string, name: string): void {
    const key: SinkKey = `${family}/${namespace}/${name}`;
    const progress = this.#progress.get(key);
    if (!progress) return;
    progress.exported = true;
    this.#refresh(key, progress);
  }

  #refresh(key: SinkKey, progress: Progress): void {
    if (!progress.exported || !progress.isPassing || progress.refreshed) return;
    progress.isPassing = false;
    progress.refreshed = true;
    progress.isAnswered = false;
    this.#queue.forget(key);
    this.#queue.add(key);
  }

  #changed(key: SinkKey, object: KubeObject | undefined): void {
    const known = this.#progress.get(key);
    const isGone = object === undefined || object.metadata.deletionTimestamp !== undefined;
    if (known && !isGone && known.version === versionOf(object)) {
      const asked = askedBy(object);
      const isNews = known.asked !== asked && (asked !== undefined || !isTested(object));
      known.asked = asked;
      if (!isNews) return;
    }
    known?.endPoll?.();
    // What is asked now does not wait for what nobody asks any more, nor for a retry of that.
    known?.cancel.abort();
    this.#progress.delete(key);
    this.#queue.forget(key);
    if (isGone) {
      this.#written.delete(key);
      return;
    }
    this.#progress.set(key, { version: versionOf(object), asked: askedBy(object), isAnswered: false, failures: 0, exported: false, isPassing: false, refreshed: false, endPoll: undefined, cancel: new AbortController() });
    this.#queue.add(key);
  }

  async #reconcile(key: SinkKey): Promise<void> {
    const [family, cacheKey] = splitKey(key);
    const object = this.#options.caches[family].get(cacheKey);
    const progress = this.#progress.get(key);
    if (!object || !progress || progress.isAnswered) return;
    const previous = this.#statusOf(key, object);
    if (!isTested(object) && progress.asked === undefined) {
      const mended = progress.exported && hasFailed(previous) ? [exportedVerdict] : [];
      const conditions = keptConditions(object, previous, mended);
      if (JSON.stringify(conditions) !== JSON.stringify(previous?.conditions ?? [])) await this.#writeStatus(key, object, { conditions });
      this.#report(object, previous, mended);
      progress.isAnswered = true;
      progress.isPassing = mended.length === 0 && hasFailed(previous);
      this.#refresh(key, progress);
      return;
    }

    const secrets = new Map<string, string | undefined>();
    progress.exported = progress.isPassing = false;
    const signal = AbortSignal.any([this.#stopping.signal, progress.cancel.signal]);
    const outcome = await this.#probe(object, secrets, signal);
    // This answer is about what nobody has any more, or somebody else is to write it.
    if (signal.aborted) return;
    progress.endPoll?.();
    progress.endPoll = this.#options.poll.use(secrets, () => {
      progress.isAnswered = false;
      progress.failures = 0;
      this.#queue.add(key);
    });
    const now = new Date().toISOString();
    const conditions = conditionsOf(outcome.verdicts, previous?.conditions, object.metadata.generation, now);
    await this.#writeStatus(key, object, { conditions, observedGeneration: object.metadata.generation, lastProbeTime: now });
    this.#report(object, previous, outcome.verdicts);
    if (outcome.error === undefined) {
      if (!isTested(object)) await this.#dropAnnotation(family, object);
      progress.isAnswered = true;
      progress.failures = 0;
      if (!outcome.isPassing) progress.refreshed = false;
    } else if (outcome.isRepeatable) {
      const delayMs = retryDelayMs(outcome.error, progress.failures++, this.#options.retry);
      // The upper tenth by chance: sinks of one server must not come back in step.
      this.#queue.addAfter(key, delayMs * (1 - Math.random() / 10));
    } else {
      progress.isAnswered = true;
    }
    progress.isPassing = outcome.isPassing;
    this.#refresh(key, progress);
  }

  /** `secrets` gets the resourceVersion of each Secret that was asked for. */
  async #probe(object: KubeObject, secrets: Map<string, string | undefined>, signal: AbortSignal): Promise<ProbeOutcome> {
    const readSecret: ReadSecret = async (namespace, name) => {
      const secret = await this.#options.probe.readSecret(namespace, name);
      secrets.set(`${namespace}/${name}`, secret && (secret.metadata?.resourceVersion ?? ''));
      return secret;
    };
    return await probeObject(object, { ...this.#options.probe, readSecret, signal }, this.#options.observer);
  }

  /** Says once what changed, for people who look at events and logs. */
  #report(object: KubeObject, previous: SinkStatus | undefined, verdicts: readonly Verdict[]): void {
    const { events, logger } = this.#options;
    const verdict = verdicts.find(({ type }) => type === 'ConnectionVerified');
    const before = previous?.conditions?.find(({ type }) => type === 'ConnectionVerified');
    if (!verdict || (before?.status === verdict.status && before.reason === verdict.reason && before.message === verdict.message)) return;
    const { namespace, name } = object.metadata;
    const fields = { sink: `${object.kind} ${namespace ?? ''}/${name}`, message: verdict.message };
    if (verdict.status === 'True') {
      events.event(object, 'Normal', 'ConnectionVerified', verdict.message);
      logger.info('sink connection verified', fields);
    } else {
      events.event(object, 'Warning', verdict.reason, verdict.message);
      logger.warn('sink connection test failed', { ...fields, reason: verdict.reason });
    }
  }

  /** As it is in the cache, or as it was written here, whichever is newer. */
  #statusOf(key: SinkKey, { metadata, status }: KubeObject): SinkStatus | undefined {
    const written = this.#written.get(key);
    const isNewer = written?.metadata.uid === metadata.uid && isBefore(metadata.resourceVersion ?? '', written?.metadata.resourceVersion);
    return (isNewer ? written?.['status'] : status) as SinkStatus | undefined;
  }

  /** Writes what tests found. The preview is somebody else's. */
  async #writeStatus(key: SinkKey, object: KubeObject, status: Omit<SinkStatus, 'preview'>): Promise<void> {
    const [family] = splitKey(key);
    const written = await ignoreGone(patchStatusFields(this.#options.client, pluralOf(family), object, status));
    if (written && this.#progress.has(key)) this.#written.set(key, written);
  }

  /** The annotation asks for one test. Where every edit is tested anyway it stays, so that applying it again changes nothing. */
  async #dropAnnotation(family: SinkFamily, object: KubeObject): Promise<void> {
    const path = `/metadata/annotations/${annotations.testConnection.replace('/', '~1')}`;
    const body = [{ op: 'test', path, value: object.metadata.annotations?.[annotations.testConnection] }, { op: 'remove', path }];
    try {
      await this.#options.client.patch(kollectPath(pluralOf(family), object), { type: 'json', body });
    } catch (error) {
      // Gone, or it asks anew.
      if (!(error instanceof KubeApiError) || (error.status !== 404 && error.status !== 422)) throw error;
    }
  }
}

function versionOf({ metadata }: KubeObject): string {
  return `${metadata.uid}/${metadata.generation}`;
}

/** Whether a sink is tested without being asked. */
function isTested({ spec }: KubeObject): boolean {
  return (spec as SinkObject['spec'])['connectionTest'] !== false;
}

/** The annotation that asks for a test: each new value for another one, so that somebody can ask again where it stays. */
function askedBy({ metadata }: KubeObject): string | undefined {
  const value = metadata.annotations?.[annotations.testConnection]?.trim().toLowerCase();
  return value === '' || value === 'false' ? undefined : value;
}

function pluralOf(family: SinkFamily): string {
  return kindByName(sinkKinds[family])?.plural ?? '';
}

function splitKey(key: SinkKey): [SinkFamily, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash) as SinkFamily, key.slice(slash + 1)];
}
