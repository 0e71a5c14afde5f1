import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launch } from '../launch.ts';
import type { Launched } from '../launch.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';
import { kubeControllerManagerBinary } from './binaries.ts';

export interface ControllerManagerOptions {
  /** Path of a kubeconfig of an administrator. */
  kubeconfig: string;
  /** What tests need of it by default: garbage collection by owner, deletion of namespaces, Deployments that make ReplicaSets and Pods, types in admission policies. */
  controllers?: readonly string[] | undefined;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

const defaultControllers = ['garbage-collector-controller', 'namespace-controller', 'deployment-controller', 'replicaset-controller', 'validatingadmissionpolicy-status-controller'];

/** Starts kube-controller-manager with a few of its controllers. No kubelet runs: Pods stay Pending. `value.url` serves health and metrics. */
export async function start(options: ControllerManagerOptions): Promise<Launched<{ url: string }>> {
  const { 'kube-controller-manager': command } = await obtain([kubeControllerManagerBinary], { report: options.report });
  return launch({
    keeper: options.keeper,
    prepare: async ({ folder: root }) => {
      const port = await freePort();
      const folder = join(root, `kube-controller-manager-${port}`);
      mkdirSync(folder);
      const args = [
        `--kubeconfig=${options.kubeconfig}`,
        '--bind-address=127.0.0.1',
        `--secure-port=${port}`,
        `--cert-dir=${folder}`,
        '--leader-elect=false',
        '--use-service-account-credentials=false',
        `--controllers=${(options.controllers ?? defaultControllers).join(',')}`,
        '--authorization-always-allow-paths=/healthz,/metrics',
      ];
      const url = `https://127.0.0.1:${port}`;
      return { start: { name: 'kube-controller-manager', command, args }, check: () => answersOk(`${url}/healthz`), value: { url } };
    },
  });
}
