import { Optional } from '@marcbachmann/cel-js';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { maxOrderedKeys, type StepBudget } from './step-budget.ts';
import { CelFault } from './cel-fault.ts';
import { durationNanoseconds, timestampText } from './cel-timestamp.ts';
import { setMember, type Json } from './json.ts';

/**
 * JSON as CEL sees it: integers are ints (bigint), other numbers doubles. Copies only lists and maps that hold an integer.
 *
 * @param value JSON from an object
 */
export function toCel(value: unknown, budget: StepBudget): unknown {
  if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
  if (typeof value !== 'object' || value === null) return value;
  if (value instanceof Optional) return value.hasValue() ? Optional.of(toCel(value.value(), budget)) : value;
  return mapMembers(value, budget, toCel, false);
}

/**
 * The result of an expression as JSON, undefined for null and an empty optional. Timestamps become RFC 3339 text, durations integer
 * nanoseconds, bytes base64; ints become numbers where no digit is lost.
 *
 * @throws CelFault for results that JSON cannot hold
 */
export function fromCel(value: unknown, budget: StepBudget): Json | undefined {
  if (value instanceof Optional) return value.hasValue() ? fromCel(value.value(), budget) : undefined;
  return value === null ? undefined : plain(value, budget);
}

function plain(value: unknown, budget: StepBudget): Json {
  switch (typeof value) {
    case 'string':
      budget.charge(value.length >> 4);
      return value;
    case 'boolean':
      return value;
    case 'bigint':
      return exact(value);
    case 'number':
      if (!Number.isFinite(value)) throw new CelFault('the result is not a finite number');
      return value;
    case 'object':
      return value === null ? null : plainObject(value, budget);
    default:
      throw new CelFault('the result is not a value that JSON can hold');
  }
}

function plainObject(value: object, budget: StepBudget): Json {
  if (Array.isArray(value) || Object.getPrototypeOf(value) === Object.prototype) {
    return mapMembers(value, budget, plain, true) as Json;
  }
  if (value instanceof Optional) return value.hasValue() ? plain(value.value(), budget) : null;
  if (value instanceof UnsignedInt) return exact(value.value);
  if (value instanceof Date) return timestampText(value);
  if (value instanceof Duration) return exact(inRange(durationNanoseconds(value)));
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  throw new CelFault('the result is not a value that JSON can hold');
}

/** CEL durations are 64-bit nanoseconds. */
function inRange(nanoseconds: bigint): bigint {
  if (BigInt.asIntN(64, nanoseconds) !== nanoseconds) throw new CelFault('the duration is out of range');
  return nanoseconds;
}

function exact(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

const stepsPerMember = 3;
/** The same of maps of more than `maxOrderedKeys`, and again for a copy. */
const stepsPerTableMember = 6;

/** Maps the members of a list or map; the same list or map comes back when no member changed. Text passes `change` only when `texts` is set. */
function mapMembers<T>(value: object, budget: StepBudget, change: (member: unknown, budget: StepBudget) => T, texts: boolean): object {
  if (Array.isArray(value)) return mapList(value, budget, change, texts);
  const source = value as Record<string, unknown>;
  let copy: Record<string, unknown> | undefined;
  let count = 0;
  for (const key in source) {
    if ((++count & 255) === 0) budget.charge(256 * (count > maxOrderedKeys ? stepsPerTableMember : stepsPerMember));
    const member = source[key];
    if (!texts && typeof member === 'string') continue;
    const changed = change(member, budget);
    if (changed === member) continue;
    copy ??= { ...source };
    setMember(copy, key, changed);
  }
  budget.charge(4 + (count & 255) * stepsPerMember);
  if (copy !== undefined && count > maxOrderedKeys) budget.charge(count * stepsPerTableMember);
  return copy ?? source;
}

function mapList<T>(list: unknown[], budget: StepBudget, change: (member: unknown, budget: StepBudget) => T, texts: boolean): unknown[] {
  budget.charge(2 + list.length);
  let copy: unknown[] | undefined;
  for (let i = 0; i < list.length; i++) {
    const member = list[i];
    if (!texts && typeof member === 'string') continue;
    const changed = change(member, budget);
    if (changed === member) continue;
    copy ??= list.slice();
    copy[i] = changed;
  }
  return copy ?? list;
}
