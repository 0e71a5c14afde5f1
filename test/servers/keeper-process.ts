// Runs as a process of its own, see keeper.ts. It ends when the channel to its parent closes, whatever closed it.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { KeeperReply, KeeperRequest, ProcessCommand } from './keeper.ts';

interface Running {
  child: ChildProcess;
  command: ProcessCommand;
  exited: Promise<void>;
}

function main(): void {
  const folder = mkdtempSync(join(process.argv[2] ?? realpathSync(tmpdir()), 'kollect-'));
  // In the order of starting: what started last is ended first.
  const running = new Map<number, Running>();
  const afterwards: ProcessCommand[] = [];

  process.on('message', (request: KeeperRequest) => {
    if (request.type === 'signal') {
      const kept = running.get(request.id);
      if (kept !== undefined) signalGroup(kept.child, request.signal);
      return;
    }
    if (request.command.afterwards !== undefined) afterwards.push(request.command.afterwards);
    start(request.id, request.command, running);
  });
  process.on('disconnect', () => void end(folder, running, afterwards));
  // A terminal or a CI system may signal everything it finds; the order of ending is ours.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.disconnect?.());
  reply({ type: 'ready', folder });
}

function start(id: number, command: ProcessCommand, running: Map<number, Running>): void {
  const log = openSync(command.log, 'a');
  const child = spawn(command.command, command.args, {
    cwd: command.cwd,
    env: command.env,
    ...(command.uid === undefined ? {} : { uid: command.uid }),
    ...(command.gid === undefined ? {} : { gid: command.gid }),
    // A group of its own, so that what the process starts is ended with it.
    detached: true,
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  const exited = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      running.delete(id);
      reply({ type: 'failed', id, message: error.message });
      resolve();
    });
    child.once('exit', (code, signal) => {
      running.delete(id);
      reply({ type: 'exited', id, code, signal });
      resolve();
    });
  });
  if (child.pid !== undefined) {
    running.set(id, { child, command, exited });
    reply({ type: 'started', id, pid: child.pid });
  }
}

async function end(folder: string, running: Map<number, Running>, afterwards: readonly ProcessCommand[]): Promise<void> {
  for (const { child, command, exited } of [...running.values()].toReversed()) {
    for (const { signal, graceMs } of command.stop) {
      signalGroup(child, signal);
      if (await Promise.race([exited.then(() => true), pause(graceMs)])) break;
    }
    signalGroup(child, 'SIGKILL');
    await exited;
  }
  for (const command of afterwards) await runToEnd(command);
  // Processes in their last moments may still write here.
  rmSync(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  process.exit(0);
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  try {
    if (child.pid !== undefined) process.kill(-child.pid, signal);
  } catch {
    // The group is gone.
  }
}

function runToEnd(command: ProcessCommand): Promise<void> {
  return new Promise((resolve) => {
    const child = spawn(command.command, command.args, { env: command.env, stdio: 'ignore' });
    child.once('error', () => resolve());
    child.once('exit', () => resolve());
  });
}

/** Resolves with undefined after `ms`. */
function pause(ms: number): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, ms, undefined));
}

function reply(message: KeeperReply): void {
  if (process.connected) process.send?.(message, () => {});
}

main();
