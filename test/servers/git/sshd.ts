import { existsSync, mkdirSync, readdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, withLock } from '../cache.ts';
import { openKeeper, plainEnvironment, type Keeper } from '../keeper.ts';
import { ObtainError } from '../obtain.ts';
import { progressOf, type Report } from '../progress.ts';

/** Folder with the programs of Debian's packages, unpacked and not installed. */
export interface SshdPrograms {
  sshd: string;
  /** For `LD_LIBRARY_PATH`. */
  libraries: string;
  /** Lets a process see users that the machine does not have. */
  nssWrapper: string;
}

const packages = ['openssh-server', 'libwrap0', 'libnss-wrapper'] as const;

/** Fetches sshd from the package registry of the system, unless it lies in the cache. Rejects with `ObtainError`. */
export async function obtainSshd(options: { report?: Report | undefined; verbose?: boolean } = {}): Promise<SshdPrograms> {
  const cache = cacheFolder();
  const folder = join(cache, `sshd-${process.platform}-${process.arch}`);
  const progress = progressOf('sshd', options.report);
  if (existsSync(folder)) {
    if (options.verbose) progress.say('cached');
    return programsIn(folder);
  }
  mkdirSync(cache, { recursive: true });
  const fetch = async () => {
    if (!existsSync(folder)) await progress.during('fetching', () => unpack(cache, folder));
  };
  await withLock(`${folder}.lock`, fetch, (seconds) => progress.repeat('another process is fetching it', seconds));
  return programsIn(folder);
}

/** Unpacked under another name and renamed: half of it is never taken for all. */
async function unpack(cache: string, folder: string): Promise<void> {
  const keeper = await openKeeper(cache);
  try {
    const unpacked = join(keeper.folder, 'unpacked');
    mkdirSync(unpacked, { mode: 0o755 });
    await run(keeper, 'apt-get', ['download', '-q', '-o', 'APT::Sandbox::User=root', ...packages]);
    for (const file of readdirSync(keeper.folder).filter((name) => name.endsWith('.deb'))) await run(keeper, 'dpkg', ['-x', file, unpacked]);
    renameSync(unpacked, folder);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ObtainError([{ name: 'sshd', reason: `${reason}. It comes from the Debian packages ${packages.join(', ')}; apt-get update may help` }]);
  } finally {
    await keeper.stop();
  }
}

async function run(keeper: Keeper, command: string, args: readonly string[]): Promise<void> {
  const child = await keeper.start({ name: command, command, args, cwd: keeper.folder, env: { ...plainEnvironment(), LC_ALL: 'C' } });
  const { code, signal } = await child.untilExit();
  if (code !== 0) throw new Error(`${command} ended with ${signal ?? `code ${code}`}: ${child.logs(5)}`);
}

function programsIn(folder: string): SshdPrograms {
  const root = join(folder, 'usr', 'lib');
  // One folder for the architecture, such as x86_64-linux-gnu.
  const libraries = join(root, readdirSync(root).find((name) => name.includes('-linux-')) ?? '');
  return { sshd: join(folder, 'usr', 'sbin', 'sshd'), libraries, nssWrapper: join(libraries, 'libnss_wrapper.so') };
}
