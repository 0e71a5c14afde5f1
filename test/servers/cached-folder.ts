import { existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, withLock } from './cache.ts';
import { openKeeper, plainEnvironment, type Keeper } from './keeper.ts';
import { ObtainError, type ObtainOptions } from './obtain.ts';
import { progressOf } from './progress.ts';

export interface CachedFolder {
  /** For people, and in the cache; with the version. */
  name: string;
  /** Where it comes from, for one who has to mend it. */
  origin: string;
  /** Puts into `folder`, which is empty, what is wanted. Programs that it runs by `run` end with this process; `scratch` goes away at the end. */
  fill(folder: string, run: Run, scratch: string): Promise<void>;
}

/** Runs a program to its end and gives what it printed. Rejects with the end of that when it fails. */
export type Run = (command: string, args: readonly string[], options?: { cwd?: string; env?: NodeJS.ProcessEnv }) => Promise<string>;

/** Gives a folder of the cache, filled first when it is missing. It is filled under another name and renamed: half of it is never taken for all. Rejects with `ObtainError`. */
export async function obtainFolder({ name, origin, fill }: CachedFolder, options: ObtainOptions = {}): Promise<string> {
  const cache = cacheFolder(options.environment);
  const folder = join(cache, name);
  const progress = progressOf(name, options.report);
  if (existsSync(folder)) {
    if (options.verbose) progress.say('cached');
    return folder;
  }
  mkdirSync(cache, { recursive: true });
  const fetch = async () => {
    // Ends what it started and removes what it left when this process is interrupted. In the cache, since a rename cannot cross file systems.
    const keeper = await openKeeper(cache);
    const filled = join(keeper.folder, 'filled');
    mkdirSync(filled, { mode: 0o755 });
    try {
      await fill(filled, runnerIn(keeper, options.environment), keeper.folder);
      renameSync(filled, folder);
    } finally {
      await keeper.stop();
    }
  };
  const unlessThere = async () => {
    // Whoever had the lock before us may have filled it.
    if (!existsSync(folder)) await progress.during('fetching', fetch);
  };
  try {
    await withLock(`${folder}.lock`, unlessThere, (seconds) => progress.repeat('another process is fetching it', seconds));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ObtainError([{ name, reason: `${reason}. It comes from ${origin}` }]);
  }
  return folder;
}

function runnerIn(keeper: Keeper, environment: NodeJS.ProcessEnv | undefined): Run {
  let count = 0;
  return async (command, args, { cwd = keeper.folder, env = {} } = {}) => {
    const child = await keeper.start({ name: `${++count}-${command}`, command, args, cwd, env: { ...plainEnvironment(), LC_ALL: 'C', ...environment, ...env } });
    const { code, signal } = await child.untilExit();
    if (code !== 0) throw new Error(`${command} ended with ${signal ?? `code ${code}`}: ${child.logs(8)}`);
    return child.logs();
  };
}
