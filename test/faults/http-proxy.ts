import { once } from 'node:events';
import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What becomes of a request. */
export type HttpFault =
  /** It never arrives, and the connection is reset. */
  | 'reset'
  /** It is done, and the connection is reset in place of the answer. */
  | 'lost'
  /** It is done, and no answer comes. */
  | 'silence'
  /** Somebody on the way answers. */
  | { status: number; headers?: Record<string, string>; body?: string };

/** Stands in front of a server of HTTP and breaks what a test tells it to. The server sees the name of the proxy as its host. */
export class HttpProxy {
  readonly #target: number;
  readonly #server: Server;
  /** Decides about each request; may do something itself before it is passed on. */
  fault: (incoming: IncomingMessage) => HttpFault | undefined | Promise<HttpFault | undefined> = () => undefined;
  /** Requests so far, such as `PUT /bucket/key?partNumber=1`. */
  readonly requests: string[] = [];

  /** @param tls certificate and key in PEM, to speak HTTPS */
  constructor(target: number, tls?: { cert: string; key: string }) {
    this.#target = target;
    const serve = (incoming: IncomingMessage, answer: ServerResponse): void => void this.#serve(incoming, answer).catch(() => incoming.destroy());
    this.#server = tls ? createTlsServer(tls, serve) : createServer(serve);
    this.#server.keepAliveTimeout = 60_000;
  }

  async start(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** From now on new connections meet this one. */
  certify(tls: { cert: string; key: string }): void {
    (this.#server as TlsServer).setSecureContext(tls);
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  async #serve(incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    this.requests.push(`${incoming.method} ${incoming.url}`);
    const fault = await this.fault(incoming);
    if (fault === 'reset') return void incoming.socket.resetAndDestroy();
    if (typeof fault === 'object') {
      incoming.resume();
      await once(incoming, 'end');
      answer.writeHead(fault.status, fault.headers);
      return void answer.end(fault.body ?? '');
    }
    const upstream = request({ host: '127.0.0.1', port: this.#target, method: incoming.method, path: incoming.url, headers: incoming.headers, agent: false });
    upstream.on('error', () => incoming.socket.destroy());
    incoming.on('close', () => upstream.destroyed || incoming.complete || upstream.destroy());
    incoming.pipe(upstream);
    const [response] = (await once(upstream, 'response')) as [IncomingMessage];
    if (fault === undefined) {
      answer.writeHead(response.statusCode ?? 502, response.rawHeaders);
      return void response.pipe(answer);
    }
    response.resume();
    await once(response, 'end');
    if (fault === 'lost') incoming.socket.resetAndDestroy();
  }
}
