import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../servers/cluster.ts';
import { freePort } from '../servers/free-port.ts';
import { kollectProcess, type KollectProcess } from '../kollect/process.ts';
import { Inspector } from './inspector.ts';
import { processFigures } from './process-figures.ts';

/** The controller as a process of its own, with the means to look at what it costs. Not started yet. */
export class ControllerUnderTest {
  readonly process: KollectProcess;
  readonly #metricsUrl: string;
  readonly #inspectorPort: number;
  readonly #profiles: string | undefined;

  private constructor(process: KollectProcess, metricsUrl: string, inspectorPort: number, profiles: string | undefined) {
    this.process = process;
    this.#metricsUrl = metricsUrl;
    this.#inspectorPort = inspectorPort;
    this.#profiles = profiles;
  }

  /** `profiles` is the folder that profiles go to; none are taken when unset. */
  static async create(cluster: Pick<Cluster, 'keeper' | 'kubeconfig'>, profiles: string | undefined): Promise<ControllerUnderTest> {
    const [healthPort, metricsPort, inspectorPort] = [await freePort(), await freePort(), await freePort()];
    const flags = [`--kubeconfig=${cluster.kubeconfig}`, `--metrics-bind-address=127.0.0.1:${metricsPort}`, '--allow-loopback-sinks'];
    // It says where the inspector would listen; there is none until somebody asks for it.
    const environment = { NODE_OPTIONS: `--inspect-port=127.0.0.1:${inspectorPort}` };
    const process = kollectProcess(cluster.keeper, { name: 'controller', flags, healthPort, environment });
    return new ControllerUnderTest(process, `http://127.0.0.1:${metricsPort}/metrics`, inspectorPort, profiles);
  }

  figures(): ReturnType<typeof processFigures> {
    return processFigures(this.process.pid());
  }

  async liveHeapBytes(): Promise<number> {
    const inspector = await Inspector.attach(this.process.pid(), this.#inspectorPort);
    try {
      return await inspector.liveHeapBytes();
    } finally {
      inspector.close();
    }
  }

  /** Runs `work`, and writes a profile of the controller in that time when profiles are wanted. */
  async profiled<T>(name: string, work: () => Promise<T>): Promise<T> {
    if (this.#profiles === undefined) return await work();
    const inspector = await Inspector.attach(this.process.pid(), this.#inspectorPort);
    try {
      await inspector.startProfile();
      const result = await work();
      mkdirSync(this.#profiles, { recursive: true });
      writeFileSync(join(this.#profiles, `${name}.cpuprofile`), await inspector.stopProfile());
      return result;
    } finally {
      inspector.close();
    }
  }

  /** All metrics now. The longest block is one since the scrape before. */
  async scrape(): Promise<Metrics> {
    const response = await fetch(this.#metricsUrl);
    return new Metrics(await response.text());
  }
}

export class Metrics {
  readonly #lines: { name: string; labels: string; value: number }[];

  constructor(text: string) {
    this.#lines = text.split('\n').flatMap((line) => {
      const [, name = '', labels = '', value = ''] = /^([a-z_]+)(\{.*\})? (\S+)$/.exec(line) ?? [];
      return name === '' ? [] : [{ name, labels, value: Number(value) }];
    });
  }

  /** The sum of all series of a name whose labels contain the given text. */
  sum(name: string, labels = ''): number {
    return this.#lines.reduce((sum, line) => (line.name === name && line.labels.includes(labels) ? sum + line.value : sum), 0);
  }

  /** Values of a name by their labels. */
  series(name: string): Map<string, number> {
    return new Map(this.#lines.filter((line) => line.name === name).map(({ labels, value }) => [labels, value]));
  }

  /** Longest time in milliseconds between two turns that were due 10 ms apart, so up to 10 ms more than the block itself. */
  get longestBlockMs(): number {
    return this.sum('nodejs_eventloop_lag_max_seconds') * 1000;
  }
}
