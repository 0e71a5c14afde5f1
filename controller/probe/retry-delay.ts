import type { KollectError } from '../../shared/errors.ts';

/** Bounds of the time until a failed test is repeated, in milliseconds. */
export interface RetryTimes {
  firstMs: number;
  lastMs: number;
}

/** After 30 s, then after twice as long each time, up to 10 min: a sink must recover without an edit. */
const defaultTimes: RetryTimes = { firstMs: 30_000, lastMs: 600_000 };
/** To look for a Secret asks no sink, and people create it after the sink. */
const longestForSecretsMs = 60_000;

/** Milliseconds until a test is repeated that failed with this error, after so many failures before it. */
export function retryDelayMs({ reason }: Pick<KollectError, 'reason'>, failures: number, { firstMs, lastMs }: RetryTimes = defaultTimes): number {
  return Math.min(reason === 'SecretResolveFailed' ? longestForSecretsMs : lastMs, lastMs, firstMs * 2 ** failures);
}
