import { Optional } from '@marcbachmann/cel-js';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { epochNanoseconds } from '../cel-timestamp.ts';
import { compareUtf8 } from '../compare-utf8.ts';

/** Equality of CEL values: numbers by value across their types, lists and maps by their members, everything else by type and value. */
export function isEqual(left: unknown, right: unknown): boolean {
  if (left === right) return true;
  const order = compareNumbers(left, right);
  // A double that is no number equals none.
  if (order !== undefined) return order === 0 && !Number.isNaN(left) && !Number.isNaN(right);
  if (typeof left !== 'object' || typeof right !== 'object' || left === null || right === null) return false;
  if (Array.isArray(left)) return Array.isArray(right) && left.length === right.length && left.every((item, index) => isEqual(item, right[index]));
  if (left instanceof Optional) return right instanceof Optional && left.hasValue() === right.hasValue() && (!left.hasValue() || isEqual(left.value(), right.value()));
  if ('equals' in left && typeof left.equals === 'function') return left.equals(right) === true;
  if (Object.getPrototypeOf(left) !== Object.getPrototypeOf(right)) return false;
  if (left instanceof Date || left instanceof Duration || left instanceof Uint8Array) return compareValues(left, right) === 0;
  const keys = Object.keys(left);
  return keys.length === Object.keys(right).length && keys.every((key) => Object.hasOwn(right, key) && isEqual((left as never)[key], (right as never)[key]));
}

/**
 * Order of two CEL values of the same type, numbers of different types included.
 *
 * @returns below, at or above zero; undefined when they cannot be ordered
 */
export function compareValues(left: unknown, right: unknown): number | undefined {
  if (typeof left === 'string' && typeof right === 'string') return compareUtf8(left, right);
  if (typeof left === 'boolean' && typeof right === 'boolean') return Number(left) - Number(right);
  if (left instanceof Date && right instanceof Date) return sign(epochNanoseconds(left), epochNanoseconds(right));
  if (left instanceof Duration && right instanceof Duration) return sign(left.seconds, right.seconds) || left.nanos - right.nanos;
  if (left instanceof Uint8Array && right instanceof Uint8Array) return Buffer.compare(left, right);
  return compareNumbers(left, right);
}

function compareNumbers(left: unknown, right: unknown): number | undefined {
  const [a, b] = [numeric(left), numeric(right)];
  return a === undefined || b === undefined ? undefined : sign(a, b);
}

function numeric(value: unknown): number | bigint | undefined {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  return value instanceof UnsignedInt ? value.value : undefined;
}

function sign(left: number | bigint, right: number | bigint): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
