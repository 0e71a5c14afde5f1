import { KollectError, type ErrorCode } from '../../../shared/errors.ts';
import { networkFault, tlsFault } from '../runtime/errors.ts';
import type { HttpAnswer } from '../runtime/http-request.ts';

/** Longer ones are for tomorrow. */
const maxRetryAfterMs = 3_600_000;

/** Why there was no answer. */
export function connectionError(error: unknown, title: string, signal: AbortSignal): KollectError {
  if (error instanceof KollectError) return error;
  if (signal.aborted) return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
  if (error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError) return new KollectError('KOL_INTERNAL', `${error.name}: ${error.message}`, { cause: error });
  const name = error instanceof Error ? error.name : '';
  if (name === 'AbortError' || name === 'TimeoutError') return new KollectError('KOL_SINK_UNAVAILABLE', `no answer in time: look at the server, and at the network on the way to it (${title})`, { cause: error });
  const tls = tlsFault(error);
  if (tls !== undefined) return new KollectError('KOL_SINK_CONFIG', `${tls} (${title})`, { cause: error });
  const network = networkFault(error);
  if (network !== undefined) return new KollectError('KOL_SINK_UNAVAILABLE', `the server cannot be reached, ${network} (${title})`, { cause: error });
  return new KollectError('KOL_SINK_UNAVAILABLE', `the connection to the server failed: look at its log (${title})`, { cause: error });
}

/** What an answer that is no success means. */
export function answerError({ status, headers, body }: HttpAnswer, title: string, method: string): KollectError {
  const [code, text] = meanings[status] ?? (status >= 500 ? unavailable : refused);
  const said = body.toString('utf8').replaceAll(/\s+/g, ' ').trim();
  const isQuoted = (code === 'KOL_SINK_REFUSED' || code === 'KOL_SINK_CONFIG') && said !== '' && /text\/plain|json/.test(headers['content-type'] ?? '');
  const retryAfterMs = retryAfter(headers['retry-after']);
  return new KollectError(code, `${text.replace('{method}', method)} (${title}, ${status})${isQuoted ? `: ${said.slice(0, 200)}` : ''}`, retryAfterMs === undefined || status < 400 ? {} : { retryAfterMs });
}

/** Seconds, or a date. */
function retryAfter(value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1_000 : Date.parse(value) - Date.now();
  return Number.isFinite(ms) && ms > 0 ? Math.min(ms, maxRetryAfterMs) : undefined;
}

const unavailable: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'the server failed: look at its log'];
const refused: [ErrorCode, string] = ['KOL_SINK_REFUSED', 'the server refused the document: look at what it says of it'];
const elsewhere: [ErrorCode, string] = ['KOL_SINK_CONFIG', 'the server redirects to another address, which is not followed: write the final address into spec.endpoint'];
const throttled: [ErrorCode, string] = ['KOL_SINK_UNAVAILABLE', 'the server limits how often it is asked: look at its limits'];

const meanings: Readonly<Record<number, [ErrorCode, string]>> = {
  301: elsewhere,
  302: elsewhere,
  303: elsewhere,
  307: elsewhere,
  308: elsewhere,
  401: ['KOL_SINK_AUTH', 'the server refused the login: correct the Secret of spec.http.auth'],
  403: ['KOL_SINK_AUTH', 'the server does not let us do this: correct the Secrets of spec.http, or grant the right'],
  404: ['KOL_SINK_SCHEMA', 'there is nothing at this address: correct spec.endpoint'],
  405: ['KOL_SINK_CONFIG', 'the server takes no {method} at this address: correct spec.http.method or spec.endpoint'],
  408: ['KOL_SINK_UNAVAILABLE', 'the server did not get the document in time: look at the network on the way to it'],
  410: ['KOL_SINK_SCHEMA', 'there is nothing at this address any more: correct spec.endpoint'],
  411: ['KOL_SINK_REFUSED', 'the server wants to know the length of the document, and did not understand it: look at what stands before it'],
  413: ['KOL_SINK_REFUSED', 'the server takes no document of this size: set maxExportBytes in the inventory, and it is sent in parts'],
  415: ['KOL_SINK_CONFIG', 'the server does not take the format: correct spec.serialization'],
  425: throttled,
  429: throttled,
  503: ['KOL_SINK_UNAVAILABLE', 'the server does not take documents at the moment: look at it'],
};
