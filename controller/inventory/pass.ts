import type { FrozenRows } from '../collect/collector.ts';
import type { Row } from '../collect/row.ts';
import { SnapshotDigest } from '../collect/digest.ts';
import { rowName, type Capabilities, type ExportRow, type InventoryIdentity, type RowKey, type SinkChange } from '../sinks/contract.ts';
import { doubtfulTargets, exemptTargets, type Deletions } from './deletion-guard.ts';
import type { Quarantine } from './quarantine.ts';
import type { Delta, InventoryView, Reader, ViewTarget } from './view.ts';

/** Rows handed to a sink at a time. */
const sliceRows = 1_000;

/** What a destination has when a pass is confirmed. */
export interface Reached {
  /** Targets whose rows the destination holds. */
  targets: ReadonlySet<ViewTarget>;
  /**
   * Those of them that were never compared with it, or not with all kinds, because nobody knows all that they leave out or that there is: it may hold
   * older rows beside theirs. With what was not compared.
   */
  uncompared: ReadonlyMap<ViewTarget, string>;
  /** Names of all targets at that time: rows of others were removed. */
  knownTargets: readonly string[];
  /** What lists had removed of each target that was compared. */
  swept: ReadonlyMap<ViewTarget, number>;
  /** Rows that the destination holds, as far as they are known. */
  rows: number;
}

/** How far a binding has come at one destination. */
export interface Cursor extends Reached {
  reader: Reader;
  /** Where the rows are; a cursor means nothing at another destination. */
  fingerprint: string;
  /** The destination holds rows that are not deleted: for want of an explanation, or because the inventory asks for it. */
  isHeld: boolean;
}

/** One pass, fixed at one revision of the view. */
export interface PassPlan {
  mode: 'delta' | 'reconcile';
  revision: number;
  reached: Reached;
  change: SinkChange;
  /** Names of targets whose stale rows go however many they are. Undefined: all of them. */
  exempt: readonly string[] | undefined;
  /** Rows that are known to be gone and are not deleted all the same. */
  withheld: number;
  /** What `change` hands over of targets that are not complete in it. Of those that it hands over as a whole, what was refused before. */
  partial: readonly RowKey[];
  /** Rows that are in quarantine as they are, and so are not handed over. */
  skipped: ReadonlySet<string>;
  /** Of `reached.rows`. */
  digest: string;
}

export interface PassInput {
  view: InventoryView;
  identity: InventoryIdentity;
  isSynced: (target: ViewTarget) => boolean;
  /** Rows of the target are being made anew after an edit, and are not all of one making yet: what the sink holds of it stays as it is meanwhile. */
  isTurning?: ((target: ViewTarget) => boolean) | undefined;
  frozen?: ((target: ViewTarget) => readonly FrozenRows[] | undefined) | undefined;
  granularity: Capabilities['granularity'];
  cursor: Cursor | undefined;
  /** The last cursor at the same destination beside which there was nothing stale. */
  known?: Cursor | undefined;
  quarantine?: Quarantine | undefined;
  /** `guarded` when unset. */
  deletions?: Deletions | undefined;
  /** The destination may hold rows that no cursor tells of: status says so, or a pass was tried. */
  mayHoldRows: boolean;
}

/**
 * Decides what a binding has to do now; undefined when nothing, as while the view is turning. A target that has not completed its list contributes no deletions: it
 * takes part from the pass after its list on, and then as a whole, but for kinds that cannot be listed: of those nothing is deleted that nobody saw go.
 * The rows of a target that is being made anew wait. A sink of whole documents waits for all targets, and then gets all rows of all of them.
 * What lists removed of a target without explanation is compared rather than deleted, so that it can be held back.
 * Of objects that a target leaves out the sink keeps what it has; while not all of them are known, nothing beside the target's rows is deleted.
 */
export function planPass(input: PassInput): PassPlan | undefined {
  const { view, identity, cursor, isSynced, granularity, deletions = 'guarded' } = input;
  if (view.isTurning) return undefined;
  const turning = new Set([...view.targets].filter((target) => input.isTurning?.(target)));
  const frozen = new Map([...view.targets].map((target) => [target, turning.has(target) ? undefined : isSynced(target) ? [] : input.frozen?.(target)]));
  const notCompared = (target: ViewTarget): string => (target.refused.more ? 'anything' : JSON.stringify(frozen.get(target)));
  const knownTargets = [...view.targets].map((target) => target.name).sort();
  const changes = cursor && view.changesSince(cursor.reader);
  const doubtful: ReadonlySet<ViewTarget> = cursor && deletions === 'guarded' ? doubtfulTargets(view.targets, cursor) : new Set();
  const settled = new Set(changes ? [...cursor.targets].filter((target) => view.targets.has(target) && !turning.has(target) && !doubtful.has(target)) : []);
  const delta = changes && only(changes, settled);
  const listed = [...view.targets].filter(
    (target) => frozen.get(target) && (!settled.has(target) || (cursor?.uncompared.get(target) ?? notCompared(target)) !== notCompared(target)),
  );
  let complete = listed.filter((target) => !target.refused.more);
  const incomplete = listed.filter((target) => target.refused.more && !settled.has(target));
  const renamed = cursor === undefined || knownTargets.join() !== cursor.knownTargets.join();

  if (delta) {
    // Deletions alone that are paused make a pass too, so that it is told what is held back.
    if (delta.upserts.length + delta.deletes.length + complete.length + incomplete.length === 0 && !renamed) return undefined;
  } else if (listed.length === 0 && view.targets.size > 0 && !input.mayHoldRows) {
    return undefined;
  }

  const isDocument = granularity === 'document';
  if (isDocument) {
    // Of what cannot be listed a document would hold nothing.
    if ([...view.targets].some((target) => !settled.has(target) && frozen.get(target)?.length !== 0)) return undefined;
    complete = [...view.targets];
  }
  const isContinued = isDocument && delta && listed.length === 0 && !renamed && !cursor.isHeld;
  const targets = new Set([...settled, ...complete, ...incomplete]);
  const uncompared = new Map([...(cursor?.uncompared ?? [])].filter(([target]) => targets.has(target) && !complete.includes(target)));
  for (const target of [...incomplete, ...complete]) if (target.refused.more || frozen.get(target)?.length) uncompared.set(target, notCompared(target));
  const spared = complete.flatMap((target) => (frozen.get(target) ?? []).map((rows) => ({ targetName: target.name, ...rows })));
  const digest = new SnapshotDigest();
  let rows = 0;
  for (const target of targets) {
    digest.addAll(target.digest);
    rows += target.count;
  }
  // Of a target that is awaited, was never compared, or leaves out objects, the destination may hold more.
  const withheld = deletions === 'paused' ? (delta?.deletes.length ?? 0) : 0;
  const told = uncompared.size === 0 && withheld === 0 && !cursor?.isHeld && targets.size === view.targets.size && ![...targets].some((target) => target.refused.any);
  // Those that are handed over as a whole hold their changes already.
  const entire = new Set([...complete, ...incomplete].map(({ name }) => name));
  const changed = (delta?.upserts ?? []).filter(({ targetName }) => !entire.has(targetName));
  const { quarantine } = input;
  const refusedOf = (wholes: readonly ViewTarget[]): readonly Row[] => (quarantine ? wholes.flatMap((target) => quarantine.rowsOf(target)) : []);
  const tried = [...changed, ...refusedOf(incomplete)];
  const skipped = new Set<Row>(quarantine && [...tried, ...refusedOf(complete)].filter((row) => quarantine.holds(row)));
  const pieces = [changed, ...[...incomplete, ...complete].flatMap((target) => target.pieces())];
  const refused = complete.flatMap((target) => [...target.refusedUids()].map((uid) => ({ targetName: target.name, uid })));
  return {
    mode: complete.length + incomplete.length === 0 && delta ? 'delta' : 'reconcile',
    revision: view.revision,
    reached: { targets, uncompared, knownTargets, rows, swept: new Map([...targets.difference(uncompared)].map((target) => [target, target.swept])) },
    exempt: deletions === 'allowed' ? undefined : deletions === 'paused' ? [] : exemptTargets(view.targets, input.known),
    withheld,
    digest: digest.toString(),
    partial: tried.filter((row) => !skipped.has(row)),
    skipped: new Set([...skipped].map(rowName)),
    change: {
      identity,
      upserts: slices(pieces, skipped),
      upsertCount: pieces.reduce((count, { length }) => count + length, -skipped.size),
      deletes: withheld > 0 ? [] : (delta?.deletes ?? []),
      completeTargets: complete.map((target) => target.name),
      keep: [...refused, ...[...skipped].map(({ targetName, uid }) => ({ targetName, uid }))],
      ...(spared.length > 0 ? { spared } : {}),
      ...(renamed ? { knownTargets } : {}),
      after: told ? { rows, digest: digest.toString() } : undefined,
      ...(isContinued ? { since: { upserts: delta.upserts.filter((row) => !skipped.has(row)), deletes: delta.deletes } } : {}),
    },
  };
}

/** What changed in some targets. */
function only({ revision, upserts, deletes }: Delta, targets: ReadonlySet<ViewTarget>): Delta {
  const names = new Set([...targets].map(({ name }) => name));
  const isOf = ({ targetName }: { targetName: string }): boolean => names.has(targetName);
  return { revision, upserts: upserts.filter(isOf), deletes: deletes.filter(isOf) };
}

function* slices(pieces: Iterable<readonly Row[]>, skipped: ReadonlySet<Row>): Generator<readonly ExportRow[]> {
  let slice: ExportRow[] = [];
  for (const rows of pieces) {
    for (let start = 0; start < rows.length; ) {
      const end = start + sliceRows - slice.length;
      const next = rows.slice(start, end);
      slice = slice.concat(skipped.size === 0 ? next : next.filter((row) => !skipped.has(row)));
      start = end;
      if (slice.length < sliceRows) continue;
      yield slice;
      slice = [];
    }
  }
  if (slice.length > 0) yield slice;
}
