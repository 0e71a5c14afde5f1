import type { KubeObject } from '../api/kube-object.ts';

const defaultPageSize = 500;
/** Parsing this much blocks the event loop for some 15 ms. Pages of large objects get fewer of them. */
export const pageBytes = 4 * 1024 * 1024;
const smallestPageSize = 10;
/** Nobody knows yet how large the objects are, and 500 of a megabyte would end the process. */
const firstPageSize = 50;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** One page of a list. `bytes` is the length of its text. */
export interface Page {
  items: KubeObject[];
  resourceVersion: string;
  continue: string | undefined;
  bytes: number;
}

export interface ListOptions {
  /** Objects a page; 500 when unset, fewer where they are large. */
  pageSize?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Reads the objects of a collection: whole, or in the form that it asks for. */
export interface ObjectReader {
  /** What the objects are; unset where they say so themselves. */
  readonly type?: { readonly apiVersion: string; readonly kind: string } | undefined;
  page(path: string, query: Query, signal?: AbortSignal): Promise<Page>;
  list(path: string, query?: Query, options?: ListOptions): AsyncGenerator<Page>;
  watch(path: string, query: Query, signal: AbortSignal): Promise<AsyncIterable<Buffer>>;
}

/**
 * All pages of a list at one version. The next page is on its way while the caller works on this one. Rejects with an `expired` error
 * when the API server forgets the version in the middle; `listPages` goes on then.
 */
export async function* pagesOf(reader: Pick<ObjectReader, 'page'>, path: string, query: Query, { pageSize = defaultPageSize, signal }: ListOptions): AsyncGenerator<Page> {
  const left = new AbortController();
  const either = signal ? AbortSignal.any([signal, left.signal]) : left.signal;
  let limit = Math.min(pageSize, firstPageSize);
  try {
    let next: Promise<Page> | undefined = reader.page(path, { ...query, limit }, either);
    while (next) {
      const page: Page = await next;
      limit = Math.round(Math.min(pageSize, Math.max(Math.min(pageSize, smallestPageSize), (pageBytes * page.items.length) / page.bytes)));
      next = page.continue === undefined ? undefined : reader.page(path, { ...query, limit, continue: page.continue }, either);
      // Awaited in the next round, or by nobody when the caller leaves.
      next?.catch(() => undefined);
      yield page;
    }
  } finally {
    left.abort();
  }
}
