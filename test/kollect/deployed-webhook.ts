import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import { loadConnection } from '../../shared/kube/config.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import type { Cluster } from '../servers/cluster.ts';
import { freePort } from '../servers/free-port.ts';
import type { CommandResult } from '../servers/run-command.ts';
import { mountSecret } from './mounted-secret.ts';
import { kollectProcess } from './process.ts';
import type { KollectProcess } from './process.ts';
import { kubeconfigOf, untilGranted } from './service-account.ts';
import { rightOf, webhookManifests } from './webhook-manifests.ts';

/** What kube-apiserver needs in order to call the endpoints of a Service: no proxy answers at its address here. */
export const endpointRouting = '--enable-aggregator-routing=true';

export interface DeployedWebhook {
  namespace: string;
  /** One for each replica, ready and behind the Service. */
  replicas: readonly Replica[];
  /** Where the certificate is mounted. */
  folder: string;
  /** As the processes are: with a token of the ServiceAccount. */
  kubeconfig: string;
  /** Replaces the endpoints of the Service, as when a pod becomes unready. */
  route(replicas: readonly Replica[]): Promise<void>;
  /** Lets go of the Secret. The processes end with the cluster. */
  stop(): Promise<void>;
}

export interface Replica extends KollectProcess {
  port: number;
}

/**
 * Applies a kustomization of the webhook, and does for its Deployment what a cluster does: mounts the Secret of the certificate, starts a process for
 * each replica with the arguments and the ServiceAccount of the pod, and makes them endpoints of the Service. The namespace must exist, and the API
 * server needs the flag `endpointRouting`.
 *
 * @example const deployed = await deployWebhook(cluster, 'manifests/webhook');
 */
export async function deployWebhook(cluster: Cluster, folder: string): Promise<DeployedWebhook> {
  const manifests = await webhookManifests(cluster, folder);
  const { metadata, spec } = manifests.deployment;
  const { namespace } = metadata;
  const pod = spec.template.spec;
  const service = manifests.service.metadata.name;
  await done(cluster.kubectl(['apply', '-k', folder]));

  const client = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
  const certificates = join(cluster.folder, `${metadata.name}-certificate`);
  const secret = mountSecret(client, { namespace, name: pod.volumes[0].secret.secretName, folder: certificates });
  await secret.mounted;
  const kubeconfig = await kubeconfigOf(cluster, { namespace, serviceAccount: pod.serviceAccountName });
  await Promise.all(manifests.roles.map((role) => untilGranted(cluster, kubeconfig, rightOf(role))));

  const replica = async (): Promise<Replica> => {
    const port = await freePort();
    // What differs on this machine; the rest is as shipped.
    const here = [`--kubeconfig=${kubeconfig}`, `--port=${port}`, `--cert-path=${certificates}`, '--metrics-bind-address=0'];
    const replaced = new Set(['--health-probe-bind-address', ...here.map(flagName)]);
    const flags = [...pod.containers[0].args.filter((flag) => !replaced.has(flagName(flag))), ...here];
    return { ...kollectProcess(cluster.keeper, { name: 'webhook', flags, healthPort: await freePort() }), port };
  };
  const replicas = await Promise.all(Array.from({ length: spec.replicas }, replica));
  await Promise.all(replicas.map((one) => one.start()));

  const route: DeployedWebhook['route'] = async (routed) => {
    const slices = routed.map(({ port }) => ({
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      // Each has a port of its own, so each is a slice.
      metadata: { name: `${service}-${port}`, namespace, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [addressOfThisMachine()], conditions: { ready: true } }],
      ports: [{ name: 'webhook-server', port, protocol: 'TCP' }],
    }));
    const gone = replicas.filter((one) => !routed.includes(one)).map(({ port }) => `${service}-${port}`);
    if (gone.length > 0) await done(cluster.kubectl(['delete', 'endpointslices', '-n', namespace, '--ignore-not-found', ...gone]));
    await done(cluster.kubectl(['apply', '-f', '-'], { stdin: JSON.stringify({ apiVersion: 'v1', kind: 'List', items: slices }) }));
  };
  await route(replicas);
  const stop = async () => {
    secret.stop();
    await client.close();
  };
  return { namespace, replicas, folder: certificates, kubeconfig, route, stop };
}

/** Endpoints must not be loopback addresses. */
function addressOfThisMachine(): string {
  const address = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []).find(({ family, internal }) => family === 'IPv4' && !internal)?.address;
  if (address === undefined) throw new Error('this machine has no IPv4 address besides loopback; a Service cannot have its processes as endpoints');
  return address;
}

function flagName(flag: string): string {
  return flag.split('=', 1)[0] ?? flag;
}

async function done(command: Promise<CommandResult>): Promise<CommandResult> {
  const result = await command;
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
}
