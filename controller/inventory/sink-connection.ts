import type { Capabilities, PassQueue, Sink } from '../sinks/contract.ts';

/** A sink that is ready to be written to. */
export interface OpenSink {
  sink: Sink;
  /** Backend type, for metrics. */
  type: string;
  cluster: string;
  granularity: Capabilities['granularity'];
  refusesLateWrites: boolean;
  /** Identifies the destination, without credentials. */
  fingerprint: string;
  /** The destination and the cluster, for people. */
  place: string;
  /** Of all who write to the destination. */
  queue: PassQueue;
  /** Asks whether the Secrets that it was opened with are still the same. */
  isCurrent: () => Promise<boolean>;
}

/** The sink of a binding: opened when it is needed, and anew when it may be another. */
export class SinkConnection {
  readonly #open: () => Promise<OpenSink>;
  /** Of the binding, as its queue knows it. */
  readonly #name: string;
  #opened: OpenSink | undefined;
  #queue: PassQueue | undefined;
  #outdated = false;

  constructor(name: string, open: () => Promise<OpenSink>) {
    this.#name = name;
    this.#open = open;
  }

  get opened(): OpenSink | undefined {
    return this.#opened;
  }

  /** Of the sink as it was opened last: it holds us back after failures, also while there is no sink. Undefined when there is none, or it may be another. */
  get queue(): PassQueue | undefined {
    return this.#outdated ? undefined : this.#queue;
  }

  /** The sink may be another since it was opened. */
  get isOutdated(): boolean {
    return this.#outdated;
  }

  outdate(): void {
    this.#outdated = true;
  }

  async open(): Promise<OpenSink> {
    const mended = this.#outdated;
    if (mended) {
      this.#outdated = false;
      this.#queue?.forget(this.#name);
      this.#queue = undefined;
      await this.disconnect();
    }
    this.#opened ??= await this.#open();
    const { queue } = this.#opened;
    if (this.#queue !== queue) this.#queue?.forget(this.#name);
    this.#queue = queue;
    if (mended) queue.release(this.#name);
    return this.#opened;
  }

  /** Settings and credentials are read again when it is opened next. */
  async disconnect(): Promise<void> {
    const opened = this.#opened;
    this.#opened = undefined;
    await opened?.sink.close();
  }

  /** Leaves the queue, too. */
  async close(): Promise<void> {
    this.#queue?.forget(this.#name);
    await this.disconnect();
  }
}
