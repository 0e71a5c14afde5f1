import { KollectError } from '../../shared/errors.ts';
import type { PassQueue, PassRequest } from '../sinks/contract.ts';
import { retryDelayMs } from '../backoff.ts';
import type { BindingOptions } from './binding-options.ts';
import { placeOf, type BindingState } from './binding-state.ts';
import { checkDestination, verifyRows } from './destination-check.ts';
import { exportPass } from './export-pass.ts';
import type { Cursor, PassPlan } from './pass.ts';
import { PassTimer } from './pass-timer.ts';
import { Progress } from './progress.ts';
import { SinkConnection, type OpenSink } from './sink-connection.ts';

/** Changes that arrive together are written together. Short enough that nobody waits, long enough for a rollout's burst. */
const coalesceMs = 50;
/** Targets that are awaited are looked at again after this time, should nobody tell that they are done. */
const lookMs = 1_000;

/**
 * One sink of one inventory: what it holds, what it lacks, and one pass at a time to close the gap. A pass either confirms or is
 * repeated from the same cursor; an unknown outcome is repeated too, because every write is idempotent.
 */
export class Binding {
  readonly key: string;
  /** The same with the namespace of the sink in front; names the binding within its inventory. */
  readonly place: string;
  readonly options: BindingOptions;
  readonly #progress: Progress;
  readonly #connection: SinkConnection;
  /** Ends the waiting at the queue of a sink that is outdated. */
  #turn: AbortController | undefined;
  readonly #timer: PassTimer;
  /** When the destination is to be checked, in monotonic milliseconds. */
  #checkAt = Infinity;
  #failures = 0;
  readonly #abort = new AbortController();

  constructor(options: BindingOptions) {
    this.options = options;
    this.key = `${options.family}/${options.name}`;
    this.place = placeOf({ key: this.key, namespace: options.namespace });
    this.#connection = new SinkConnection(this.#name, options.open);
    this.#timer = new PassTimer({ run: () => this.#run(), dueAt: () => Math.min(this.compared ? this.#checkAt : Infinity, this.#verifyAt) });
    const onMarked = (): void => {
      if (this.state.error?.code === 'KOL_STATUS_WRITE') this.#connection.queue?.forget(this.#name);
    };
    this.#progress = new Progress(options, { key: this.key, signal: this.#abort.signal, onMarked });
  }

  /** What status shows of it. */
  get state(): BindingState {
    return this.#progress.state;
  }

  /** Rows and age of what the destination lacks. One that fails before it was compared may lack all rows, and has since it was to be. */
  get lag(): { rows: number; ms: number } {
    return this.#progress.lag;
  }

  /** There may be writes that the checksum of the state does not cover. */
  get dirty(): boolean {
    return this.#progress.mark.dirty;
  }

  /** Everything was compared with the destination, and all is known that happened since. */
  get compared(): boolean {
    return this.#progress.cursor !== undefined;
  }

  /** The view or the sync of a target changed. */
  poke(): void {
    this.#timer.want(coalesceMs);
  }

  /** The inventory or the sink was edited: connect anew, perhaps elsewhere, then compare everything. */
  reopen(): void {
    this.#connection.outdate();
    this.#turn?.abort();
    this.#progress.quarantine.retry();
    this.#compare();
  }

  /** The credentials are others, or the sink may be mended: log in anew, and go on where we are. */
  reconnect(): void {
    this.#connection.outdate();
    this.#turn?.abort();
    this.#failures = 0;
    this.#timer.release();
    this.#timer.want(coalesceMs);
  }

  setInterval(intervalMs: number): void {
    if (intervalMs === this.options.intervalMs) return;
    this.options.intervalMs = intervalMs;
    this.#planCheck();
    this.#timer.arm();
  }

  /** While it is true nothing is deleted; what was held back meanwhile is compared afterwards. */
  pauseDeletions(paused: boolean): void {
    if (!this.#progress.hold.pause(paused)) return;
    // A pass that is under way may hold some back.
    if (this.state.held || this.#timer.isRunning) this.#compare();
    else this.poke();
  }

  /** Deletions were allowed, and not yet done. */
  get deletionsAllowed(): boolean {
    return this.#progress.hold.isAllowed;
  }

  /**
   * Compares everything once, and deletes what is stale of the targets that are listed, however much it is. Resolves when that is done, or is not allowed any
   * more. While the sink fails it stays allowed for an hour, unless lists remove much in the meantime.
   */
  async allowDeletions(): Promise<void> {
    const used = this.#progress.hold.allow(this.options.view);
    this.#compare();
    await used;
  }

  /** What was allowed and did not happen yet is not allowed any more. */
  withdrawDeletions(): void {
    this.#progress.hold.endConsent();
  }

  /** A former leader may have written since everything was compared: does that once more, unless the destination is known to have refused it. */
  compareAfterTakeover(): void {
    if (this.#connection.opened?.refusesLateWrites !== true) this.#compare();
  }

  /** Stops; what is in flight is cancelled and would be repeated by whoever comes next. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#timer.close();
    this.#progress.hold.endConsent();
    this.#progress.mark.close();
    this.#progress.drop();
    await this.#connection.close();
  }

  /** The next pass compares everything. */
  #compare(): void {
    this.#progress.compareAll();
    this.#failures = 0;
    this.#timer.release();
    this.#timer.want(coalesceMs);
  }

  async #run(): Promise<void> {
    this.#lookAgain();
    if (this.#progress.awaitsTargets()) return this.#timer.want(lookMs);
    let { queue } = this.#connection;
    let plan: PassPlan | undefined;
    try {
      plan = this.#progress.plan(this.#connection.opened);
      if (!plan && !this.#isCheckDue() && !this.#isVerificationDue()) {
        this.options.onChange();
        return;
      }
      // The queue of the former destination may be held for long.
      while (!queue || this.#connection.isOutdated) {
        const opened = await this.#connection.open();
        ({ queue } = opened);
        plan = this.#progress.plan(opened);
      }
    } catch (error) {
      await this.#fail(asKollectError(error), 'unopened');
      return;
    }
    const { namespace, name, generation } = this.options.inventory;
    const turn = new AbortController();
    this.#turn = turn;
    const request: PassRequest = {
      inventory: `${namespace}/${name}`,
      binding: this.#name,
      mode: costOf(plan),
      signal: AbortSignal.any([this.#abort.signal, turn.signal]),
      held: (error) => {
        this.#progress.state = { ...this.state, phase: 'Failed', generation, error };
        this.options.onChange();
      },
    };
    // What is to be done is decided when it is our turn: all that happened meanwhile belongs to it.
    let begun = false;
    try {
      await queue.pass(request, (answered) => {
        begun = true;
        return this.#work(queue, request.mode, answered);
      });
    } catch (error) {
      if (begun || !turn.signal.aborted) await this.#fail(asKollectError(error), 'queued');
    } finally {
      this.#turn = undefined;
    }
  }

  /** Tells whether the destination answered. */
  async #work(queue: PassQueue, mode: PassRequest['mode'], answered: () => void): Promise<boolean> {
    let opened: OpenSink;
    try {
      if (!this.compared && (await this.#connection.opened?.isCurrent()) === false) this.#connection.outdate();
      opened = await this.#connection.open();
    } catch (error) {
      await this.#fail(asKollectError(error), 'unopened');
      return false;
    }
    // Others shall not wait for the whole of a pass to hear that the destination is back.
    if (mode === 'full' && this.state.error?.code === 'KOL_SINK_UNAVAILABLE') {
      await this.#ask(opened);
      answered();
    }
    // It may have been edited while it was opened.
    if (this.#connection.isOutdated || opened.queue !== queue) {
      this.#timer.want(0);
      return false;
    }
    // From the plan to the pass nothing is waited for: changes are kept for it only from its first moment on.
    const { cursor } = this.#progress;
    const plan = this.#progress.plan(opened);
    if (costOf(plan) === 'full' && mode === 'delta') {
      // More than it waited for: it waits again, as those do.
      this.#timer.want(0);
      return false;
    }
    if (plan) return await this.#pass(opened, plan);
    if (cursor && this.#isCheckDue()) return await this.#check(opened, cursor);
    if (cursor && this.#isVerificationDue()) return await this.#verify(opened, cursor);
    this.options.onChange();
    return false;
  }

  /** Throws when the destination is not available. Any other error is an answer. */
  async #ask({ sink, cluster }: OpenSink): Promise<void> {
    try {
      await sink.check(this.#progress.identity(cluster), this.#abort.signal);
    } catch (error) {
      if (asKollectError(error).code === 'KOL_SINK_UNAVAILABLE') throw error;
    }
  }

  async #pass(opened: OpenSink, plan: PassPlan): Promise<boolean> {
    const { cursor, quarantine } = this.#progress;
    if (cursor && cursor.fingerprint !== opened.fingerprint) {
      quarantine.retry();
      this.#compare();
      return false;
    }
    if (await exportPass(this.#progress, opened, plan)) this.#succeed(opened);
    if (this.#progress.isHealed(plan)) this.#compare();
    return true;
  }

  async #check(opened: OpenSink, cursor: Cursor, counts = false): Promise<boolean> {
    if ((await checkDestination(this.#progress, opened, cursor, counts)) === 'differs') this.#compare();
    else this.#succeed(opened);
    return true;
  }

  async #verify(opened: OpenSink, cursor: Cursor): Promise<boolean> {
    const { mended, isLast } = await verifyRows(this.#progress, opened, cursor);
    if (mended) this.#succeed(opened);
    return isLast ? await this.#check(opened, cursor, true) : true;
  }

  #lookAgain(): void {
    if (this.options.view.targets.values().some((target) => this.#progress.isTurning(target))) this.#timer.want(lookMs);
  }

  #isCheckDue(): boolean {
    return this.compared && (this.state.phase === 'Failed' || performance.now() >= this.#checkAt);
  }

  get #verifyAt(): number {
    return this.compared && this.#connection.opened?.sink.differing && !this.options.view.isTurning ? this.#progress.verification.dueAt : Infinity;
  }

  #isVerificationDue(): boolean {
    return performance.now() >= this.#verifyAt;
  }

  #succeed(opened: OpenSink): void {
    if (this.#failures > 0) this.options.logger.info('the sink has recovered', { sink: this.key, type: opened.type });
    this.#failures = 0;
    this.#timer.release();
    this.#planCheck();
    this.options.onChange();
    this.options.onExported?.();
  }

  async #fail(error: KollectError, where: 'unopened' | 'queued'): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#failures++;
    // The queue lets us in when it is time; nobody else does so before there is one. What was edited meanwhile is tried at once.
    if (where === 'unopened' && !this.#connection.isOutdated) this.#timer.hold(error.retryAfterMs ?? retryDelayMs(error.class, this.#failures));
    this.#progress.state = { ...this.state, phase: 'Failed', generation: this.options.inventory.generation, error };
    if (error.code === 'KOL_SINK_DESTINATION_LOST') {
      this.#progress.quarantine.retry();
      this.#progress.drop();
    }
    if (error.class === 'terminal' || error.reason === 'SecretResolveFailed') {
      // Settings and credentials are read again at the next attempt: that is how a mended Secret takes effect.
      await this.#connection.disconnect().catch(() => undefined);
    }
    this.options.observer.failed(this.#connection.opened?.type ?? 'unknown', error);
    this.options.logger.warn('export failed', {
      sink: this.key,
      code: error.code,
      error_class: error.class,
      reason: error.reason,
      error: error.message,
    });
    this.#timer.want(0);
    this.options.onChange();
  }

  /** Intervals below a second are accepted and count as one. */
  #planCheck(): void {
    const { intervalMs } = this.options;
    this.#checkAt = intervalMs > 0 ? performance.now() + Math.max(1_000, intervalMs) : Infinity;
  }

  get #name(): string {
    return `${this.options.inventory.namespace}/${this.options.inventory.name} ${this.place}`;
  }
}

/** A comparison of many rows takes its time, whatever was exported before. */
function costOf(plan: PassPlan | undefined): PassRequest['mode'] {
  return plan?.mode === 'reconcile' ? 'full' : 'delta';
}

export function asKollectError(error: unknown): KollectError {
  if (error instanceof KollectError) return error;
  // A fault of ours: shown as such, retried, and never lost.
  return new KollectError('KOL_INTERNAL', error instanceof Error ? `${error.name}: ${error.message}` : String(error), { cause: error });
}
