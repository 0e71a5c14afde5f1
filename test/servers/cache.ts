import { mkdirSync, rmSync, statSync, utimesSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';

/** Where built binaries stay between runs, outside the checkout: `$KOLLECT_CACHE`, else `kollect/servers` in the user's cache folder. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  if (environment['KOLLECT_CACHE']) return environment['KOLLECT_CACHE'];
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'kollect', 'servers');
}

/** The holder renews its lock this often, */
const renewMs = 1_000;
/** and one not renewed for this long belongs to a process that is gone. Far above the former: a loaded machine may stall. */
const staleMs = 20_000;

/**
 * Runs `work` while no other process runs anything under the same lock folder. The lock is a folder whose time is renewed, so it holds
 * between containers that share a cache, and a killed holder loses it.
 */
export async function withLock<T>(lock: string, work: () => Promise<T>, whileWaiting: (seconds: number) => void): Promise<T> {
  const since = performance.now();
  while (!acquire(lock)) {
    whileWaiting((performance.now() - since) / 1000);
    await pause(250);
  }
  const renewal = setInterval(() => renew(lock), renewMs);
  try {
    return await work();
  } finally {
    clearInterval(renewal);
    rmSync(lock, { recursive: true, force: true });
  }
}

function acquire(lock: string): boolean {
  try {
    mkdirSync(lock);
    return true;
  } catch (error) {
    if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
  }
  if (Date.now() - (modified(lock) ?? Date.now()) > staleMs) rmSync(lock, { recursive: true, force: true });
  return false;
}

function renew(lock: string): void {
  try {
    utimesSync(lock, new Date(), new Date());
  } catch {
    // Removed by someone who took us for gone; the rename at the end of a build is safe all the same.
  }
}

function modified(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
