import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion, type GoBinary } from '../binary.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launchRestartable, type RestartableServer } from '../launch-restartable.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';

export const s3Binary: GoBinary & { name: 'versitygw' } = {
  name: 'versitygw',
  version: pinnedVersion(import.meta.dirname, 'github.com/versity/versitygw'),
  moduleFolder: import.meta.dirname,
  package: 'github.com/versity/versitygw/cmd/versitygw',
  linkerFlags: [],
};

export interface S3Options {
  /** Buckets that are there from the start, by name; three characters at least. */
  buckets?: readonly string[];
  accessKeyId?: string;
  secretAccessKey?: string;
  /** What it answers to; us-east-1 when unset. */
  region?: string;
  /** PEM files; plain HTTP without them. */
  tls?: { cert: string; key: string } | undefined;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface S3 extends RestartableServer {
  port: number;
  endpoint: string;
  accessKeyId: string;
  secretAccessKey: string;
  region: string;
}

/**
 * Starts an S3 server on 127.0.0.1 that checks signatures and conditions, with its data in a temporary folder; obtains it first when it is missing.
 *
 * @example
 * const s3 = await startS3({ buckets: ['inventory'] });
 * t.teardown(() => s3.stop());
 */
export async function startS3(options: S3Options = {}): Promise<S3> {
  const { accessKeyId = 'kollect', secretAccessKey = 'kollect-secret-key', region = 'us-east-1', tls } = options;
  const command = (await obtain([s3Binary], { report: options.report })).versitygw;
  const { value: port, ...server } = await launchRestartable({
    keeper: options.keeper,
    prepare: async ({ folder }) => {
      const port = await freePort();
      const data = join(folder, `s3-${port}`);
      for (const bucket of options.buckets ?? []) mkdirSync(join(data, 'buckets', bucket), { recursive: true });
      for (const name of ['buckets', 'sidecar', 'versions']) mkdirSync(join(data, name), { recursive: true });
      const secured = tls === undefined ? [] : ['--cert', tls.cert, '--key', tls.key];
      const args = ['-a', accessKeyId, '-s', secretAccessKey, '-p', `127.0.0.1:${port}`, '-r', region, ...secured, '--health', '/health', '-q'];
      const start = { name: 's3', command, args: [...args, 'posix', '--sidecar', join(data, 'sidecar'), '--versioning-dir', join(data, 'versions'), join(data, 'buckets')] };
      return { start, check: () => answersOk(`${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}/health`), value: port };
    },
  });
  return { port, endpoint: `${tls === undefined ? 'http' : 'https'}://127.0.0.1:${port}`, accessKeyId, secretAccessKey, region, ...server };
}
