import type { Test } from 'tap';
import { AccessReviews } from '../../controller/collect/access-reviews.ts';
import { Collector, type CollectorOptions, type ResourcePlan } from '../../controller/collect/collector.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import { selectionByKind, type NamespaceFacts } from '../../controller/collect/selection.ts';
import { gvkKey } from '../../shared/api/gvk.ts';
import type { KollectTargetSpec } from '../../shared/api/kollect-target.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { createLogger } from '../../shared/log.ts';
import { WatchProxy } from '../faults/watch-proxy.ts';
import type { Cluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

const logger = createLogger({ level: 'error', format: 'text', name: 'test', write: () => undefined });

/** How long an answer about rights holds. */
export const reviewAgeMs = 500;

let made = 0;

/** A collector with the rights of a user of the cluster, before a proxy that counts, and what it is asked. `admin` may do everything. */
export async function collectAs(t: Test, { cluster, admin, user }: { cluster: Cluster; admin: KubeClient; user: string }, options: Partial<CollectorOptions> = {}) {
  const id = made++;
  const names = ['north', 'south', 'west'].map((name) => `${name}-${id}`);
  const namespaces = new Map<string, NamespaceFacts>();
  for (const name of names) {
    await admin.create('/api/v1/namespaces', { metadata: { name } });
    namespaces.set(name, { name, labels: undefined, annotations: undefined });
  }
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const connection = await loadConnection({ kubeconfig: cluster.kubeconfigOf(user) });
  const client = new KubeClient({ ...connection, server: await proxy.start() });
  const store = new RowStore();
  const collector = new Collector({
    client,
    reviews: new AccessReviews(client, reviewAgeMs),
    store,
    namespaces: { get: (name) => namespaces.get(name), list: () => namespaces.values() },
    logger,
    onProgress: () => undefined,
    backfillDelayMs: 200,
    ...options,
  });
  t.teardown(async () => {
    await collector.stop();
    await client.close();
    await proxy.stop();
  });
  const discovery = new Discovery(admin);
  const resourceOf = async (kind: string) => (await discovery.resolve({ group: '', version: 'v1', kind }))!;
  /** Kinds of the core group; those of the rules, where there are some. */
  const collect = async (name: string, spec: Partial<KollectTargetSpec>, kind = 'ConfigMap', path = '$.data.value'): Promise<void> => {
    const full = { profileRef: 'p', labelSelector: kind === 'ConfigMap' ? { matchLabels: { test: 'yes' } } : undefined, ...spec } as KollectTargetSpec;
    const resources = selectionByKind(full, { group: '', version: 'v1', kind }).map(async ({ gvk, spec: selected }): Promise<ResourcePlan> => {
      const profile = compileProfile({ spec: { targetGVK: gvk, attributes: [{ name: 'value', path, optional: true }] } });
      return { key: gvkKey(gvk), collect: { fingerprint: JSON.stringify([gvk, selected, path]), spec: selected, profile, resource: await resourceOf(gvk.kind) } };
    });
    collector.collect(names[0]!, name, { resources: await Promise.all(resources), limits: full.limits });
  };
  const write = (namespace: string, name: string, value: string): Promise<unknown> =>
    admin.patch(`/api/v1/namespaces/${namespace}/configmaps/${name}`, {
      type: 'apply',
      query: { fieldManager: 'test', force: true },
      body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { test: 'yes' } }, data: { value } },
    });
  const rows = (name: string): string =>
    [...(store.get(names[0]!, name)?.rows() ?? [])]
      .map((row) => `${row.namespace.replace(/-\d+$/, '')}/${row.name}=${JSON.parse(row.payload).attributes.value}`)
      .sort()
      .join(' ');
  /** With the watch of the first resource, which in most tests is the only one. */
  const state = (name: string) => {
    const found = collector.state(names[0]!, name)!;
    return { ...found, watch: found.resources[0]!.watch };
  };
  const shows = (name: string, expected: string): Promise<unknown> =>
    eventually(() => {
      if (rows(name) !== expected) throw new Error(`${rows(name)} instead of ${expected}; ${JSON.stringify(state(name))}`);
      return true;
    });
  const phase = (name: string, expected: string): Promise<unknown> =>
    eventually(() => {
      const { phase, message } = state(name).watch;
      if (phase !== expected) throw new Error(`${phase} ${message}`);
      return true;
    });
  const synced = (name: string): Promise<unknown> => eventually(() => state(name).synced && state(name).watch.phase === 'Synced');
  const asked = (path: RegExp): number => proxy.requests.filter(({ url }) => path.test(url.pathname)).length;
  const [north, south, west] = names as [string, string, string];
  return { store, north, south, west, namespaces, collector, proxy, collect, write, rows, state, shows, phase, synced, asked };
}
