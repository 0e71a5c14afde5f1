import type { ErrorClass } from '../shared/errors.ts';

/** First delay and ceiling in milliseconds. What a human must mend is still tried again, rarely: the cause may be mended elsewhere. */
const delays = {
  transient: { firstMs: 1_000, ceilingMs: 60_000 },
  terminal: { firstMs: 5_000, ceilingMs: 300_000 },
  row: { firstMs: 5_000, ceilingMs: 300_000 },
} as const satisfies Record<ErrorClass, { firstMs: number; ceilingMs: number }>;

/** Milliseconds to wait after the given number of failures in a row: doubling, the upper half of it by chance. */
export function retryDelayMs(errorClass: ErrorClass, failures: number): number {
  const { firstMs, ceilingMs } = delays[errorClass];
  const delay = Math.min(ceilingMs, firstMs * 2 ** Math.max(0, failures - 1));
  return delay / 2 + (Math.random() * delay) / 2;
}
