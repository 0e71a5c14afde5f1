import type { Reason } from '../../shared/api/conditions.ts';
import { rowsThere } from './binding-state.ts';
import type { HeldDeletions } from './deletion-guard.ts';
import type { DestinationFacts } from './deletion-hold.ts';
import type { PassPlan } from './pass.ts';
import type { Progress } from './progress.ts';
import type { OpenSink } from './sink-connection.ts';

/** Makes a destination what a plan says, and tells in the state what came of it. False when everything is to be compared anew before anything was done. */
export async function exportPass(progress: Progress, opened: OpenSink, plan: PassPlan): Promise<boolean> {
  const { view, logger, observer } = progress.options;
  const { drops, lag } = progress;
  // Keeps the changes that arrive while the pass runs, also before the first cursor.
  const reader = progress.cursor?.reader ?? view.read(plan.reached.targets);
  // Of those that join with this pass, too.
  reader.targets = reader.targets.union(plan.reached.targets);
  const { generation } = progress.options.inventory;
  const { fingerprint: former = progress.options.previous?.fingerprint, destination } = progress.state;
  const formerRows = rowsThere(progress.state);
  const started = performance.now();
  try {
    plan.change.identity = progress.identity(opened.cluster);
    plan.change.maxDocumentBytes = progress.options.maxDocumentBytes;
    if (progress.quarantine.left(plan).size > 0) plan.change.after = undefined;
    const { targets, rows } = plan.reached;
    if (await holdsAll(progress, opened, plan)) {
      if (drops !== progress.drops) return false;
      progress.freshUntil = 0;
      view.confirm(reader, plan.revision, targets);
      progress.cursor = { ...plan.reached, reader, fingerprint: opened.fingerprint, isHeld: false };
      progress.known = progress.cursor;
      logger.info('nothing changed since the last export', { sink: progress.key, rows });
      progress.state = { ...progress.state, phase: 'Exported', generation, error: undefined, fingerprint: opened.fingerprint, destination: opened.place };
      return true;
    }
    progress.freshUntil = 0;
    await progress.mark.beforeWrite(() => progress.keepsRecord(opened));
    const judged = await progress.hold.limit(opened, plan, view, factsOf(progress, opened));
    progress.tried = true;
    const result = await opened.sink.write(plan.change, progress.signal);
    progress.quarantine.settle(plan, result.rejected);
    const before = progress.cursor?.isHeld ? progress.state.held : undefined;
    const held = progress.hold.after(plan, { before, stale: result.held ?? 0, judged, isDocument: opened.granularity === 'document' });
    // One that reached none of the targets had little to delete.
    if (plan.exempt === undefined && (targets.size > 0 || view.targets.size === 0)) progress.hold.endConsent();
    if (drops === progress.drops) {
      view.confirm(reader, plan.revision, targets);
      progress.cursor = { ...plan.reached, reader, fingerprint: opened.fingerprint, isHeld: held !== undefined };
      if (!held) progress.known = progress.cursor;
      if (plan.change.after && result.rejected.length === 0 && !held) progress.mark.confirmed();
      if (plan.mode === 'reconcile' && [...view.targets].every((target) => targets.has(target))) progress.quarantine.retried();
    }
    const ms = performance.now() - started;
    // A pass that only removed the rows of targets that are gone says nothing of those that are awaited.
    const awaiting = progress.isAwaiting(targets);
    const untouched = held?.isUntouched === true;
    progress.state = {
      phase: awaiting ? 'Waiting' : 'Exported',
      generation,
      error: undefined,
      fingerprint: opened.fingerprint,
      destination: opened.place,
      lastExportTime: untouched ? progress.state.lastExportTime : new Date().toISOString(),
      lastChecksum: awaiting || untouched ? progress.state.lastChecksum : plan.digest,
      rows: awaiting ? formerRows && formerRows - (held?.stale ?? 0) : rows,
      rejected: progress.quarantine.rows(),
      held,
    };
    if (former !== undefined && former !== opened.fingerprint) progress.options.onMoved?.({ destination, rows: formerRows }, opened.place);
    observer.passed(opened.type, { mode: plan.mode, seconds: ms / 1000, ...result, lagMs: lag.ms + ms });
    logger[plan.mode === 'delta' ? 'debug' : 'info']('exported', {
      sink: progress.key,
      mode: plan.mode,
      rows,
      written: result.written,
      deleted: result.deleted,
      ...(result.held ? { held: result.held } : {}),
      ms: Math.round(ms),
    });
    return true;
  } finally {
    if (progress.cursor?.reader !== reader) view.release(reader);
  }
}

/** Whether the destination holds this already: what status and destination say from before the start is what was collected since. */
async function holdsAll(progress: Progress, opened: OpenSink, { digest, reached, change }: PassPlan): Promise<boolean> {
  const { previous } = progress.options;
  const isTold = progress.freshUntil > 0 && change.after !== undefined && previous?.fingerprint === opened.fingerprint;
  if (!isTold || previous.lastChecksum !== digest || previous.rows !== reached.rows) return false;
  const found = await opened.sink.check(progress.identity(opened.cluster), progress.signal);
  // Where the destination keeps no record, what status says counts.
  return !found.isTouched && (found.isLog || found.rows === reached.rows) && (found.owned === undefined || found.digest === digest);
}

/** Deletions that were held back when the process ended before this one. How many rows there were at first is not known any more. */
function heldBefore({ known, options: { previous } }: Progress): HeldDeletions | undefined {
  return known === undefined && previous?.conditions?.some(({ reason }) => reason === ('DeletionHeld' satisfies Reason)) ? { reason: 'guard', stale: 0, rows: 0 } : undefined;
}

function factsOf(progress: Progress, { cluster, fingerprint }: OpenSink): DestinationFacts {
  return {
    told: rowsThere(progress.state),
    identity: progress.identity(cluster),
    signal: progress.signal,
    isKnown: progress.known?.fingerprint === fingerprint,
    isCompared: progress.cursor !== undefined,
    isOwn: (progress.state.fingerprint ?? progress.options.previous?.fingerprint) === fingerprint,
    held: progress.state.held ?? heldBefore(progress),
  };
}
