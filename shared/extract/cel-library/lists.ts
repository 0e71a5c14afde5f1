import { Optional } from '@marcbachmann/cel-js';
import { Duration, UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { CelFault } from '../cel-fault.ts';
import { compareValues, isEqual } from './equality.ts';
import type { Library } from './library-function.ts';

type Items = readonly unknown[];

function order(left: unknown, right: unknown): number {
  const result = compareValues(left, right);
  if (result === undefined) throw new CelFault('the elements of the list cannot be compared with each other');
  return result;
}

/** The element that no other comes before, in the order times `direction`. */
function extreme(name: string, direction: 1 | -1): (list: Items) => unknown {
  return (list) => {
    if (list.length === 0) throw new CelFault(`${name}() of an empty list`);
    let best = list[0];
    if (list.length === 1) order(best, best);
    for (const item of list.slice(1)) if (order(item, best) * direction < 0) best = item;
    return best;
  };
}

function isSorted(list: Items): boolean {
  return list.every((item, index) => index === 0 || order(list[index - 1], item) <= 0);
}

function sum(list: Items): unknown {
  return list.length === 0 ? 0n : list.reduce(add, zeroOf(list[0]));
}

function zeroOf(value: unknown): unknown {
  if (typeof value === 'number') return 0;
  if (value instanceof UnsignedInt) return new UnsignedInt(0n);
  return value instanceof Duration ? new Duration(0n, 0) : 0n;
}

const maxInt = 2n ** 63n - 1n;

function add(left: unknown, right: unknown): unknown {
  if (typeof left === 'bigint' && typeof right === 'bigint') {
    const total = left + right;
    if (total > maxInt || total < -maxInt - 1n) throw new CelFault('number out of range');
    return total;
  }
  if (typeof left === 'number' && typeof right === 'number') return left + right;
  if (left instanceof UnsignedInt && right instanceof UnsignedInt) return new UnsignedInt(left.value + right.value);
  if (left instanceof Duration && right instanceof Duration) return left.addDuration(right);
  throw new CelFault('the elements of the list cannot be added to each other');
}

function sort(list: Items): unknown[] {
  const [first] = list;
  if (list.some((item) => typeof item !== typeof first)) throw new CelFault('the elements of the list have different types');
  if (list.length === 1) order(first, first);
  return list.toSorted(order);
}

function distinct(list: Items): unknown[] {
  const kept: unknown[] = [];
  for (const item of list) if (!kept.some((other) => isEqual(item, other))) kept.push(item);
  return kept;
}

function flatten(list: Items, depth: bigint): unknown[] {
  if (depth < 0n) throw new CelFault('flatten(): the depth must not be negative');
  return list.flat(Number(depth > 64n ? 64n : depth));
}

function slice(list: Items, start: bigint, end: bigint): unknown[] {
  if (start < 0n || end < 0n) throw new CelFault('slice(): negative indexes are not supported');
  if (start > end || end > BigInt(list.length)) throw new CelFault('slice(): index out of range');
  return list.slice(Number(start), Number(end));
}

/** The optional values that are there. */
export function unwrap(list: Items): unknown[] {
  return list.flatMap((item) => {
    if (!(item instanceof Optional)) throw new CelFault('the elements of the list are not optional');
    return item.hasValue() ? [item.value()] : [];
  });
}

export const listLibrary: Library = {
  namespaces: ['lists'],
  functions: [
    { signature: 'list.isSorted(): bool', handler: isSorted },
    { signature: 'list.sum(): dyn', handler: sum },
    { signature: 'list.min(): dyn', handler: extreme('min', 1) },
    { signature: 'list.max(): dyn', handler: extreme('max', -1) },
    { signature: 'list.indexOf(dyn): int', handler: (list: Items, item: unknown) => BigInt(list.findIndex((other) => isEqual(other, item))) },
    { signature: 'list.lastIndexOf(dyn): int', handler: (list: Items, item: unknown) => BigInt(list.findLastIndex((other) => isEqual(other, item))) },
    { signature: 'list.sort(): list', handler: sort },
    { signature: 'list.distinct(): list', handler: distinct },
    { signature: 'list.flatten(): list', handler: (list: Items) => flatten(list, 1n) },
    { signature: 'list.flatten(int): list', handler: flatten },
    { signature: 'list.reverse(): list', handler: (list: Items) => list.toReversed() },
    { signature: 'list.slice(int, int): list', handler: slice },
    { signature: 'list.first(): optional<dyn>', handler: (list: Items) => (list.length === 0 ? Optional.none() : Optional.of(list[0])) },
    { signature: 'list.last(): optional<dyn>', handler: (list: Items) => (list.length === 0 ? Optional.none() : Optional.of(list.at(-1))) },
    { signature: 'list.unwrapOpt(): list', handler: unwrap },
    { signature: 'lists.range(int): list<int>', handler: (_namespace: never, count: bigint) => Array.from({ length: Math.max(0, Number(count)) }, (_, index) => BigInt(index)) },
  ],
};
