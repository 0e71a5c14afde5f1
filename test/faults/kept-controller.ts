import { join } from 'node:path';
import type { ControllerPace } from '../../controller/controller.ts';
import type { LeaderElectionOptions } from '../../shared/kube/leader-election.ts';
import { nodeFlags } from '../kollect/process.ts';
import type { Cluster } from '../servers/cluster.ts';
import type { KeptProcess } from '../servers/keeper.ts';

export interface KeptControllerOptions {
  kubeconfig: string;
  /** Its own; nobody else has it while it runs. */
  identity: string;
  pace: ControllerPace;
  lease: Pick<LeaderElectionOptions, 'namespace' | 'name' | 'times'>;
  /** Folder of its mirrors of git repositories. */
  mirrors: string;
}

/** A controller with little patience, which is killed, frozen and started again. */
export class KeptController {
  readonly identity: string;
  readonly #cluster: Cluster;
  readonly #options: KeptControllerOptions;
  #process: KeptProcess | undefined;

  constructor(cluster: Cluster, options: KeptControllerOptions) {
    this.identity = options.identity;
    this.#cluster = cluster;
    this.#options = options;
  }

  /** Resolves when the process is there. It is started again when it ends by itself, as it does when another one leads. */
  async start(): Promise<void> {
    const process = await this.#cluster.keeper.start({
      name: this.identity,
      command: globalThis.process.execPath,
      args: [...nodeFlags.controller, join(import.meta.dirname, 'controller-process.ts'), JSON.stringify(this.#options)],
      env: { ...globalThis.process.env, KOLLECT_GIT_MIRROR_DIR: this.#options.mirrors },
      stop: [{ signal: 'SIGTERM', graceMs: 10_000 }],
    });
    this.#process = process;
    void process.untilExit().then(({ code }) => {
      if (code === 1) void this.start();
    });
  }

  /** Waits for the end of the process when the signal is one that ends it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process?.signal(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await this.#process?.untilExit();
  }

  /** All that it wrote, in all its lives. */
  get output(): string {
    return this.#process?.logs() ?? '';
  }

  /** The lines of it. */
  get log(): Record<string, unknown>[] {
    return this.output.split('\n').flatMap((line) => {
      try {
        return [JSON.parse(line) as Record<string, unknown>];
      } catch {
        // What a kill cut off.
        return [];
      }
    });
  }
}
