import { spawn } from 'node:child_process';
import { plainEnvironment } from '../keeper.ts';

export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

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
  return (args, options = {}) =>
    new Promise((resolve, reject) => {
      const child = spawn(command, [`--kubeconfig=${options.kubeconfig ?? defaults.kubeconfig}`, `--cache-dir=${defaults.cacheFolder}`, ...args], { env: plainEnvironment() });
      let stdout = '';
      let stderr = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      child.once('error', reject);
      child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
      // It may exit without reading.
      child.stdin.on('error', () => {});
      child.stdin.end(options.stdin ?? '');
    });
}
