import { Agent as PlainAgent, request as plainRequest } from 'node:http';
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import { Agent as TlsAgent, request as tlsRequest } from 'node:https';
import { createSecureContext } from 'node:tls';
import type { KubeConnection } from './config.ts';

/** An idle connection is closed after this time, before the API server does it under a request. */
const idleMs = 60_000;
const keepAliveDelayMs = 30_000;

export interface HttpRequest {
  method: string;
  url: URL;
  headers: Readonly<Record<string, string>>;
  body?: string | undefined;
  signal?: AbortSignal | undefined;
  /** Milliseconds without a byte after which an answer is given up, before its head and in its body. */
  headTimeoutMs: number;
  /** 0: the body may be silent. */
  bodyTimeoutMs: number;
}

export interface HttpAnswer {
  statusCode: number;
  headers: IncomingHttpHeaders;
  body: AsyncIterable<Buffer>;
}

/**
 * HTTP/1.1 to one API server over connections that are kept, by Node's own client: it is there already wherever a server is, and costs no memory of its
 * own. Rejects with what the socket says, or with the reason of the signal.
 */
export class Transport {
  readonly #agent: PlainAgent;
  readonly #request: typeof plainRequest;

  /** @param connections most that are open at once; any number when unset. */
  constructor({ server, ca, serverName, clientCertificate, insecureSkipTlsVerify }: KubeConnection, connections = Number.POSITIVE_INFINITY) {
    const shared = { keepAlive: true, keepAliveMsecs: keepAliveDelayMs, timeout: idleMs, maxSockets: connections };
    const isTls = server.startsWith('https:');
    // One for all connections: each would parse the authorities again.
    const tls = { secureContext: isTls ? createSecureContext({ ca, ...clientCertificate }) : undefined, servername: serverName, rejectUnauthorized: !insecureSkipTlsVerify, ALPNProtocols: ['http/1.1'] };
    this.#agent = isTls ? new TlsAgent({ ...shared, ...tls }) : new PlainAgent(shared);
    this.#request = isTls ? tlsRequest : plainRequest;
  }

  /** The head of the answer; its body is read, or the signal aborted, by the caller. */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    try {
      return await this.#once(request);
    } catch (error) {
      // The server closed the connection while it was idle: nothing was asked yet, and what only reads may be asked again.
      if (!(error instanceof StaleConnection)) throw error;
      if (request.method !== 'GET' || request.signal?.aborted) throw error.cause;
      return this.#once(request).catch((second: unknown) => {
        throw second instanceof StaleConnection ? second.cause : second;
      });
    }
  }

  /** Ends what is open. */
  close(): void {
    this.#agent.destroy();
  }

  #once({ method, url, headers, body, signal, headTimeoutMs, bodyTimeoutMs }: HttpRequest): Promise<HttpAnswer> {
    signal?.throwIfAborted();
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const call = this.#request(url, { method, agent: this.#agent, headers: { ...headers, ...length }, timeout: headTimeoutMs });
    return new Promise((resolve, reject) => {
      const abort = (): void => void call.destroy(signal?.reason as Error);
      signal?.addEventListener('abort', abort, { once: true });
      call.once('close', () => signal?.removeEventListener('abort', abort));
      call.on('timeout', () => call.destroy(Object.assign(new Error('no byte came in time'), { code: 'ETIMEDOUT' })));
      call.on('error', (error: NodeJS.ErrnoException) => reject(call.reusedSocket && error.code === 'ECONNRESET' ? new StaleConnection(error) : error));
      call.once('response', (response: IncomingMessage) => {
        call.setTimeout(bodyTimeoutMs);
        resolve({ statusCode: response.statusCode ?? 0, headers: response.headers, body: response });
      });
      call.end(body);
    });
  }
}

/** The whole body. */
export async function textOf({ body }: HttpAnswer): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return (chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)).toString();
}

class StaleConnection extends Error {
  constructor(cause: Error) {
    super(cause.message, { cause });
  }
}
