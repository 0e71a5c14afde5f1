import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { ApiResource } from '../../shared/kube/discovery.ts';
import { inSlices, listPages } from '../../shared/kube/list.ts';
import { objectKey } from '../../shared/kube/object-key.ts';
import type { ObjectReader } from '../../shared/kube/pages.ts';
import { isBefore, isComparable } from '../../shared/kube/resource-version.ts';
import type { Logger } from '../../shared/log.ts';
import type { ListSlots } from './list-slots.ts';
import type { Subscription } from './subscription.ts';

/** Differences that are remembered one by one. Whoever has more is listed again in any case. */
const remembered = 1_000;
/** A bookmark a minute takes the watch on where nothing changes. */
const catchUpMs = 180_000;
const lookMs = 250;
/** What namespaces say is acted on a moment after it is known. */
const settleMs = 1_000;
/** Rows that are looked at before others have their turn. */
const rowsOfATurn = 5_000;

/** An object without its row, a row that is older than its object, and a row without its object. */
export type Drift = 'missing' | 'stale' | 'gone';

/** What audits found, for metrics. `unfinished`: the list failed, or the watch was interrupted meanwhile. */
export interface AuditObserver {
  audited(resource: ApiResource, result: 'agreed' | 'drifted' | 'unfinished'): void;
  drifted(resource: ApiResource, drift: Drift, count: number): void;
}

export interface AuditOptions {
  /** Reads metadata only. */
  reader: ObjectReader;
  /** Those of the watch. */
  selectors: { labelSelector?: string | undefined; fieldSelector?: string | undefined };
  resource: ApiResource;
  /** The one namespace that is watched; all when unset. */
  namespace?: string | undefined;
  slots: ListSlots;
  logger: Logger;
  /** Milliseconds between two audits, 25 % more or less. Never when 0. */
  intervalMs: number;
  observe?: AuditObserver | undefined;
  /** Those whose rows are complete. */
  synced: () => Iterable<Subscription>;
  /** False while the watch, or a list beside it, is not complete. */
  mayRun: () => boolean;
  /** Everything up to this version has been handed over. */
  position: () => string | undefined;
  /** Lists namespaces again for a subscription. */
  mend: (subscription: Subscription, namespaces: readonly string[]) => void;
}

interface Suspect {
  drift: Drift;
  namespace: string;
  /** What the watch has to be past of, so that it cannot explain the difference any more. */
  version: string;
}

/** One comparison, and what looks different so far. */
interface Run {
  abort: AbortController;
  /** With the list that confirms the rows of each. */
  epochs: Map<Subscription, number>;
  suspects: Map<Subscription, Map<string, Suspect>>;
  /** Of these objects the watch has spoken meanwhile. */
  newer: Set<string>;
}

/**
 * Compares rows with a list of what exists, now and then: whatever a watch loses without a word is found by nothing else. What differs counts once the
 * watch is past the list and still does not explain it; then it is listed again.
 */
export class Audit {
  readonly #options: AuditOptions;
  #run: Run | undefined;
  #timer: NodeJS.Timeout | undefined;
  #stopped = false;

  constructor(options: AuditOptions) {
    this.#options = options;
  }

  start(): void {
    const { intervalMs, slots } = this.#options;
    if (intervalMs <= 0 || this.#stopped) return;
    this.#timer = setTimeout(() => {
      void slots.run(() => this.#audit()).finally(() => this.start());
    }, intervalMs * (0.75 + Math.random() / 2));
    this.#timer.unref();
  }

  stop(): void {
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.cancel();
  }

  /** The watch begins anew, which finds everything. */
  cancel(): void {
    this.#run?.abort.abort();
  }

  /** A subscription is listed again, or not fed any more. */
  forget(subscription: Subscription): void {
    this.#run?.epochs.delete(subscription);
    this.#run?.suspects.delete(subscription);
  }

  /** The watch tells of an object. */
  overtake(object: KubeObject): void {
    if (!this.#run) return;
    const uid = objectKey(object, this.#options.resource);
    this.#run.newer.add(uid);
    for (const suspects of this.#run.suspects.values()) suspects.delete(uid);
  }

  async #audit(): Promise<void> {
    const { resource, logger, observe, synced, mayRun } = this.#options;
    if (this.#stopped || !mayRun()) return;
    const run: Run = { abort: new AbortController(), epochs: new Map(), suspects: new Map(), newer: new Set() };
    for (const subscription of synced()) {
      run.epochs.set(subscription, subscription.rows.beginList());
      run.suspects.set(subscription, new Map());
    }
    this.#run = run;
    try {
      const version = await this.#compare(run);
      const caughtUp = await this.#caughtUp(run, version);
      if (this.#stopped) return;
      if (!caughtUp) observe?.audited(resource, 'unfinished');
      else observe?.audited(resource, this.#judge(run) ? 'drifted' : 'agreed');
    } catch (error) {
      if (this.#stopped) return;
      observe?.audited(resource, 'unfinished');
      if (!run.abort.signal.aborted) logger.info('an audit could not be finished', { resource: resource.plural, error: String(error) });
    } finally {
      this.#run = undefined;
    }
  }

  /** Gives the version of the list. */
  async #compare(run: Run): Promise<string> {
    const { reader, selectors, resource, namespace } = this.#options;
    const { signal } = run.abort;
    const restarted = (): void => {
      for (const subscription of run.epochs.keys()) run.epochs.set(subscription, subscription.rows.beginList());
      for (const suspects of run.suspects.values()) suspects.clear();
    };
    let version = '';
    for await (const page of listPages(reader, resource.path(namespace), { ...selectors, signal, restarted })) {
      version = page.resourceVersion;
      await inSlices(page.items, signal, (object) => {
        for (const [subscription, epoch] of run.epochs) compare(object, subscription, epoch, run);
      });
      signal.throwIfAborted();
    }
    let looked = 0;
    for (const [subscription, epoch] of run.epochs) {
      for (const row of subscription.rows.unconfirmed(epoch, namespace)) {
        if (row !== undefined) suspect(run, subscription, row.uid, { drift: 'gone', namespace: row.namespace, version });
        if (++looked % rowsOfATurn === 0) await nextTurn();
      }
    }
    signal.throwIfAborted();
    return version;
  }

  /** Waits until the watch is past everything that looks different. False when that does not happen. */
  async #caughtUp(run: Run, version: string): Promise<boolean> {
    if (!isComparable(version)) return false;
    if (run.suspects.values().every(({ size }) => size === 0)) return true;
    await pause(settleMs, undefined, { ref: false });
    const until = performance.now() + catchUpMs;
    const isPast = ({ version: wanted }: Suspect): boolean => {
      const position = this.#options.position();
      return position !== undefined && isComparable(position) && !isBefore(position, wanted);
    };
    while (!run.suspects.values().every((suspects) => suspects.values().every(isPast))) {
      if (performance.now() > until) return false;
      await pause(lookMs, undefined, { ref: false });
      run.abort.signal.throwIfAborted();
    }
    run.abort.signal.throwIfAborted();
    return true;
  }

  /** True when something differs. */
  #judge(run: Run): boolean {
    const { resource, logger, observe, mend } = this.#options;
    let drifted = false;
    for (const [subscription, suspects] of run.suspects) {
      const real = [...suspects].filter(([uid, suspicion]) => holds(subscription, uid, suspicion, run.epochs.get(subscription)));
      if (real.length === 0) continue;
      drifted = true;
      const found = Map.groupBy(real, ([, { drift }]) => drift);
      for (const [drift, { length }] of found) observe?.drifted(resource, drift, length);
      const target = `${subscription.rows.namespace}/${subscription.rows.name}`;
      logger.warn('rows differ from what exists, listing again', { resource: resource.plural, target, ...Object.fromEntries([...found].map(([drift, { length }]) => [drift, length])) });
      mend(subscription, [...new Set(real.map(([, { namespace }]) => namespace))]);
    }
    return drifted;
  }
}

function compare(object: KubeObject, subscription: Subscription, epoch: number, run: Run): void {
  const { namespace = '', resourceVersion: version = '' } = object.metadata;
  const uid = subscription.keyOf(object);
  const row = subscription.rows.get(namespace, uid);
  const wanted = subscription.wantsByMetadata(object);
  if (row && wanted !== false) {
    subscription.rows.confirm(namespace, uid, epoch);
    if (isBefore(row.resourceVersion, version) && !subscription.cannotRead(uid)) suspect(run, subscription, uid, { drift: 'stale', namespace, version });
  } else if (!row && wanted === true && !subscription.rows.refused.any && !subscription.cannotRead(uid)) {
    suspect(run, subscription, uid, { drift: 'missing', namespace, version });
  }
}

function suspect({ newer, suspects }: Run, subscription: Subscription, uid: string, suspicion: Suspect): void {
  const found = suspects.get(subscription);
  if (found && found.size < remembered && !newer.has(uid)) found.set(uid, suspicion);
}

/** Whether a difference is still there. */
function holds(subscription: Subscription, uid: string, { drift, namespace, version }: Suspect, epoch: number | undefined): boolean {
  const row = subscription.rows.get(namespace, uid);
  if (drift === 'missing') return row === undefined && (namespace === '' || subscription.includes(namespace));
  if (row === undefined) return false;
  return drift === 'stale' ? isBefore(row.resourceVersion, version) : row.epoch < (epoch ?? 0);
}
