import { once } from 'node:events';
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
  /** Sent with its length; pieces without one, and once. */
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
  const isTls = url.protocol === 'https:';
  const length = body === undefined ? { 'content-length': 0 } : body instanceof Uint8Array ? { 'content-length': body.length } : {};
  const options = { method, headers: { ...(method === 'GET' || method === 'DELETE' ? {} : length), ...headers }, signal };
  const outgoing = isTls ? overHttps(url, { ...options, agent: https }) : overHttp(url, { ...options, agent: http });
  const answered = once(outgoing, 'response') as Promise<[IncomingMessage]>;
  // Whoever refuses early does not read to the end.
  const sent = body === undefined || body instanceof Uint8Array ? Promise.resolve(void outgoing.end(body)) : pipeline(Readable.from(body, { objectMode: false }), outgoing);
  const failed = Promise.withResolvers<never>();
  sent.catch((error: unknown) => failed.reject(error));
  failed.promise.catch(() => undefined);
  const [incoming] = await Promise.race([answered, failed.promise.catch(async (error: unknown) => {
    const early = await Promise.race([answered, new Promise<undefined>((resolve) => setImmediate(resolve, undefined))]).catch(() => undefined);
    if (early) return early;
    throw error;
  })]);
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
