import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, withLock } from './cache.ts';
import { openKeeper, plainEnvironment, type Keeper } from './keeper.ts';
import { ObtainError, type ObtainOptions } from './obtain.ts';
import { progressOf } from './progress.ts';

export interface DebianProgram {
  /** For people, and in the cache. */
  name: string;
  packages: readonly string[];
  /** Further packages: those that the first one depends on whose name matches. Others are taken for granted. */
  dependencies?: RegExp;
}

/** Gives the folder with Debian's packages of a program, unpacked and not installed: from the cache, else fetched. Rejects with `ObtainError`. */
export async function obtainPackages(program: DebianProgram, options: ObtainOptions = {}): Promise<string> {
  const cache = cacheFolder(options.environment);
  const folder = join(cache, `${program.name}-${process.platform}-${process.arch}`);
  const progress = progressOf(program.name, options.report);
  if (existsSync(folder)) {
    if (options.verbose) progress.say('cached');
    return folder;
  }
  mkdirSync(cache, { recursive: true });
  const fetch = async () => {
    if (!existsSync(folder)) await progress.during('fetching', () => unpack(program, cache, folder));
  };
  await withLock(`${folder}.lock`, fetch, (seconds) => progress.repeat('another process is fetching it', seconds));
  return folder;
}

/** The one folder of libraries for the architecture, such as usr/lib/x86_64-linux-gnu, for `LD_LIBRARY_PATH`. */
export function librariesIn(folder: string): string {
  const root = join(folder, 'usr', 'lib');
  return join(root, readdirSync(root).find((name) => name.includes('-linux-')) ?? '');
}

/** With a list of packages of its own, so that it takes neither root nor a fresh one. Unpacked under another name and renamed: half of it is never taken for all. */
async function unpack({ name, packages, dependencies }: DebianProgram, cache: string, folder: string): Promise<void> {
  const keeper = await openKeeper(cache);
  const settings = ['APT::Sandbox::User=', `Dir::State::lists=${keeper.folder}/lists`, `Dir::Cache=${keeper.folder}`].flatMap((setting) => ['-o', setting]);
  const archives = (): string[] => readdirSync(keeper.folder).filter((file) => file.endsWith('.deb'));
  try {
    const unpacked = join(keeper.folder, 'unpacked');
    mkdirSync(unpacked, { mode: 0o755 });
    mkdirSync(join(keeper.folder, 'lists', 'partial'), { recursive: true });
    await run(keeper, 'apt-get', ['-q', ...settings, 'update']);
    await run(keeper, 'apt-get', ['-q', ...settings, 'download', ...packages]);
    if (dependencies) {
      const first = archives().find((file) => file.startsWith(`${packages[0]}_`)) ?? '';
      const needed = (await run(keeper, 'dpkg-deb', ['-f', first, 'Depends'])).split(/[,|]/).map((text) => text.trim().split(' ')[0] ?? '');
      await run(keeper, 'apt-get', ['-q', ...settings, 'download', ...needed.filter((text) => dependencies.test(text))]);
    }
    for (const file of archives()) await run(keeper, 'dpkg-deb', ['-x', file, unpacked]);
    renameSync(unpacked, folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ObtainError([{ name, reason: `${reason}. It comes from the Debian packages ${packages.join(', ')}` }]);
  } finally {
    await keeper.stop();
  }
}

async function run(keeper: Keeper, command: string, args: readonly string[]): Promise<string> {
  const child = await keeper.start({ name: command, command, args, cwd: keeper.folder, env: { ...plainEnvironment(), LC_ALL: 'C' } });
  const { code, signal } = await child.untilExit();
  if (code !== 0) throw new Error(`${command} ended with ${signal ?? `code ${code}`}: ${child.logs(5)}`);
  return child.logs();
}
