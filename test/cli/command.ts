import { join } from 'node:path';
import { runCommand } from '../servers/run-command.ts';
import type { CommandResult } from '../servers/run-command.ts';

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
export function kollect(argv: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  return run(options.node ?? process.execPath, [join(root, 'cli', 'kollect.mjs'), ...argv], options);
}

/** Runs a program to its end, whatever its exit code. */
export function run(program: string, argv: readonly string[], { stdin = '', folder = root, env = {} }: CommandOptions = {}): Promise<CommandResult> {
  return runCommand(program, argv, { stdin, cwd: folder, env: { ...process.env, NODE_OPTIONS: '', ...env } });
}
