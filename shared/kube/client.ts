import { Agent, type Dispatcher } from 'undici';
import type { KubeObject } from '../api/kube-object.ts';
import type { KubeConnection } from './config.ts';
import { parseJson, stringifyJson } from './json.ts';

/** Tokens of service accounts are replaced on disk long before they expire. */
const tokenAgeMs = 60_000;
const requestTimeoutMs = 30_000;
const retriesWhenBusy = 4;

/** An answer of the API server that is not a success. */
export class KubeApiError extends Error {
  /** HTTP status code; 0 when there was no answer. */
  readonly status: number;
  /** Reason of the Status object, such as `NotFound`. */
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, options: { retryAfterMs?: number | undefined; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KubeApiError';
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

/** One page of a list. `bytes` is the length of its text. */
export interface Page {
  items: KubeObject[];
  resourceVersion: string;
  continue: string | undefined;
  bytes: number;
}

const patchTypes = {
  merge: 'application/merge-patch+json',
  apply: 'application/apply-patch+yaml',
  json: 'application/json-patch+json',
} as const;

export interface ClientObserver {
  request?(method: string, status: number): void;
  bytes?(count: number): void;
}

/**
 * Speaks to one API server in raw JSON: what it sends is what callers get. Lists and watches have connections of their own, so that
 * they cannot hold up a status write.
 */
export class KubeClient {
  readonly connection: KubeConnection;
  readonly #reading: Agent;
  readonly #writing: Agent;
  readonly #userAgent: string;
  readonly #observe: ClientObserver;
  #token: { value: string | undefined; readAt: number } | undefined;

  constructor(connection: KubeConnection, options: { userAgent?: string; observe?: ClientObserver } = {}) {
    this.connection = connection;
    this.#userAgent = options.userAgent ?? 'kollect';
    this.#observe = options.observe ?? {};
    const connect = {
      ...(connection.ca === undefined ? {} : { ca: connection.ca }),
      ...connection.clientCertificate,
      rejectUnauthorized: !connection.insecureSkipTlsVerify,
      keepAlive: true,
      keepAliveInitialDelay: 30_000,
    };
    const shared = { connect, allowH2: false, keepAliveTimeout: 60_000, headersTimeout: 60_000 };
    this.#reading = new Agent({ ...shared, bodyTimeout: 0 });
    this.#writing = new Agent({ ...shared, connections: 4, bodyTimeout: requestTimeoutMs });
  }

  async get<T = KubeObject>(path: string, query?: Query): Promise<T> {
    return (await this.#json('GET', path, query)) as T;
  }

  async create<T = KubeObject>(path: string, body: unknown, query?: Query): Promise<T> {
    return (await this.#json('POST', path, query, body)) as T;
  }

  /** Patches an object. A server-side apply needs `fieldManager` in the query. */
  async patch<T = KubeObject>(path: string, { type, body, query }: { type: keyof typeof patchTypes; body: unknown; query?: Query }): Promise<T> {
    return (await this.#json('PATCH', path, query, body, patchTypes[type])) as T;
  }

  async delete(path: string, query?: Query): Promise<void> {
    await this.#json('DELETE', path, query);
  }

  /** One page of a list, its items completed with `apiVersion` and `kind` and freed of `managedFields`. */
  async page(path: string, query: Query, signal?: AbortSignal): Promise<Page> {
    const text = await this.#text('GET', path, query, undefined, undefined, { dispatcher: this.#reading, signal });
    this.#observe.bytes?.(text.length);
    const list = parseJson(text) as {
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

  /** All pages of a list, 500 objects each. */
  async *list(path: string, query: Query = {}, signal?: AbortSignal): AsyncGenerator<Page> {
    let token: string | undefined;
    do {
      const page = await this.page(path, { limit: 500, ...query, continue: token }, signal);
      yield page;
      token = page.continue;
    } while (token !== undefined);
  }

  /** Opens a watch and gives its bytes. The caller reads until the end, or aborts. */
  async watch(path: string, query: Query, signal: AbortSignal): Promise<AsyncIterable<Buffer>> {
    const response = await this.#send('GET', path, { ...query, watch: true }, undefined, undefined, { dispatcher: this.#reading, signal });
    if (response.statusCode >= 300) throw await errorOf('GET', path, response);
    return response.body;
  }

  async close(): Promise<void> {
    await Promise.all([this.#reading.destroy(), this.#writing.destroy()]);
  }

  async #json(method: Dispatcher.HttpMethod, path: string, query?: Query, body?: unknown, contentType?: string): Promise<unknown> {
    return parseJson(await this.#text(method, path, query, body, contentType, { dispatcher: this.#writing }));
  }

  async #text(
    method: Dispatcher.HttpMethod,
    path: string,
    query: Query | undefined,
    body: unknown,
    contentType: string | undefined,
    options: { dispatcher: Agent; signal?: AbortSignal | undefined },
  ): Promise<string> {
    for (let attempt = 0; ; attempt++) {
      const response = await this.#send(method, path, query, body, contentType, {
        ...options,
        signal: options.signal ?? AbortSignal.timeout(requestTimeoutMs),
      });
      this.#observe.request?.(method, response.statusCode);
      if (response.statusCode < 300) return response.body.text();
      const error = await errorOf(method, path, response);
      if (error.status === 401 && attempt === 0 && this.connection.token) {
        this.#token = undefined;
        continue;
      }
      const busy = error.status === 429 || error.status === 503;
      if (!busy || error.retryAfterMs === undefined || attempt >= retriesWhenBusy) throw error;
      await new Promise((resolve) => setTimeout(resolve, error.retryAfterMs));
      options.signal?.throwIfAborted();
    }
  }

  async #send(
    method: Dispatcher.HttpMethod,
    path: string,
    query: Query | undefined,
    body: unknown,
    contentType: string | undefined,
    { dispatcher, signal }: { dispatcher: Agent; signal?: AbortSignal | undefined },
  ): Promise<Dispatcher.ResponseData> {
    const url = new URL(this.connection.server + path);
    for (const [key, value] of Object.entries(query ?? {})) if (value !== undefined) url.searchParams.set(key, String(value));
    const headers: Record<string, string> = { accept: 'application/json', 'user-agent': this.#userAgent };
    const token = await this.#currentToken();
    if (token) headers['authorization'] = `Bearer ${token}`;
    if (body !== undefined) headers['content-type'] = contentType ?? 'application/json';
    try {
      return await dispatcher.request({
        origin: url.origin,
        path: url.pathname + url.search,
        method,
        headers,
        body: body === undefined ? null : stringifyJson(body),
        signal: signal ?? null,
      });
    } catch (error) {
      if (signal?.aborted && (error as Error).name === 'AbortError') throw error;
      const { code, message } = error as Error & { code?: string };
      throw new KubeApiError(0, 'Unreachable', `${method} ${path}: ${code ? `${code}: ` : ''}${message}`, { cause: error });
    }
  }

  async #currentToken(): Promise<string | undefined> {
    const read = this.connection.token;
    if (!read) return undefined;
    const now = performance.now();
    if (!this.#token || now - this.#token.readAt > tokenAgeMs) this.#token = { value: await read(), readAt: now };
    return this.#token.value;
  }
}

async function errorOf(method: string, path: string, response: Dispatcher.ResponseData): Promise<KubeApiError> {
  const text = await response.body.text();
  const header = Number(response.headers['retry-after']);
  const retryAfterMs = Number.isFinite(header) ? header * 1000 : undefined;
  try {
    const status = JSON.parse(text) as { reason?: string; message?: string };
    if (status.message) return new KubeApiError(response.statusCode, status.reason ?? '', status.message, { retryAfterMs });
  } catch {
    // Not a Status object: a proxy answered, or the server is starting.
  }
  return new KubeApiError(response.statusCode, '', `${method} ${path}: HTTP ${response.statusCode} ${text.slice(0, 200)}`, { retryAfterMs });
}
