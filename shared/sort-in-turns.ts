import { Turns } from './in-turns.ts';

/** Items that are sorted at once: one to two milliseconds. */
const runLength = 2_048;

/** Sorts any number of items a few milliseconds at a time: runs of them, then merges neighbours until one is left. Equal items keep their order. */
export async function sortInTurns<T>(slices: Iterable<readonly T[]>, compare: (a: T, b: T) => number): Promise<readonly T[]> {
  const turns = new Turns();
  let runs: T[][] = [];
  for (const slice of slices) {
    for (let start = 0; start < slice.length; start += runLength) {
      runs.push(slice.slice(start, start + runLength).sort(compare));
      if (turns.isOver) await turns.next();
    }
  }
  while (runs.length > 1) {
    const merged: T[][] = [];
    for (let index = 0; index < runs.length; index += 2) merged.push(await merge(runs[index]!, runs[index + 1] ?? [], compare, turns));
    runs = merged;
  }
  return runs[0] ?? [];
}

async function merge<T>(left: T[], right: T[], compare: (a: T, b: T) => number, turns: Turns): Promise<T[]> {
  const merged = Array.from<T>({ length: left.length + right.length });
  let [l, r] = [0, 0];
  for (let at = 0; at < merged.length; at++) {
    const isLeft = r === right.length || (l < left.length && compare(left[l]!, right[r]!) <= 0);
    merged[at] = isLeft ? left[l++]! : right[r++]!;
    if (at % runLength === 0 && turns.isOver) await turns.next();
  }
  return merged;
}
