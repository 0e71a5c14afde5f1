import { request as overHttp, type IncomingMessage, type OutgoingHttpHeaders } from 'node:http';
import { request as overHttps } from 'node:https';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { KollectError } from '../../../shared/errors.ts';
import type { GuardedAgents } from './guarded-agent.ts';

export interface HttpRequest {
  method: string;
  url: URL;
  headers?: OutgoingHttpHeaders;
  /** Bytes are sent with their length. */
  body?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Of the answer; a longer one is an error unless it is `cut`. Unlimited when unset. */
  maxBytes?: number;
  isCut?: boolean;
}

export interface HttpAnswer {
  status: number;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/** Asks a server over connections that were checked. Follows no redirects. Rejects with what the connection failed with, and when `signal` aborts. */
export async function httpRequest({ http, https }: GuardedAgents, { method, url, headers = {}, body, maxBytes = Infinity, isCut = false }: HttpRequest, signal: AbortSignal): Promise<HttpAnswer> {
  const length = body instanceof Uint8Array ? { 'content-length': body.length } : {};
  const options = { method, headers: { ...length, ...headers }, signal };
  const outgoing = url.protocol === 'https:' ? overHttps(url, { ...options, agent: https }) : overHttp(url, { ...options, agent: http });
  const answer = Promise.withResolvers<IncomingMessage>();
  // Whoever refuses early does not read to the end: an answer counts more than what became of the rest.
  outgoing.once('response', answer.resolve).once('error', answer.reject);
  if (body === undefined || body instanceof Uint8Array) outgoing.end(body);
  else pipeline(Readable.from(body, { objectMode: false }), outgoing).catch(answer.reject);
  const incoming = await answer.promise;
  const pieces: Buffer[] = [];
  let size = 0;
  for await (const piece of incoming as AsyncIterable<Buffer>) {
    const rest = maxBytes - size;
    pieces.push(piece.length > rest ? piece.subarray(0, rest) : piece);
    size += piece.length;
    if (size <= maxBytes) continue;
    if (!isCut) throw new KollectError('KOL_SINK_UNAVAILABLE', `the answer is longer than ${maxBytes} bytes`);
    incoming.destroy();
    break;
  }
  return { status: incoming.statusCode ?? 0, headers: incoming.headers, body: Buffer.concat(pieces) };
}
