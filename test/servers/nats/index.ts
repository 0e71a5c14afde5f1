import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion, type GoBinary } from '../binary.ts';
import { freePort } from '../free-port.ts';
import type { Keeper } from '../keeper.ts';
import { launchRestartable, type RestartableServer } from '../launch-restartable.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk } from '../ready.ts';

export const natsBinary: GoBinary & { name: 'nats-server' } = {
  name: 'nats-server',
  version: pinnedVersion(import.meta.dirname, 'github.com/nats-io/nats-server/v2'),
  moduleFolder: import.meta.dirname,
  package: 'github.com/nats-io/nats-server/v2',
  linkerFlags: [],
};

export interface NatsOptions {
  /** Configuration beside ports and storage, such as who may log in; `folder` is where its files may lie. */
  config?: ((folder: string) => string) | undefined;
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface Nats extends RestartableServer {
  port: number;
}

/**
 * Starts a NATS server with JetStream on 127.0.0.1, with its data in a temporary folder; obtains it first when it is missing.
 *
 * @example
 * const nats = await startNats({ config: () => 'authorization { user: kollect, password: secret }' });
 * t.teardown(() => nats.stop());
 */
export async function startNats(options: NatsOptions = {}): Promise<Nats> {
  const command = (await obtain([natsBinary], { report: options.report }))['nats-server'];
  const { value: port, ...server } = await launchRestartable({
    keeper: options.keeper,
    prepare: async ({ folder }) => {
      const [port, monitorPort] = [await freePort(), await freePort()];
      const file = join(folder, `nats-${port}.conf`);
      const own = [`listen: "127.0.0.1:${port}"`, `http: "127.0.0.1:${monitorPort}"`, `jetstream { store_dir: "${join(folder, `nats-${port}`)}" }`];
      writeFileSync(file, [...own, options.config?.(folder) ?? '', ''].join('\n'));
      return { start: { name: 'nats', command, args: ['-c', file] }, check: () => answersOk(`http://127.0.0.1:${monitorPort}/healthz?js-enabled-only=true`), value: port };
    },
  });
  return { port, ...server };
}
