import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion } from '../binary.ts';
import { obtainFolder } from '../cached-folder.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launchRestartable, type RestartableServer } from '../launch-restartable.ts';
import { moduleSource } from '../module-source.ts';
import type { ObtainOptions } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { accepts } from '../ready.ts';

const module = 'github.com/FerretDB/FerretDB';
const version = pinnedVersion(import.meta.dirname, module);

export interface MongoOptions {
  username?: string;
  password?: string;
  /** PEM files; no TLS without them. */
  tls?: { cert: string; key: string; ca: string } | undefined;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface Mongo extends RestartableServer {
  port: number;
  /** With the credentials of the one user, who may do everything. */
  uri: string;
}

/** Gives the path of FerretDB: from the cache, else built. Rejects with `ObtainError`. */
export async function obtainMongo(options: ObtainOptions = {}): Promise<string> {
  const folder = await obtainFolder(
    {
      name: `ferretdb-${version}-${process.platform}-${process.arch}`,
      origin: `the Go module ${module}, built by Go 1.26 or later`,
      fill: async (into, run, scratch) => {
        // Its module carries no version, without which it ends at once: built from a copy that has one.
        const copy = join(scratch, 'source');
        cpSync(await moduleSource(run, import.meta.dirname, module), copy, { recursive: true });
        await run('chmod', ['-R', 'u+w', copy]);
        writeFileSync(join(copy, 'build', 'version', 'version.txt'), `v${version}\n`);
        const env = { CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-buildvcs=false' };
        await run('go', ['build', '-mod=readonly', '-trimpath', '-ldflags=-s -w', '-o', join(into, 'ferretdb'), './cmd/ferretdb'], { cwd: copy, env });
      },
    },
    options,
  );
  return join(folder, 'ferretdb');
}

/**
 * Starts a server of MongoDB's protocol on 127.0.0.1 that asks for a password (SCRAM), with its data in a temporary folder; obtains it first when it is missing.
 *
 * @example
 * const mongo = await startMongo();
 * t.teardown(() => mongo.stop());
 * const client = await MongoClient.connect(mongo.uri);
 */
export async function startMongo(options: MongoOptions = {}): Promise<Mongo> {
  const { username = 'kollect', password = 'kollect-secret', tls } = options;
  const command = await obtainMongo({ report: options.report });
  const { value: port, ...server } = await launchRestartable({
    keeper: options.keeper,
    prepare: async ({ folder }) => {
      const port = await freePort();
      const data = join(folder, `mongo-${port}`);
      mkdirSync(data);
      const address = `127.0.0.1:${port}`;
      const listens = tls === undefined ? [`--listen-addr=${address}`] : ['--listen-addr=', `--listen-tls=${address}`, `--listen-tls-cert-file=${tls.cert}`, `--listen-tls-key-file=${tls.key}`, `--listen-tls-ca-file=${tls.ca}`];
      const stored = ['--handler=sqlite', `--sqlite-url=file:${data}/`, `--state-dir=${data}`, '--debug-addr=-', '--telemetry=disable'];
      const user = ['--test-enable-new-auth', `--setup-username=${username}`, `--setup-password=${password}`, '--setup-database=admin'];
      return { start: { name: 'mongo', command, args: [...listens, ...stored, ...user] }, check: () => accepts(port), value: port };
    },
  });
  return { port, uri: `mongodb://${username}:${password}@127.0.0.1:${port}/`, ...server };
}
