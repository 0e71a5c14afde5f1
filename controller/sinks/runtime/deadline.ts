import { KollectError, type ErrorCode } from '../../../shared/errors.ts';

/** Budgets in milliseconds, the same for all backends. A write has none as a whole, because it may be of any size: its statements have. */
export interface Budgets {
  probe: number;
  check: number;
  remove: number;
  /** What a backend may take to react when its time is over or it is cancelled. */
  reaction: number;
}

/** What a commit may take: one flush of the server's log, seconds at worst. A leader whose lease ends earlier begins none. */
export const commitMs = 5_000;

export const defaultBudgets: Budgets = { probe: 15_000, check: 30_000, remove: 600_000, reaction: 5_000 };

/** The error of a sink that has used up its time. One that is busy is there. */
export function unanswered(budgetMs: number, code: ErrorCode = 'KOL_SINK_UNAVAILABLE'): KollectError {
  const advice = code === 'KOL_SINK_UNAVAILABLE' ? ': look at the server, and at the network on the way to it' : '';
  return new KollectError(code, `the sink has not answered within ${budgetMs / 1_000} s${advice}`);
}

/**
 * Runs `work` until its budget is over or `signal` aborts, which it hears of by its own signal. One that does not react is left behind:
 * nobody waits for a backend that hangs. One that says `KOL_SINK_BUSY` then has a destination that answers, if not in time.
 */
export async function withinBudget<T>(signal: AbortSignal, budgetMs: number | undefined, reactionMs: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const over = new AbortController();
  const budget = budgetMs === undefined ? undefined : setTimeout(() => over.abort(), budgetMs);
  const both = AbortSignal.any([signal, over.signal]);
  const left = Promise.withResolvers<never>();
  const fault = (code: ErrorCode = 'KOL_SINK_UNAVAILABLE'): KollectError =>
    over.signal.aborted ? unanswered(Number(budgetMs), code) : new KollectError(code, 'the work was cancelled');
  let reaction: NodeJS.Timeout | undefined;
  const expect = (): void => {
    reaction = setTimeout(() => left.reject(fault()), reactionMs);
  };
  if (both.aborted) expect();
  else both.addEventListener('abort', expect, { once: true });
  try {
    return await Promise.race([work(both), left.promise]);
  } catch (error) {
    // What the backend says of being stopped is not why it was.
    if (!over.signal.aborted) throw error;
    throw fault(error instanceof KollectError && error.code === 'KOL_SINK_BUSY' ? error.code : undefined);
  } finally {
    both.removeEventListener('abort', expect);
    clearTimeout(budget);
    clearTimeout(reaction);
  }
}
