import { Agent } from 'undici';
import type { Cluster } from '../servers/cluster.ts';

/** Some 4.4 KB as the API server stores it: annotations, two containers, environment, limits. */
export function benchDeployment(index: number): object {
  const app = `d${index}`;
  const note = 'x'.repeat(180);
  const container = {
    name: 'main',
    image: `example.org/app:${index}`,
    env: Array.from({ length: 5 }, (_, number) => ({ name: `E${number}`, value: `value ${number}` })),
    resources: { limits: { cpu: '1', memory: '1Gi' } },
  };
  return {
    metadata: {
      name: app,
      labels: { app, team: `t${index % 50}`, tier: 'web' },
      annotations: Object.fromEntries(Array.from({ length: 8 }, (_, number) => [`example.org/note-${number}`, note])),
    },
    spec: {
      replicas: 1 + (index % 5),
      selector: { matchLabels: { app } },
      template: { metadata: { labels: { app } }, spec: { containers: [container, { name: 'side', image: 'envoy:1' }] } },
    },
  };
}

/** Ten attributes: seven paths, three expressions. */
export const benchAttributes = [
  { name: 'image', path: '$.spec.template.spec.containers[0].image' },
  { name: 'images', path: '$.spec.template.spec.containers[*].image' },
  { name: 'replicas', path: '$.spec.replicas' },
  { name: 'team', path: '$.metadata.labels.team' },
  { name: 'tier', path: '$.metadata.labels.tier' },
  { name: 'cpu', path: '$.spec.template.spec.containers[0].resources.limits.cpu' },
  { name: 'created', path: '$.metadata.creationTimestamp' },
  { name: 'containers', path: 'cel:size(object.spec.template.spec.containers)' },
  { name: 'available', path: 'cel:has(object.status.availableReplicas) ? object.status.availableReplicas : 0' },
  { name: 'label', path: 'cel:object.metadata.labels.team + "/" + object.metadata.name' },
];

/** Raw requests to the API server on many connections. */
export class BareClient {
  readonly #agent: Agent;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#agent = new Agent({ connect: { ca: cluster.caPem }, connections: 64 });
  }

  async request(method: 'GET' | 'POST' | 'PATCH', path: string, body?: object, contentType = 'application/json'): Promise<string> {
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

  /** Creates Deployments `d<from>` … `d<to - 1>`. */
  async createDeployments(namespace: string, from: number, to: number, report: (done: number) => void): Promise<void> {
    let next = from;
    const work = async (): Promise<void> => {
      for (let index = next++; index < to; index = next++) {
        await this.request('POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, benchDeployment(index));
        if ((index + 1) % 10_000 === 0) report(index + 1);
      }
    };
    await Promise.all(Array.from({ length: 48 }, work));
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
