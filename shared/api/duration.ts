import type { z } from 'zod';
import { KollectError } from '../errors.ts';
import { ruledText, type TextRule } from './text.ts';

const unitNs: Readonly<Record<string, number>> = { ns: 1, us: 1e3, 'µs': 1e3, 'μs': 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3_600e9 };
const part = /([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h)/g;

/** Go's grammar: an optional sign, then numbers with units, or a bare zero. There is no unit for days. */
const grammar = /^[+-]?(0|(([0-9]+[.]?[0-9]*|[.][0-9]+)(ns|us|µs|μs|ms|s|m|h))+)$/;

/** What an int64 of nanoseconds holds: 292 years. */
const maxNs = 2 ** 63;

/** Far above anything canonical. */
const maxLength = 64;

export const durationRule: TextRule = { pattern: grammar, message: 'must be numbers with a unit (ns, us, ms, s, m, h), such as 30s, 1h30m or 500ms', maxLength };

/** A duration as users write it, such as `30s` or `1h30m`. */
export const Duration = ruledText(durationRule);
export type Duration = z.infer<typeof Duration>;

/**
 * Milliseconds of a duration, fractions included. Throws `KOL_API_DURATION`.
 *
 * @example parseDuration('1h30m') // 5_400_000
 */
export function parseDuration(text: string): number {
  if (text.length > maxLength || !grammar.test(text)) {
    throw new KollectError('KOL_API_DURATION', `${JSON.stringify(text.slice(0, maxLength))} is no duration: write numbers with a unit (ns, us, ms, s, m, h), such as 30s, 1h30m or 500ms`);
  }
  // Whole numbers as long as possible: a double holds 104 days of nanoseconds exactly.
  let ns = 0;
  for (const [, number, unit] of text.matchAll(part)) ns += Number(number) * unitNs[unit!]!;
  if (ns >= maxNs) throw new KollectError('KOL_API_DURATION', `${JSON.stringify(text)} is too long: a duration ends at 292 years`);
  return (text.startsWith('-') ? 0 - ns : ns) / 1e6;
}

/**
 * The canonical form, to the nanosecond.
 *
 * @example formatDuration(60_000) // '1m0s'
 */
export function formatDuration(ms: number): string {
  const ns = Math.round(ms * 1e6);
  if (ns === 0) return '0s';
  if (ns < 0) return `-${formatDuration(-ms)}`;
  if (ns < 1e3) return `${ns}ns`;
  if (ns < 1e6) return `${ns / 1e3}µs`;
  if (ns < 1e9) return `${ns / 1e6}ms`;
  const totalSeconds = Math.floor(ns / 1e9);
  const hours = Math.floor(totalSeconds / 3_600);
  const minutes = Math.floor((totalSeconds % 3_600) / 60);
  const fraction = ns % 1e9;
  const seconds = `${totalSeconds % 60}${fraction === 0 ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`}`;
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`;
}
