import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion, type GoBinary } from '../binary.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launchRestartable, type RestartableServer } from '../launch-restartable.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';

export const gcsBinary: GoBinary & { name: 'fake-gcs-server' } = {
  name: 'fake-gcs-server',
  version: pinnedVersion(import.meta.dirname, 'github.com/fsouza/fake-gcs-server'),
  moduleFolder: import.meta.dirname,
  package: 'github.com/fsouza/fake-gcs-server',
  linkerFlags: [],
};

export interface GcsOptions {
  /** Buckets that are there from the start. */
  buckets?: readonly string[];
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface Gcs extends RestartableServer {
  port: number;
  endpoint: string;
}

/**
 * Starts a server of Google Cloud Storage's JSON API on 127.0.0.1, with its data in a temporary folder; obtains it first when it is missing. It checks no credentials.
 *
 * @example
 * const gcs = await startGcs({ buckets: ['inventory'] });
 * t.teardown(() => gcs.stop());
 */
export async function startGcs(options: GcsOptions = {}): Promise<Gcs> {
  const command = (await obtain([gcsBinary], { report: options.report }))['fake-gcs-server'];
  const { value: { port, data }, ...server } = await launchRestartable({
    keeper: options.keeper,
    prepare: async ({ folder }) => {
      const port = await freePort();
      const address = `127.0.0.1:${port}`;
      const data = join(folder, `gcs-${port}`);
      mkdirSync(data);
      for (const bucket of options.buckets ?? []) mkdirSync(join(data, bucket));
      const served = ['-scheme', 'http', '-host', '127.0.0.1', '-port', String(port), '-public-host', address, '-external-url', `http://${address}`];
      const start = { name: 'gcs', command, args: [...served, '-backend', 'filesystem', '-filesystem-root', data] };
      return { start, check: () => answersOk(`http://${address}/_internal/healthcheck`), value: { port, data } };
    },
  });
  const start = async () => {
    // It writes what it knows of a bucket with each object, in place: what was cut off is no bucket to it any more.
    for (const bucket of options.buckets ?? []) rmSync(join(data, `${bucket}.bucketMetadata`), { force: true });
    await server.start();
  };
  return { port, endpoint: `http://127.0.0.1:${port}`, ...server, start };
}
