import { Agent } from 'undici';
import type { Cluster } from '../servers/cluster.ts';

/** Raw requests to the API server on many connections. */
export class BareClient {
  readonly #agent: Agent;
  readonly #cluster: Pick<Cluster, 'url' | 'adminToken' | 'caPem'>;

  constructor(cluster: Pick<Cluster, 'url' | 'adminToken' | 'caPem'>) {
    this.#cluster = cluster;
    this.#agent = new Agent({ connect: { ca: cluster.caPem }, connections: 64 });
  }

  async request(method: 'GET' | 'POST' | 'PATCH' | 'DELETE', path: string, body?: object, contentType = 'application/json'): Promise<string> {
    const { statusCode, body: answer } = await this.#agent.request({
      origin: this.#cluster.url,
      path,
      method,
      headers: { authorization: `Bearer ${this.#cluster.adminToken}`, 'content-type': contentType },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const text = await answer.text();
    if (statusCode >= 300) throw new Error(`${method} ${path}: ${statusCode} ${text.slice(0, 300)}`);
    return text;
  }

  /** Calls `work` for each index from `from` to `to - 1`, many at a time. */
  async each(from: number, to: number, work: (index: number) => Promise<unknown>, report: (done: number) => void = () => undefined): Promise<void> {
    let next = from;
    const worker = async (): Promise<void> => {
      for (let index = next++; index < to; index = next++) {
        await work(index);
        if ((index + 1) % 10_000 === 0) report(index + 1);
      }
    };
    await Promise.all(Array.from({ length: 48 }, worker));
  }

  /** What no follower of the API can avoid: fetch all pages of 500 and parse them. */
  async listAll(path: string): Promise<{ objects: number; bytes: number }> {
    let token = '';
    let objects = 0;
    let bytes = 0;
    do {
      const text = await this.request('GET', `${path}?limit=500&continue=${encodeURIComponent(token)}`);
      const list = JSON.parse(text) as { metadata: { continue?: string }; items: unknown[] };
      bytes += text.length;
      objects += list.items.length;
      token = list.metadata.continue ?? '';
    } while (token !== '');
    return { objects, bytes };
  }

  close(): Promise<void> {
    return this.#agent.close();
  }
}
