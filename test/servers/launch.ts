import type { Keeper, KeptProcess, StartOptions } from './keeper.ts';
import { openKeeper } from './keeper.ts';
import { untilReady } from './ready.ts';

export interface LaunchOptions<T> {
  /** Holds the server together with others; a keeper of its own when unset. */
  keeper?: Keeper | undefined;
  /** Picks ports and says how to start. Called again when the server exits at once, as it does when another process took its port. */
  prepare: (keeper: Keeper) => Promise<{ start: StartOptions; check: () => Promise<boolean>; value: T }>;
}

export interface Launched<T> {
  value: T;
  keeper: Keeper;
  process: KeptProcess;
  /** Ends the server, and its folder unless the keeper is shared. */
  stop(): Promise<void>;
}

/** How often a server that exits before it is ready is started anew. */
const attempts = 3;

/** Starts a server and waits until it answers. Rejects with the end of its log, leaving nothing behind. */
export async function launch<T>(options: LaunchOptions<T>): Promise<Launched<T>> {
  const keeper = options.keeper ?? (await openKeeper());
  try {
    for (let attempt = 1; ; attempt++) {
      const { start, check, value } = await options.prepare(keeper);
      const server = await keeper.start(start);
      try {
        await untilReady(server, { name: start.name, check });
      } catch (error) {
        await end(server);
        if (attempt === attempts || !/address already in use/i.test(server.logs())) throw error;
        continue;
      }
      return { value, keeper, process: server, stop: () => (options.keeper === undefined ? keeper.stop() : end(server)) };
    }
  } catch (error) {
    if (options.keeper === undefined) await keeper.stop();
    throw error;
  }
}

async function end(server: KeptProcess): Promise<void> {
  if (server.exit() === undefined) server.signal('SIGKILL');
  await server.untilExit();
}
