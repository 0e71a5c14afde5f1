import type { KeptProcess, StartOptions } from './keeper.ts';
import { launch, type LaunchOptions, type Launched } from './launch.ts';
import { untilReady } from './ready.ts';

export interface RestartableServer {
  keeper: Launched<unknown>['keeper'];
  process(): KeptProcess;
  /** SIGKILL unless said otherwise; SIGSTOP and SIGCONT freeze and thaw it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** On the same port, with the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Starts a server that can be killed and started again. `value` is what `prepare` gave. */
export async function launchRestartable<T>(options: LaunchOptions<T>): Promise<RestartableServer & { value: T }> {
  let again: { start: StartOptions; check: () => Promise<boolean> } | undefined;
  const server = await launch<T>({
    keeper: options.keeper,
    prepare: async (keeper) => {
      const prepared = await options.prepare(keeper);
      again = prepared;
      return prepared;
    },
  });
  let current = server.process;
  return {
    value: server.value,
    keeper: server.keeper,
    process: () => current,
    kill: async (signal = 'SIGKILL') => {
      current.signal(signal);
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await current.untilExit();
    },
    start: async () => {
      if (again === undefined) return;
      current = await server.keeper.start(again.start);
      await untilReady(current, { name: again.start.name, check: again.check });
    },
    stop: async () => {
      if (options.keeper === undefined) return await server.stop();
      if (current.exit() === undefined) current.signal('SIGKILL');
      await current.untilExit();
    },
  };
}
