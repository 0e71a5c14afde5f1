import { z } from 'zod';
import { KollectError } from '../errors.ts';

const unitMs: Record<string, number> = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, 'μs': 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const part = /(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)/y;

/** Go's grammar: an optional sign, then one or more numbers with a unit, or a bare zero. There is no unit for days. */
export const durationPattern = '^[+-]?(0|((([0-9]+(\\.[0-9]*)?)|(\\.[0-9]+))(ns|us|µs|μs|ms|s|m|h))+)$';

/** A duration as users write it, such as `30s` or `1h30m`. */
export const Duration = z.string().regex(new RegExp(durationPattern)).meta({ pattern: durationPattern });
export type Duration = z.infer<typeof Duration>;

/** Milliseconds of a duration, fractions included. Throws `KOL_API_DURATION`. */
export function parseDuration(text: string): number {
  const sign = text.startsWith('-') ? -1 : 1;
  const body = text.replace(/^[+-]/, '');
  if (body === '0') return 0;
  let total = 0;
  part.lastIndex = 0;
  for (let match = part.exec(body); match !== null; match = part.exec(body)) {
    total += Number(match[1]) * unitMs[match[2]!]!;
    if (part.lastIndex === body.length) return sign * total;
  }
  throw new KollectError('KOL_API_DURATION', `"${text}" is no duration: write numbers with a unit (ns, us, ms, s, m, h), such as 30s, 1h30m or 500ms`);
}

/** The canonical form: `1m0s`, `1h0m0s`, `500ms`, `0s`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0s';
  if (ms < 0) return `-${formatDuration(-ms)}`;
  if (ms < 1e-3) return `${Math.round(ms * 1e6)}ns`;
  if (ms < 1) return `${ms * 1e3}µs`;
  if (ms < 1_000) return `${ms}ms`;
  const hours = Math.floor(ms / 3_600_000);
  const minutes = Math.floor((ms % 3_600_000) / 60_000);
  const seconds = (ms % 60_000) / 1_000;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
