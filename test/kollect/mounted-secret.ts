import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { z } from 'zod';
import { KubeApiError } from '../../shared/kube/client.ts';
import type { KubeClient } from '../../shared/kube/client.ts';

const Secret = z.object({ metadata: z.object({ resourceVersion: z.string() }), data: z.record(z.string(), z.string()) });

export interface MountedSecret {
  folder: string;
  /** Resolves when the Secret is there and written for the first time. */
  mounted: Promise<void>;
  stop(): void;
}

/**
 * Keeps the files of a Secret in a folder, the way kubelet does: a link for each key leads through the link `..data` into a folder with one
 * version of all of them, and a new version is there at once when `..data` is replaced.
 */
export function mountSecret(client: KubeClient, options: { namespace: string; name: string; folder: string }): MountedSecret {
  const { namespace, name, folder } = options;
  mkdirSync(folder, { recursive: true });
  const { promise: mounted, resolve } = Promise.withResolvers<void>();
  let stopped = false;
  let current = '';
  const follow = async () => {
    while (!stopped) {
      const { metadata, data } = Secret.parse(await client.get(`/api/v1/namespaces/${namespace}/secrets/${name}`).catch(absent));
      if (metadata.resourceVersion !== current && data['tls.crt'] !== undefined) {
        // What else follows the Secret is faster than kubelet, which looks once a minute.
        if (current !== '') await pause(1_000);
        writeVersion(folder, metadata.resourceVersion, data);
        if (current !== '') rmSync(join(folder, `..${current}`), { recursive: true });
        current = metadata.resourceVersion;
        resolve();
      }
      await pause(200);
    }
  };
  follow().catch((error: unknown) => {
    if (!stopped) throw error;
  });
  return { folder, mounted, stop: () => void (stopped = true) };
}

/** Nothing yet, while the Secret is not issued. */
function absent(error: unknown): unknown {
  if (error instanceof KubeApiError && error.status === 404) return { metadata: { resourceVersion: '' }, data: {} };
  throw error;
}

function writeVersion(folder: string, version: string, data: Record<string, string>): void {
  const versionFolder = join(folder, `..${version}`);
  mkdirSync(versionFolder);
  for (const [key, value] of Object.entries(data)) writeFileSync(join(versionFolder, key), Buffer.from(value, 'base64'), { mode: 0o600 });
  symlinkSync(`..${version}`, join(folder, '..data_tmp'));
  renameSync(join(folder, '..data_tmp'), join(folder, '..data'));
  for (const key of Object.keys(data)) {
    symlinkSync(join('..data', key), join(folder, `${key}_tmp`));
    renameSync(join(folder, `${key}_tmp`), join(folder, key));
  }
}
