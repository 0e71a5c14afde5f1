import { spawn } from 'node:child_process';
import { join } from 'node:path';

export interface CommandOutput {
  code: number;
  stdout: string;
  stderr: string;
}

export interface CommandOptions {
  stdin?: string;
  /** The root of the project when unset. */
  folder?: string;
  env?: Record<string, string>;
  /** The Node of this process when unset. */
  node?: string;
}

const root = join(import.meta.dirname, '..', '..');

/** Runs `kollect` as a user does: a process, from the file that npm installs. */
export function kollect(argv: readonly string[], options: CommandOptions = {}): Promise<CommandOutput> {
  return run(options.node ?? process.execPath, [join(root, 'cli', 'kollect.mjs'), ...argv], options);
}

/** Runs a program to its end, whatever its exit code. */
export function run(program: string, argv: readonly string[], { stdin = '', folder = root, env = {} }: CommandOptions = {}): Promise<CommandOutput> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, argv, { cwd: folder, env: { ...process.env, NODE_OPTIONS: '', ...env } });
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
