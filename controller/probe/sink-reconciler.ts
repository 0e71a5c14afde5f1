import { annotations } from '../../shared/api/annotations.ts';
import { kindByName } from '../../shared/api/kinds.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { SinkStatus } from '../../shared/api/sink-common.ts';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { EventRecorder } from '../../shared/kube/events.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { kollectPath } from '../../shared/kube/paths.ts';
import { patchStatus } from '../../shared/kube/status.ts';
import { WorkQueue } from '../../shared/kube/work-queue.ts';
import type { Logger } from '../../shared/log.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import { sinkKinds } from '../sink-directory.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import type { SinkObject } from '../sinks/runtime/open-sink.ts';
import type { SecretPoll } from '../sinks/runtime/secret-poll.ts';
import type { ReadSecret } from '../sinks/runtime/secrets.ts';
import { probeObject, tlsVerdicts, type ProbeObserver, type ProbeOptions, type ProbeOutcome } from './sink-prober.ts';

/** A failed test is repeated after 30 s, then after twice as long each time, up to 10 min: it must recover without an edit. */
const defaultRetry = { firstMs: 30_000, lastMs: 600_000 };
/** Tests at a time. */
const concurrency = 4;

export interface SinkReconcilerOptions {
  client: KubeClient;
  caches: Record<SinkFamily, ObjectCache<KubeObject>>;
  probe: Pick<ProbeOptions, 'readSecret' | 'policy' | 'mapHosts' | 'load'>;
  poll: SecretPoll;
  events: EventRecorder;
  logger: Logger;
  observer?: ProbeObserver | undefined;
  retry?: { firstMs: number; lastMs: number } | undefined;
}

type SinkKey = `${SinkFamily}/${string}/${string}`;

interface Progress {
  /** What was asked for last: uid, generation and annotation. A write of status changes none of them. */
  request: string;
  /** The request that was answered. */
  answered: string | undefined;
  failures: number;
  /** An export has succeeded since the last test began. */
  exported: boolean;
  /** What the last test said does not go with an export that succeeds. */
  isPassing: boolean;
  /** It was tested again because of one, and that is not done for each. */
  refreshed: boolean;
  /** Ends the looks at the Secrets that the last test read. */
  endPoll: (() => void) | undefined;
}

/** Tests sinks when they are created, edited or annotated, and says in their conditions what came of it. */
export class SinkReconciler {
  readonly #options: SinkReconcilerOptions;
  readonly #queue: WorkQueue<SinkKey>;
  readonly #progress = new Map<SinkKey, Progress>();
  readonly #stopping = new AbortController();
  #unsubscribe: (() => void)[] = [];

  constructor(options: SinkReconcilerOptions) {
    this.#options = options;
    this.#queue = new WorkQueue({ name: 'sink', reconcile: (key) => this.#reconcile(key), logger: options.logger, concurrency });
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
    progress.answered = undefined;
    this.#queue.forget(key);
    this.#queue.add(key);
  }

  #changed(key: SinkKey, object: KubeObject | undefined): void {
    if (object === undefined || object.metadata.deletionTimestamp) {
      this.#progress.get(key)?.endPoll?.();
      this.#progress.delete(key);
      this.#queue.forget(key);
      return;
    }
    const request = requestOf(object);
    if (this.#progress.get(key)?.request === request) return;
    this.#progress.get(key)?.endPoll?.();
    this.#progress.set(key, { request, answered: undefined, failures: 0, exported: false, isPassing: false, refreshed: false, endPoll: undefined });
    // A retry that waits belongs to the request before.
    this.#queue.forget(key);
    this.#queue.add(key);
  }

  async #reconcile(key: SinkKey): Promise<void> {
    const [family, cacheKey] = splitKey(key);
    const object = this.#options.caches[family].get(cacheKey);
    const progress = this.#progress.get(key);
    if (!object || !progress || progress.answered === progress.request) return;
    const { request } = progress;
    const spec = object['spec'] as SinkObject['spec'];
    const previous = object['status'] as SinkStatus | undefined;
    if (spec['connectionTest'] === false && !isAsked(object)) {
      await this.#writeStatus(family, object, { ...previous, ...keepVerdicts(object, previous) });
      progress.answered = request;
      return;
    }

    const secrets = new Map<string, string | undefined>();
    progress.exported = progress.isPassing = false;
    const outcome = await this.#probe(object, secrets);
    if (this.#stopping.signal.aborted) return;
    // Edited meanwhile: that request is in the queue, and this answer is about what nobody has any more.
    if (this.#progress.get(key)?.request !== request) return;
    progress.endPoll?.();
    progress.endPoll = this.#options.poll.use(secrets, () => {
      progress.answered = undefined;
      progress.failures = 0;
      this.#queue.add(key);
    });
    const now = new Date().toISOString();
    const conditions = conditionsOf(outcome.verdicts, previous?.conditions, object.metadata.generation, now);
    // What others have written of it while the test ran stays.
    const latest = this.#options.caches[family].get(cacheKey)?.['status'] as SinkStatus | undefined;
    await this.#writeStatus(family, object, { ...latest, conditions, observedGeneration: object.metadata.generation, lastProbeTime: now });
    this.#report(object, previous, outcome.verdicts);
    if (outcome.error === undefined) {
      if (spec['connectionTest'] === false) await this.#dropAnnotation(family, object);
      progress.answered = request;
      progress.failures = 0;
      if (!outcome.isPassing) progress.refreshed = false;
    } else if (outcome.isRepeatable) {
      const { firstMs, lastMs } = this.#options.retry ?? defaultRetry;
      const delayMs = Math.min(lastMs, firstMs * 2 ** progress.failures++);
      // The upper tenth by chance: sinks of one server must not come back in step.
      this.#queue.addAfter(key, delayMs * (1 - Math.random() / 10));
    } else {
      progress.answered = request;
    }
    progress.isPassing = outcome.isPassing;
    this.#refresh(key, progress);
  }

  /** `secrets` gets the resourceVersion of each Secret that was asked for. */
  async #probe(object: KubeObject, secrets: Map<string, string | undefined>): Promise<ProbeOutcome> {
    const readSecret: ReadSecret = async (namespace, name) => {
      const secret = await this.#options.probe.readSecret(namespace, name);
      secrets.set(`${namespace}/${name}`, secret && (secret.metadata?.resourceVersion ?? ''));
      return secret;
    };
    return await probeObject(object, { ...this.#options.probe, readSecret, signal: this.#stopping.signal }, this.#options.observer);
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

  async #writeStatus(family: SinkFamily, object: KubeObject, status: SinkStatus): Promise<void> {
    if (JSON.stringify(status) === JSON.stringify(object['status'] ?? {})) return;
    await ignoreGone(patchStatus(this.#options.client, pluralOf(family), object, status));
  }

  /** The annotation asks for one test. Where every edit is tested anyway it stays, so that applying it again changes nothing. */
  async #dropAnnotation(family: SinkFamily, object: KubeObject): Promise<void> {
    const body = { metadata: { annotations: { [annotations.testConnection]: null } } };
    await ignoreGone(this.#options.client.patch(kollectPath(pluralOf(family), object), { type: 'merge', body }));
  }
}

function requestOf({ metadata }: KubeObject): string {
  return JSON.stringify([metadata.uid, metadata.generation, metadata.annotations?.[annotations.testConnection]]);
}

function isAsked({ metadata }: KubeObject): boolean {
  return metadata.annotations?.[annotations.testConnection]?.trim().toLowerCase() === 'true';
}

/** What earlier tests found stays; what the spec alone decides is brought up to date. */
function keepVerdicts(object: KubeObject, previous: SinkStatus | undefined): Pick<SinkStatus, 'conditions'> {
  const kept = (previous?.conditions ?? []).filter(({ type }) => type !== 'TLSInsecure');
  const tls = conditionsOf(tlsVerdicts({ spec: object['spec'] as SinkObject['spec'] }), previous?.conditions, object.metadata.generation, new Date().toISOString());
  if (tls.length === 0 && kept.length === (previous?.conditions ?? []).length) return {};
  return { conditions: [...kept, ...tls] };
}

function pluralOf(family: SinkFamily): string {
  return kindByName(sinkKinds[family])?.plural ?? '';
}

function splitKey(key: SinkKey): [SinkFamily, string] {
  const slash = key.indexOf('/');
  return [key.slice(0, slash) as SinkFamily, key.slice(slash + 1)];
}

/** The object was deleted meanwhile. */
async function ignoreGone(work: Promise<unknown>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
  }
}
