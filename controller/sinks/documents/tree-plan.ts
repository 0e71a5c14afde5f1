import { KollectError } from '../../../shared/errors.ts';
import { inTurns, Turns } from '../../../shared/in-turns.ts';
import { rowPaths } from '../../../shared/layout/row-path.ts';
import type { EffectiveLayout, Layout } from '../../../shared/layout/layout.ts';
import type { ExportRow, RejectedRow, RowKey, SinkChange } from '../contract.ts';
import { rejection } from './rejection.ts';
import { rowText } from './row-text.ts';
import { slicesOf } from './snapshot.ts';
import { treeFile } from './tree-file.ts';
import { TreeIndex } from './tree-index.ts';

/** What of a tree is written and removed. */
export interface TreePlan {
  /** Rows whose files are written, with their paths. */
  writes: readonly { path: string; row: ExportRow }[];
  /** Paths whose files go. */
  removes: readonly string[];
  rejected: readonly RejectedRow[];
  /** Rows that would lose their files, and are more than may: nothing is to be done. */
  held: number;
  /** The files are others than before, not only what they say. */
  isOtherSet: boolean;
  /** What the tree is afterwards. */
  index: TreeIndex;
  /** Files of it of which nobody knows the row. */
  unknown: ReadonlySet<string>;
}

export interface TreeInput {
  change: SinkChange;
  layout: Layout;
  content: EffectiveLayout['content'];
  /** Paths of the files that are no row's. */
  reserved: readonly string[];
  /** The tree as the last plan left it, when that is known. */
  former: { index: TreeIndex; unknown: ReadonlySet<string> } | undefined;
}

/**
 * Plans a tree from all rows.
 *
 * @param rows in canonical order: of those that ask for the same path the first one gets it
 * @param owned paths of the tree that is there, as its manifest lists them
 */
export async function planTree({ change, layout, content, reserved, former }: TreeInput, rows: readonly ExportRow[], owned: Iterable<string>): Promise<TreePlan> {
  const place = placement(layout, content, change);
  const index = new TreeIndex(reserved);
  const writes: TreePlan['writes'][number][] = [];
  const refused: RejectedRow[] = [];
  const turns = new Turns();
  for (const slice of slicesOf(rows)) {
    for (const row of slice) {
      const refusal = place(row, index, (path) => writes.push({ path, row }));
      if (refusal) refused.push(refusal);
    }
    if (turns.isOver) await turns.next();
  }
  // What the sink holds of these stays.
  for (const key of [...change.keep, ...refused.map(({ key }) => key)]) {
    const path = former?.index.pathOf(key);
    if (path !== undefined) index.assign(key, path);
  }
  const stale = new Set<string>();
  for (const paths of [owned, former?.index.paths() ?? [], former?.unknown ?? []]) {
    await inTurns(paths, (path) => {
      if (!index.has(path)) stale.add(path);
    });
  }
  // Nobody knows which of them are those of rows that stay.
  const isUnclear = (change.spared ?? []).length > 0 || (!former && change.keep.length > 0);
  const explained = new Set(former && change.staleLimit?.exempt.flatMap((targetName) => [...former.index.pathsOf(targetName)]));
  const doubtful = stale.difference(explained).size;
  if (!isUnclear && doubtful > (change.staleLimit?.rows ?? Infinity)) return { writes: [], removes: [], rejected: [], held: doubtful, isOtherSet: false, index, unknown: new Set() };
  for (const path of former?.index.contested ?? []) {
    if (!index.has(path)) throw freed(path, former!.index);
    index.contested.add(path);
  }
  return { writes, removes: isUnclear ? [] : [...stale], rejected: refused, held: 0, isOtherSet: true, index, unknown: isUnclear ? stale : new Set() };
}

/** Plans what changed since the last plan, whose index it changes at once: `undo` is for a plan that was not carried out. */
export async function planTreeChange({ change, layout, content, former }: Omit<TreeInput, 'reserved'> & { former: NonNullable<TreeInput['former']> }): Promise<TreePlan & { undo(): void }> {
  const { upserts, deletes } = change.since!;
  const { index, unknown } = former;
  const place = placement(layout, content, change);
  const before = new Map<RowKey, string | undefined>();
  for (const keys of [deletes, upserts]) await inTurns(keys, (key) => before.set(key, index.pathOf(key)));
  const gone = deletes.filter((key) => index.pathOf(key) !== undefined && !change.staleLimit?.exempt.includes(key.targetName)).length;
  const nothing = { writes: [], removes: [], rejected: [], isOtherSet: false, index, unknown, undo: () => undefined };
  if (gone > (change.staleLimit?.rows ?? Infinity)) return { ...nothing, held: gone };
  const freedPaths = new Set<string>();
  await inTurns(before.keys(), (key) => {
    const path = index.release(key);
    if (path !== undefined) freedPaths.add(path);
  });
  const writes: TreePlan['writes'][number][] = [];
  const refused: RejectedRow[] = [];
  await inTurns(upserts, (row) => {
    const refusal = place(row, index, (path) => writes.push({ path, row }));
    if (!refusal) return;
    refused.push(refusal);
    const path = before.get(row);
    if (path !== undefined) index.assign(row, path);
  });
  const undo = (): void => {
    for (const key of before.keys()) index.release(key);
    for (const [key, path] of before) if (path !== undefined) index.assign(key, path);
  };
  const removes = [...freedPaths].filter((path) => !index.has(path));
  const lacks = removes.find((path) => index.contested.has(path));
  if (lacks !== undefined) {
    undo();
    throw freed(lacks, index);
  }
  const isOtherSet = removes.length > 0 || writes.some(({ path }) => !freedPaths.has(path));
  return { writes, removes, rejected: refused, held: 0, isOtherSet, index, unknown, undo };
}

/** Finds the path of a row and takes it, or says why there is none. */
function placement(layout: Layout, content: EffectiveLayout['content'], { identity }: SinkChange) {
  const pathOf = rowPaths(layout, identity);
  return (row: ExportRow, index: TreeIndex, placed: (path: string) => void): RejectedRow | undefined => {
    const path = pathOf(rowText(row.payload).head);
    if (path === undefined) return rejection(row, 'NoPath', 'nothing of its name can be the name of a file');
    if (content === 'manifest' && treeFile(row.payload, 'manifest', { format: 'ndjson', compression: 'none' }) === undefined) {
      return rejection(row, 'NoManifest', 'holds no object to write as a manifest: its profile needs export.mode Resource');
    }
    if (index.assign(row, path) === undefined) return rejection(row, 'PathTaken', `another row has the file ${path}: put {uid} or more of the names into spec.layout.pathTemplate`);
    placed(path);
    return undefined;
  };
}

/** A row that was refused for want of this path could have it now; which one that is only a look at all rows tells. */
function freed(path: string, index: TreeIndex): KollectError {
  index.contested.clear();
  return new KollectError('KOL_SINK_DESTINATION_LOST', `the file ${path}, which several rows asked for, is free: all rows are laid out anew`, { retryAfterMs: 100 });
}
