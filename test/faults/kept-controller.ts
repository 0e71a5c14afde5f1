import { join } from 'node:path';
import type { ControllerPace } from '../../controller/controller.ts';
import { nodeFlags } from '../kollect/process.ts';
import type { Cluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import type { KeptProcess } from '../servers/keeper.ts';

export interface KeptControllerOptions {
  kubeconfig: string;
  identity: string;
  pace: ControllerPace;
}

/** A controller with little patience, which is killed, frozen and started again. */
export class KeptController {
  readonly #cluster: Cluster;
  readonly #options: KeptControllerOptions;
  #process: KeptProcess | undefined;
  /** Lives of which it said that they run, before this one. */
  #runs = 0;

  constructor(cluster: Cluster, options: KeptControllerOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Resolves when the process is there; what it reads first may still be disturbed. */
  async start(): Promise<void> {
    this.#runs = this.log.filter(({ msg }) => msg === 'running').length;
    this.#process = await this.#cluster.keeper.start({
      name: this.#options.identity,
      command: process.execPath,
      args: [...nodeFlags.controller, join(import.meta.dirname, 'controller-process.ts'), JSON.stringify(this.#options)],
      stop: [{ signal: 'SIGTERM', graceMs: 10_000 }],
    });
  }

  /** Waits for the end of the process when the signal is one that ends it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process?.signal(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.#process?.untilExit();
  }

  /** Lines that it wrote, of all its lives. */
  get log(): Record<string, unknown>[] {
    return (this.#process?.logs() ?? '').split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        // What a kill cut off.
        return [];
      }
    });
  }

  /** Resolves when all that it needs to know at first was read, which faults may delay. */
  async untilRunning(): Promise<void> {
    await eventually(() => this.log.filter(({ msg }) => msg === 'running').length > this.#runs, { intervalMs: 100, what: 'the start of the controller' });
  }
}
