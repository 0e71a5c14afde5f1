import { BigQuery } from '@google-cloud/bigquery';
import { JWT } from 'google-auth-library';
import { request, type Agent } from 'node:https';
import { KollectError } from '../../../shared/errors.ts';
import type { ApiFault } from './errors.ts';
import { apiOrigin, type ServiceAccount } from './settings.ts';

/** The API answered with an error. */
export class ApiError extends Error implements ApiFault {
  readonly status: number;
  readonly reason: string;
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, retryAfterMs?: number) {
    super(message);
    this.status = status;
    this.reason = reason;
    this.retryAfterMs = retryAfterMs;
  }
}

export interface ApiRequest {
  method: 'GET' | 'POST' | 'DELETE';
  /** Behind `/bigquery/v2`. */
  path: string;
  query?: Readonly<Record<string, string | number | undefined>>;
  body?: object | undefined;
  /** Sent as an upload, behind `body`. */
  media?: Buffer | undefined;
  signal: AbortSignal;
}

/** Google gives an answer to any question within that. */
const requestMs = 60_000;
/** A page of rows is some megabytes. */
const maxAnswerBytes = 64 * 1024 * 1024;

/**
 * Speaks to the REST API. Google's client gets the tokens, of Google's own endpoints, and knows where they come from; what carries them goes through the guarded agent,
 * which that client cannot be given, and to one host.
 */
export class BigQueryApi {
  readonly #agent: Agent;
  readonly #auth: BigQuery['authClient'];

  constructor({ project, account, agent }: { project: string; account: ServiceAccount | undefined; agent: Agent }) {
    this.#agent = agent;
    const authClient = account && new JWT({ email: account.client_email, key: account.private_key, scopes: ['https://www.googleapis.com/auth/bigquery'] });
    this.#auth = new BigQuery({ projectId: project, ...(authClient && { authClient }) }).authClient;
  }

  /** Gives the parsed answer. Throws `ApiError`, and what the network does. */
  async send<T>({ method, path, query = {}, body, media, signal }: ApiRequest): Promise<T> {
    signal.throwIfAborted();
    const token = await aborted(this.#token(), signal);
    const url = new URL(`${apiOrigin}${media ? '/upload' : ''}/bigquery/v2/${path}`);
    for (const [name, value] of Object.entries({ ...query, prettyPrint: 'false', ...(media && { uploadType: 'multipart' }) })) if (value !== undefined) url.searchParams.set(name, String(value));
    const headers: Record<string, string | number> = { authorization: `Bearer ${token}`, 'user-agent': 'kollect' };
    const content = media ? multipart(body, media) : body && { type: 'application/json', parts: [Buffer.from(JSON.stringify(body))] };
    if (content) {
      headers['content-type'] = content.type;
      headers['content-length'] = content.parts.reduce((sum, part) => sum + part.length, 0);
    }
    const { status, text, retryAfter } = await this.#exchange(url, { method, headers, parts: content?.parts ?? [], signal: AbortSignal.any([signal, AbortSignal.timeout(requestMs)]) });
    const answer = parsed(text);
    if (status >= 200 && status < 300) return (answer ?? {}) as T;
    const { errors = [], message = '', status: name } = (answer as { error?: { errors?: { reason?: string }[]; message?: string; status?: string } } | undefined)?.error ?? {};
    throw new ApiError(status, errors[0]?.reason ?? name ?? '', message, retryAfter);
  }

  async #token(): Promise<string> {
    let token: string | null | undefined;
    try {
      token = await this.#auth.getAccessToken();
    } catch (cause) {
      throw tokenError(cause);
    }
    if (!token) throw new KollectError('KOL_SINK_AUTH', 'Google gave no token for the identity of this process: name the key of a service account in spec.bigquery.secretRef');
    return token;
  }

  #exchange(url: URL, { method, headers, parts, signal }: { method: string; headers: Record<string, string | number>; parts: readonly Buffer[]; signal: AbortSignal }): Promise<{ status: number; text: string; retryAfter: number | undefined }> {
    return new Promise((resolve, reject) => {
      const sent = request(url, { agent: this.#agent, method, headers, signal }, (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > maxAnswerBytes) answer.destroy(new ApiError(200, 'responseTooLarge', ''));
          else chunks.push(chunk);
        });
        answer.on('error', reject);
        answer.on('end', () => {
          const seconds = Number(answer.headers['retry-after']);
          resolve({ status: answer.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8'), retryAfter: seconds > 0 ? seconds * 1_000 : undefined });
        });
      });
      sent.on('error', reject);
      for (const part of parts) sent.write(part);
      sent.end();
    });
  }
}

function multipart(body: object | undefined, media: Buffer): { type: string; parts: Buffer[] } {
  // No line of JSON begins with two dashes.
  const boundary = 'kollect-part';
  const head = `--${boundary}\r\nContent-Type: application/json\r\n\r\n${JSON.stringify(body)}\r\n--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`;
  return { type: `multipart/related; boundary=${boundary}`, parts: [Buffer.from(head), media, Buffer.from(`\r\n--${boundary}--\r\n`)] };
}

function parsed(text: string): unknown {
  try {
    return text === '' ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The library that gets tokens hears of no signal. */
async function aborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const left = Promise.withResolvers<never>();
  const leave = (): void => left.reject(signal.reason as Error);
  signal.addEventListener('abort', leave, { once: true });
  try {
    return await Promise.race([work, left.promise]);
  } finally {
    signal.removeEventListener('abort', leave);
    work.catch(() => undefined);
  }
}

/** Texts of that library may hold parts of the key, and are left out. */
function tokenError(cause: unknown): KollectError {
  const { message = '', status, response } = cause as { message?: string; status?: number; response?: { status?: number } };
  const answer = response?.status ?? status;
  if (/Could not load the default credentials|default credentials/i.test(message)) {
    return new KollectError('KOL_SINK_AUTH', 'this process has no identity at Google Cloud: set up workload identity for the service account of the controller, or name the key of a service account in spec.bigquery.secretRef', { cause });
  }
  if (answer !== undefined && answer >= 400 && answer < 500 && answer !== 429) {
    return new KollectError('KOL_SINK_AUTH', `Google refused the login (HTTP ${answer}): correct the key in the Secret, which may have been deleted or disabled`, { cause });
  }
  if (/DECODER|PEM|asn1|private key|key must be/i.test(message)) return new KollectError('KOL_SINK_CONFIG', 'private_key in the key file cannot be read: put the file into the Secret as it is', { cause });
  return new KollectError('KOL_SINK_UNAVAILABLE', 'no token could be got of Google: look at the network on the way to oauth2.googleapis.com, or to the metadata server', { cause });
}
