import type { KubeObject } from '../api/kube-object.ts';
import type { Logger } from '../log.ts';
import { KubeApiError, type KubeClient, type Page, type Query } from './client.ts';
import { parseJson } from './json.ts';
import { splitLines } from './lines.ts';

/** A busy page is left to others after this long. */
const sliceMs = 15;
/** A watch without a bookmark for this long is taken for dead: the API server sends one a minute. */
const defaultIdleMs = 180_000;
const firstBackoffMs = 800;
const lastBackoffMs = 30_000;
/** A watch that held this long has earned a fresh backoff. */
const healthyMs = 120_000;

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
 * Who is told. Objects are handed over as they arrive and kept nowhere. Between `listStarted` and `listCompleted` every object that
 * exists is `listed` once; what is not is gone. An object that was deleted and created again under its name comes as `deleted` with the old uid
 * and `changed` with the new one, so keep by uid. A handler that throws is logged and does not stop the stream.
 */
export interface ReflectorHandler {
  listStarted(epoch: number): void;
  listed(object: KubeObject, epoch: number): void;
  listCompleted(epoch: number, resourceVersion: string): void;
  changed(object: KubeObject): void;
  deleted(object: KubeObject): void;
  stateChanged(state: ReflectorState): void;
}

/** Counts of what happened, for metrics. */
export type ReflectorObserver = (event: 'list' | 'relist' | 'watch' | 'broken-line' | 'idle' | 'expired' | 'error' | 'handler-error') => void;

export interface ReflectorOptions {
  client: KubeClient;
  /** Collection path, such as `/apis/apps/v1/deployments`. */
  path: string;
  name: string;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  handler: ReflectorHandler;
  logger: Logger;
  observe?: ReflectorObserver | undefined;
  /** Milliseconds of silence after which a watch is taken for dead; 180,000 when unset. */
  idleMs?: number | undefined;
}

interface WatchEvent {
  type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  object: KubeObject & { code?: number; reason?: string; message?: string };
}

/** Lists, then watches from there, for as long as it runs. Every failure is waited out and followed by the smallest repair. */
export class Reflector {
  readonly #options: ReflectorOptions;
  #state: ReflectorState = { phase: 'Pending', since: performance.now() };
  #abort: AbortController | undefined;
  #running: Promise<void> | undefined;
  #epoch = 0;
  #backoffMs = firstBackoffMs;
  /** Where the watch resumes; undefined: a list is due. */
  #resourceVersion: string | undefined;

  constructor(options: ReflectorOptions) {
    this.#options = options;
  }

  get state(): ReflectorState {
    return this.#state;
  }

  start(): void {
    if (this.#running) return;
    this.#abort = new AbortController();
    this.#running = this.#run(this.#abort.signal);
  }

  /** After this resolves the handler is not called any more. */
  async stop(): Promise<void> {
    this.#abort?.abort();
    await this.#running;
    this.#running = undefined;
  }

  async #run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const since = performance.now();
      try {
        if (this.#resourceVersion === undefined) await this.#list(signal);
        if (!signal.aborted) await this.#watch(signal);
        this.#backoffMs = firstBackoffMs;
      } catch (error) {
        if (signal.aborted) return;
        if (performance.now() - since > healthyMs) this.#backoffMs = firstBackoffMs;
        await this.#recover(error, signal);
      }
    }
  }

  async #recover(error: unknown, signal: AbortSignal): Promise<void> {
    const { logger, name, observe } = this.#options;
    if (isExpired(error)) {
      observe?.('expired');
      logger.info('the watch has expired, listing again', { resource: name });
      this.#resourceVersion = undefined;
    } else {
      observe?.('error');
      const { status = 0, reason = '' } = error instanceof KubeApiError ? error : {};
      const message = error instanceof Error ? error.message : String(error);
      // Lost access or a lost resource is a state to be shown; a broken connection is not, until listing fails too.
      if (this.#resourceVersion === undefined || status === 403 || status === 404) {
        this.#setState({ phase: 'Failed', reason: reason || `HTTP ${status}`, message });
        if (status === 403 || status === 404) this.#resourceVersion = undefined;
      }
      logger.warn('watch failed, will be repeated', { resource: name, status, error: message });
    }
    const delayMs = error instanceof KubeApiError && error.retryAfterMs !== undefined ? error.retryAfterMs : Math.random() * this.#backoffMs;
    this.#backoffMs = Math.min(lastBackoffMs, this.#backoffMs * 2);
    await sleep(delayMs, signal);
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { client, path, handler, observe } = this.#options;
    const epoch = ++this.#epoch;
    observe?.(epoch === 1 ? 'list' : 'relist');
    if (this.#state.phase !== 'Synced') this.#setState({ phase: 'Syncing' });
    this.#call(() => handler.listStarted(epoch));
    let resourceVersion = '';
    for await (const page of pages(client, path, this.#selectors(), signal)) {
      if (signal.aborted) return;
      resourceVersion = page.resourceVersion;
      await inSlices(page.items, signal, (object) => this.#call(() => handler.listed(object, epoch)));
    }
    if (signal.aborted) return;
    this.#call(() => handler.listCompleted(epoch, resourceVersion));
    this.#resourceVersion = resourceVersion;
    this.#setState({ phase: 'Synced' });
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { client, path, observe, idleMs = defaultIdleMs } = this.#options;
    observe?.('watch');
    const connection = new AbortController();
    const stop = (): void => connection.abort();
    signal.addEventListener('abort', stop, { once: true });
    let timer = setTimeout(stop, idleMs);
    try {
      const query = {
        ...this.#selectors(),
        resourceVersion: this.#resourceVersion,
        allowWatchBookmarks: true,
        // Random, so that the watches of many controllers do not end together.
        timeoutSeconds: Math.round(300 + Math.random() * 300),
      };
      const stream = await client.watch(path, query, connection.signal);
      if (this.#state.phase !== 'Synced') this.#setState({ phase: 'Synced' });
      for await (const line of splitLines(stream)) {
        if (signal.aborted) return;
        clearTimeout(timer);
        timer = setTimeout(stop, idleMs);
        this.#event(line);
      }
    } catch (error) {
      if (connection.signal.aborted && !signal.aborted) {
        observe?.('idle');
        throw new KubeApiError(0, 'Idle', `no event and no bookmark for ${idleMs / 1000} s`);
      }
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
      connection.abort();
    }
  }

  #event(line: string): void {
    const { handler, observe } = this.#options;
    let event: WatchEvent;
    try {
      event = parseJson(line) as WatchEvent;
    } catch (error) {
      // What follows a broken line cannot be trusted; the watch resumes from the last version that was read.
      observe?.('broken-line');
      throw new KubeApiError(0, 'BrokenLine', `a line of the watch of ${line.length} characters is no JSON`, { cause: error });
    }
    const { type, object } = event;
    if (type === 'ERROR') throw new KubeApiError(object.code ?? 0, object.reason ?? '', object.message ?? 'the watch reported an error');
    if (type !== 'BOOKMARK') {
      delete (object.metadata as { managedFields?: unknown }).managedFields;
      this.#call(() => (type === 'DELETED' ? handler.deleted(object) : handler.changed(object)));
    }
    if (object.metadata.resourceVersion) this.#resourceVersion = object.metadata.resourceVersion;
  }

  #selectors(): Query {
    return { labelSelector: this.#options.labelSelector, fieldSelector: this.#options.fieldSelector };
  }

  #setState(state: Omit<ReflectorState, 'since'>): void {
    if (state.phase === this.#state.phase && state.message === this.#state.message) return;
    this.#state = { ...state, since: performance.now() };
    this.#call(() => this.#options.handler.stateChanged(this.#state));
  }

  #call(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#options.observe?.('handler-error');
      this.#options.logger.error('a handler of the watch failed', { resource: this.#options.name, error });
    }
  }
}

/**
 * Lists once, beside a running watch, in the same pages and slices. Rejects when the list could not be completed; what was handed over until then is
 * no proof of anything.
 */
export async function listOnce(
  client: KubeClient,
  path: string,
  options: { labelSelector?: string; fieldSelector?: string; signal: AbortSignal },
  onObject: (object: KubeObject) => void,
): Promise<void> {
  const { signal, ...selectors } = options;
  for await (const page of pages(client, path, selectors, signal)) await inSlices(page.items, signal, onObject);
  signal.throwIfAborted();
}

/**
 * Pages of 500. A list whose `continue` token expires cannot go on from there: the caller's attempt fails and the next one begins anew; from the
 * third on it asks for everything at once.
 */
async function* pages(client: KubeClient, path: string, query: Query, signal: AbortSignal): AsyncGenerator<Page> {
  let lost = 0;
  for (;;) {
    let token: string | undefined;
    try {
      do {
        const paged = lost < 2 ? { limit: 500, continue: token } : { resourceVersion: '0' };
        const page = await client.page(path, { ...query, ...paged }, signal);
        yield page;
        token = page.continue;
      } while (token !== undefined);
      return;
    } catch (error) {
      if (!isExpired(error) || token === undefined) throw error;
      // Objects of the pages before are handed over again, which changes nothing: their rows are equal.
      lost++;
    }
  }
}

async function inSlices(items: readonly KubeObject[], signal: AbortSignal, work: (object: KubeObject) => void): Promise<void> {
  let since = performance.now();
  for (const item of items) {
    if (signal.aborted) return;
    work(item);
    if (performance.now() - since > sliceMs) {
      await new Promise((resolve) => setImmediate(resolve));
      since = performance.now();
    }
  }
}

function isExpired(error: unknown): boolean {
  if (!(error instanceof KubeApiError)) return false;
  return error.status === 410 || error.reason === 'Expired' || /too large resource version/i.test(error.message);
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
  });
}
