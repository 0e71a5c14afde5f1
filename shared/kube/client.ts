import { setTimeout as pause } from 'node:timers/promises';
import type { KubeObject } from '../api/kube-object.ts';
import { errorOfAnswer, KubeApiError } from './api-error.ts';
import type { KubeConnection } from './config.ts';
import { parseJson, stringifyJson } from './json.ts';
import { pagesOf } from './pages.ts';
import type { ListOptions, ObjectReader, Page, Query } from './pages.ts';
import { textOf, Transport } from './transport.ts';
import type { HttpAnswer } from './transport.ts';

export { KubeApiError } from './api-error.ts';
export type { ListOptions, ObjectReader, Page, Query } from './pages.ts';

/** Tokens of service accounts are replaced on disk long before they expire. */
const tokenAgeMs = 60_000;
/** The API server itself gives up on a request after a minute. */
const defaultAnswerTimeoutMs = 60_000;
const writeTimeoutMs = 30_000;
const writingConnections = 4;
const retriesWhenBusy = 4;
/** Who is asked to stay away longer than this is told so instead of waiting inside a call. */
const longestWaitMs = 30_000;

const patchTypes = {
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
  json: 'application/json-patch+json',
} as const;

/** What went over the wire, for metrics. */
export interface ClientObserver {
  /** `status` is 0 when there was no answer. */
  request?(method: string, status: number): void;
  /** Length of a list page. */
  bytes?(count: number): void;
}

export interface KubeClientOptions {
  /** Such as `kollect-controller/0.1.0`. */
  userAgent?: string | undefined;
  observe?: ClientObserver | undefined;
  /** Milliseconds after which a read that is not a watch is given up; 60,000 when unset. */
  answerTimeoutMs?: number | undefined;
  /** Called right before each request that is no read; what it throws is thrown to the caller. */
  beforeWrite?: (() => void) | undefined;
}

interface Request {
  method: string;
  path: string;
  query?: Query | undefined;
  body?: unknown;
  contentType?: string | undefined;
  /** Media types of the answer; JSON when unset. */
  accept?: string | undefined;
  signal?: AbortSignal | undefined;
}

/**
 * Speaks to one API server in raw JSON: what it sends is what callers get, integers beyond 2^53 as bigint. Reads, among them lists and watches,
 * and writes have connections of their own, so that none can hold up a status write. HTTP/1.1, because one stalled HTTP/2 connection stalls
 * a hundred watches. Everything rejects with `KubeApiError`, or with the reason of the signal that was given.
 *
 * @example
 * const client = new KubeClient(await loadConnection());
 * for await (const page of client.list('/apis/apps/v1/deployments')) console.log(page.items.length);
 */
export class KubeClient implements ObjectReader {
  readonly connection: KubeConnection;
  readonly #reading: Transport;
  readonly #writing: Transport;
  readonly #userAgent: string;
  readonly #observe: ClientObserver;
  readonly #answerTimeoutMs: number;
  readonly #beforeWrite: (() => void) | undefined;
  #token: { value: string | undefined; readAt: number } | undefined;

  constructor(connection: KubeConnection, options: KubeClientOptions = {}) {
    this.connection = connection;
    this.#userAgent = options.userAgent ?? 'kollect';
    this.#observe = options.observe ?? {};
    this.#answerTimeoutMs = options.answerTimeoutMs ?? defaultAnswerTimeoutMs;
    this.#beforeWrite = options.beforeWrite;
    this.#reading = new Transport(connection);
    this.#writing = new Transport(connection, writingConnections);
  }

  async get<T = KubeObject>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
    return (await this.#json({ method: 'GET', path, query, signal })) as T;
  }

  async create<T = KubeObject>(path: string, body: unknown, query?: Query, signal?: AbortSignal): Promise<T> {
    return (await this.#json({ method: 'POST', path, query, body, signal })) as T;
  }

  /** Replaces an object: of two writers that read the same `metadata.resourceVersion`, the second one gets a `KubeApiError` 409. */
  async replace<T = KubeObject>(path: string, body: unknown, signal?: AbortSignal): Promise<T> {
    return (await this.#json({ method: 'PUT', path, body, signal })) as T;
  }

  /** Patches an object. A server-side apply (`type: 'apply'`) needs `fieldManager` in the query. */
  async patch<T = KubeObject>(path: string, { type, body, query }: { type: keyof typeof patchTypes; body: unknown; query?: Query }): Promise<T> {
    return (await this.#json({ method: 'PATCH', path, query, body, contentType: patchTypes[type] })) as T;
  }

  /** With preconditions only the object of that uid and version, or it rejects with a `KubeApiError` 409. */
  async delete(path: string, preconditions?: { uid?: string | undefined; resourceVersion?: string | undefined }): Promise<void> {
    await this.#json({ method: 'DELETE', path, body: preconditions && { preconditions } });
  }

  /** One page of a list, its items completed with `apiVersion` and `kind` and freed of `managedFields`. */
  async page(path: string, query: Query, signal?: AbortSignal, accept?: string): Promise<Page> {
    const request: Request = { method: 'GET', path, query, signal, accept };
    const text = await this.#text(request);
    this.#observe.bytes?.(text.length);
    const list = read(request, text) as {
      apiVersion: string;
      kind: string;
      metadata?: { resourceVersion?: string; continue?: string };
      items?: KubeObject[] | null;
    };
    const items = list.items ?? [];
    const kind = list.kind.replace(/List$/, '');
    for (const item of items) {
      item.apiVersion ??= list.apiVersion;
      item.kind ??= kind;
      delete (item.metadata as { managedFields?: unknown }).managedFields;
    }
    return { items, resourceVersion: list.metadata?.resourceVersion ?? '', continue: list.metadata?.continue || undefined, bytes: text.length };
  }

  /** All pages of a list at one version, see `pagesOf`. */
  list(path: string, query: Query = {}, options: ListOptions = {}): AsyncGenerator<Page> {
    return pagesOf(this, path, query, options);
  }

  /** Opens a watch and gives its bytes. The caller reads until the end, or aborts; how long it may be silent is his to say. */
  async watch(path: string, query: Query, signal: AbortSignal, accept?: string): Promise<AsyncIterable<Buffer>> {
    const request: Request = { method: 'GET', path, query: { ...query, watch: true }, signal, accept };
    const answer = await this.#renewingToken(request, 0);
    return answer.body;
  }

  async close(): Promise<void> {
    this.#reading.close();
    this.#writing.close();
  }

  async #json(request: Request): Promise<unknown> {
    return read(request, await this.#text(request));
  }

  async #text(request: Request): Promise<string> {
    const deadline = AbortSignal.timeout(request.method === 'GET' ? this.#answerTimeoutMs : writeTimeoutMs);
    const started = { ...request, signal: request.signal ? AbortSignal.any([request.signal, deadline]) : deadline };
    for (let attempt = 0; ; attempt++) {
      try {
        const answer = await this.#renewingToken(started);
        return await textOf(answer).catch((error: unknown) => {
          throw unreachable(started, error);
        });
      } catch (error) {
        const { status = 0, retryAfterMs } = error instanceof KubeApiError ? error : {};
        const busy = status === 429 || status === 503;
        if (!busy || retryAfterMs === undefined || retryAfterMs > longestWaitMs || attempt >= retriesWhenBusy) throw error;
        // Out of time: what the server said last tells more than the timeout.
        await pause(retryAfterMs, undefined, { signal: started.signal }).catch(() => {
          throw request.signal?.aborted ? request.signal.reason : error;
        });
      }
    }
  }

  /** An answer that is a success. A token that is refused is read again, once. */
  async #renewingToken(request: Request, bodyTimeoutMs = this.#answerTimeoutMs): Promise<HttpAnswer> {
    for (let attempt = 0; ; attempt++) {
      const answer = await this.#send(request, bodyTimeoutMs, attempt > 0);
      if (answer.statusCode < 300) return answer;
      const error = await errorOfAnswer(`${request.method} ${request.path}`, answer);
      if (error.status !== 401 || attempt > 0 || !this.connection.token) throw error;
    }
  }

  async #send(request: Request, bodyTimeoutMs: number, renewToken: boolean): Promise<HttpAnswer> {
    const { method, path, query, body, contentType, accept = 'application/json', signal } = request;
    const url = new URL(this.connection.server + path);
    for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) url.searchParams.set(key, String(value));
    const headers: Record<string, string> = { accept, 'user-agent': this.#userAgent };
    if (body !== undefined) headers['content-type'] = contentType ?? 'application/json';
    if (method !== 'GET') this.#beforeWrite?.();
    try {
      const token = await this.#currentToken(renewToken);
      if (token) headers['authorization'] = `Bearer ${token}`;
      const answer = await (method === 'GET' ? this.#reading : this.#writing).send({
        method,
        url,
        headers,
        body: body === undefined ? undefined : stringifyJson(body),
        signal,
        headTimeoutMs: this.#answerTimeoutMs,
        bodyTimeoutMs,
      });
      this.#observe.request?.(method, answer.statusCode);
      return answer;
    } catch (error) {
      this.#observe.request?.(method, 0);
      throw unreachable(request, error);
    }
  }

  async #currentToken(renew: boolean): Promise<string | undefined> {
    const read = this.connection.token;
    if (!read) return undefined;
    const now = performance.now();
    if (renew || !this.#token || now - this.#token.readAt > tokenAgeMs) {
      try {
        this.#token = { value: await read(renew), readAt: now };
      } catch (error) {
        // The file is being replaced, or a plugin failed: the token that we have may still be good.
        if (!this.#token || renew) throw error;
      }
    }
    return this.#token.value;
  }
}

function read({ method, path }: Request, text: string): unknown {
  try {
    return parseJson(text);
  } catch {
    // The parser's own message quotes the text, which may be a Secret.
    throw new KubeApiError(0, 'BrokenAnswer', `${method} ${path}: an answer of ${text.length} characters is no JSON`);
  }
}

/** Aborts keep their own error; anything else says what was asked and what went wrong. */
function unreachable({ method, path, signal }: Request, error: unknown): unknown {
  if (signal?.aborted && signal.reason?.name !== 'TimeoutError') return signal.reason;
  const { code, message } = (signal?.aborted ? signal.reason : error) as Error & { code?: unknown };
  const what = typeof code === 'string' && !message.includes(code) ? `${code}: ${message}` : message;
  return new KubeApiError(0, 'Unreachable', `${method} ${path}: ${what}`, { cause: error });
}
