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

  constructor(cluster: Cluster, options: KeptControllerOptions) {
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Resolves when the process is there; what it reads first may still be disturbed. */
  async start(): Promise<void> {
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

  get runs(): boolean {
    return this.#process !== undefined && this.#process.exit() === undefined;
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

  async untilRunning(times: number): Promise<void> {
    await eventually(() => this.log.filter(({ msg }) => msg === 'running').length >= times, { what: 'the start of the controller' });
  }
}
