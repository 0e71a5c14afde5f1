import { setImmediate as nextTurn } from 'node:timers/promises';
import type { KubeObject } from '../api/kube-object.ts';
import { inTurns } from '../in-turns.ts';
import { KubeApiError } from './api-error.ts';
import { pageBytes, type ObjectReader, type Page, type Query } from './pages.ts';
import { splitLines } from './lines.ts';
import { readWatchEvent } from './watch-event.ts';

/** Lists at one version that may be lost before another way is taken. */
const pagedAttempts = 2;
const streamedPage = 500;
/** Longer than any API server takes to send everything that it has in memory. */
const streamSeconds = 600;
const streamIdleMs = 60_000;

export interface ListPagesOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /** Objects a page; 500 when unset. */
  pageSize?: number | undefined;
  signal: AbortSignal;
  /** Everything begins anew: what was handed over until now may be gone, and does not count for completeness. */
  restarted: () => void;
}

/**
 * All pages of a list. A list that takes longer than the API server remembers versions is begun anew, and when that happens again, taken from the
 * server's memory: as a stream, or in one piece where the server cannot stream. The `resourceVersion` of the last page is where a watch goes on.
 */
export async function* listPages(client: ObjectReader, path: string, options: ListPagesOptions): AsyncGenerator<Page> {
  const { signal, pageSize, restarted, labelSelector, fieldSelector } = options;
  const selectors: Query = { labelSelector, fieldSelector };
  let seen = '';
  for (let attempt = 0; attempt < pagedAttempts; attempt++) {
    if (attempt > 0) restarted();
    seen = '';
    try {
      for await (const page of client.list(path, selectors, { pageSize, signal })) {
        seen = page.resourceVersion;
        yield page;
      }
      return;
    } catch (error) {
      if (seen === '' || !isExpired(error)) throw error;
    }
  }
  restarted();
  // Never older than what was seen: one of several API servers may lag behind.
  const fresh: Query = { ...selectors, resourceVersion: seen, resourceVersionMatch: 'NotOlderThan' };
  let streamed = 0;
  try {
    for await (const page of streamedPages(client, path, fresh, signal)) {
      streamed++;
      yield page;
    }
  } catch (error) {
    const refused = error instanceof KubeApiError && (error.status === 400 || error.status === 422);
    if (streamed > 0 || !refused) throw error;
    yield await client.page(path, fresh, signal);
  }
}

/** A watch that begins with everything that exists and says where that ends. */
async function* streamedPages(client: ObjectReader, path: string, query: Query, signal: AbortSignal): AsyncGenerator<Page> {
  const connection = new AbortController();
  const idle = setTimeout(() => connection.abort(new KubeApiError(0, 'Idle', `${path}: the list stalled`)), streamIdleMs);
  const streaming = { ...query, sendInitialEvents: true, allowWatchBookmarks: true, timeoutSeconds: streamSeconds };
  let items: KubeObject[] = [];
  let bytes = 0;
  const take = (resourceVersion: string, more: boolean): Page => {
    const page = { items, resourceVersion, continue: more ? 'stream' : undefined, bytes };
    items = [];
    bytes = 0;
    return page;
  };
  try {
    for await (const line of splitLines(await client.watch(path, streaming, AbortSignal.any([signal, connection.signal])))) {
      idle.refresh();
      const { type, object } = readWatchEvent(line, client.type);
      const { resourceVersion = '', annotations } = object.metadata;
      if (type === 'BOOKMARK' && annotations?.['k8s.io/initial-events-end'] === 'true') {
        yield take(resourceVersion, false);
        return;
      }
      if (type === 'BOOKMARK') continue;
      bytes += line.length;
      items.push(object);
      if (items.length >= streamedPage || bytes >= pageBytes) yield take(resourceVersion, true);
    }
    throw new KubeApiError(0, 'BrokenLine', `${path}: the list ended before it was complete`);
  } finally {
    clearTimeout(idle);
    connection.abort();
  }
}

/** Works on the objects of a page in turns with others. */
export async function inSlices(items: readonly KubeObject[], signal: AbortSignal, work: (object: KubeObject) => void): Promise<void> {
  // Parsing the page took its time, too.
  await nextTurn();
  await inTurns(items, work, () => signal.aborted);
}

export interface ListOnceOptions {
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  pageSize?: number | undefined;
  signal: AbortSignal;
  /**
   * Everything begins anew, see `ListPagesOptions`. Whoever sweeps what was not listed must begin anew, too. When unset, a list whose version is
   * forgotten in the middle rejects instead.
   */
  onRestart?: (() => void) | undefined;
}

/**
 * Lists once, beside a running watch, in the same pages and slices. Rejects when the list could not be completed; what was handed over until then
 * is no proof of anything.
 */
export async function listOnce(client: ObjectReader, path: string, options: ListOnceOptions, onObject: (object: KubeObject) => void): Promise<void> {
  const { onRestart, signal, ...rest } = options;
  const restarted =
    onRestart ??
    (() => {
      throw new KubeApiError(410, 'Expired', `${path}: the API server forgot the version of the list before it was complete`);
    });
  for await (const page of listPages(client, path, { ...rest, signal, restarted })) await inSlices(page.items, signal, onObject);
  signal.throwIfAborted();
}

function isExpired(error: unknown): boolean {
  return error instanceof KubeApiError && error.expired;
}
