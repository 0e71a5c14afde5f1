import { setImmediate as nextTurn } from 'node:timers/promises';
import t from 'tap';
import type { ItemEvent } from '../../controller/sinks/documents/item-events.ts';
import { ItemExports } from '../../controller/sinks/documents/item-exports.ts';
import type { Outlet } from '../../controller/sinks/documents/outlet.ts';
import { change, identity, rows, signal, whole } from './conformance.ts';

t.test('a pass over many rows leaves others their turns, and tells any number of deletions', async (t) => {
  const many = 150_000;
  let turns = 0;
  let isOver = false;
  const count = async () => {
    for (; !isOver; turns++) await nextTurn();
  };
  const counting = count();
  let told = new Map<ItemEvent['type'], number>();
  let turnsBefore = 0;
  const outlet: Outlet = {
    timestamp: new Date(),
    epoch: undefined,
    signal,
    maxBytes: () => 1_000_000,
    send: async (messages) => {
      turnsBefore ||= turns;
      for (const { headers } of messages) {
        const type = headers['Kollect-Event'] as ItemEvent['type'];
        told.set(type, (told.get(type) ?? 0) + 1);
      }
      return [];
    },
  };
  const events = new ItemExports();
  const write = async (given: Parameters<ItemExports['write']>[0]) => {
    told = new Map();
    const from = turns;
    turnsBefore = 0;
    const result = await events.write(given, outlet);
    return { result, told: Object.fromEntries(told), turnsBefore: turnsBefore - from };
  };
  const [first, second] = [rows(many, { v: 1 }), rows(many, { v: 2 })];
  t.match(await write(whole(first)), { told: { upsert: many, snapshotBegin: 1, snapshotEnd: 1 } });
  const changed = await write(whole(second));
  t.match(changed, { result: { written: many, deleted: 0 }, told: { upsert: many } });
  t.ok(changed.turnsBefore >= 4, `${changed.turnsBefore} turns before the first message`);
  const same = await write(whole(second));
  t.match(same, { result: { confirmed: many, written: 0 }, told: {} });
  t.match(await write(whole([])), { result: { deleted: many }, told: { delete: many } });
  await write(whole(first));
  const deleted = await write(change([], { deletes: first.map(({ uid }) => uid) }));
  t.match(deleted, { result: { deleted: many }, told: { delete: many } });
  isOver = true;
  await counting;
});

t.test('an attempt that was given up leaves what is known to the next one', async (t) => {
  const events = new ItemExports();
  const patience = new AbortController();
  const held = Promise.withResolvers<readonly boolean[]>();
  let sent = 0;
  const outlet = (parts: Partial<Outlet>): Outlet => ({ timestamp: new Date(), epoch: undefined, signal, maxBytes: () => 1_000_000, send: async (messages) => Array.from(messages, () => (sent++, false)), ...parts });
  const value = (v: string) => whole(rows(1, { v }), { identity: identity('given-up') });
  await events.write(value('A'), outlet({}));
  const slow = events.write(value('B'), outlet({ signal: patience.signal, send: async (messages) => (Array.from(messages), await held.promise) }));
  await nextTurn();
  patience.abort();
  await events.write(value('A'), outlet({}));
  held.resolve([false]);
  await t.rejects(slow, { name: 'AbortError' });
  sent = 0;
  t.match(await events.write(value('B'), outlet({})), { written: 1 });
  t.equal(sent, 1);
});
