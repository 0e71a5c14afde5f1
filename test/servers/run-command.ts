import { spawn } from 'node:child_process';

/** What a program said until its end. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  stdin?: string;
  /** Where it runs; here when unset. */
  cwd?: string;
  env: NodeJS.ProcessEnv;
  /** The user to run as; only root can choose. */
  uid?: number;
  gid?: number;
}

/** Runs a program to its end. Never rejects for an exit code. */
export function runCommand(command: string, args: readonly string[], { stdin = '', ...options }: CommandOptions): Promise<CommandResult> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, options);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.once('error', reject);
    child.once('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
    // It may end without reading.
    child.stdin.on('error', () => {});
    child.stdin.end(stdin);
  });
}
