import { KollectError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { FrozenRows } from '../collect/collector.ts';
import type { InventoryIdentity, PassQueue, PassRequest, RejectedRow, SinkFamily } from '../sinks/contract.ts';
import { retryDelayMs } from '../backoff.ts';
import { staleLimit, type HeldDeletions } from './deletion-guard.ts';
import { DeletionHold } from './deletion-hold.ts';
import { DirtyMark } from './dirty-mark.ts';
import { planPass, type Cursor, type PassPlan } from './pass.ts';
import { PassTimer } from './pass-timer.ts';
import { pastTime } from './past-time.ts';
import { nameOf, Quarantine } from './quarantine.ts';
import { SinkConnection, type OpenSink } from './sink-connection.ts';
import { Verification } from './verification.ts';
import type { InventoryView, ViewTarget } from './view.ts';

/** Changes that arrive together are written together. Short enough that nobody waits, long enough for a rollout's burst. */
const coalesceMs = 50;
/** Targets that are awaited are looked at again after this time, should nobody tell that they are done. */
const lookMs = 1_000;
/** After a start, targets are waited for no longer than this in order to write nothing at all. */
const longestStartMs = 20_000;

export interface BindingObserver {
  passed(type: string, plan: { mode: PassPlan['mode']; seconds: number; written: number; deleted: number; bytes: number; lagMs: number }): void;
  failed(type: string, error: KollectError): void;
}

export interface BindingOptions {
  family: SinkFamily;
  /** Name and namespace of the sink object. */
  name: string;
  namespace: string;
  view: InventoryView;
  inventory: { namespace: string; name: string; generation: number };
  isSynced: (target: ViewTarget) => boolean;
  /** Of a target that is not synced: what of it is not, see `Collector`. */
  frozen?: ((target: ViewTarget) => readonly FrozenRows[] | undefined) | undefined;
  /** See `PassInput`. */
  isTurning: (target: ViewTarget) => boolean;
  open: () => Promise<OpenSink>;
  /** Time in milliseconds after which an unchanged destination is checked; 0: never. */
  intervalMs: number;
  /** See `SinkChange`. */
  maxDocumentBytes?: number | undefined;
  /** Mean time in milliseconds between two comparisons of all rows with the destination; never when unset or 0. */
  verifyIntervalMs?: number | undefined;
  /** What status said before this process began. */
  previous:
    | { dirty?: boolean | undefined; fingerprint?: string | undefined; lastExportTime?: string | undefined; lastChecksum?: string | undefined; rows?: number | undefined }
    | undefined;
  /** Resolves when status says that the destination is `dirty`. */
  markDirty?: (() => Promise<void>) | undefined;
  /** See `DirtyMarkOptions`. */
  quietMs?: number | undefined;
  /** See `DirtyMarkOptions`. */
  markMs?: number | undefined;
  logger: Logger;
  observer: BindingObserver;
  onChange: (binding: Binding) => void;
  /** The sink leads to another destination than the one that was exported to before; what is there stays. `from` is known if this process exported to it. */
  onMoved?: (binding: Binding, from: { place: string | undefined; rows: number | undefined }, to: string) => void;
}

/** A sink within an inventory: references may lead to sinks of the same name in several namespaces. */
export function placeOf({ key, namespace }: { key: string; namespace: string }): string {
  return `${namespace}/${key}`;
}

/** What status shows of a binding. */
export interface BindingState {
  phase: 'Waiting' | 'Exported' | 'Failed';
  /** Of the inventory when this was found. */
  generation: number;
  error: KollectError | undefined;
  fingerprint: string | undefined;
  lastExportTime: string | undefined;
  lastChecksum: string | undefined;
  rows: number | undefined;
  rejected: readonly RejectedRow[];
  /** Deletions that wait for consent, or for the end of a pause. */
  held: HeldDeletions | undefined;
}

/**
 * One sink of one inventory: what it holds, what it lacks, and one pass at a time to close the gap. A pass either confirms or is
 * repeated from the same cursor; an unknown outcome is repeated too, because every write is idempotent.
 */
export class Binding {
  readonly key: string;
  /** The same with the namespace of the sink in front; names the binding within its inventory. */
  readonly place: string;
  readonly options: BindingOptions;
  state: BindingState;
  #cursor: Cursor | undefined;
  /** When the last cursor was dropped, in monotonic milliseconds. */
  #uncomparedSince = performance.now();
  /** The last cursor beside which the destination held nothing stale. */
  #known: Cursor | undefined;
  /** Counts dropped cursors: a pass that was under way then must not bring its own back. */
  #drops = 0;
  /** A write was tried, so the sink may hold rows even if it was not confirmed. */
  #tried = false;
  readonly #connection: SinkConnection;
  /** Ends the waiting at the queue of a sink that is outdated. */
  #turn: AbortController | undefined;
  readonly #timer: PassTimer;
  /** When the destination is to be checked, in monotonic milliseconds. */
  #checkAt = Infinity;
  #failures = 0;
  /** Where the last export went. */
  #place: string | undefined;
  readonly #verification: Verification;
  readonly #quarantine = new Quarantine();
  readonly #mark: DirtyMark;
  /** Until then, in monotonic milliseconds, all targets are waited for: the destination may hold all that there is. 0: not any more. */
  #freshUntil = 0;
  readonly #hold = new DeletionHold();
  readonly #abort = new AbortController();

  constructor(options: BindingOptions) {
    this.options = options;
    this.key = `${options.family}/${options.name}`;
    this.place = placeOf({ key: this.key, namespace: options.namespace });
    this.#connection = new SinkConnection(this.#name, options.open);
    this.#timer = new PassTimer({ run: () => this.#run(), dueAt: () => Math.min(this.#cursor ? this.#checkAt : Infinity, this.#verifyAt) });
    this.#verification = new Verification(options.verifyIntervalMs ?? 0);
    const dirty = options.previous?.dirty !== false;
    if (!dirty) this.#freshUntil = performance.now() + longestStartMs;
    const mark = async (): Promise<void> => {
      await options.markDirty?.();
      if (this.state.error?.code === 'KOL_STATUS_WRITE') this.#connection.queue?.forget(this.#name);
    };
    this.#mark = new DirtyMark({ dirty, mark, onQuiet: () => options.onChange(this), quietMs: options.quietMs, markMs: options.markMs });
    this.state = {
      phase: 'Waiting',
      generation: options.inventory.generation,
      error: undefined,
      fingerprint: undefined,
      lastExportTime: pastTime(options.previous?.lastExportTime, new Date().toISOString()),
      lastChecksum: options.previous?.lastChecksum,
      rows: options.previous?.rows,
      rejected: [],
      held: undefined,
    };
  }

  /** Rows and age of what the destination lacks. One that fails before it was compared may lack all rows, and has since it was to be. */
  get lag(): { rows: number; ms: number } {
    const { view } = this.options;
    if (this.#cursor) return view.lag(this.#cursor.reader);
    return this.state.phase === 'Failed' && view.count > 0 ? { rows: view.count, ms: performance.now() - this.#uncomparedSince } : { rows: 0, ms: 0 };
  }

  /** There may be writes that the checksum of the state does not cover. */
  get dirty(): boolean {
    return this.#mark.dirty;
  }

  /** Everything was compared with the destination, and all is known that happened since. */
  get compared(): boolean {
    return this.#cursor !== undefined;
  }

  /** The view or the sync of a target changed. */
  poke(): void {
    this.#timer.want(coalesceMs);
  }

  /** The inventory or the sink was edited: connect anew, perhaps elsewhere, then compare everything. */
  reopen(): void {
    this.#connection.outdate();
    this.#turn?.abort();
    this.#quarantine.retry();
    this.#compare();
  }

  /** The credentials are others: log in anew, and go on where we are. */
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
    if (!this.#hold.pause(paused)) return;
    // A pass that is under way may hold some back.
    if (this.state.held || this.#timer.isRunning) this.#compare();
    else this.poke();
  }

  /** Compares everything once, and deletes what is stale however much it is. Resolves when that is done, or nothing is left to do it. */
  async allowDeletions(): Promise<void> {
    const used = this.#hold.allow();
    this.#compare();
    await used;
  }

  /** What was allowed and did not happen yet is not allowed any more. */
  withdrawDeletions(): void {
    this.#hold.endConsent();
  }

  /** A former leader may have written since everything was compared: does that once more, unless the destination refused it. */
  compareAfterTakeover(): void {
    if (this.#connection.opened?.refusesLateWrites === false) this.#compare();
  }

  /** Stops; what is in flight is cancelled and would be repeated by whoever comes next. */
  async close(): Promise<void> {
    this.#abort.abort();
    await this.#timer.close();
    this.#hold.endConsent();
    this.#mark.close();
    this.#dropCursor();
    await this.#connection.close();
  }

  /** The next pass compares everything. */
  #compare(): void {
    this.#dropCursor();
    this.#freshUntil = 0;
    this.#failures = 0;
    this.#timer.release();
    this.#timer.want(coalesceMs);
  }

  async #run(): Promise<void> {
    this.#lookAgain();
    if (this.#awaitsTargets()) return this.#timer.want(lookMs);
    let { queue } = this.#connection;
    try {
      if (!this.#plan() && !this.#isCheckDue() && !this.#isVerificationDue()) {
        this.options.onChange(this);
        return;
      }
      // The queue of the former destination may be held for long.
      while (!queue || this.#connection.isOutdated) ({ queue } = await this.#connection.open());
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
      mode: this.#cursor ? 'delta' : 'full',
      signal: AbortSignal.any([this.#abort.signal, turn.signal]),
      held: (error) => {
        this.state = { ...this.state, phase: 'Failed', generation, error };
        this.options.onChange(this);
      },
    };
    // What is to be done is decided when it is our turn: all that happened meanwhile belongs to it.
    let begun = false;
    try {
      await queue.pass(request, () => {
        begun = true;
        return this.#work(queue);
      });
    } catch (error) {
      if (begun || !turn.signal.aborted) await this.#fail(asKollectError(error), 'queued');
    } finally {
      this.#turn = undefined;
    }
  }

  /** Tells whether the destination answered. */
  async #work(queue: PassQueue): Promise<boolean> {
    let opened: OpenSink;
    try {
      if (!this.#cursor && (await this.#connection.opened?.isCurrent()) === false) this.#connection.outdate();
      opened = await this.#connection.open();
    } catch (error) {
      await this.#fail(asKollectError(error), 'unopened');
      return false;
    }
    if (opened.queue !== queue) {
      this.#timer.want(0);
      return false;
    }
    const plan = this.#plan();
    if (plan) return await this.#pass(opened, plan);
    if (this.#isCheckDue()) return await this.#check(opened);
    if (this.#isVerificationDue()) return await this.#verify(opened);
    this.options.onChange(this);
    return false;
  }

  #lookAgain(): void {
    if (this.options.view.targets.values().some((target) => this.#isTurning(target))) this.#timer.want(lookMs);
  }

  /** A list that is being evaluated counts as a whole, so that its deletions can be doubted. */
  #isTurning(target: ViewTarget): boolean {
    return target.isSwept || this.options.isTurning(target);
  }

  #isCheckDue(): boolean {
    return this.#cursor !== undefined && (this.state.phase === 'Failed' || performance.now() >= this.#checkAt);
  }

  get #verifyAt(): number {
    return this.#cursor && this.#connection.opened?.sink.differing && !this.options.view.isTurning ? this.#verification.dueAt : Infinity;
  }

  #isVerificationDue(): boolean {
    return performance.now() >= this.#verifyAt;
  }

  #plan(): PassPlan | undefined {
    const { view, isSynced, frozen } = this.options;
    return planPass({
      view,
      isSynced,
      isTurning: (target) => this.#isTurning(target),
      frozen,
      granularity: this.#connection.opened?.granularity ?? 'row',
      identity: this.#identity(''),
      cursor: this.#cursor,
      known: this.#known?.fingerprint === this.#connection.opened?.fingerprint ? this.#known : undefined,
      deletions: this.#hold.deletions,
      quarantine: this.#quarantine,
      mayHoldRows: this.#tried || this.options.previous?.fingerprint !== undefined,
    });
  }

  async #pass(opened: OpenSink, plan: PassPlan): Promise<boolean> {
    const { view, logger, observer } = this.options;
    if (this.#cursor && this.#cursor.fingerprint !== opened.fingerprint) {
      this.#quarantine.retry();
      this.#compare();
      return false;
    }
    const lag = this.lag;
    // Keeps the changes that arrive while the pass runs, also before the first cursor.
    const reader = this.#cursor?.reader ?? view.read(plan.reached.targets);
    // Of those that join with this pass, too.
    reader.targets = reader.targets.union(plan.reached.targets);
    const drops = this.#drops;
    const { generation } = this.options.inventory;
    const { fingerprint: former = this.options.previous?.fingerprint, rows: formerRows } = this.state;
    const started = performance.now();
    try {
      plan.change.identity = this.#identity(opened.cluster);
      plan.change.maxDocumentBytes = this.options.maxDocumentBytes;
      if (this.#quarantine.left(plan).size > 0) plan.change.after = undefined;
      const { targets, rows } = plan.reached;
      if (await this.#holdsAll(opened, plan)) {
        if (drops !== this.#drops) return true;
        this.#cursor = { ...plan.reached, reader, fingerprint: opened.fingerprint, isHeld: false };
        this.#known = this.#cursor;
        this.#place = opened.place;
        logger.info('nothing changed since the last export', { sink: this.key, rows });
        this.#succeed(opened, { ...this.state, phase: 'Exported', generation, error: undefined, fingerprint: opened.fingerprint });
        return true;
      }
      this.#freshUntil = 0;
      await this.#mark.beforeWrite(() => this.#keepsRecord(opened));
      const rowsThere = await this.#hold.limit(opened, plan, this.#facts(opened));
      this.#tried = true;
      const result = await opened.sink.write(plan.change, this.#abort.signal);
      this.#quarantine.settle(plan, result.rejected);
      const before = this.#cursor?.isHeld ? this.state.held : undefined;
      const held = this.#hold.after(plan, { before, stale: result.held ?? 0, rows: rowsThere });
      if (drops === this.#drops) {
        view.confirm(reader, plan.revision, targets);
        this.#cursor = { ...plan.reached, reader, fingerprint: opened.fingerprint, isHeld: held !== undefined };
        if (!held) this.#known = this.#cursor;
        if (plan.change.after && result.rejected.length === 0 && !held) this.#mark.confirmed();
        if ([...view.targets].every((target) => targets.has(target))) {
          if (plan.exempt === undefined) this.#hold.endConsent();
          if (plan.mode === 'reconcile') this.#quarantine.retried();
        }
      }
      const ms = performance.now() - started;
      // A pass that only removed the rows of targets that are gone says nothing of those that are awaited.
      const awaiting = targets.size === 0 && view.targets.size > 0;
      // A document that would lose too much is as it was.
      const untouched = opened.granularity === 'document' && (result.held ?? 0) > 0;
      this.#succeed(opened, {
        phase: awaiting ? 'Waiting' : 'Exported',
        generation,
        error: undefined,
        fingerprint: opened.fingerprint,
        lastExportTime: untouched ? this.state.lastExportTime : new Date().toISOString(),
        lastChecksum: awaiting || untouched ? this.state.lastChecksum : plan.digest,
        rows: awaiting ? this.state.rows : rows,
        rejected: this.#quarantine.rows(),
        held,
      });
      if (former !== undefined && former !== opened.fingerprint) this.options.onMoved?.(this, { place: this.#place, rows: formerRows }, opened.place);
      this.#place = opened.place;
      observer.passed(opened.type, { mode: plan.mode, seconds: ms / 1000, ...result, lagMs: lag.ms + ms });
      logger[plan.mode === 'delta' ? 'debug' : 'info']('exported', {
        sink: this.key,
        mode: plan.mode,
        rows,
        written: result.written,
        deleted: result.deleted,
        ...(result.held ? { held: result.held } : {}),
        ms: Math.round(ms),
      });
      return true;
    } finally {
      if (this.#cursor?.reader !== reader) view.release(reader);
    }
  }

  /** The destination was left in peace, as status says, and may hold all that there is: that can be told when all targets are listed. */
  #awaitsTargets(): boolean {
    const { view, isSynced } = this.options;
    return performance.now() < this.#freshUntil && !view.targets.values().every((target) => isSynced(target));
  }

  /** Whether the destination holds this already: what status and destination say from before the start is what was collected since. */
  async #holdsAll(opened: OpenSink, { digest, reached, change }: PassPlan): Promise<boolean> {
    const { previous } = this.options;
    const isTold = this.#freshUntil > 0 && change.after !== undefined && previous?.fingerprint === opened.fingerprint;
    if (!isTold || previous.lastChecksum !== digest || previous.rows !== reached.rows) return false;
    const found = await opened.sink.check(this.#identity(opened.cluster), this.#abort.signal);
    // Where the destination keeps no record, what status says counts.
    return !found.isTouched && found.rows === reached.rows && (found.owned === undefined || found.digest === digest);
  }

  async #keepsRecord({ sink, cluster }: OpenSink): Promise<boolean> {
    return (await sink.check(this.#identity(cluster), this.#abort.signal)).owned !== undefined;
  }

  #facts({ cluster, fingerprint }: OpenSink) {
    return {
      identity: this.#identity(cluster),
      signal: this.#abort.signal,
      isKnown: this.#known?.fingerprint === fingerprint,
      isCompared: this.compared,
      isOwn: (this.state.fingerprint ?? this.options.previous?.fingerprint) === fingerprint,
      held: this.state.held,
    };
  }

  /** Nothing is to be exported: does the destination still hold what it confirmed? One question, whatever the number of rows. */
  async #check(opened: OpenSink, counts = false): Promise<boolean> {
    const { view, logger } = this.options;
    const cursor = this.#cursor;
    if (!cursor) return false;
    const { rows, isTouched = false } = await opened.sink.check(this.#identity(opened.cluster), this.#abort.signal, counts);
    const complete = this.#isComplete(cursor);
    const { held, rows: expected = 0 } = this.state;
    const isHealed = held !== undefined && held.reason !== 'paused' && rows !== undefined && rows - expected <= (held.reason === 'foreign' ? 0 : staleLimit(rows));
    // Of an object that was left out, or a row that was refused, the destination may hold an older version, or none.
    const leftOut = [...view.targets].reduce((count, target) => count + target.refused.count, 0);
    const differs = rows !== undefined && (rows > expected + leftOut || rows < expected - this.state.rejected.length);
    if (isHealed) {
      logger.info('few rows of the destination are stale now, comparing everything', { sink: this.key, rows });
      this.#compare();
      return true;
    }
    if (isTouched || (complete && differs)) {
      logger.warn('the destination does not hold what was exported, comparing everything', { sink: this.key, rows, expected });
      this.#known = undefined;
      this.#compare();
      return true;
    }
    this.#succeed(opened, { ...this.state, phase: 'Exported', error: undefined });
    return true;
  }

  /** Nothing is to be exported: does the destination hold the rows as it confirmed them? Some of them at a time; at the end of a round they are counted. */
  async #verify(opened: OpenSink): Promise<boolean> {
    const { view, logger } = this.options;
    const cursor = this.#cursor;
    const { sink, cluster } = opened;
    if (!cursor || !sink.differing) return false;
    const identity = this.#identity(cluster);
    const { rejected, rows, lastChecksum } = this.state;
    const quarantine = new Set(rejected.map(({ key }) => nameOf(key)));
    const confirmed = [...cursor.targets].filter((target) => view.targets.has(target) && !this.#isTurning(target));
    const { differing, isLast } = await this.#verification.step(confirmed, (asked) =>
      sink.differing!(identity, asked.filter((row) => !quarantine.has(nameOf(row))), this.#abort.signal),
    );
    if (differing.length > 0) {
      logger.warn('rows of the destination were not as exported, writing them again', { sink: this.key, rows: differing.length });
      // Rows that are still to be exported may be among them.
      const told = rejected.length === 0 && rows !== undefined && lastChecksum !== undefined && this.#isComplete(cursor) && this.lag.rows === 0;
      const after = told ? { rows, digest: lastChecksum } : undefined;
      await this.#mark.beforeWrite(() => this.#keepsRecord(opened));
      const result = await sink.write({ identity, upserts: [differing], upsertCount: differing.length, deletes: [], completeTargets: [], keep: [], after }, this.#abort.signal);
      this.#quarantine.add(result.rejected);
      if (after && result.rejected.length === 0) this.#mark.confirmed();
      this.#succeed(opened, { ...this.state, rejected: this.#quarantine.rows() });
    }
    return isLast ? await this.#check(opened, true) : true;
  }

  /** The destination was compared with all that there is. */
  #isComplete(cursor: Cursor): boolean {
    return cursor.uncompared.size === 0 && !cursor.isHeld && [...this.options.view.targets].every((target) => cursor.targets.has(target));
  }

  #succeed(opened: OpenSink, state: BindingState): void {
    if (this.#failures > 0) this.options.logger.info('the sink has recovered', { sink: this.key, type: opened.type });
    this.#failures = 0;
    this.#timer.release();
    this.state = state;
    this.#planCheck();
    this.options.onChange(this);
  }

  async #fail(error: KollectError, where: 'unopened' | 'queued'): Promise<void> {
    if (this.#abort.signal.aborted) return;
    this.#failures++;
    // The queue lets us in when it is time; nobody else does so before there is one. What was edited meanwhile is tried at once.
    if (where === 'unopened' && !this.#connection.isOutdated) this.#timer.hold(error.retryAfterMs ?? retryDelayMs(error.class, this.#failures));
    this.state = { ...this.state, phase: 'Failed', generation: this.options.inventory.generation, error };
    if (error.code === 'KOL_SINK_DESTINATION_LOST') {
      this.#quarantine.retry();
      this.#dropCursor();
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
    this.options.onChange(this);
  }

  /** Intervals below a second are accepted and count as one. */
  #planCheck(): void {
    const { intervalMs } = this.options;
    this.#checkAt = intervalMs > 0 ? performance.now() + Math.max(1_000, intervalMs) : Infinity;
  }

  #dropCursor(): void {
    this.#verification.restart();
    this.#drops++;
    if (this.#cursor) {
      this.options.view.release(this.#cursor.reader);
      this.#uncomparedSince = performance.now();
    }
    this.#cursor = undefined;
  }

  get #name(): string {
    return `${this.options.inventory.namespace}/${this.options.inventory.name} ${this.place}`;
  }

  #identity(cluster: string): InventoryIdentity {
    return { ...this.options.inventory, cluster };
  }
}

export function asKollectError(error: unknown): KollectError {
  if (error instanceof KollectError) return error;
  // A fault of ours: shown as such, retried, and never lost.
  return new KollectError('KOL_INTERNAL', error instanceof Error ? `${error.name}: ${error.message}` : String(error), { cause: error });
}
