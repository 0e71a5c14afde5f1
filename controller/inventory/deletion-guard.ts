import type { Cursor, Reached } from './pass.ts';
import type { InventoryView, ViewTarget } from './view.ts';

/** What of a binding's rows may be deleted: what can be explained, everything, or nothing. */
export type Deletions = 'guarded' | 'allowed' | 'paused';

/** So few rows may always go. */
const fewRows = 100;

/** Deletions that were held back. */
export interface HeldDeletions {
  /** Nothing explains that so many rows are stale, or somebody else wrote them, or the inventory asks for it, or how many are stale is known when all targets are listed. */
  reason: 'guard' | 'foreign' | 'paused' | 'unlisted';
  /** Rows of the destination that are stale. */
  stale: number;
  /** Rows that the destination held; undefined when it cannot tell. */
  rows: number | undefined;
  /** The destination is a document, which is as it was: changes wait, too. */
  isUntouched?: boolean;
  /** Rows that the destination was told, which cannot be asked: `stale` is how many fewer there are now. */
  told?: number;
}

/** Stale rows that may go although nothing explains them: half of what the destination holds. */
export function staleLimit(heldRows: number | undefined): number {
  return Math.max(fewRows, Math.floor((heldRows ?? 0) / 2));
}

/**
 * Rows by which it is judged how many of a destination may go. While some are held back these are no more than there were at first: what is exported beside them makes
 * it no likelier that they are gone.
 */
export function rowsToJudgeBy(rows: number | undefined, held: HeldDeletions | undefined): number | undefined {
  return rows === undefined || held?.rows === undefined ? rows : Math.min(rows, held.rows);
}

/** A pass knows what rows all targets have: what one leaves out is none, be it known or not. */
export function isWhole({ targets, uncompared }: Pick<Reached, 'targets' | 'uncompared'>, view: InventoryView): boolean {
  return [...uncompared.keys()].every(({ refused }) => refused.more) && [...view.targets].every((target) => targets.has(target));
}

/** How many fewer rows there are than a destination was told, when all targets are known. Of objects that are left out it may have been told. */
export function lostRows(told: number, { rows }: Pick<Reached, 'rows'>, view: InventoryView): number {
  const leftOut = [...view.targets].reduce((count, target) => count + target.refused.count, 0);
  return Math.max(0, told - rows - leftOut);
}

/** Targets of which lists removed rows since a cursor was confirmed or a consent given, if these are more than may go. Of others, deletions are those of objects that were seen to go, or follow an edit. */
export function doubtfulTargets(targets: Iterable<ViewTarget>, since: Pick<Cursor, 'swept' | 'rows'>): ReadonlySet<ViewTarget> {
  const swept = new Map([...targets].map((target) => [target, target.swept - (since.swept.get(target) ?? target.swept)]));
  const total = swept.values().reduce((sum, count) => sum + Math.max(0, count), 0);
  return total > staleLimit(since.rows) ? new Set(swept.keys().filter((target) => swept.get(target)! > 0)) : new Set();
}

/**
 * Names of targets whose stale rows need no limit, because all that happened to them since the destination was last known to hold nothing else is known: they were
 * followed, or edited, or deleted and created again.
 */
export function exemptTargets(targets: ReadonlySet<ViewTarget>, known: Cursor | undefined): readonly string[] {
  if (!known) return [];
  const doubtful = doubtfulTargets(targets, known);
  const replaced = new Set(known.swept.keys().filter((target) => !targets.has(target)).map(({ name }) => name));
  const followed = [...targets].filter((target) => (known.swept.has(target) && !doubtful.has(target)) || replaced.has(target.name));
  const names = new Set([...targets].map(({ name }) => name));
  return [...followed.map(({ name }) => name), ...known.knownTargets.filter((name) => !names.has(name))];
}
