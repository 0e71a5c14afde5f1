import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Storage } from '@google-cloud/storage';
import { KollectError } from '../../../shared/errors.ts';
import type { Dialer } from '../contract.ts';
import { ConditionFailed, loginMs, requestSignal, untilAborted, type ObjectFacts, type ObjectStore, type PutOptions, type Upload } from '../objects/object-store.ts';
import { guardedAgents, type GuardedAgents } from '../runtime/guarded-agent.ts';
import { httpRequest, type HttpAnswer, type HttpRequest } from '../runtime/http-request.ts';
import { answerError, connectionError, tokenError } from './errors.ts';
import type { GcsSinkSettings } from './settings.ts';

/** Requests at the same time. */
const maxSockets = 32;
/** Of each request, with growing pauses: one of thousands may be lost or throttled without all of them being done again. */
const maxAttempts = 3;
const pauseMs = 200;
/** Of answers that are not objects: lists of a thousand names. */
const maxAnswerBytes = 8 * 1024 * 1024;

interface Question extends Pick<HttpRequest, 'method' | 'headers' | 'body' | 'maxBytes' | 'isCut'> {
  /** Behind the address of the server. */
  path: string;
  query?: Readonly<Record<string, string | undefined>>;
  /** The permission that it needs. */
  does: string;
  /** Answers that are no errors. */
  allows?: readonly number[];
}

interface Resource {
  generation: string;
  metadata?: Record<string, string>;
}

/**
 * A bucket of Google Cloud Storage by its JSON API. The client of Google gives the tokens; its requests would go out by agents of its own, past the guard, and so are
 * made here.
 */
export class GcsStore implements ObjectStore {
  readonly #settings: GcsSinkSettings;
  readonly #agents: GuardedAgents;
  readonly #client: Storage | undefined;
  readonly #objects: string;
  readonly #uploads: string;

  constructor(settings: GcsSinkSettings, dialer: Dialer) {
    const { login, tls, endpoint } = settings;
    this.#settings = settings;
    this.#agents = guardedAgents(dialer, tls, maxSockets);
    if (login.kind === 'key' || login.kind === 'workload') this.#client = new Storage({ projectId: 'none', clientOptions: { transporterOptions: { timeout: loginMs } } });
    // Handed to the constructor, it would be warned of on the console, whatever its type.
    if (this.#client && login.kind === 'key') this.#client.authClient.jsonContent = { type: 'service_account', client_email: login.email, private_key: login.privateKey };
    this.#objects = `/storage/v1/b/${encodeURIComponent(endpoint.bucket)}/o`;
    this.#uploads = `/upload${this.#objects}`;
  }

  async head(key: string, signal: AbortSignal): Promise<ObjectFacts | undefined> {
    const { status, body } = await this.#ask({ method: 'GET', path: this.#object(key), query: { fields: 'generation,metadata' }, does: 'storage.objects.get', allows: [404] }, signal);
    if (status === 404) return await this.#absent(body, signal);
    const { generation, metadata = {} } = JSON.parse(body.toString()) as Resource;
    return { version: generation, metadata };
  }

  async read(key: string, maxBytes: number | undefined, signal: AbortSignal): Promise<Uint8Array | undefined> {
    const range = maxBytes === undefined ? {} : { headers: { range: `bytes=0-${maxBytes - 1}` }, maxBytes, isCut: true };
    const { status, body } = await this.#ask({ method: 'GET', path: this.#object(key), query: { alt: 'media' }, maxBytes: Infinity, ...range, does: 'storage.objects.get', allows: [404, 416] }, signal);
    if (status === 404) return await this.#absent(body, signal);
    return status === 416 ? new Uint8Array() : body;
  }

  async *list(prefix: string, signal: AbortSignal): AsyncGenerator<readonly string[]> {
    for (let token: string | undefined, isLast = false; !isLast; ) {
      const page = await this.#page(prefix, 1_000, token, signal);
      yield (page.items ?? []).map(({ name }) => name);
      token = page.nextPageToken;
      isLast = token === undefined || token === '';
    }
  }

  async put(key: string, bytes: Uint8Array, options: PutOptions, signal: AbortSignal): Promise<void> {
    const boundary = randomUUID();
    const head = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(this.#resource(key, options))}\r\n--${boundary}\r\ncontent-type: ${options.contentType}\r\n\r\n`;
    const body = Buffer.concat([Buffer.from(head), bytes, Buffer.from(`\r\n--${boundary}--\r\n`)]);
    const headers = { 'content-type': `multipart/related; boundary=${boundary}` };
    await this.#ask({ method: 'POST', path: this.#uploads, query: { uploadType: 'multipart', ...this.#conditions(options) }, headers, body, does: 'storage.objects.create' }, signal);
  }

  async upload(key: string, options: PutOptions, signal: AbortSignal): Promise<Upload> {
    const does = 'storage.objects.create';
    const query = { uploadType: 'resumable', name: key, ...this.#conditions(options) };
    const headers = { 'content-type': 'application/json', 'x-upload-content-type': options.contentType };
    const { headers: answer } = await this.#ask({ method: 'POST', path: this.#uploads, query, headers, body: Buffer.from(JSON.stringify(this.#resource(key, options))), does }, signal);
    // Not its host: no token goes where an answer says.
    const { pathname, search } = new URL(answer.location ?? '', this.#settings.url);
    const path = pathname + search;
    let at = 0;
    let held: Uint8Array | undefined;
    // Only the last one knows how much it is in all.
    const send = async (bytes: Uint8Array, isLast: boolean, signal: AbortSignal): Promise<void> => {
      const end = at + bytes.length;
      for (let rest = bytes; ; ) {
        const range = `bytes ${rest.length === 0 ? '*' : `${at}-${end - 1}`}/${isLast ? end : '*'}`;
        const { status, headers } = await this.#ask({ method: 'PUT', path, headers: { 'content-range': range }, body: rest, does, allows: [308, 404, 410] }, signal);
        if (status === 404 || status === 410) throw new ConditionFailed();
        // It may have kept less than it was sent, and says how much.
        const kept = status === 308 ? Number(/^bytes=0-(\d+)$/.exec(headers.range ?? '')?.[1] ?? -1) + 1 : end;
        if (status === 308 && (kept <= at || kept > end || (isLast && kept === end))) throw new KollectError('KOL_SINK_UNAVAILABLE', `the store does not keep what it is sent: look at its log (${this.#settings.title})`);
        rest = rest.subarray(kept - at);
        at = kept;
        if (rest.length === 0) return;
      }
    };
    return {
      part: async (bytes, signal) => {
        if (held) await send(held, false, signal);
        held = bytes;
      },
      finish: async (signal) => {
        await send(held ?? new Uint8Array(), true, signal);
      },
      abandon: async () => {
        await this.#ask({ method: 'DELETE', path, does, allows: [404, 499] }, new AbortController().signal);
      },
    };
  }

  async remove(key: string, version: string | undefined, signal: AbortSignal): Promise<void> {
    await this.#ask({ method: 'DELETE', path: this.#object(key), query: { ifGenerationMatch: version }, does: 'storage.objects.delete', allows: [404] }, signal);
  }

  async probe(prefix: string, signal: AbortSignal): Promise<string> {
    const { title, endpoint, login } = this.#settings;
    await this.#page(prefix, 1, undefined, signal);
    const wanted = ['storage.objects.list', 'storage.objects.get', 'storage.objects.create', 'storage.objects.delete'];
    const query = wanted.map((permission) => `permissions=${permission}`).join('&');
    const { status, body } = await this.#ask({ method: 'GET', path: `/storage/v1/b/${encodeURIComponent(endpoint.bucket)}/iam/testPermissions?${query}`, does: 'storage.buckets.get', allows: login.kind === 'nobody' ? [404, 501] : [] }, signal);
    const { permissions = [] } = status === 200 ? (JSON.parse(body.toString()) as { permissions?: string[] }) : { permissions: wanted };
    const missing = wanted.filter((permission) => !permissions.includes(permission));
    if (missing.length > 0) throw new KollectError('KOL_SINK_AUTH', `the account lacks ${missing.join(', ')}: grant roles/storage.objectUser for the bucket (${title})`);
    const way = endpoint.scheme === 'https' ? 'TLS' : 'HTTP without TLS';
    const as = { key: 'key of a service account', workload: 'identity of the workload', hmac: 'HMAC keys', nobody: 'no login at a server that is not of Google' }[login.kind];
    return `${way}, ${as}: ${title} can be listed, read and written, and objects removed`;
  }

  async close(): Promise<void> {
    this.#agents.http.destroy();
    this.#agents.https.destroy();
  }

  /** Of a bucket that does not exist, the answer is the same. Nothing but its text tells, and then the list. */
  async #absent(body: Buffer, signal: AbortSignal): Promise<undefined> {
    const { prefix } = this.#settings.endpoint;
    if (body.includes('The specified bucket does not exist')) await this.#page(prefix === '' ? '' : `${prefix}/`, 1, undefined, signal);
    return undefined;
  }

  async #page(prefix: string, most: number, token: string | undefined, signal: AbortSignal): Promise<{ items?: { name: string }[]; nextPageToken?: string }> {
    const query = { prefix, delimiter: '/', maxResults: String(most), pageToken: token, fields: 'items(name),nextPageToken' };
    const { body } = await this.#ask({ method: 'GET', path: this.#objects, query, does: 'storage.objects.list' }, signal);
    return JSON.parse(body.toString()) as { items?: { name: string }[]; nextPageToken?: string };
  }

  #object(key: string): string {
    return `${this.#objects}/${encodeURIComponent(key)}`;
  }

  #resource(name: string, { contentType, metadata }: PutOptions): object {
    const { storageClass } = this.#settings;
    return { name, contentType, metadata, ...(storageClass !== undefined && { storageClass }) };
  }

  #conditions({ replaces }: PutOptions): Record<string, string | undefined> {
    const { kmsKeyName } = this.#settings;
    return { kmsKeyName, ...(replaces !== 'any' && { ifGenerationMatch: replaces === 'none' ? '0' : replaces.version }) };
  }

  async #ask({ path, query = {}, does, allows = [], headers, ...question }: Question, signal: AbortSignal): Promise<HttpAnswer> {
    const { url: server, title, userProject } = this.#settings;
    const url = new URL(path, server);
    for (const [name, value] of Object.entries({ ...query, userProject })) if (value !== undefined) url.searchParams.set(name, value);
    const both = requestSignal(signal);
    for (let attempt = 1; ; attempt++) {
      const answer = await this.#once({ maxBytes: maxAnswerBytes, ...question, url, headers: { ...headers, ...(await this.#login(url, signal, both)) } }, title, { signal, both, isLast: attempt === maxAttempts });
      if (answer && ((answer.status >= 200 && answer.status < 300) || allows.includes(answer.status))) return answer;
      if (answer && (attempt === maxAttempts || (answer.status !== 408 && answer.status !== 429 && answer.status < 500))) throw answerError(answer, does, title);
      await sleep(pauseMs * 2 ** (attempt - 1) * (0.5 + Math.random()), undefined, { signal: both }).catch((error: unknown) => Promise.reject(connectionError(error, title, signal)));
    }
  }

  /** Undefined where there was no answer, and one may come the next time. */
  async #once(request: HttpRequest, title: string, { signal, both, isLast }: { signal: AbortSignal; both: AbortSignal; isLast: boolean }): Promise<HttpAnswer | undefined> {
    try {
      return await httpRequest(this.#agents, request, both);
    } catch (cause) {
      const error = connectionError(cause, title, signal);
      if (isLast || both.aborted || cause instanceof KollectError || error.class !== 'transient') throw error;
      return undefined;
    }
  }

  async #login(url: URL, signal: AbortSignal, both: AbortSignal): Promise<Record<string, string>> {
    if (!this.#client) return {};
    try {
      const headers = await untilAborted(both, this.#client.authClient.getRequestHeaders(url.origin));
      return Object.fromEntries(headers.entries());
    } catch (error) {
      throw tokenError(error, this.#settings.title, signal);
    }
  }
}
