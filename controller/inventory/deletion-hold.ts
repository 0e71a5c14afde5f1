import { KollectError } from '../../shared/errors.ts';
import type { CheckResult, InventoryIdentity } from '../sinks/contract.ts';
import { doubtfulTargets, isWhole, lostRows, rowsToJudgeBy, staleLimit, type Deletions, type HeldDeletions } from './deletion-guard.ts';
import type { Cursor, PassPlan } from './pass.ts';
import type { OpenSink } from './sink-connection.ts';
import type { InventoryView, ViewTarget } from './view.ts';

/** Somebody looked at what is stale and allowed it to go; what is stale after this time may be something else. */
const consentMs = 3_600_000;

/** What is known of a destination beside what it answers. */
export interface DestinationFacts {
  identity: InventoryIdentity;
  signal: AbortSignal;
  /** All that happened is known since the destination held nothing stale. */
  isKnown: boolean;
  /** There is a cursor: what was exported is there, or lost. */
  isCompared: boolean;
  /** Something was exported there before, as far as status tells. */
  isOwn: boolean;
  /** What is held back there. */
  held: HeldDeletions | undefined;
  /** Rows that it was told before, as far as status tells. */
  told: number | undefined;
}

/** By what it was judged how many rows of a destination may go. */
export interface Judgement {
  rows: number | undefined;
  /** See `HeldDeletions`. */
  told?: number;
  /** The pass does not say of all targets what rows they have. */
  isPartial?: boolean;
}

/** How much a binding may delete: what people said about it, and what a destination answers. */
export class DeletionHold {
  #paused = false;
  /** The destination held rows at the last comparison that this installation is not known to have written. */
  #isForeign = false;
  /** Somebody allowed one pass to delete whatever is stale: until when, in monotonic milliseconds, and what there was at that time. */
  #consent: (PromiseWithResolvers<void> & { until: number; given: Pick<Cursor, 'swept' | 'rows'> }) | undefined;

  /** Whether there is a consent that was not used. */
  get isAllowed(): boolean {
    return this.#consent !== undefined;
  }

  get deletions(): Deletions {
    return this.#paused ? 'paused' : this.#consent ? 'allowed' : 'guarded';
  }

  /** Tells whether that is another than before. */
  pause(paused: boolean): boolean {
    const isOther = paused !== this.#paused;
    this.#paused = paused;
    return isOther;
  }

  /** Resolves when one pass has deleted whatever is stale, or there will be none. */
  allow({ targets, count }: InventoryView): Promise<void> {
    const given = { swept: new Map([...targets].map((target) => [target, target.swept])), rows: count };
    this.#consent ??= { ...Promise.withResolvers<void>(), until: performance.now() + consentMs, given };
    return this.#consent.promise;
  }

  /** Ends a consent that is too old, or was given before lists removed so much that it would be held back itself. */
  reviewConsent(targets: Iterable<ViewTarget>): void {
    if (this.#consent && (performance.now() >= this.#consent.until || doubtfulTargets(targets, this.#consent.given).size > 0)) this.endConsent();
  }

  /** The consent was used, or cannot be any more. */
  endConsent(): void {
    this.#consent?.resolve();
    this.#consent = undefined;
  }

  /** Where nothing explains what may be stale, only so much of it goes. */
  async limit(opened: Pick<OpenSink, 'sink'>, { change, exempt, reached }: PassPlan, view: InventoryView, facts: DestinationFacts): Promise<Judgement | undefined> {
    const { completeTargets, knownTargets } = change;
    if (!exempt || (completeTargets.length === 0 && knownTargets === undefined)) return undefined;
    const isExplained = completeTargets.every((name) => exempt.includes(name)) && (knownTargets === undefined || facts.isKnown);
    if (isExplained && !this.#paused) return undefined;
    const there = await lookAt(opened, facts);
    // A record of owners that was lost makes nothing foreign that status knows to be ours.
    this.#isForeign = !there.isLog && there.rows !== 0 && there.owned !== true && !(facts.isOwn && facts.held?.reason !== 'foreign');
    const told = there.isLog && there.rows === undefined && facts.isOwn ? facts.told : undefined;
    const rows = rowsToJudgeBy(there.rows ?? told, facts.held);
    const whole = isWhole(reached, view);
    change.staleLimit = { rows: this.#paused || this.#isForeign ? 0 : staleLimit(rows), exempt: this.#isForeign ? [] : exempt };
    if (!told) return { rows };
    change.staleLimit.lost = whole ? lostRows(told, reached, view) : facts.isKnown ? 0 : told;
    return facts.isKnown ? { rows } : { rows, told, isPartial: !whole };
  }

  /**
   * What is held back after a pass that left some.
   *
   * @param before what was held back of what the pass did not compare
   * @param stale rows that the destination left for their number, `judged` by what
   * @param isDocument each pass compares all rows of the destination, and leaves it as it was when some are held back
   */
  after(plan: PassPlan, { before, stale, judged, isDocument }: { before: HeldDeletions | undefined; stale: number; judged: Judgement | undefined; isDocument: boolean }): HeldDeletions | undefined {
    const reason = this.#paused ? 'paused' : this.#isForeign ? 'foreign' : judged?.isPartial ? 'unlisted' : 'guard';
    const rows = judged?.rows ?? before?.rows;
    if (isDocument && stale > 0) return { reason, stale, rows, isUntouched: true };
    const held = stale + plan.withheld;
    if (isDocument && held === 0) return undefined;
    if (held === 0 && before?.told === undefined) return before;
    const told = judged?.told ?? before?.told;
    if (told === undefined) return { reason, stale: (before?.stale ?? 0) + held, rows };
    return { reason: held === 0 && before ? before.reason : reason, stale: Math.max(1, told - plan.reached.rows), rows, told };
  }
}

/** What a destination answers before a pass. Throws `KOL_SINK_OWNER` where it is not ours. */
export async function lookAt({ sink }: Pick<OpenSink, 'sink'>, { identity, signal, isCompared }: Pick<DestinationFacts, 'identity' | 'signal' | 'isCompared'>): Promise<Omit<CheckResult, 'digest'>> {
  try {
    return await sink.check(identity, signal, true);
  } catch (error) {
    // The pass creates it, and fills it only if it compares everything.
    if (!isCompared && error instanceof KollectError && error.code === 'KOL_SINK_DESTINATION_LOST') return { rows: 0 };
    throw error;
  }
}
