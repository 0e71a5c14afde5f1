import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../servers/cluster.ts';

const path = '/apis/apps/v1/deployments';
/** What the texts of an object hold in the place of its number, uid, version and replicas. */
const marks = { index: 987_654_321, uid: '00000000-0000-4000-8000-987654321000', version: '987654322', replicas: 987_654_323 } as const;
const firstVersion = 1_000;
/** Events, at least, that a watch which comes back is told. */
const keptEvents = 10_000;

/**
 * Stands in front of a real API server and makes up the answers to lists and watches of Deployments, and no others, from one real object: etcd takes many minutes to
 * fill with a million. It speaks plain HTTP, so what it serves costs less than the same of an API server.
 */
export class GeneratedDeployments {
  /** As that of the cluster behind it. */
  readonly kubeconfig: string;
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #agent: Agent;
  readonly #upstream: string;
  readonly #pieces: readonly string[];
  /** By number, where it is not one. */
  readonly #replicas = new Map<number, number>();
  readonly #versions = new Map<number, number>();
  readonly #watches = new Set<ServerResponse>();
  #events: { version: number; line: string }[] = [];
  #count = 0;
  /** Of so many consecutive objects one exists. */
  #oneOf = 1;
  #version = firstVersion;
  /** Versions before are forgotten. */
  #oldest = firstVersion;

  /** @param sample text of a Deployment as the API server stores it, with `number` as part of its names */
  static async start(cluster: Cluster, sample: string, number: number): Promise<GeneratedDeployments> {
    const object = JSON.parse(sample.replaceAll(String(number), String(marks.index))) as { metadata: Record<string, unknown>; spec: { replicas: number } };
    Object.assign(object.metadata, { uid: marks.uid, resourceVersion: marks.version });
    object.spec.replicas = marks.replicas;
    const generated = new GeneratedDeployments(cluster, JSON.stringify(object));
    generated.#server.listen(0, '127.0.0.1');
    await once(generated.#server, 'listening');
    const config = {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'generated', cluster: { server: generated.url } }],
      users: [{ name: 'admin', user: { token: cluster.adminToken } }],
      contexts: [{ name: 'generated', context: { cluster: 'generated', user: 'admin' } }],
      'current-context': 'generated',
    };
    writeFileSync(generated.kubeconfig, JSON.stringify(config), { mode: 0o600 });
    return generated;
  }

  private constructor(cluster: Cluster, text: string) {
    this.kubeconfig = join(cluster.folder, 'generated.kubeconfig');
    this.#upstream = cluster.url;
    this.#agent = new Agent({ ca: cluster.caPem, keepAlive: true });
    this.#pieces = text.split(new RegExp(`(${Object.values(marks).join('|')})`));
  }

  /** As that of the cluster behind it. */
  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** From here on there are so many, or of so many consecutive ones one. Watchers learn of it by a list, to which they are sent. */
  fill(count: number, oneOf = 1): void {
    this.#count = count;
    this.#oneOf = oneOf;
    this.#oldest = ++this.#version;
    this.#events = [];
    const status = { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' };
    for (const response of this.#watches) response.end(`${JSON.stringify({ type: 'ERROR', object: status })}\n`);
  }

  /** Changes one object; the result is its uid. */
  scale(index: number, replicas: number): string {
    this.#replicas.set(index, replicas);
    this.#versions.set(index, ++this.#version);
    const event = { version: this.#version, line: `{"type":"MODIFIED","object":${this.#text(index)}}\n` };
    this.#events.push(event);
    if (this.#events.length > 2 * keptEvents) this.#oldest = this.#events.splice(0, keptEvents).at(-1)!.version;
    for (const response of this.#watches) response.write(event.line);
    return uidOf(index);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
    this.#agent.destroy();
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', this.#upstream);
    if (url.pathname !== path) return await this.#pass(request, response, url);
    response.writeHead(200, { 'content-type': 'application/json' });
    if (url.searchParams.get('watch') === 'true') this.#watch(response, Number(url.searchParams.get('resourceVersion')));
    else response.end(this.#page(Number(url.searchParams.get('continue')), Number(url.searchParams.get('limit') ?? this.#count)));
  }

  #page(start: number, limit: number): string {
    const items: string[] = [];
    let index = start;
    for (; index < this.#count && items.length < limit; index += this.#oneOf) items.push(this.#text(index));
    const more = index < this.#count ? `,"continue":"${index}"` : '';
    return `{"kind":"DeploymentList","apiVersion":"apps/v1","metadata":{"resourceVersion":"${this.#version}"${more}},"items":[${items.join()}]}`;
  }

  #watch(response: ServerResponse, since: number): void {
    response.flushHeaders();
    if (since < this.#oldest) return void response.end('{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}\n');
    for (const { version, line } of this.#events) if (version > since) response.write(line);
    this.#watches.add(response);
    const bookmark = (): string => `{"type":"BOOKMARK","object":{"kind":"Deployment","apiVersion":"apps/v1","metadata":{"resourceVersion":"${this.#version}"}}}\n`;
    const timer = setInterval(() => response.write(bookmark()), 60_000);
    response.once('close', () => {
      clearInterval(timer);
      this.#watches.delete(response);
    });
  }

  #text(index: number): string {
    let text = '';
    for (const piece of this.#pieces) {
      if (piece === String(marks.index)) text += index;
      else if (piece === marks.uid) text += uidOf(index);
      else if (piece === marks.version) text += this.#versions.get(index) ?? firstVersion;
      else if (piece === String(marks.replicas)) text += this.#replicas.get(index) ?? 1;
      else text += piece;
    }
    return text;
  }

  async #pass(request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
    const upstream = httpsRequest(url, { method: request.method, headers: { ...request.headers, host: url.host }, agent: this.#agent });
    const fail = (): void => void response.destroy();
    upstream.once('error', fail);
    response.once('close', () => upstream.destroy());
    request.pipe(upstream);
    const [answer] = (await once(upstream, 'response').catch(() => [undefined])) as [IncomingMessage | undefined];
    if (!answer) return fail();
    answer.once('error', fail);
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    response.flushHeaders();
    answer.pipe(response);
  }
}

/** Spread like random ones, and the same for the same number. */
function uidOf(index: number): string {
  const hex = (factor: number): string => (Math.imul(index + 1, factor) >>> 0).toString(16).padStart(8, '0');
  return `${hex(0x9e3779b1)}-0000-4000-8000-${String(index).padStart(8, '0').slice(0, 4)}${hex(0x85ebca6b)}`;
}
