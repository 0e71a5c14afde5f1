import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What happens to one request. Everything else is the real API server's answer. */
export type Fault =
  /** Answers in the server's place. */
  | { kind: 'status'; code: number; headers?: Record<string, string>; body?: object }
  /** Passes a number of lines on, then writes this one as if the server had. */
  | { kind: 'line'; after: number; line: string }
  /** Passes a number of lines on and half of the next, then ends as if all were well. */
  | { kind: 'truncate'; after: number }
  /** Passes a number of lines on, then breaks the connection. */
  | { kind: 'reset'; after: number }
  /** Passes a number of lines on, then nothing more, with the connection open. */
  | { kind: 'silence'; after: number }
  /** Passes the answer on in small pieces. */
  | { kind: 'drip' }
  /** Passes every line on twice. */
  | { kind: 'duplicate' }
  /** Passes a number of lines on, then repeats the first one after each further one. */
  | { kind: 'replay'; after: number }
  /** Answers as if all were well with this text, or none, and ends. */
  | { kind: 'close'; text?: string };

export interface Rule {
  /** Which requests it meets: by path and query. */
  match: (url: URL) => boolean;
  fault: Fault;
  /** Requests it meets before it is used up; 1 when unset. */
  times?: number;
  /** Happens before the fault, while the request waits. */
  before?: () => Promise<unknown>;
}

export const isWatch = (url: URL): boolean => url.searchParams.get('watch') === 'true';
export const isList = (url: URL): boolean => !isWatch(url);

/** Stands in front of a real API server and breaks what a test tells it to. */
export class WatchProxy {
  readonly #rules: Rule[] = [];
  readonly #upstream: { url: string; ca: string };
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  /** Requests seen, newest last. */
  readonly requests: { url: URL; headers: IncomingMessage['headers'] }[] = [];

  constructor(upstream: { url: string; ca: string }) {
    this.#upstream = upstream;
  }

  async start(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  break(rule: Rule): void {
    this.#rules.push({ ...rule });
  }

  /** Forgets what is still to be broken. */
  heal(): void {
    this.#rules.length = 0;
  }

  /** Cuts every connection that is open now. */
  cut(): void {
    this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.#upstream.url);
    this.requests.push({ url, headers: request.headers });
    const index = this.#rules.findIndex((rule) => rule.match(url));
    const rule = this.#rules[index];
    if (rule && (rule.times = (rule.times ?? 1) - 1) <= 0) this.#rules.splice(index, 1);
    await rule?.before?.();
    if (rule?.fault.kind === 'close') {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(rule.fault.text);
      return;
    }
    if (rule?.fault.kind === 'status') {
      const { code, headers, body } = rule.fault;
      response.writeHead(code, { 'content-type': 'application/json', ...headers });
      response.end(JSON.stringify(body ?? { kind: 'Status', status: 'Failure', code, reason: reasons[code] ?? '', message: `injected ${code}` }));
      return;
    }
    const upstream = httpsRequest(url, { method: request.method, headers: { ...request.headers, host: url.host }, ca: this.#upstream.ca });
    request.pipe(upstream);
    const fail = (): void => void response.destroy();
    upstream.once('error', fail);
    response.once('close', () => upstream.destroy());
    const [answer] = (await once(upstream, 'response').catch(() => [undefined])) as [IncomingMessage | undefined];
    if (!answer) return fail();
    answer.once('error', fail);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    await pass(answer, response, rule?.fault).catch(fail);
  }
}

const reasons: Record<number, string> = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound', 410: 'Expired', 429: 'TooManyRequests', 500: 'InternalError' };

async function pass(answer: IncomingMessage, response: ServerResponse, fault: Fault | undefined): Promise<void> {
  if (!fault || fault.kind === 'status' || fault.kind === 'close') return void answer.pipe(response);
  if (fault.kind === 'drip') return drip(answer, response);
  let lines = 0;
  let first: string | undefined;
  let rest = '';
  answer.setEncoding('utf8');
  for await (const chunk of answer) {
    const pieces = `${rest}${String(chunk)}`.split('\n');
    rest = pieces.pop() ?? '';
    for (const line of pieces) {
      first ??= line;
      const due = fault.kind !== 'duplicate' && lines++ >= fault.after;
      if (fault.kind === 'duplicate') response.write(`${line}\n${line}\n`);
      else if (!due) response.write(`${line}\n`);
      else if (fault.kind === 'replay') response.write(`${line}\n${first}\n`);
      else if (fault.kind === 'line') response.write(`${lines === fault.after + 1 ? `${fault.line}\n` : ''}${line}\n`);
      else if (fault.kind === 'truncate') return void response.end(line.slice(0, line.length / 2));
      else if (fault.kind === 'reset') return void response.destroy();
    }
  }
  if (!response.destroyed) response.end();
}

async function drip(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  for await (const chunk of answer) {
    for (let at = 0; at < (chunk as Buffer).length; at += 97) {
      if (response.destroyed) return;
      response.write((chunk as Buffer).subarray(at, at + 97));
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
  response.end();
}
