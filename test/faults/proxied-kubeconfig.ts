import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../servers/cluster.ts';

/** Path of a kubeconfig that leads through a proxy, as whoever `user` is: fields such as `token` or `tokenFile`. */
export function proxiedKubeconfig(cluster: Cluster, server: string, user: object): string {
  const path = join(cluster.folder, `proxied-${new URL(server).port}.kubeconfig`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'proxied', cluster: { server } }],
    users: [{ name: 'proxied', user }],
    contexts: [{ name: 'proxied', context: { cluster: 'proxied', user: 'proxied' } }],
    'current-context': 'proxied',
  };
  // JSON is YAML, too.
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}
