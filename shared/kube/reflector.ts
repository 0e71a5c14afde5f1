import type { KubeObject } from '../api/kube-object.ts';
import type { Logger } from '../log.ts';
import { KubeApiError } from './api-error.ts';
import type { ObjectReader, Query } from './pages.ts';
import { splitLines } from './lines.ts';
import { inSlices, listPages } from './list.ts';
import { objectKey } from './object-key.ts';
import { Redelivery } from './redelivery.ts';
import { isBefore } from './resource-version.ts';
import { readWatchEvent } from './watch-event.ts';

export { listOnce } from './list.ts';

/** A watch without a bookmark for this long is taken for dead: the API server sends one a minute. */
const defaultIdleMs = 180_000;
const firstBackoffMs = 800;
const defaultLongestBackoffMs = 30_000;
/** Between two attempts while somebody waits. */
const hurriedPauseMs = 250;
/** A watch that held this long has earned a fresh backoff. */
const healthyMs = 120_000;
/** Events that are known when they come again. Older ones than these cost a list. */
const recentEvents = 100;
/** A watch that ends sooner and without a word is no watch, and is not opened again at once. */
const shortestWatchMs = 1_000;

export type ReflectorPhase = 'Pending' | 'Syncing' | 'Synced' | 'Failed';

export interface ReflectorState {
  phase: ReflectorPhase;
  /** Reason of the API server, such as `Forbidden` or `NotFound`. */
  reason?: string | undefined;
  message?: string | undefined;
  /** Monotonic milliseconds. */
  since: number;
}

/**
 * Who is told. Objects are handed over as they arrive and kept nowhere.
 *
 * Between `listStarted` and `listCompleted` every object that exists is `listed`; what is not is gone. A list that is begun anew starts with another
 * `listStarted`, and what came before does not count. After `Failed` a complete list follows before `Synced`.
 *
 * An object that was deleted and created again under its name comes as `deleted` with the old uid and `changed` with the new one, so keep by uid.
 *
 * Handlers do not throw. If one does, it is logged, the stream goes on, and the object is read again and handed over until it is taken, so that no key
 * is lost. `listCompleted` names the keys (`objectKey`) of what was listed and not taken: they exist, so spare them in a sweep. The watch
 * begins when it has resolved, and the list is repeated when it rejects.
 */
export interface ReflectorHandler {
  listStarted(epoch: number): void;
  listed(object: KubeObject, epoch: number): void;
  listCompleted(epoch: number, resourceVersion: string, untaken: ReadonlySet<string>): void | Promise<void>;
  changed(object: KubeObject): void;
  deleted(object: KubeObject): void;
  stateChanged(state: ReflectorState): void;
}

/** What happened, for metrics. A watch that is opened is `watch`, one that the API server has granted `watching`. */
export type ReflectorObserver = (
  event: 'list' | 'relist' | 'list-restart' | 'watch' | 'watching' | 'broken-line' | 'stale-event' | 'idle' | 'expired' | 'error' | 'handler-error',
) => void;

/** How patient a reflector is, and how much it asks for at a time. */
export interface ReflectorPace {
  /** Milliseconds of silence after which a watch is taken for dead; 180,000 when unset. */
  idleMs?: number | undefined;
  /** Most milliseconds between two attempts; 30,000 when unset. */
  longestBackoffMs?: number | undefined;
  /** Objects a page; 500 when unset. */
  pageSize?: number | undefined;
}

export interface ReflectorOptions extends ReflectorPace {
  client: ObjectReader;
  /** Collection path, such as `/apis/apps/v1/deployments`. */
  path: string;
  name: string;
  /** Part of the keys of objects that have no uid, see `objectKey`. */
  resource?: { group: string; plural: string } | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  handler: ReflectorHandler;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** Milliseconds between two lists, 25 % more or less, in place of a watch. Watches when unset. */
  pollMs?: number | undefined;
}

/** Lists, then watches from there, for as long as it runs. Every failure is waited out and followed by the smallest repair. */
export class Reflector {
  readonly #options: ReflectorOptions;
  readonly #redelivery: Redelivery;
  #state: ReflectorState = { phase: 'Pending', since: performance.now() };
  #abort: AbortController | undefined;
  #running: Promise<void> = Promise.resolve();
  #epoch = 0;
  #backoffMs = firstBackoffMs;
  /** Monotonic milliseconds. */
  #hurriedUntil = 0;
  #hurried: AbortController | undefined;
  /** Where the watch resumes; undefined: a list is due. */
  #resourceVersion: string | undefined;
  /** Versions of the last events. */
  readonly #recent = new Set<string>();
  #connection: AbortController | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
    this.#redelivery = new Redelivery({ ...options, relist: () => this.#relist() });
  }

  get state(): ReflectorState {
    return this.#state;
  }

  /** All that happened up to this version was handed over; undefined while a list is due. */
  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  start(): void {
    if (this.#abort && !this.#abort.signal.aborted) return;
    this.#abort = new AbortController();
    const { signal } = this.#abort;
    this.#running = this.#running.then(() => this.#run(signal));
  }

  /** Somebody waits: for so many milliseconds what failed is soon tried again. */
  hurry(ms: number): void {
    this.#hurriedUntil = Math.max(this.#hurriedUntil, performance.now() + ms);
    this.#hurried?.abort();
  }

  /** From here on the handler is not called any more. Resolves when nothing is open. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    this.#redelivery.stop();
    await this.#running;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const since = performance.now();
      let failure: unknown;
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        const { pollMs } = this.#options;
        if (!signal.aborted) await (pollMs === undefined ? this.#watch(signal) : this.#rest(signal, pollMs));
      } catch (error) {
        failure = error ?? new Error('unknown');
      }
      if (signal.aborted) return;
      if (performance.now() - since > healthyMs) this.#backoffMs = firstBackoffMs;
      if (failure !== undefined) await this.#recover(failure, signal);
    }
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { logger, name, observe, longestBackoffMs = defaultLongestBackoffMs } = this.#options;
    const { status, reason, retryAfterMs = 0, expired } = error instanceof KubeApiError ? error : new KubeApiError(0, 'Internal', String(error));
    if (expired) {
      observe?.('expired');
      logger.info('the watch has expired, listing again', { resource: name });
      this.#resourceVersion = undefined;
    } else {
      observe?.(reason === 'BrokenLine' ? 'broken-line' : reason === 'Idle' ? 'idle' : 'error');
      const message = error instanceof Error ? error.message : String(error);
      // Lost access or a lost resource is a state to be shown; a broken connection is not, until listing fails too.
      if (this.#resourceVersion === undefined || status === 403 || status === 404) {
        this.#setState(signal, { phase: 'Failed', reason: reason || `HTTP ${status}`, message });
      }
      // What comes back after it was gone begins with new versions. Access that comes back goes on, see #watch.
      if (status === 404) this.#resourceVersion = undefined;
      logger.warn('watch failed, will be repeated', { resource: name, status, reason, error: message });
    }
    const delayMs = Math.max(retryAfterMs, Math.random() * this.#backoffMs);
    this.#backoffMs = Math.min(longestBackoffMs, this.#backoffMs * 2);
    const leastMs = Math.min(delayMs, Math.max(retryAfterMs, hurriedPauseMs));
    await sleep(leastMs, signal);
    if (performance.now() < this.#hurriedUntil) return;
    this.#hurried = new AbortController();
    await sleep(delayMs - leastMs, AbortSignal.any([signal, this.#hurried.signal]));
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, path, resource, handler, observe, pageSize } = this.#options;
    observe?.(this.#epoch === 0 ? 'list' : 'relist');
    if (this.#state.phase === 'Pending') this.#setState(signal, { phase: 'Syncing' });
    let epoch = 0;
    let resourceVersion = '';
    const untaken = new Set<string>();
    const begin = (): void => {
      epoch = ++this.#epoch;
      untaken.clear();
      this.#call(signal, () => handler.listStarted(epoch));
    };
    const restarted = (): void => {
      observe?.('list-restart');
      begin();
    };
    for await (const page of listPages(client, path, { ...this.#selectors(), pageSize, signal, restarted })) {
      if (signal.aborted) return;
      if (epoch === 0) {
        // Not before: what is still forbidden or gone would flap between two states at every attempt.
        if (this.#state.phase === 'Failed') this.#setState(signal, { phase: 'Syncing' });
        begin();
      }
      resourceVersion = page.resourceVersion;
      await inSlices(page.items, signal, (object) => {
        if (!this.#hand(signal, object, 'changed', () => handler.listed(object, epoch))) untaken.add(objectKey(object, resource));
      });
    }
    if (signal.aborted) return;
    let completed: void | Promise<void> = undefined;
    this.#call(signal, () => (completed = handler.listCompleted(epoch, resourceVersion, untaken)));
    await completed;
    if (signal.aborted) return;
    this.#redelivery.retain(untaken);
    this.#resourceVersion = resourceVersion;
    this.#setState(signal, { phase: 'Synced' });
  }

  /** Until the next list of a resource that is not watched. */
  async #rest(signal: AbortSignal, pollMs: number): Promise<void> {
    const connection = new AbortController();
    this.#connection = connection;
    await sleep(pollMs * (0.75 + Math.random() / 2), AbortSignal.any([signal, connection.signal]));
    this.#resourceVersion = undefined;
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, path, observe, idleMs = defaultIdleMs } = this.#options;
    observe?.('watch');
    const connection = new AbortController();
    this.#connection = connection;
    const timer = setTimeout(() => connection.abort(new KubeApiError(0, 'Idle', `no event and no bookmark for ${idleMs / 1000} s`)), idleMs);
    const since = performance.now();
    let events = 0;
    try {
      const query = {
        ...this.#selectors(),
        resourceVersion: this.#resourceVersion,
        allowWatchBookmarks: true,
        // Random, so that the watches of many controllers do not end together.
        timeoutSeconds: Math.round(300 + Math.random() * 300),
      };
      const stream = await client.watch(path, query, AbortSignal.any([signal, connection.signal]));
      if (signal.aborted) return;
      observe?.('watching');
      if (this.#state.phase === 'Failed') {
        // Access is back. Whoever was told of the failure is told by a list what holds now.
        this.#resourceVersion = undefined;
        return;
      }
      for await (const line of splitLines(stream)) {
        if (signal.aborted) return;
        timer.refresh();
        events++;
        this.#event(signal, line);
        if (this.#resourceVersion === undefined) return;
      }
    } catch (error) {
      throw connection.signal.aborted ? connection.signal.reason : error;
    } finally {
      clearTimeout(timer);
      connection.abort();
    }
    if (events === 0 && performance.now() - since < shortestWatchMs) throw new KubeApiError(0, 'ShortWatch', 'the watch was closed at once');
  }

  #event(signal: AbortSignal, line: string): void {
    const { handler, observe } = this.#options;
    const { type, object } = readWatchEvent(line, this.#options.client.type);
    const { resourceVersion } = object.metadata;
    if (resourceVersion !== undefined && isBefore(resourceVersion, this.#resourceVersion)) {
      // The API server sends each version once and in order. A repetition would bring back what was deleted since.
      observe?.('stale-event');
      if (this.#recent.has(resourceVersion)) return;
      throw new KubeApiError(410, 'Expired', 'an event came late: what else is missing, only a list can tell');
    }
    if (resourceVersion !== undefined) this.#remember(resourceVersion);
    if (type === 'DELETED') this.#hand(signal, object, 'deleted', () => handler.deleted(object));
    else if (type !== 'BOOKMARK') this.#hand(signal, object, 'changed', () => handler.changed(object));
    if (resourceVersion && this.#resourceVersion !== undefined) this.#resourceVersion = resourceVersion;
  }

  #remember(resourceVersion: string): void {
    this.#recent.add(resourceVersion);
    const [oldest] = this.#recent;
    if (this.#recent.size > recentEvents && oldest !== undefined) this.#recent.delete(oldest);
  }

  /** Everything is listed again as soon as the watch has ended. */
  #relist(): void {
    this.#resourceVersion = undefined;
    this.#connection?.abort(new KubeApiError(410, 'Expired', 'a new list is wanted'));
  }

  #selectors(): Query {
    return { labelSelector: this.#options.labelSelector, fieldSelector: this.#options.fieldSelector };
  }

  #setState(signal: AbortSignal, state: Omit<ReflectorState, 'since'>): void {
    if (state.phase === this.#state.phase && state.reason === this.#state.reason && state.message === this.#state.message) return;
    this.#state = { ...state, since: performance.now() };
    this.#call(signal, () => this.#options.handler.stateChanged(this.#state));
  }

  #hand(signal: AbortSignal, object: KubeObject, how: 'changed' | 'deleted', work: () => void): boolean {
    const taken = this.#call(signal, work);
    if (taken) this.#redelivery.taken(object);
    else this.#redelivery.add(object, how);
    return taken;
  }

  #call(signal: AbortSignal, work: () => void): boolean {
    if (signal.aborted) return true;
    try {
      work();
      return true;
    } catch (error) {
      this.#options.observe?.('handler-error');
      this.#options.logger.error('a handler of the watch failed', { resource: this.#options.name, error });
      return false;
    }
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done, { once: true });
    if (signal.aborted) done();
  });
}
