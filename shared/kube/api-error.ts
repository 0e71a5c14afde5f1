import { textOf } from './transport.ts';
import type { HttpAnswer } from './transport.ts';

/** The `details` of a Status object. */
export interface StatusDetails {
  name?: string;
  kind?: string;
  group?: string;
  retryAfterSeconds?: number;
  causes?: readonly { reason?: string; message?: string; field?: string }[];
}

export interface KubeApiErrorOptions {
  details?: StatusDetails | undefined;
  retryAfterMs?: number | undefined;
  cause?: unknown;
}

/** An answer of the API server that is not a success, or no answer at all. */
export class KubeApiError extends Error {
  /** HTTP status code; 0 when there was no answer that could be read. */
  readonly status: number;
  /** Reason of the Status object, such as `NotFound`; `Unreachable` when there was no answer. */
  readonly reason: string;
  readonly details: StatusDetails | undefined;
  /** The server's own wish when to come back. */
  readonly retryAfterMs: number | undefined;

  constructor(status: number, reason: string, message: string, options: KubeApiErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KubeApiError';
    this.status = status;
    this.reason = reason;
    this.details = options.details;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The version or `continue` token that was asked for is not served any more, or not yet: only a new list helps. */
  get expired(): boolean {
    return this.status === 410 || this.reason === 'Expired' || /too large resource version/i.test(this.message);
  }
}

/** Waits for work on an object that may be deleted meanwhile; undefined when it was. */
export async function ignoreGone<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
    return undefined;
  }
}

interface Status {
  code?: number;
  reason?: string;
  message?: string;
  details?: StatusDetails;
}

/** The error that a Status object tells of, as it comes in the stream of a watch. */
export function errorOfStatus(status: Status): KubeApiError {
  const seconds = status.details?.retryAfterSeconds;
  return new KubeApiError(status.code ?? 0, status.reason ?? '', status.message ?? 'the API server reported an error', {
    details: status.details,
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}

/** The error that an HTTP answer tells of. Reads its body. */
export async function errorOfAnswer(request: string, answer: HttpAnswer): Promise<KubeApiError> {
  const text = await textOf(answer).catch(() => '');
  const retryAfterMs = readRetryAfter(answer.headers['retry-after']);
  try {
    const { reason, message, details } = JSON.parse(text) as Status;
    if (message) return new KubeApiError(answer.statusCode, reason ?? '', message, { details, retryAfterMs });
  } catch {
    // Not a Status object: a proxy answered, or the server is starting.
  }
  return new KubeApiError(answer.statusCode, '', `${request}: HTTP ${answer.statusCode} ${text.slice(0, 200)}`.trimEnd(), { retryAfterMs });
}

/** Seconds, or a date. */
function readRetryAfter(header: string | string[] | undefined): number | undefined {
  const text = Array.isArray(header) ? header[0] : header;
  if (!text) return undefined;
  const ms = /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text) - Date.now();
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}
