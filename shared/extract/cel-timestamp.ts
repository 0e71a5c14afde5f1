import { Duration } from '@marcbachmann/cel-js/evaluator';
import { CelFault } from './cel-fault.ts';

/** A point in time as cel-js knows it, with what a Date has no room for. */
export interface Timestamp extends Date {
  /** Nanoseconds below the millisecond, 0 to 999,999. */
  nanoseconds?: number;
}

/** Nanoseconds since 1970. */
export function epochNanoseconds(timestamp: Timestamp): bigint {
  return BigInt(timestamp.getTime()) * 1_000_000n + BigInt(timestamp.nanoseconds ?? 0);
}

/**
 * @param epoch nanoseconds since 1970
 * @throws CelFault outside the years 1 to 9999
 */
function timestampAt(epoch: bigint): Timestamp {
  const nanoseconds = Number(((epoch % 1_000_000n) + 1_000_000n) % 1_000_000n);
  const timestamp: Timestamp = new Date(Number((epoch - BigInt(nanoseconds)) / 1_000_000n));
  if (!(timestamp.getTime() >= firstMs && timestamp.getTime() <= lastMs)) throw new CelFault('the timestamp is outside the years 1 to 9999');
  if (nanoseconds > 0) timestamp.nanoseconds = nanoseconds;
  return timestamp;
}

const firstMs = Date.parse('0001-01-01T00:00:00Z');
const lastMs = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * RFC 3339 as Go reads it: an hour may have one digit, a comma may stand before the fraction, and digits below the nanosecond are dropped.
 *
 * @throws CelFault
 */
export function parseTimestamp(text: string): Timestamp {
  const [, date = '', hour = '', rest = '', fraction = '', sign, offsetHours, offsetMinutes] = /^(\d{4}-\d\d-\d\d)T(\d{1,2})(:[0-5]\d:[0-5]\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))$/.exec(text) ?? [];
  const local = Date.parse(`${date}T${hour.padStart(2, '0')}${rest}Z`);
  // What does not exist, such as the 30th of February or 24:00, JavaScript takes for a later day.
  if (Number.isNaN(local) || new Date(local).toISOString().slice(0, 10) !== date || Number(offsetHours ?? 0) > 24 || Number(offsetMinutes ?? 0) > 60) throw new CelFault('the text is not a timestamp such as 2026-01-31T12:00:00Z');
  const offsetMs = (Number(offsetHours ?? 0) * 60 + Number(offsetMinutes ?? 0)) * 60_000 * (sign === '-' ? -1 : 1);
  return timestampAt(BigInt(local - offsetMs) * 1_000_000n + BigInt(fraction.slice(0, 9).padEnd(9, '0')));
}

/** RFC 3339 in UTC, with no more digits of a second than there are. */
export function timestampText(timestamp: Timestamp): string {
  const below = String(timestamp.nanoseconds ?? 0).padStart(6, '0');
  return timestamp.toISOString().replace(/\.(\d+)Z$/, (_all, digits: string) => `.${digits}${below}`.replace(/\.?0+$/, '') + 'Z');
}

/** A whole number of nanoseconds. */
export function durationNanoseconds(duration: Duration): bigint {
  return duration.seconds * 1_000_000_000n + BigInt(duration.nanos);
}

/**
 * Sum or difference where a timestamp is part of it, undefined for other operands.
 *
 * @throws CelFault outside the years 1 to 9999
 */
export function timestampArithmetic(operator: '+' | '-', left: unknown, right: unknown): Timestamp | Duration | undefined {
  if (operator === '-' && left instanceof Date && right instanceof Date) {
    const difference = epochNanoseconds(left) - epochNanoseconds(right);
    return new Duration(difference / 1_000_000_000n, Number(difference % 1_000_000_000n));
  }
  if (left instanceof Date && right instanceof Duration) return timestampAt(epochNanoseconds(left) + (operator === '-' ? -1n : 1n) * durationNanoseconds(right));
  if (operator === '+' && left instanceof Duration && right instanceof Date) return timestampAt(epochNanoseconds(right) + durationNanoseconds(left));
  return undefined;
}

const utcFields: Readonly<Record<string, (timestamp: Date) => number>> = {
  getFullYear: (timestamp) => timestamp.getUTCFullYear(),
  getMonth: (timestamp) => timestamp.getUTCMonth(),
  getDate: (timestamp) => timestamp.getUTCDate(),
  getDayOfMonth: (timestamp) => timestamp.getUTCDate() - 1,
  getDayOfWeek: (timestamp) => timestamp.getUTCDay(),
  getDayOfYear: (timestamp) => Math.floor((timestamp.getTime() - new Date(timestamp).setUTCMonth(0, 1)) / 86_400_000),
  getHours: (timestamp) => timestamp.getUTCHours(),
  getMinutes: (timestamp) => timestamp.getUTCMinutes(),
  getSeconds: (timestamp) => timestamp.getUTCSeconds(),
  getMilliseconds: (timestamp) => timestamp.getUTCMilliseconds(),
};

/** The parts of a timestamp in UTC and at fixed offsets such as `-08:30`; undefined for zones with a name, which cel-js knows. */
export const timestampFields: Record<string, (operands: unknown[]) => bigint | undefined> = Object.fromEntries(
  Object.entries(utcFields).map(([name, field]) => [
    name,
    ([timestamp, zone = '']: unknown[]) => {
      if (!(timestamp instanceof Date) || typeof zone !== 'string') return undefined;
      const offsetMs = fixedOffsetMs(zone);
      return offsetMs === undefined ? undefined : BigInt(field(new Date(timestamp.getTime() + offsetMs)));
    },
  ]),
);

function fixedOffsetMs(zone: string): number | undefined {
  if (zone === '' || zone === 'UTC') return 0;
  const [, sign, hours, minutes] = /^([+-]?)(\d{1,4}):(\d{1,4})$/.exec(zone) ?? [];
  if (hours !== undefined) return (sign === '-' ? -1 : 1) * (Number(hours) * 60 + Number(minutes)) * 60_000;
  if (/^[+-]/.test(zone)) throw new CelFault('the time zone is neither a name nor an offset such as +02:00');
  return undefined;
}
