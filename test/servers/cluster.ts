import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { etcdBinary, start as startEtcd } from './etcd/index.ts';
import { openKeeper } from './keeper.ts';
import type { Keeper, KeptProcess } from './keeper.ts';
import { kubeApiserverBinary, kubeControllerManagerBinary, kubectlBinary } from './kubernetes/binaries.ts';
import { start as startControllerManager } from './kubernetes/controller-manager.ts';
import { start as startApiserver } from './kubernetes/index.ts';
import type { ClusterUser, KubeApiserverAccess } from './kubernetes/index.ts';
import { kubectlFor } from './kubernetes/kubectl.ts';
import type { Kubectl } from './kubernetes/kubectl.ts';
import { obtain } from './obtain.ts';
import type { Report } from './progress.ts';
import { answersOk, untilReady } from './ready.ts';

export interface ClusterOptions {
  /** Runs kube-controller-manager too: owners, namespaces, Deployments. */
  controllerManager?: boolean;
  /** Who may log in besides the administrator. */
  users?: readonly ClusterUser[];
  apiserverFlags?: readonly string[];
  etcdFlags?: readonly string[];
  report?: Report;
}

/** The API server as something that breaks. */
export interface BreakableApiserver {
  process(): KeptProcess;
  /** SIGKILL unless said otherwise; SIGSTOP and SIGCONT freeze and thaw it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** On the same port, with the same certificate, tokens and data. */
  start(): Promise<void>;
  restart(): Promise<void>;
}

export interface Cluster {
  url: string;
  caFile: string;
  caPem: string;
  adminToken: string;
  /** Path of the administrator's kubeconfig. */
  kubeconfig: string;
  /** Path of a kubeconfig of one of `users`. */
  kubeconfigOf(user: string): string;
  kubectl: Kubectl;
  /** Path of the program, for people. */
  kubectlPath: string;
  apiserver: BreakableApiserver;
  /** Temporary, removed in the end; free to use. */
  folder: string;
  /** May hold further processes, which end before those of the cluster. */
  keeper: Keeper;
  stop(): Promise<void>;
}

/**
 * Starts etcd and kube-apiserver, empty, on ports of their own, in about three seconds; obtains them first when they are missing.
 *
 * @example
 * const cluster = await startCluster();
 * t.teardown(() => cluster.stop());
 * const { stdout } = await cluster.kubectl(['get', 'namespaces', '-o', 'name']);
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const { report } = options;
  // All at once, so that their builds run side by side.
  const needed = [kubeApiserverBinary, etcdBinary, kubectlBinary, ...(options.controllerManager ? [kubeControllerManagerBinary] : [])];
  const { kubectl } = await obtain(needed, { report });
  const keeper = await openKeeper();
  try {
    const etcd = await startEtcd({ keeper, report, flags: options.etcdFlags });
    const apiserver = await startApiserver({ keeper, report, etcdUrl: etcd.value.url, users: options.users, flags: options.apiserverFlags });
    const access = apiserver.value;
    const kubeconfigOf = (user: string) => writeKubeconfig(keeper.folder, access, user);
    const kubeconfig = kubeconfigOf('admin');
    if (options.controllerManager) await startControllerManager({ keeper, report, kubeconfig });
    return {
      url: access.url,
      caFile: access.caFile,
      caPem: readFileSync(access.caFile, 'utf8'),
      adminToken: access.adminToken,
      kubeconfig,
      kubeconfigOf,
      kubectl: kubectlFor(kubectl, { kubeconfig, cacheFolder: join(keeper.folder, 'kubectl-cache') }),
      kubectlPath: kubectl,
      apiserver: breakable(keeper, access, apiserver.process),
      folder: keeper.folder,
      keeper,
      stop: () => keeper.stop(),
    };
  } catch (error) {
    await keeper.stop();
    throw error;
  }
}

function writeKubeconfig(folder: string, access: KubeApiserverAccess, user: string): string {
  const token = user === 'admin' ? access.adminToken : access.tokens[user];
  if (token === undefined) throw new Error(`no user ${JSON.stringify(user)}: name it in the option users`);
  const path = join(folder, `${user.replaceAll(/[^a-z0-9-]+/gi, '_')}.kubeconfig`);
  // JSON is YAML, too.
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'kollect', cluster: { server: access.url, 'certificate-authority': access.caFile } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'kollect', context: { cluster: 'kollect', user } }],
    'current-context': 'kollect',
  };
  // Others may be reading it.
  const written = `${path}.new`;
  writeFileSync(written, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
  renameSync(written, path);
  return path;
}

function breakable(keeper: Keeper, access: KubeApiserverAccess, first: KeptProcess): BreakableApiserver {
  let current = first;
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    current.signal(signal);
    if (signal === 'SIGKILL' || signal === 'SIGTERM' || signal === 'SIGINT') await current.untilExit();
  };
  const start = async () => {
    current = await keeper.start({ name: 'kube-apiserver', command: access.command, args: access.args });
    const headers = { authorization: `Bearer ${access.adminToken}` };
    await untilReady(current, { name: 'kube-apiserver', check: () => answersOk(`${access.url}/readyz`, { headers }) });
  };
  const restart = async () => {
    await kill();
    await start();
  };
  return { process: () => current, kill, start, restart };
}
