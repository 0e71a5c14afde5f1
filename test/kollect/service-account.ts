import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import type { CommandResult } from '../servers/run-command.ts';

const manifests = join(import.meta.dirname, '..', '..', 'manifests', 'webhook');

/** Makes the account of the webhook in kollect-system, with the rights that are shipped and no more. Gives the path of its kubeconfig. */
export async function webhookAccount(cluster: Cluster): Promise<string> {
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kollect-system' } };
  await done(cluster.kubectl(['apply', '-f', '-', '-f', join(manifests, 'service-account.yaml'), '-f', join(manifests, 'rbac.yaml')], { stdin: JSON.stringify(namespace) }));
  const kubeconfig = await kubeconfigOf(cluster, { namespace: 'kollect-system', serviceAccount: 'kollect-webhook' });
  await untilGranted(cluster, kubeconfig, { verb: 'create', resource: 'subjectaccessreviews.authorization.k8s.io' });
  return kubeconfig;
}

export interface Right {
  verb: string;
  /** With its group: `leases.coordination.k8s.io`. */
  resource: string;
  /** All of them by default. */
  namespace?: string | undefined;
}

/** Waits until the user of a kubeconfig has a right, or no longer has it: the API server learns of roles and bindings from watches of its own, a little later than it stores them. */
export async function untilGranted(cluster: Cluster, kubeconfig: string, { verb, resource, namespace }: Right, granted = true): Promise<void> {
  const where = namespace === undefined ? '--all-namespaces' : `--namespace=${namespace}`;
  await eventually(async () => {
    const { stdout, stderr } = await cluster.kubectl(['auth', 'can-i', verb, resource, where], { kubeconfig });
    if (!/^(yes|no)$/m.test(stdout)) throw new Error(stderr);
    return /^yes$/m.test(stdout) === granted;
  }, { what: `${verb} ${resource} to be ${granted ? 'granted' : 'refused'}` });
}

/** Path of a kubeconfig with a token of a ServiceAccount, good for an hour. */
export async function kubeconfigOf(cluster: Cluster, { namespace, serviceAccount }: { namespace: string; serviceAccount: string }): Promise<string> {
  const { stdout: token } = await done(cluster.kubectl(['create', 'token', serviceAccount, `--namespace=${namespace}`]));
  const path = join(cluster.folder, `${namespace}-${serviceAccount}.kubeconfig`);
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'kollect', cluster: { server: cluster.url, 'certificate-authority': cluster.caFile } }],
    users: [{ name: serviceAccount, user: { token: token.trim() } }],
    contexts: [{ name: 'kollect', context: { cluster: 'kollect', user: serviceAccount, namespace } }],
    'current-context': 'kollect',
  };
  // JSON is YAML, too.
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

async function done(command: Promise<CommandResult>): Promise<CommandResult> {
  const result = await command;
  if (result.code !== 0) throw new Error(result.stderr);
  return result;
}
