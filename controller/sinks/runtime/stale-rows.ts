import type { RowKey, SinkChange } from '../contract.ts';
import type { RowIndex } from './row-index.ts';
import { isSpared, type HeldRow } from './spared.ts';

export interface StaleRows {
  change: SinkChange;
  /** Rows of complete targets that exist; those to be kept come in by this. */
  known: RowIndex;
  /** The keys that the destination holds of the inventory, of complete and of unknown targets, from the beginning with each call. */
  pages: () => AsyncIterable<readonly (RowKey & HeldRow)[]>;
  /** Resolves with how many there were. */
  remove: (keys: readonly RowKey[]) => Promise<number>;
}

/** Removes the rows that are stale, page by page. Where there is a limit they are counted first, and what is beyond it stays and is `held`. */
export async function deleteStale({ change, known, pages, remove }: StaleRows): Promise<{ deleted: number; held: number }> {
  const { completeTargets, keep, spared = [], staleLimit } = change;
  const complete = new Set(completeTargets);
  for (const key of keep) known.add(key);
  const isStale = (key: RowKey & HeldRow): boolean => !complete.has(key.targetName) || !(known.has(key) || isSpared(key, spared));
  const isDoubtful = (key: RowKey): boolean => staleLimit?.exempt.includes(key.targetName) === false;
  let held = 0;
  if (staleLimit) for await (const page of pages()) held += page.filter((key) => isStale(key) && isDoubtful(key)).length;
  if (staleLimit && held <= staleLimit.rows) held = 0;
  let deleted = 0;
  for await (const page of pages()) deleted += await remove(page.filter((key) => isStale(key) && (held === 0 || !isDoubtful(key))));
  return { deleted, held };
}
