import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion, type GoBinary } from '../binary.ts';
import { freePort } from '../free-port.ts';
import type { Keeper, KeptProcess } from '../keeper.ts';
import { launch } from '../launch.ts';
import { obtain } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { answersOk, untilReady } from '../ready.ts';

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

export interface Nats {
  port: number;
  keeper: Keeper;
  process(): KeptProcess;
  /** SIGKILL unless said otherwise; SIGSTOP and SIGCONT freeze and thaw it. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** On the same port, with the same data. */
  start(): Promise<void>;
  stop(): Promise<void>;
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
  const server = await launch({
    keeper: options.keeper,
    prepare: async ({ folder }) => {
      const [port, monitorPort] = [await freePort(), await freePort()];
      const file = join(folder, `nats-${port}.conf`);
      const own = [`listen: "127.0.0.1:${port}"`, `http: "127.0.0.1:${monitorPort}"`, `jetstream { store_dir: "${join(folder, `nats-${port}`)}" }`];
      writeFileSync(file, [...own, options.config?.(folder) ?? '', ''].join('\n'));
      const start = { name: 'nats', command, args: ['-c', file] };
      const check = () => answersOk(`http://127.0.0.1:${monitorPort}/healthz?js-enabled-only=true`);
      return { start, check, value: { port, start, check } };
    },
  });
  const { port, start, check } = server.value;
  let current = server.process;
  return {
    port,
    keeper: server.keeper,
    process: () => current,
    kill: async (signal = 'SIGKILL') => {
      current.signal(signal);
      if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await current.untilExit();
    },
    start: async () => {
      current = await server.keeper.start(start);
      await untilReady(current, { name: 'nats', check });
    },
    stop: async () => {
      if (options.keeper === undefined) return await server.stop();
      if (current.exit() === undefined) current.signal('SIGKILL');
      await current.untilExit();
    },
  };
}
