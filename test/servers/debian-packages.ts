import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { obtainFolder, type Run } from './cached-folder.ts';
import type { ObtainOptions } from './obtain.ts';

export interface DebianProgram {
  /** For people, and in the cache. */
  name: string;
  packages: readonly string[];
  /** Further packages: those that the first one depends on whose name matches. Others are taken for granted. */
  dependencies?: RegExp;
}

/** Gives the folder with Debian's packages of a program, unpacked and not installed: from the cache, else fetched. Rejects with `ObtainError`. */
export function obtainPackages(program: DebianProgram, options: ObtainOptions = {}): Promise<string> {
  const name = `${program.name}-${process.platform}-${process.arch}`;
  const origin = `the Debian packages ${program.packages.join(', ')}`;
  return obtainFolder({ name, origin, fill: (folder, run, scratch) => unpack(program, folder, run, scratch) }, options);
}

/** The one folder of libraries for the architecture, such as usr/lib/x86_64-linux-gnu, for `LD_LIBRARY_PATH`. */
export function librariesIn(folder: string): string {
  const root = join(folder, 'usr', 'lib');
  return join(root, readdirSync(root).find((name) => name.includes('-linux-')) ?? '');
}

/** With a list of packages of its own, so that it takes neither root nor a fresh one. */
async function unpack({ packages, dependencies }: DebianProgram, folder: string, run: Run, scratch: string): Promise<void> {
  const settings = ['APT::Sandbox::User=', `Dir::State::lists=${scratch}/lists`, `Dir::Cache=${scratch}`].flatMap((setting) => ['-o', setting]);
  const archives = (): string[] => readdirSync(scratch).filter((file) => file.endsWith('.deb'));
  mkdirSync(join(scratch, 'lists', 'partial'), { recursive: true });
  await run('apt-get', ['-q', ...settings, 'update']);
  await run('apt-get', ['-q', ...settings, 'download', ...packages]);
  if (dependencies) {
    const first = archives().find((file) => file.startsWith(`${packages[0]}_`)) ?? '';
    const needed = (await run('dpkg-deb', ['-f', first, 'Depends'])).split(/[,|]/).map((text) => text.trim().split(' ')[0] ?? '');
    await run('apt-get', ['-q', ...settings, 'download', ...needed.filter((text) => dependencies.test(text))]);
  }
  for (const file of archives()) await run('dpkg-deb', ['-x', file, folder]);
}
