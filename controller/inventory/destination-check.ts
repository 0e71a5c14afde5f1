import { rowName } from '../sinks/contract.ts';
import { rowsToJudgeBy, staleLimit } from './deletion-guard.ts';
import type { Cursor } from './pass.ts';
import type { Progress } from './progress.ts';
import type { OpenSink } from './sink-connection.ts';

/** Does the destination still hold what it confirmed? One question, whatever the number of rows. When it `differs`, everything is to be compared. */
export async function checkDestination(progress: Progress, { sink, cluster }: OpenSink, cursor: Cursor, counts = false): Promise<'holds' | 'differs'> {
  const { view, logger } = progress.options;
  const { rows, isTouched = false } = await sink.check(progress.identity(cluster), progress.signal, counts);
  const complete = progress.isComplete(cursor);
  const { held, rows: expected = 0 } = progress.state;
  const isHealed = held !== undefined && held.reason !== 'paused' && rows !== undefined && rows - expected <= (held.reason === 'foreign' ? 0 : staleLimit(rowsToJudgeBy(rows, held)));
  // Of an object that was left out, or a row that was refused, the destination may hold an older version, or none.
  const leftOut = [...view.targets].reduce((count, target) => count + target.refused.count, 0);
  const differs = rows !== undefined && (rows > expected + leftOut || rows < expected - progress.state.rejected.length);
  if (isHealed) {
    logger.info('few rows of the destination are stale now, comparing everything', { sink: progress.key, rows });
    return 'differs';
  }
  if (isTouched || (complete && differs)) {
    logger.warn('the destination does not hold what was exported, comparing everything', { sink: progress.key, rows, expected });
    progress.known = undefined;
    return 'differs';
  }
  progress.state = { ...progress.state, phase: progress.isAwaiting(cursor.targets) ? 'Waiting' : 'Exported', error: undefined };
  return 'holds';
}

/**
 * Does the destination hold the rows as it confirmed them? It is asked about some of them at a time, and gets those again that it does not. Whether they were the last
 * of a round is told, too: then a count shows whether there are others beside them.
 */
export async function verifyRows(progress: Progress, opened: OpenSink, cursor: Cursor): Promise<{ mended: boolean; isLast: boolean }> {
  const { view, logger } = progress.options;
  const { sink, cluster } = opened;
  const identity = progress.identity(cluster);
  const { rejected, rows, lastChecksum } = progress.state;
  const quarantine = new Set(rejected.map(({ key }) => rowName(key)));
  const confirmed = [...cursor.targets].filter((target) => view.targets.has(target) && !progress.isTurning(target));
  const { differing, isLast } = await progress.verification.step(confirmed, (asked) =>
    sink.differing!(identity, asked.filter((row) => !quarantine.has(rowName(row))), progress.signal),
  );
  if (differing.length > 0) {
    logger.warn('rows of the destination were not as exported, writing them again', { sink: progress.key, rows: differing.length });
    // Rows that are still to be exported may be among them.
    const told = rejected.length === 0 && rows !== undefined && lastChecksum !== undefined && progress.isComplete(cursor) && progress.lag.rows === 0;
    const after = told ? { rows, digest: lastChecksum } : undefined;
    await progress.mark.beforeWrite(() => progress.keepsRecord(opened));
    const result = await sink.write({ identity, upserts: [differing], upsertCount: differing.length, deletes: [], completeTargets: [], keep: [], after }, progress.signal);
    progress.quarantine.add(result.rejected);
    if (after && result.rejected.length === 0) progress.mark.confirmed();
    progress.state = { ...progress.state, rejected: progress.quarantine.rows() };
  }
  return { mended: differing.length > 0, isLast };
}
