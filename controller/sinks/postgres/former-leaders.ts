import { createHash } from 'node:crypto';
import type { LeaderEpoch } from '../contract.ts';

/** Two numbers of 32 bits, as advisory locks have them: whose leaders, and which. */
export interface LeaderMark {
  installation: number;
  epoch: number;
}

/** What a transaction of this leader carries; undefined when there is one process only, or nobody knows whose. */
export function leaderMark(installation: string | undefined, epoch: LeaderEpoch | undefined): LeaderMark | undefined {
  if (installation === undefined || epoch === undefined) return undefined;
  return { installation: createHash('sha256').update(`kollect leader ${installation}`).digest().readInt32BE(), epoch: epoch.current() % 2 ** 31 };
}

/** An expression that marks the transaction as one of this leader: a lock that never waits, and that others can see. */
export function marking({ installation, epoch }: LeaderMark): string {
  return `pg_advisory_xact_lock_shared(${installation}, ${epoch})`;
}

/**
 * Ends the sessions of earlier leaders that hold a lock. A leader that was frozen keeps its transaction open, for ever if nothing thaws it, and one that is
 * gone may have left a long statement behind; neither may commit any more.
 */
export function endFormerLeaders(lock: bigint, { installation, epoch }: LeaderMark): string {
  const [high, low] = [BigInt.asUintN(32, lock >> 32n), BigInt.asUintN(32, lock)];
  return `SELECT pg_terminate_backend(held.pid) FROM pg_locks held
  JOIN pg_locks mark ON mark.pid = held.pid AND mark.database = held.database AND mark.locktype = 'advisory' AND mark.objsubid = 2
    AND mark.classid::bigint = ${installation >>> 0} AND mark.objid::bigint < ${epoch}
  JOIN pg_stat_activity session ON session.pid = held.pid AND pg_has_role(session.usesysid, 'USAGE')
WHERE held.locktype = 'advisory' AND held.objsubid = 1 AND held.granted AND held.classid::bigint = ${high} AND held.objid::bigint = ${low}
  AND held.database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
}
