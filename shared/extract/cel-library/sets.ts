import { isEqual } from './equality.ts';
import type { Library } from './library-function.ts';

type Items = readonly unknown[];

const has = (list: Items, item: unknown): boolean => list.some((other) => isEqual(other, item));
const contains = (list: Items, sublist: Items): boolean => sublist.every((item) => has(list, item));

/** Lists as sets: neither order nor number of an element counts. */
export const setLibrary: Library = {
  namespaces: ['sets'],
  functions: [
    { signature: 'sets.contains(list, list): bool', handler: (_namespace: never, list: Items, sublist: Items) => contains(list, sublist) },
    { signature: 'sets.equivalent(list, list): bool', handler: (_namespace: never, left: Items, right: Items) => contains(left, right) && contains(right, left) },
    { signature: 'sets.intersects(list, list): bool', handler: (_namespace: never, left: Items, right: Items) => left.some((item) => has(right, item)) },
  ],
};
