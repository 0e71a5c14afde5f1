import { parseDuration } from '../../api/duration.ts';
import { KollectError } from '../../errors.ts';
import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';

/** A day. */
export const maxIntervalMs = 86_400_000;

/** An interval from 0s to 24h. */
export function interval(field: string, text: string | undefined, report: Report): void {
  if (text === undefined) return;
  try {
    const ms = parseDuration(text);
    if (ms < 0) report(invalid(field, text, 'must not be negative; write 0s for no delay, or a duration such as 30s'));
    else if (ms > maxIntervalMs) report(invalid(field, text, 'must be at most 24h; write 24h or less'));
  } catch (error) {
    if (!(error instanceof KollectError)) throw error;
    report(invalid(field, text, error.message));
  }
}
