import type { Registry } from 'prom-client';
import type { FlagValues } from '../shared/flags.ts';
import { KubeClient } from '../shared/kube/client.ts';
import { loadConnection } from '../shared/kube/config.ts';
import { Discovery } from '../shared/kube/discovery.ts';
import type { Logger } from '../shared/log.ts';
import { userAgent } from '../shared/version.ts';
import { createAuthorizer } from './authorizer.ts';
import type { Authorizer } from './authorizer.ts';
import type { webhookFlags } from './flags.ts';
import { WatchedObjects } from './lookups.ts';
import { registerStateMetrics } from './state-metrics.ts';

/** What the webhook knows of the cluster it judges for. */
export interface ClusterAccess {
  watched: WatchedObjects;
  /** Undefined when references are not authorised. */
  authorize: Authorizer | undefined;
  close(): Promise<void>;
}

/** Finds the API server and begins to watch. Throws `KOL_CONFIG_KUBECONFIG` when nothing says where it is. */
export async function openCluster(flags: FlagValues<typeof webhookFlags>, { registry, log }: { registry: Registry; log: Logger }): Promise<ClusterAccess> {
  const client = new KubeClient(await loadConnection({ kubeconfig: flags.kubeconfig }), { userAgent: userAgent('webhook') });
  const watched = new WatchedObjects({ client, namespaces: flags['watch-namespaces'], clusterKinds: !flags['tenant-mode'], log: log.child({ logger: 'watch' }) });
  const { asked } = registerStateMetrics(registry, watched);
  const authorize = flags['authorize-references'] ? createAuthorizer({ client, discovery: new Discovery(client), asked }) : undefined;
  watched.start();
  const close = async (): Promise<void> => {
    await watched.stop();
    await client.close();
  };
  return { watched, authorize, close };
}
