import { execFile } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { plainEnvironment } from '../servers/keeper.ts';
import type { Cluster } from '../servers/cluster.ts';

const root = join(import.meta.dirname, '..', '..');

/** What a command wrote, on both streams in their order. */
export interface ShellResult {
  code: number;
  output: string;
}

/** Runs a command line as a user types it, in the root of the project unless `cwd` says otherwise. */
export function shell(command: string, environment: NodeJS.ProcessEnv = {}, cwd = root): Promise<ShellResult> {
  return new Promise((resolve) => {
    // What npm has to say about the machine it runs on is no part of the answer.
    const env = { ...plainEnvironment(), npm_config_loglevel: 'error', PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, ...environment };
    execFile('bash', ['-c', `exec 2>&1; ${command}`], { cwd, env }, (error, stdout) => resolve({ code: typeof error?.code === 'number' ? error.code : error === null ? 0 : -1, output: stdout }));
  });
}

/** The environment of the administrator of a cluster, who has kubectl, `kollect` and what stands in for psql. */
export function administratorOf(cluster: Cluster): NodeJS.ProcessEnv {
  const bin = join(cluster.folder, 'bin');
  mkdirSync(bin);
  symlinkSync(cluster.kubectlPath, join(bin, 'kubectl'));
  symlinkSync(join(root, 'cli', 'kollect.mjs'), join(bin, 'kollect'));
  symlinkSync(join(root, 'test', 'servers', 'postgres', 'psql.ts'), join(bin, 'psql'));
  return { KUBECONFIG: cluster.kubeconfig, PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH']}` };
}
