import { cpSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { obtainFolder } from '../cached-folder.ts';
import { freePort } from '../free-port.ts';
import { openKeeper, type Keeper } from '../keeper.ts';
import { launchRestartable, type RestartableServer } from '../launch-restartable.ts';
import type { ObtainOptions } from '../obtain.ts';
import type { Report } from '../progress.ts';
import { accepts } from '../ready.ts';

const pom = join(import.meta.dirname, 'pom.xml');
const version = /<artifactId>kafka_2\.13<\/artifactId>\s*<version>([^<]+)</.exec(readFileSync(pom, 'utf8'))?.[1] ?? '';

type Properties = Record<string, string | number>;

export interface KafkaOptions {
  /** Who may log in, by PLAIN and by SCRAM-SHA-256 and SCRAM-SHA-512; everybody without it. */
  user?: { name: string; password: string } | undefined;
  /** PEM of the key (PKCS #8) and its certificates; no TLS without them. */
  tls?: { cert: string; key: string; /** Clients must show a certificate of it. */ clientCa?: string | undefined } | undefined;
  /** Further lines of server.properties, such as `message.max.bytes`. */
  properties?: Properties | ((ports: Pick<Kafka, 'port' | 'plainPort'>) => Properties);
  keeper?: Keeper | undefined;
  report?: Report | undefined;
}

export interface Kafka extends RestartableServer {
  /** Where clients log in as the options say, */
  port: number;
  /** and where they neither log in nor use TLS. */
  plainPort: number;
}

/** Gives the folder of Kafka's jars: from the cache, else fetched. Rejects with `ObtainError`. */
export function obtainKafka(options: ObtainOptions = {}): Promise<string> {
  return obtainFolder(
    {
      name: `kafka-${version}`,
      origin: 'Maven Central, fetched by mvn; running it takes Java 17 or later',
      fill: async (folder, run, scratch) => {
        cpSync(pom, join(scratch, 'pom.xml'));
        await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(scratch, 'jars')}`, '-DincludeScope=runtime'], { cwd: scratch });
        renameSync(join(scratch, 'jars'), join(folder, 'jars'));
      },
    },
    options,
  );
}

/**
 * Starts a Kafka broker on 127.0.0.1 that is its own controller, with its data in a temporary folder; obtains it first when it is missing. Topics are not created by use.
 *
 * @example
 * const kafka = await startKafka({ user: { name: 'kollect', password: 'secret' } });
 * t.teardown(() => kafka.stop());
 */
export async function startKafka(options: KafkaOptions = {}): Promise<Kafka> {
  const jars = join(await obtainKafka({ report: options.report }), 'jars', '*');
  const { value, ...server } = await launchRestartable({
    keeper: options.keeper,
    prepare: async (keeper) => {
      const [port, plainPort, controllerPort] = [await freePort(), await freePort(), await freePort()];
      const folder = join(keeper.folder, `kafka-${port}`);
      mkdirSync(folder);
      const file = join(folder, 'server.properties');
      writeFileSync(file, propertiesOf(options, { folder, port, plainPort, controllerPort }));
      // A small heap and no optimising compiler: it is up in two seconds.
      const java = ['-Xmx256m', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-cp', jars];
      const scram = (mechanism: string) => (options.user === undefined ? [] : ['--add-scram', `${mechanism}=[name=${options.user.name},password=${options.user.password}]`]);
      await format(['kafka.tools.StorageTool', 'format', '-t', 'MkU3OEVBNTcwNTJENDM2Qg', '-c', file, ...scram('SCRAM-SHA-256'), ...scram('SCRAM-SHA-512')], java);
      const start = { name: 'kafka', command: 'java', args: [...java, 'kafka.Kafka', file], cwd: folder };
      return { start, check: async () => (await accepts(port)) && (await accepts(plainPort)), value: { port, plainPort } };
    },
  });
  return { ...value, ...server };
}

async function format(args: readonly string[], java: readonly string[]): Promise<void> {
  const keeper = await openKeeper();
  try {
    const child = await keeper.start({ name: 'format', command: 'java', args: [...java, ...args] });
    const { code } = await child.untilExit();
    if (code !== 0) throw new Error(`the storage of Kafka was not formatted: ${child.logs(10)}`);
  } finally {
    await keeper.stop();
  }
}

function propertiesOf({ user, tls, properties = {} }: KafkaOptions, at: { folder: string; port: number; plainPort: number; controllerPort: number }): string {
  const protocol = `${user === undefined ? '' : 'SASL_'}${tls === undefined ? 'PLAINTEXT' : 'SSL'}`;
  const jaas = (module: string, rest = '') => `org.apache.kafka.common.security.${module} required${rest};`;
  const lines: Record<string, string | number> = {
    'process.roles': 'broker,controller',
    'node.id': 1,
    'controller.quorum.voters': `1@127.0.0.1:${at.controllerPort}`,
    listeners: `CLIENT://127.0.0.1:${at.port},INTERNAL://127.0.0.1:${at.plainPort},CONTROLLER://127.0.0.1:${at.controllerPort}`,
    'listener.security.protocol.map': `CLIENT:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    'inter.broker.listener.name': 'INTERNAL',
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': join(at.folder, 'data'),
    'auto.create.topics.enable': 'false',
    'group.initial.rebalance.delay.ms': 0,
    'offsets.topic.num.partitions': 1,
    'offsets.topic.replication.factor': 1,
    'transaction.state.log.num.partitions': 1,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    ...(user && {
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.client.plain.sasl.jaas.config': jaas('plain.PlainLoginModule', ` user_${user.name}="${user.password}"`),
      'listener.name.client.scram-sha-256.sasl.jaas.config': jaas('scram.ScramLoginModule'),
      'listener.name.client.scram-sha-512.sasl.jaas.config': jaas('scram.ScramLoginModule'),
    }),
    ...(tls && {
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.certificate.chain': oneLine(tls.cert),
      'ssl.keystore.key': oneLine(tls.key),
      ...(tls.clientCa && { 'ssl.truststore.type': 'PEM', 'ssl.truststore.certificates': oneLine(tls.clientCa), 'ssl.client.auth': 'required' }),
    }),
    ...(typeof properties === 'function' ? properties(at) : properties),
  };
  return Object.entries(lines).map(([name, value]) => `${name}=${value}\n`).join('');
}

/** As a value of a properties file. */
function oneLine(pem: string): string {
  return pem.trim().replaceAll('\n', '\\n');
}
