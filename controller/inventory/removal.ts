import { setTimeout as pause } from 'node:timers/promises';
import { KollectError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import { retryDelayMs } from '../backoff.ts';
import type { InventoryIdentity, PassQueue, PassRequest } from '../sinks/contract.ts';
import { asKollectError } from './binding.ts';
import { placeOf } from './binding-state.ts';
import type { ExportedSink } from './cleanup.ts';
import type { OpenSink } from './sink-connection.ts';
import type { SinkDirectory } from './sink-directory.ts';

/** Settings and credentials are read again when our turn comes later than this. */
const freshMs = 1_000;
/** What a destination gets whose sink or Secret is gone. */
const lastTryMs = 60_000;

export interface RemovalOptions {
  sink: ExportedSink;
  /** Nothing is deleted before `pause` says so. */
  isPaused: boolean;
  /** Whose rows go. */
  inventory: Omit<InventoryIdentity, 'cluster'>;
  directory: SinkDirectory;
  /** Fingerprints of destinations whose rows stay, because another reference writes there. Throws while one of them cannot be told. */
  kept: () => Promise<ReadonlySet<string>>;
  logger: Logger;
  /** `error` is another. It goes on trying. */
  onFailure: () => void;
  /** Nothing is left that could be removed. Not called after `close`. */
  onDone: () => void;
}

/**
 * Removes the rows of one inventory from one sink, however long that takes. A sink or Secret that is gone leaves nothing to be repeated:
 * then the destination is tried once with what is known of it, so that a namespace that goes as a whole takes its rows along.
 */
export class Removal {
  readonly key: string;
  readonly namespace: string;
  readonly fingerprint: string | undefined;
  /** Why it has not succeeded yet. */
  error: KollectError | undefined;
  readonly #options: RemovalOptions;
  readonly #closing = new AbortController();
  /** Ends the attempt, and the time between two. */
  #turn = new AbortController();
  #edited = false;
  /** Resolves when deletions are not paused any more. */
  #pause: PromiseWithResolvers<void> | undefined;
  #hasDeleted = false;
  #queue: PassQueue | undefined;
  readonly #running: Promise<void>;

  constructor(options: RemovalOptions) {
    this.#options = options;
    this.key = options.sink.key;
    this.namespace = options.sink.namespace;
    this.fingerprint = options.sink.fingerprint;
    if (options.isPaused) this.pause(true);
    this.#running = this.#run();
  }

  /** The sink was edited or deleted, or its credentials are others: tried again at once. */
  retry(): void {
    this.#edited = true;
    this.#turn.abort();
  }

  /** While it is true nothing is deleted; what is in flight is given up. */
  pause(paused: boolean): void {
    if (paused === this.isPaused) return;
    this.#pause?.resolve();
    this.#pause = paused ? Promise.withResolvers() : undefined;
    this.#turn.abort();
  }

  get isPaused(): boolean {
    return this.#pause !== undefined;
  }

  /** Rows were deleted, or may have been: an attempt that fails leaves unknown how far it came. */
  get hasDeleted(): boolean {
    return this.#hasDeleted;
  }

  /** Stops. What was removed stays removed. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#pause?.resolve();
    await this.#running;
  }

  async #run(): Promise<void> {
    let failures = 0;
    let outcome: Outcome = 'again';
    while (!this.#closing.signal.aborted) {
      if (this.#pause) {
        await this.#pause.promise;
        continue;
      }
      this.#turn = new AbortController();
      const signal = AbortSignal.any([this.#closing.signal, this.#turn.signal]);
      outcome = await this.#attempt(signal);
      if (signal.aborted || outcome === 'again') continue;
      if (outcome === 'done') break;
      const error = asKollectError(outcome.error);
      this.#fail(error);
      // The queue holds us back after a failure of the destination; nobody does when there was no destination.
      if (!outcome.held) await pause(error.retryAfterMs ?? retryDelayMs(error.class, ++failures), undefined, { signal }).catch(() => undefined);
    }
    this.#queue?.forget(this.#name);
    if (!this.#closing.signal.aborted && outcome === 'done') this.#options.onDone();
  }

  async #attempt(signal: AbortSignal): Promise<Outcome> {
    let opened: OpenSink | undefined;
    try {
      opened = await this.#open();
    } catch (error) {
      return isGone(error) ? await this.#tryLast(signal) : { error, held: false };
    }
    const { queue } = opened;
    if (this.#queue !== queue) this.#queue?.forget(this.#name);
    this.#queue = queue;
    if (this.#edited) queue.release(this.#name);
    this.#edited = false;
    const openedAt = performance.now();
    let outcome: Outcome = 'again';
    try {
      await queue.pass(this.#request(signal), async () => {
        try {
          if (performance.now() - openedAt > freshMs) {
            const former = opened;
            opened = undefined;
            await former?.sink.close();
            opened = await this.#open();
          }
          if (opened?.queue !== queue) return false;
          if (await this.#isKept(opened)) {
            outcome = 'done';
            return false;
          }
        } catch (error) {
          if (!isGone(error)) outcome = { error, held: false };
          return false;
        }
        await this.#remove(opened, signal);
        outcome = 'done';
        return true;
      });
      return outcome;
    } catch (error) {
      return { error, held: true };
    } finally {
      await opened?.sink.close().catch(() => undefined);
    }
  }

  #open(): Promise<OpenSink> {
    const { directory, sink } = this.#options;
    return directory.open(sink.family, sink.namespace, sink.name, () => this.retry());
  }

  async #isKept({ fingerprint }: OpenSink): Promise<boolean> {
    if (!(await this.#options.kept()).has(fingerprint)) return false;
    this.#options.logger.info('nothing to remove: another reference writes to the same destination', { sink: this.key });
    return true;
  }

  async #remove({ sink, cluster, fingerprint }: OpenSink, signal: AbortSignal): Promise<void> {
    const { inventory, logger } = this.#options;
    const hadDeleted = this.#hasDeleted;
    this.#hasDeleted = true;
    const { deleted } = await sink.remove({ ...inventory, cluster }, fingerprint === this.fingerprint, signal);
    this.#hasDeleted = hadDeleted || deleted > 0;
    if (deleted > 0) logger.info('removed the rows of an inventory', { sink: this.key, deleted });
    else logger.info('nothing to remove: the destination holds no rows that are known to be of this inventory; any others stay', { sink: this.key });
  }

  /** What failed before is not tried again: the sink may have been deleted because of that. */
  async #tryLast(ending: AbortSignal): Promise<Outcome> {
    const { directory, sink, logger } = this.#options;
    const opened = this.error === undefined ? await directory.openFormer(sink.family, sink.namespace, sink.name).catch(() => undefined) : undefined;
    if (!opened) {
      logger.info('nothing to remove: the sink or its Secret is gone', { sink: this.key });
      return 'done';
    }
    const signal = AbortSignal.any([ending, AbortSignal.timeout(lastTryMs)]);
    try {
      await opened.queue.pass(this.#request(signal), async () => {
        if (!(await this.#isKept(opened))) await this.#remove(opened, signal);
        return true;
      });
    } catch (error) {
      logger.warn('rows of an inventory stay: the sink or its Secret is gone, and a last try failed', { sink: this.key, error: asKollectError(error).message });
    } finally {
      opened.queue.forget(this.#name);
      await opened.sink.close().catch(() => undefined);
    }
    return 'done';
  }

  #request(signal: AbortSignal): PassRequest {
    const { namespace, name } = this.#options.inventory;
    return { inventory: `${namespace}/${name}`, binding: this.#name, mode: 'full', signal, held: (error) => this.#show(error) };
  }

  #fail(error: KollectError): void {
    const { code, message } = error;
    this.#options.logger.warn('the rows of an inventory could not be removed, will be repeated', { sink: this.key, code, error: message });
    this.#show(error);
  }

  #show(error: KollectError): void {
    this.error = error;
    this.#options.onFailure();
  }

  get #name(): string {
    const { namespace, name } = this.#options.inventory;
    return `${namespace}/${name} ${placeOf(this)}`;
  }
}

/** `held`: the queue of the destination knows of the failure. */
type Outcome = 'done' | { error: unknown; held: boolean } | 'again';

/** A type without a backend never exported anything. */
const goneCodes: ReadonlySet<string> = new Set(['KOL_SINK_NOT_FOUND', 'KOL_SINK_SECRET', 'KOL_SINK_NOT_IMPLEMENTED']);

function isGone(error: unknown): boolean {
  return error instanceof KollectError && goneCodes.has(error.code);
}
