// Grows one target until the heap has no room for more, in a process with a small heap. Prints what it then holds.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { watchMemory } from '../../controller/collect/memory-watermark.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';

const memory = watchMemory();
const store = new RowStore(memory);
const [small, runaway] = [store.open('team-a', 'small'), store.open('team-b', 'runaway')];

let count = 0;
const of = (rows: TargetRows) => rows.resource('/v1/configmap');

function put(rows: TargetRows): string {
  const name = JSON.parse(`"object-${count++}"`) as string;
  // Two texts that are made anew, as extraction makes them.
  return of(rows).upsert({ namespace: 'shop', name, uid: name, payload: JSON.stringify({ name, attributes: 'x'.repeat(400) }), resourceVersion: '1', failures: 0 });
}

for (let index = 0; index < 100; index++) put(small);
const first = JSON.parse('"object-100"') as string;
while (count < 2_000_000 && !runaway.refused.any) {
  for (let index = 0; index < 200; index++) put(runaway);
  await nextTurn();
}
const known = of(runaway).upsert({ namespace: 'shop', name: first, uid: first, payload: '{}', resourceVersion: '2', failures: 0 });
const other = put(small);
const { shortage } = runaway;

const names = [...runaway.rows()].map(({ uid }) => uid);
for (const uid of names.slice(names.length / 20)) of(runaway).remove('shop', uid);
names.length = 0;
// Whatever else the process does makes garbage, and that is what shows the new room: some of it lives long enough to become old.
const garbage: string[][] = [];
for (let turn = 0; turn < 200_000 && memory.level !== 'enough'; turn++) {
  garbage.push(Array.from({ length: 200 }, (_, index) => `${turn} ${index}`));
  if (garbage.length > 500) garbage.shift();
  await nextTurn();
}
console.log(JSON.stringify({ shortage, known, other, level: memory.level, again: put(runaway), garbage: garbage.length }));
memory.stop();
