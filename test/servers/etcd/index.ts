import { join } from 'node:path';
import { pinnedVersion } from '../binary.ts';
import type { GoBinary } from '../binary.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launch } from '../launch.ts';
import type { Launched } from '../launch.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';

export const etcdBinary: GoBinary & { name: 'etcd' } = {
  name: 'etcd',
  version: pinnedVersion(import.meta.dirname, 'go.etcd.io/etcd/server/v3'),
  moduleFolder: import.meta.dirname,
  package: 'go.etcd.io/etcd/server/v3',
  linkerFlags: [],
};

export interface EtcdOptions {
  /** Further flags, such as `--quota-backend-bytes=8589934592` for 100,000 objects and more. */
  flags?: readonly string[] | undefined;
  /** Lets it end together with other servers, in their order. */
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

/** `value.url` is that of the client API, without credentials. */
export type Etcd = Launched<{ url: string }>;

/** Starts etcd with an empty store. Nothing is flushed to the disk: its data is thrown away in the end. */
export async function start(options: EtcdOptions = {}): Promise<Etcd> {
  const { etcd } = await obtain([etcdBinary], { report: options.report });
  return launch({
    keeper: options.keeper,
    prepare: async ({ folder }) => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      // It has no peers, but wants an address for them.
      const peerUrl = `http://127.0.0.1:${await freePort()}`;
      const args = [
        '--name=kollect',
        `--data-dir=${join(folder, `etcd-${port}`)}`,
        `--listen-client-urls=${url}`,
        `--advertise-client-urls=${url}`,
        `--listen-peer-urls=${peerUrl}`,
        `--initial-advertise-peer-urls=${peerUrl}`,
        `--initial-cluster=kollect=${peerUrl}`,
        '--unsafe-no-fsync',
        '--log-level=warn',
        ...(options.flags ?? []),
      ];
      return { start: { name: 'etcd', command: etcd, args }, check: () => answersOk(`${url}/health`), value: { url } };
    },
  });
}
