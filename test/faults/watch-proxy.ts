import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';

/** What happens to one request. Everything else is the real API server's answer. */
export type Fault =
  /** Answers in the server's place. */
  | { kind: 'status'; code: number; headers?: Record<string, string>; body?: object }
  /** Passes a number of lines on, then writes this one as if the server had. */
  | ({ kind: 'line'; line: string } & Moment)
  /** Passes a number of lines on and half of the next, then ends as if all were well; within a character of several bytes, where it has one. */
  | ({ kind: 'truncate'; inCharacter?: boolean } & Moment)
  /** Passes a number of lines on, then breaks the connection. */
  | ({ kind: 'reset' } & Moment)
  /** Passes a number of lines on, then nothing more, with the connection open. */
  | ({ kind: 'silence' } & Moment)
  /** Passes the answer on in small pieces, in the middle of characters too. */
  | ({ kind: 'drip' } & Lifetime)
  /** Passes every line on twice. */
  | ({ kind: 'duplicate' } & Lifetime)
  /** Passes a number of lines on, then repeats the first one after each further one. */
  | ({ kind: 'replay'; after: number } & Lifetime)
  /** Passes a number of lines on, then holds each second one back until the next one has passed. */
  | ({ kind: 'swap'; after: number } & Lifetime)
  /** Answers as if all were well with this text, or none, and ends. */
  | { kind: 'close'; text?: string };

/** When a fault strikes: after a number of lines, or after a time if it comes first. */
interface Moment {
  after: number;
  withinMs?: number;
}

/** What goes on for as long as the connection does. */
interface Lifetime {
  /** The connection is broken after this time. */
  endsAfterMs?: number;
}

export interface Rule {
  /** Which requests it meets: by path and query. */
  match: (url: URL) => boolean;
  /** None when unset: the request only waits for `before`. */
  fault?: Fault;
  /** Requests it meets before it is used up; 1 when unset. */
  times?: number;
  /** Happens before the fault, while the request waits. */
  before?: () => Promise<unknown>;
}

export const isWatch = (url: URL): boolean => url.searchParams.get('watch') === 'true';
export const isList = (url: URL): boolean => !isWatch(url);

export interface Disturber {
  /** Chooses what happens to a request that no rule meets. */
  choose(url: URL, headers: IncomingMessage['headers']): Fault | undefined;
  /** The fault struck; one that was chosen may never come to it. */
  struck(fault: Fault): void;
}

/** Stands in front of a real API server and breaks what a test tells it to. */
export class WatchProxy {
  readonly #rules: Rule[] = [];
  readonly #upstream: { url: string; ca: string };
  readonly #disturber: Disturber | undefined;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  /** Requests seen, newest last, the status of those that are answered, and whether the answer still goes on. */
  readonly requests: { url: URL; headers: IncomingMessage['headers']; code?: number; open: boolean }[] = [];

  constructor(upstream: { url: string; ca: string }, disturber?: Disturber) {
    this.#upstream = upstream;
    this.#disturber = disturber;
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
    const seen: WatchProxy['requests'][number] = { url, headers: request.headers, open: true };
    this.requests.push(seen);
    response.once('close', () => (seen.open = false));
    const index = this.#rules.findIndex((rule) => rule.match(url));
    const rule = this.#rules[index];
    if (rule && (rule.times = (rule.times ?? 1) - 1) <= 0) this.#rules.splice(index, 1);
    await rule?.before?.();
    const fault = rule ? rule.fault : this.#disturber?.choose(url, request.headers);
    const struck = (): void => void (fault && this.#disturber?.struck(fault));
    if (fault?.kind === 'close' || fault?.kind === 'status') {
      struck();
      const { code, headers } = fault.kind === 'status' ? fault : { code: 200, headers: {} };
      seen.code = code;
      response.writeHead(code, { 'content-type': 'application/json', ...headers });
      response.end(fault.kind === 'close' ? fault.text : JSON.stringify(fault.body ?? { kind: 'Status', status: 'Failure', code, reason: reasons[code] ?? '', message: `injected ${code}` }));
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
    // What is broken has another length.
    const headers = { ...answer.headers };
    if (fault) delete headers['content-length'];
    seen.code = answer.statusCode ?? 502;
    response.writeHead(seen.code, headers);
    response.flushHeaders();
    const endsAfterMs = fault && 'endsAfterMs' in fault ? fault.endsAfterMs : undefined;
    const timer = endsAfterMs === undefined ? undefined : setTimeout(fail, endsAfterMs);
    response.once('close', () => clearTimeout(timer));
    await pass(answer, response, fault, struck).catch(fail);
  }
}

const reasons: Record<number, string> = { 401: 'Unauthorized', 403: 'Forbidden', 404: 'NotFound', 410: 'Expired', 429: 'TooManyRequests', 500: 'InternalError' };

async function pass(answer: IncomingMessage, response: ServerResponse, fault: Fault | undefined, struck: () => void): Promise<void> {
  if (!fault || fault.kind === 'status' || fault.kind === 'close') return void answer.pipe(response);
  if (fault.kind === 'drip') {
    struck();
    return drip(answer, response);
  }
  const disturbed = new DisturbedLines(response, fault, struck);
  let rest = '';
  answer.setEncoding('utf8');
  try {
    for await (const chunk of answer) {
      const pieces = `${rest}${String(chunk)}`.split('\n');
      rest = pieces.pop() ?? '';
      for (const line of pieces) disturbed.pass(line);
    }
    disturbed.end();
  } finally {
    disturbed.stop();
  }
}

type LineFault = Exclude<Fault, { kind: 'status' | 'close' | 'drip' }>;

/** The lines of one answer, and what a fault makes of them. */
class DisturbedLines {
  readonly #response: ServerResponse;
  readonly #fault: LineFault;
  readonly #struck: () => void;
  readonly #timer: NodeJS.Timeout | undefined;
  #lines = 0;
  #first: string | undefined;
  #held: string | undefined;
  #didStrike = false;
  #isOver = false;

  constructor(response: ServerResponse, fault: LineFault, struck: () => void) {
    this.#response = response;
    this.#fault = fault;
    this.#struck = struck;
    if ('withinMs' in fault && fault.withinMs !== undefined) this.#timer = setTimeout(() => this.#strike(bookmark), fault.withinMs);
  }

  pass(line: string): void {
    if (this.#isOver) return;
    this.#first ??= line;
    const fault = this.#fault;
    const isDue = fault.kind === 'duplicate' || this.#lines++ >= fault.after;
    if (!isDue || (this.#didStrike && fault.kind === 'line')) this.#write(line);
    else if (fault.kind === 'duplicate' || fault.kind === 'replay') {
      this.#note();
      this.#write(line);
      this.#write(fault.kind === 'duplicate' ? line : this.#first);
    } else if (fault.kind === 'swap') this.#swap(line);
    else {
      this.#strike(line);
      if (fault.kind === 'line') this.#write(line);
    }
  }

  end(): void {
    if (this.#held !== undefined) this.#write(this.#held);
    // A connection that fell silent stays open.
    if (!this.#isOver) this.#response.end();
  }

  stop(): void {
    clearTimeout(this.#timer);
  }

  #swap(line: string): void {
    if (this.#held === undefined) this.#held = line;
    else {
      this.#note();
      this.#write(line);
      this.#write(this.#held);
      this.#held = undefined;
    }
  }

  #strike(line: string): void {
    const fault = this.#fault;
    if (this.#isOver || this.#didStrike) return;
    this.#note();
    if (fault.kind === 'line') return this.#write(fault.line);
    this.#isOver = true;
    if (fault.kind === 'reset') this.#response.destroy();
    if (fault.kind === 'truncate') this.#response.end(firstHalf(line, fault.inCharacter === true));
  }

  #note(): void {
    if (!this.#didStrike) this.#struck();
    this.#didStrike = true;
  }

  #write(line: string): void {
    if (!this.#response.destroyed) this.#response.write(`${line}\n`);
  }
}

const bookmark = JSON.stringify({ type: 'BOOKMARK', object: { kind: 'ConfigMap', apiVersion: 'v1', metadata: { resourceVersion: '1' } } });

function firstHalf(line: string, inCharacter: boolean): Buffer {
  const bytes = Buffer.from(line);
  const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;
  const cut = inCharacter ? bytes.findIndex(isContinuation) : -1;
  return bytes.subarray(0, cut > 0 ? cut : bytes.length / 2);
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
