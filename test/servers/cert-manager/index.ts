import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion } from '../binary.ts';
import type { GoBinary } from '../binary.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { untilEstablished } from '../kubernetes/established.ts';
import type { Kubectl } from '../kubernetes/kubectl.ts';
import { launch } from '../launch.ts';
import type { Launched } from '../launch.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';
import { obtainCertManagerCrds } from './custom-resources.ts';

const version = pinnedVersion(import.meta.dirname, 'github.com/cert-manager/cert-manager');
const command = createHash('sha256').update(readFileSync(join(import.meta.dirname, 'main.go'))).digest('hex');

/** Controllers and CA injector of cert-manager in one process. */
export const certManagerBinary: GoBinary & { name: 'cert-manager' } = {
  name: 'cert-manager',
  // The command is ours: another text is another binary.
  version: `${version}-${command.slice(0, 8)}`,
  moduleFolder: import.meta.dirname,
  package: '.',
  linkerFlags: [],
};

export interface CertManagerOptions {
  /** Path of a kubeconfig of an administrator. */
  kubeconfig: string;
  kubectl: Kubectl;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

/**
 * Installs cert-manager's CRDs and starts its controllers and its injector. Its webhook does not run: what that refuses, such as a certificate
 * of less than an hour, goes through.
 */
export async function start(options: CertManagerOptions): Promise<Launched<{ url: string }>> {
  const { report, kubectl } = options;
  const [{ 'cert-manager': program }, crds] = await Promise.all([obtain([certManagerBinary], { report }), obtainCertManagerCrds({ report })]);
  const files = crds.map((file) => `--filename=${file}`);
  const { code, stderr } = await kubectl(['apply', '--server-side', ...files]);
  if (code !== 0) throw new Error(`the CRDs of cert-manager could not be installed: ${stderr}`);
  await untilEstablished(kubectl);
  return launch({
    keeper: options.keeper,
    prepare: async () => {
      const address = `127.0.0.1:${await freePort()}`;
      const args = [`--kubeconfig=${options.kubeconfig}`, `--health-probe-bind-address=${address}`];
      const url = `http://${address}`;
      return { start: { name: 'cert-manager', command: program, args }, check: () => answersOk(`${url}/readyz`), value: { url } };
    },
  });
}
