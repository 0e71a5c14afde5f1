import { globSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { plainEnvironment } from '../servers/keeper.ts';
import type { Keeper, KeptProcess, ProcessCommand } from '../servers/keeper.ts';
import { answersOk, untilReady } from '../servers/ready.ts';

const root = join(import.meta.dirname, '..', '..');

/** As the images start them. A smaller young generation keeps a third less memory and costs no measurable time. */
export const nodeFlags = { webhook: ['--max-semi-space-size=8'], controller: ['--max-semi-space-size=16'] } as const;
/** Likewise. The webhook allocates on one thread; heaps of malloc for the others are 3 MB that nobody uses. */
export const nodeEnvironment = { webhook: { MALLOC_ARENA_MAX: '1' }, controller: {} } as const;

export interface KollectProcessOptions {
  name: 'webhook' | 'controller';
  /** Tells two of the same program apart. */
  instance?: string | undefined;
  /** All but the health address. */
  flags: readonly string[];
  healthPort: number;
  environment?: NodeJS.ProcessEnv | undefined;
  /** Runs when it and all that its keeper holds have ended, whatever ended them. */
  afterwards?: ProcessCommand | undefined;
}

export interface KollectProcess {
  /** Resolves when /readyz answers. Flags given here replace the former ones. */
  start(flags?: readonly string[]): Promise<void>;
  /** SIGKILL unless said otherwise. Resolves when the process has ended; SIGSTOP and SIGCONT freeze and thaw it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** All that it has written since its first start, as text. */
  logs(): string;
  /** The same as objects, one for each JSON line. */
  logEntries(): Record<string, unknown>[];
  /** Undefined while it runs. */
  exit(): ReturnType<KeptProcess['exit']>;
  pid(): number;
}

/** One of Kollect's two processes as a process of its own, as it runs in a pod. Not started yet. */
export function kollectProcess(keeper: Keeper, options: KollectProcessOptions): KollectProcess {
  const { name, healthPort } = options;
  const program = entryOf(name);
  let flags = options.flags;
  let current: KeptProcess | undefined;

  const running = () => {
    if (current === undefined) throw new Error(`the ${name} was never started`);
    return current;
  };
  const start = async (newFlags: readonly string[] = flags) => {
    if (current !== undefined && current.exit() === undefined) throw new Error(`the ${name} runs already`);
    flags = newFlags;
    current = await keeper.start({
      name: options.instance ?? name,
      command: process.execPath,
      args: [...nodeFlags[name], program, `--health-probe-bind-address=127.0.0.1:${healthPort}`, ...flags],
      cwd: root,
      // Development flags are refused inside a cluster, and this machine may be a pod of a CI system.
      env: { ...plainEnvironment(), KUBERNETES_SERVICE_HOST: undefined, KUBERNETES_SERVICE_PORT: undefined, ...nodeEnvironment[name], ...options.environment },
      ...(options.afterwards === undefined ? {} : { afterwards: options.afterwards }),
      stop: [{ signal: 'SIGTERM', graceMs: 10_000 }],
    });
    await untilReady(current, { name: `the ${name}`, check: () => answersOk(`http://127.0.0.1:${healthPort}/readyz`) });
  };
  const kill = async (signal: NodeJS.Signals = 'SIGKILL') => {
    running().signal(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await running().untilExit();
  };
  const logs = () => current?.logs() ?? '';
  return { start, kill, logs, logEntries: () => jsonLines(logs()), exit: () => running().exit(), pid: () => running().pid };
}

/** Path of the bundle when it was built after the last change of a source, as `npm test` does; else the source, so that a test never runs stale code. */
export function entryOf(name: 'webhook' | 'controller'): string {
  const bundle = join(root, 'dist', `${name}.js`);
  const builtAt = statSync(bundle, { throwIfNoEntry: false })?.mtimeMs ?? 0;
  const sources = globSync(`{shared,${name}}/**/*.ts`, { cwd: root });
  const isFresh = sources.every((source) => statSync(join(root, source)).mtimeMs <= builtAt);
  return isFresh ? bundle : join(root, name, 'main.ts');
}

function jsonLines(text: string): Record<string, unknown>[] {
  return text.split('\n').flatMap((line) => {
    try {
      return [JSON.parse(line) as Record<string, unknown>];
    } catch {
      // A line that is being written, or the complaint of a runtime.
      return [];
    }
  });
}
