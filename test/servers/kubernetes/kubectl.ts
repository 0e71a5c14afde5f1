import { plainEnvironment } from '../keeper.ts';
import { runCommand } from '../run-command.ts';
import type { CommandResult } from '../run-command.ts';

export interface KubectlOptions {
  /** Written to its standard input, as for `apply -f -`. */
  stdin?: string;
  /** Another user than the administrator: path of his kubeconfig. */
  kubeconfig?: string;
}

export type Kubectl = (args: readonly string[], options?: KubectlOptions) => Promise<CommandResult>;

/**
 * kubectl for one server. Its discovery cache is keyed by host and port, which other servers had before: it gets a folder of its own. Never
 * rejects for an exit code.
 */
export function kubectlFor(command: string, defaults: { kubeconfig: string; cacheFolder: string }): Kubectl {
  return (args, { stdin = '', kubeconfig = defaults.kubeconfig } = {}) => runCommand(command, [`--kubeconfig=${kubeconfig}`, `--cache-dir=${defaults.cacheFolder}`, ...args], { stdin, env: plainEnvironment() });
}
