import type { InventoryIdentity } from '../sinks/contract.ts';
import type { BindingOptions } from './binding-options.ts';
import { firstState, type BindingState } from './binding-state.ts';
import { isWhole, lostRows, rowsToJudgeBy, staleLimit } from './deletion-guard.ts';
import { DeletionHold } from './deletion-hold.ts';
import { DirtyMark } from './dirty-mark.ts';
import { planPass, type Cursor, type PassPlan } from './pass.ts';
import { Quarantine } from './quarantine.ts';
import type { OpenSink } from './sink-connection.ts';
import { Verification } from './verification.ts';
import type { ViewTarget } from './view.ts';

/** After a start, targets are waited for no longer than this in order to write nothing at all; */
const longestStartMs = 20_000;
/** and for no longer than this while their lists are under way: a list of some hundred thousand objects takes minutes. */
const longestListMs = 180_000;

/** How far a binding has come: what is known of its destination, and what is to be done there. */
export class Progress {
  readonly options: BindingOptions;
  /** Names the sink. */
  readonly key: string;
  /** Ends what is in flight. */
  readonly signal: AbortSignal;
  state: BindingState;
  cursor: Cursor | undefined;
  /** The last cursor beside which the destination held nothing stale. */
  known: Cursor | undefined;
  /** Counts dropped cursors: a pass that was under way then must not bring its own back. */
  drops = 0;
  /** A write was tried, so the sink may hold rows even if it was not confirmed. */
  tried = false;
  /** Until then, in monotonic milliseconds, targets are waited for that are being listed: the destination may hold all that there is. 0: not any more. */
  freshUntil = 0;
  readonly verification: Verification;
  readonly quarantine = new Quarantine();
  readonly mark: DirtyMark;
  readonly hold = new DeletionHold();
  /** Until then, others are, too. */
  readonly #startUntil: number;
  /** When the last cursor was dropped, in monotonic milliseconds. */
  #uncomparedSince = performance.now();

  /** @param onMarked status says that the destination is written to */
  constructor(options: BindingOptions, { key, signal, onMarked }: { key: string; signal: AbortSignal; onMarked: () => void }) {
    const { inventory, previous, verifyIntervalMs = 0, markDirty, onChange, quietMs, markMs, startMs = longestStartMs } = options;
    this.options = options;
    this.key = key;
    this.signal = signal;
    this.state = firstState(inventory.generation, previous);
    this.verification = new Verification(verifyIntervalMs);
    const dirty = previous?.dirty !== false;
    if (!dirty) this.freshUntil = performance.now() + longestListMs;
    this.#startUntil = performance.now() + startMs;
    const mark = async (): Promise<void> => {
      await markDirty?.();
      onMarked();
    };
    this.mark = new DirtyMark({ dirty, mark, onQuiet: onChange, quietMs, markMs });
  }

  /** Rows and age of what the destination lacks. One that fails before it was compared may lack all rows, and has since it was to be. */
  get lag(): { rows: number; ms: number } {
    const { view } = this.options;
    if (this.cursor) return view.lag(this.cursor.reader);
    return this.state.phase === 'Failed' && view.count > 0 ? { rows: view.count, ms: performance.now() - this.#uncomparedSince } : { rows: 0, ms: 0 };
  }

  /** What is to be exported. `opened` is where to, as far as that is known. */
  plan(opened: OpenSink | undefined): PassPlan | undefined {
    const { view, isSynced, frozen } = this.options;
    this.hold.reviewConsent(view.targets);
    return planPass({
      view,
      isSynced,
      isTurning: (target) => this.isTurning(target),
      frozen,
      granularity: opened?.granularity ?? 'row',
      identity: this.identity(''),
      cursor: this.cursor,
      known: this.known?.fingerprint === opened?.fingerprint ? this.known : undefined,
      deletions: this.hold.deletions,
      quarantine: this.quarantine,
      mayHoldRows: this.tried || this.options.previous?.fingerprint !== undefined,
    });
  }

  /** The destination was left in peace, as status says, and may hold all that there is: that can be told when all targets are listed. */
  awaitsTargets(): boolean {
    const { view, isSynced, isListing } = this.options;
    const now = performance.now();
    if (now >= this.freshUntil) return false;
    const awaited = [...view.targets].filter((target) => !isSynced(target));
    return awaited.length > 0 && (now < this.#startUntil || awaited.every((target) => isListing?.(target)));
  }

  /** A list that is being evaluated counts as a whole, so that its deletions can be doubted. */
  isTurning(target: ViewTarget): boolean {
    return target.isSwept || this.options.isTurning(target);
  }

  /** Where these targets are exported, there is nothing yet of what there is to be. */
  isAwaiting(targets: Cursor['targets']): boolean {
    return targets.size === 0 && this.options.view.targets.size > 0;
  }

  /** The destination was compared with all that there is. */
  isComplete(cursor: Cursor): boolean {
    return cursor.uncompared.size === 0 && !cursor.isHeld && [...this.options.view.targets].every((target) => cursor.targets.has(target));
  }

  /** After a pass over some targets: those that are held back for what a destination was told need not be, now that all targets are known, or rows came back. */
  isHealed({ change }: PassPlan): boolean {
    const { held } = this.state;
    if (!this.cursor?.isHeld || held?.told === undefined || held.reason === 'paused') return false;
    const { view } = this.options;
    if (change.completeTargets.length === view.targets.size || !isWhole(this.cursor, view)) return false;
    return lostRows(held.told, this.cursor, view) <= staleLimit(rowsToJudgeBy(held.told, held));
  }

  /** Compares everything the next time. */
  compareAll(): void {
    this.drop();
    this.freshUntil = 0;
  }

  drop(): void {
    this.verification.restart();
    this.drops++;
    if (this.cursor) {
      this.options.view.release(this.cursor.reader);
      this.#uncomparedSince = performance.now();
    }
    this.cursor = undefined;
  }

  identity(cluster: string): InventoryIdentity {
    return { ...this.options.inventory, cluster };
  }

  /** Whether a destination tells by itself what was written to it last. */
  async keepsRecord({ sink, cluster }: OpenSink): Promise<boolean> {
    return (await sink.check(this.identity(cluster), this.signal)).owned !== undefined;
  }
}
