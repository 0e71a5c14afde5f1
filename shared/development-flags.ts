import { KollectError } from './errors.ts';

/**
 * Refuses flags that loosen what a sink may point to when the process runs inside a cluster, where they would let any user of a sink
 * reach the pod's own network. Throws `KOL_CONFIG_FLAG`.
 */
export function refuseDevelopmentFlagsInCluster(
  flags: { 'allow-loopback-sinks': boolean; 'map-host': readonly string[] },
  environment: Readonly<Record<string, string | undefined>>,
): void {
  if (!environment.KUBERNETES_SERVICE_HOST) return;
  const given = [...(flags['allow-loopback-sinks'] ? ['--allow-loopback-sinks'] : []), ...(flags['map-host'].length > 0 ? ['--map-host'] : [])];
  if (given.length > 0) throw new KollectError('KOL_CONFIG_FLAG', `${given.join(' and ')}: for development outside a cluster, not for a pod; remove the flag`);
}
