import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { pinnedVersion } from '../binary.ts';
import { cacheFolder, withLock } from '../cache.ts';
import { plainEnvironment } from '../keeper.ts';
import { ObtainError } from '../obtain.ts';
import type { ObtainOptions } from '../obtain.ts';
import { progressOf } from '../progress.ts';

const module = 'github.com/cert-manager/cert-manager';

/** Those of the ACME kinds are left out: nothing here uses them. */
const files = ['certificaterequests', 'certificates', 'clusterissuers', 'issuers'].map((plural) => `cert-manager.io_${plural}.yaml`);

const Download = z.object({ Dir: z.string() });

/** Paths of cert-manager's CRDs: from the cache, else from its module. Rejects with `ObtainError`. */
export async function obtainCertManagerCrds(options: ObtainOptions = {}): Promise<string[]> {
  const environment = options.environment ?? process.env;
  const name = `cert-manager-crds-${pinnedVersion(import.meta.dirname, module)}`;
  const cache = cacheFolder(environment);
  const folder = join(cache, name);
  const progress = progressOf(name, options.report);
  const paths = files.map((file) => join(folder, file));
  if (existsSync(folder)) {
    if (options.verbose) progress.say('cached');
    return paths;
  }
  mkdirSync(cache, { recursive: true });
  const copy = async () => {
    if (!existsSync(folder)) await progress.during('downloading', () => copyFromModule(cache, folder, environment));
  };
  try {
    await withLock(`${folder}.lock`, copy, (seconds) => progress.repeat('another process is downloading it', seconds));
  } catch (error) {
    throw new ObtainError([{ name, reason: error instanceof Error ? error.message : String(error) }]);
  }
  return paths;
}

/** Copied under another name and renamed: half of it is never taken for all. */
async function copyFromModule(cache: string, folder: string, environment: NodeJS.ProcessEnv): Promise<void> {
  const env = { ...plainEnvironment(), ...environment, GOWORK: 'off', GOFLAGS: '-mod=readonly' };
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', module], { cwd: import.meta.dirname, env });
  const { Dir: source } = Download.parse(JSON.parse(stdout));
  const temporary = mkdtempSync(join(cache, 'crds-'));
  try {
    for (const file of files) cpSync(join(source, 'deploy', 'crds', file), join(temporary, file));
    renameSync(temporary, folder);
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
}
