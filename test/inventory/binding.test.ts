import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import t from 'tap';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
import { PassTimer } from '../../controller/inventory/pass-timer.ts';
import { inventoryStatus } from '../../controller/inventory/inventory-status.ts';
import { Verification } from '../../controller/inventory/verification.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import { KollectError } from '../../shared/errors.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { eventually } from '../servers/eventually.ts';
import { row, whole } from '../sinks/conformance.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';
import { facts, memory, startBinding, until } from './binding-fixture.ts';

const setUp = (options: Partial<BindingOptions> = {}) => startBinding({ synced: ['web'], ...options });

t.test('the first pass is complete, the next ones are deltas, and a burst is one of them', async (t) => {
  const { rowsOf, place, binding, equal } = setUp();
  const web = rowsOf('web');
  for (let index = 0; index < 500; index++) web.upsert(facts(`u${index}`));
  await until(() => place.writes.length === 1);
  t.strictSame(place.writes[0], { mode: 'reconcile', upserts: 500, deletes: 0 });
  for (let index = 0; index < 100; index++) web.upsert(facts(`u${index}`, 'scaled'));
  web.remove('shop', 'u499');
  await until(() => equal());
  t.strictSame(place.writes.slice(1), [{ mode: 'delta', upserts: 100, deletes: 1 }]);
  t.equal(binding.state.rows, 499);
  await binding.close();
  t.equal(place.closed, 1);
});

t.test('a comparison that was asked for is done when all targets took part in it', async (t) => {
  let passes = 0;
  const failures: unknown[] = [];
  const observer = { passed: () => passes++, failed: () => void failures.push(handled()) };
  const { rowsOf, view, place, binding, synced } = setUp({ previous: { fingerprint: 'here' }, observer });
  const handled = () => {
    const inventory = { metadata: { name: 'inventory', namespace: 'shop', generation: 1 }, spec: {} } as unknown as KollectInventory;
    const none = { problems: [], isEarly: false, rollup: undefined, removals: [], awaiting: [], incomplete: [], obstacles: new Map(), blocked: undefined };
    return inventoryStatus({ ...none, inventory, previous: { lastHandledReconcile: 'before' }, view, bindings: [binding], asked: 'now' }, '2026-01-01T00:00:00.000Z').lastHandledReconcile;
  };
  synced.clear();
  for (const name of ['web', 'db']) rowsOf(name).upsert(facts(name));
  t.equal(handled(), 'before');
  const took = async (wanted: number) => {
    binding.poke();
    await until(() => passes === wanted);
    return [binding.compared, handled()];
  };
  t.strictSame(await took(1), [true, 'before'], 'none of them was listed');
  synced.add('web');
  t.strictSame(await took(2), [true, 'before'], 'one of two was');
  synced.add('db');
  place.script = ['refuse'];
  t.strictSame(await took(3), [true, 'now']);
  t.strictSame(failures, ['before'], 'the other one was, and its rows were not there yet');
  await binding.close();
});

t.test('a refused write, an unknown outcome and changes in between leave sink and view equal', async (t) => {
  const { rowsOf, place, binding, failures, equal } = setUp();
  const web = rowsOf('web');
  for (const uid of ['a', 'b', 'c']) web.upsert(facts(uid));
  await until(() => place.writes.length === 1);

  place.script = ['refuse', 'cut', 'refuse'];
  web.upsert(facts('a', 'a2'));
  web.remove('shop', 'b');
  await until(() => failures.length > 0);
  web.upsert(facts('b', 'back'));
  web.remove('shop', 'c');
  await until(() => binding.state.phase === 'Exported' && equal());
  t.same([...place.held()], [['web/a', 'a2'], ['web/b', 'back']]);
  await binding.close();
});

t.test('a failed first pass is repeated as a whole', async (t) => {
  const { rowsOf, place, binding, failures, equal } = setUp();
  place.script = ['refuse', 'cut'];
  const web = rowsOf('web');
  web.upsert(facts('a'));
  await until(() => failures.length > 0);
  t.match(failures[0], { rows: 1, ms: Number }, 'all rows are lacking until something is known');
  web.upsert(facts('b'));
  await until(() => binding.state.phase === 'Exported' && equal());
  t.same(binding.lag, { rows: 0, ms: 0 });
  t.equal(place.writes[0]?.mode, 'reconcile');
  await binding.close();
});

t.test('a destination that lost its data gets all of it again', async (t) => {
  const { rowsOf, place, binding, equal } = setUp();
  const web = rowsOf('web');
  for (const uid of ['a', 'b']) web.upsert(facts(uid));
  await until(() => place.writes.length === 1);
  place.script = ['lose'];
  web.upsert(facts('c'));
  await until(() => place.rows.size === 3 && equal());
  t.equal(place.writes.at(-1)?.mode, 'reconcile');
  await binding.close();
});

t.test('all rows are compared now and then, and what somebody else did to them is mended', async (t) => {
  const { rowsOf, place, binding, equal } = setUp({ verifyIntervalMs: 100 });
  const web = rowsOf('web');
  for (let index = 0; index < 2_500; index++) web.upsert(facts(`u${index}`));
  await until(() => place.writes.length === 1);
  await until(() => place.questions.length >= 4);
  t.strictSame(place.questions.slice(0, 2), [2_000, 500], 'in steps');
  t.equal(place.writes.length, 1, 'nothing is written as long as nothing differs');
  t.ok(place.checks > 0, 'they are counted in the end');

  const [changed, gone] = [...place.rows.keys()].slice(2_100);
  const { identity, row } = place.rows.get(changed!)!;
  place.put(identity, { ...row, payload: 'somebody else' });
  await until(() => equal());
  t.strictSame(place.writes.slice(1), [{ mode: 'delta', upserts: 1, deletes: 0 }], 'no more than that is written again');
  place.rows.delete(gone!);
  await until(() => equal());

  place.put(identity, { ...row, uid: 'stranger' });
  await until(() => equal());
  t.match(place.writes.at(-1), { mode: 'reconcile' }, 'a row too many is found by the count');
  await binding.close();
});

t.test('a comparison under way keeps no rows that are replaced, asks for those that replaced them, and for each once', async (t) => {
  setFlagsFromString('--expose-gc');
  const collectGarbage = runInNewContext('gc') as () => void;
  const target = new RowStore().open('shop', 'web');
  const [pods, services] = [target.resource('/v1/pod'), target.resource('/v1/service')];
  const places = ['shop', 'bar', 'cafe'];
  for (const place of places) for (let index = 0; index < 3_000; index++) pods.upsert({ ...facts(`${place}-${index}`, 'old'), namespace: place });
  for (let index = 0; index < 10; index++) services.upsert({ ...facts(`service-${index}`, 'old'), namespace: 'port' });
  const verification = new Verification(1);
  const asked: string[] = [];
  const ask: Parameters<Verification['step']>[1] = async (rows) => (asked.push(...rows.map(({ uid, payload }) => `${uid} ${payload}`)), []);
  await verification.step([target], ask);
  t.ok(asked.length > 0 && asked.length <= 2_000, 'some');
  const first = new Set(asked);
  t.equal(first.size, asked.length);
  const old = target.pieces().flat().map((row) => new WeakRef(row));
  for (const place of places) {
    pods.remove(place, `${place}-0`);
    for (let index = 1; index < 3_000; index++) pods.upsert({ ...facts(`${place}-${index}`, 'new'), namespace: place });
  }
  await new Promise((resolve) => setImmediate(resolve));
  collectGarbage();
  const kept = old.filter((reference) => reference.deref()?.payload === 'old').length;
  t.ok(kept <= 10, `${kept} rows are kept`);
  let steps = 1;
  while (!(await verification.step([target], ask)).isLast) steps++;
  t.ok(steps >= 5 && steps <= 20, `${steps} steps`);
  const later = asked.slice(first.size);
  t.strictSame(later.filter((row) => !row.startsWith('service') && !row.endsWith(' new')), [], 'as they are now');
  const uids = asked.map((row) => row.split(' ')[0]!);
  t.equal(new Set(uids).size, uids.length, 'each once');
  const missed = target.pieces().flat().filter(({ uid }) => !uids.includes(uid));
  t.strictSame(missed.map(({ uid }) => uid), []);
});

t.test('changes are not held up by a comparison, nor taken for differences', async (t) => {
  const { rowsOf, place, sink, binding, equal } = setUp({ verifyIntervalMs: 20 });
  const web = rowsOf('web');
  for (let index = 0; index < 100; index++) web.upsert(facts(`u${index}`));
  await until(() => place.writes.length === 1);
  const differing = sink.differing.bind(sink);
  let changes = 0;
  sink.differing = async (identity, rows) => {
    // While it is being asked, a row that it is asked for changes, and another one goes.
    web.upsert(facts(rows[0]!.uid, `changed ${++changes}`));
    web.remove('shop', rows[1]!.uid);
    return [...(await differing(identity, rows)), rows[0]!, rows[1]!];
  };
  await until(() => changes >= 4);
  sink.differing = differing;
  await until(() => equal());
  for (const { mode, upserts, deletes } of place.writes.slice(1)) t.strictSame([mode, upserts, deletes], ['delta', 1, 1]);
  await binding.close();
});

t.test('a comparison that writes rows before their pass does not tell the destination that it holds what it held', async (t) => {
  const queue = new SinkGate(2);
  const place = new MemoryPlace();
  const sink = new MemorySink(place, { installation: 'ours' });
  const { rowsOf, binding, synced, turning } = setUp({ verifyIntervalMs: 50, open: async () => ({ sink, ...memory, granularity: 'document', fingerprint: 'here', queue }) });
  const told = () => place.states.values().some(({ digest }) => digest !== undefined);
  synced.add('api');
  const web = rowsOf('web');
  web.upsert(facts('a'));
  rowsOf('api').upsert(facts('b'));
  await until(() => place.held().size === 2 && told());
  turning.add('api');
  web.upsert(facts('a', 'changed'));
  await until(() => place.held().get('web/a') === 'changed');
  t.notOk(told());
  turning.clear();
  await until(told);
  await binding.close();
});

t.test('the interval asks one question, and a difference is mended', async (t) => {
  const { rowsOf, place, binding, equal } = setUp({ intervalMs: 500 });
  const web = rowsOf('web');
  for (const uid of ['a', 'b']) web.upsert(facts(uid));
  await until(() => place.checks >= 1);
  t.equal(place.writes.length, 1, 'an unchanged inventory is not written again');
  place.rows.clear();
  await until(() => place.rows.size === 2 && equal());
  t.equal(place.writes.length, 2);
  await binding.close();
});

t.test('what is due and cannot be done is looked at again after a while', async (t) => {
  let runs = 0;
  const timer = new PassTimer({ run: async () => void runs++, dueAt: () => 1 });
  const began = performance.now();
  timer.arm();
  await until(() => runs === 4);
  t.ok(performance.now() - began > 200, 'not at once');
  timer.want(0);
  await until(() => runs > 4);
  await timer.close();
});

t.test('what compares everything waits with its like at the queue of a sink, whatever was exported before', async (t) => {
  const { rowsOf, queue, place, binding, synced, sync, equal } = setUp();
  const modes: string[] = [];
  const pass = queue.pass.bind(queue);
  queue.pass = (request, work) => {
    modes.push(request.mode);
    return pass(request, work);
  };
  const jobs = rowsOf('jobs');
  const web = rowsOf('web');
  for (const rows of [web, jobs]) rows.upsert(facts('a'));
  await until(() => place.rows.size === 1 && binding.state.phase === 'Exported');
  web.upsert(facts('b'));
  await until(() => place.rows.size === 2);
  sync('jobs');
  await until(equal);
  t.strictSame(modes, ['full', 'delta', 'full']);

  // What it was let in for grew while it waited.
  rowsOf('core').upsert(facts('c'));
  queue.pass = async (request, work) => {
    modes.push(request.mode);
    if (request.mode === 'delta') synced.add('core');
    await pass(request, work);
  };
  web.upsert(facts('d'));
  await until(equal);
  t.strictSame(modes.slice(-2), ['delta', 'full']);
  t.match(place.writes.at(-1), { mode: 'reconcile', upserts: 2 });
  await binding.close();
});

t.test('that a destination is back is known before everything is compared with it', async (t) => {
  const place = new MemoryPlace();
  const sink = new MemorySink(place, { installation: 'ours' });
  const queue = new SinkGate(2);
  const long = Promise.withResolvers<void>();
  let isDown = true;
  let isWriting = false;
  const write = sink.write.bind(sink);
  sink.write = async (...change) => {
    if (isDown) throw new KollectError('KOL_SINK_UNAVAILABLE', 'down', { retryAfterMs: 5 });
    isWriting = true;
    await long.promise;
    return await write(...change);
  };
  const { rowsOf, binding } = setUp({ open: async () => ({ sink, ...memory, fingerprint: 'here', queue }) });
  rowsOf('web').upsert(facts('a'));
  await until(() => binding.state.phase === 'Failed');
  isDown = false;
  await until(() => isWriting);
  await queue.pass({ inventory: 'other', binding: 'other', mode: 'delta', signal: AbortSignal.timeout(20_000) }, async () => true);
  t.equal(place.rows.size, 0, 'a change of somebody else did not wait for it');
  long.resolve();
  await until(() => place.rows.size === 1);
  await binding.close();
});

t.test('another destination behind the same sink is filled from the beginning', async (t) => {
  const queue = new SinkGate(2);
  let fingerprint = 'here';
  const first = new MemorySink(new MemoryPlace());
  const other = new MemorySink(new MemoryPlace());
  const { rowsOf, binding } = setUp({
    open: async () => ({ sink: fingerprint === 'here' ? first : other, ...memory, fingerprint, queue }),
  });
  rowsOf('web').upsert(facts('a'));
  await until(() => first.place.writes.length === 1);
  fingerprint = 'there';
  binding.reopen();
  await until(() => other.place.rows.size === 1);
  t.equal(first.place.rows.size, 1, 'what was written elsewhere stays there');
  await binding.close();
});

t.test('a sink that was edited does not wait for its former destination', async (t) => {
  const former = new SinkGate(2);
  const unreachable = new MemorySink(new MemoryPlace());
  unreachable.write = () => Promise.reject(new KollectError('KOL_SINK_UNAVAILABLE', 'down', { retryAfterMs: 3_600_000 }));
  const other = new MemorySink(new MemoryPlace());
  let open = async () => ({ sink: unreachable, ...memory, fingerprint: 'here', queue: former });
  const { rowsOf, binding } = setUp({ open: () => open() });
  rowsOf('web').upsert(facts('a'));
  await until(() => binding.state.phase === 'Failed');
  let others = 0;
  const waiting = former.pass({ inventory: 'other', binding: 'other', mode: 'delta', signal: new AbortController().signal }, async () => ++others > 0);
  const queue = new SinkGate(2);
  open = async () => ({ sink: other, ...memory, fingerprint: 'there', queue });
  binding.reopen();
  await until(() => other.place.rows.size === 1 && binding.state.phase === 'Exported');
  await binding.close();
  t.equal(others, 0, 'and those who write to that one still do');
  former.release('other');
  await waiting;
});

t.test('a sink that is edited while a retry opens it is followed', async (t) => {
  const queue = new SinkGate(2);
  const former = new MemorySink(new MemoryPlace());
  const write = former.write.bind(former);
  former.write = () => Promise.reject(new KollectError('KOL_SINK_AUTH', 'refused', { retryAfterMs: 10 }));
  const other = new MemorySink(new MemoryPlace());
  const opening = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  let opens = 0;
  let there = { sink: former, fingerprint: 'here' };
  const open = async () => {
    const found = { ...memory, ...there, queue };
    if (++opens === 2) {
      opening.resolve();
      await opened.promise;
    }
    return found;
  };
  const { rowsOf, binding } = setUp({ open });
  rowsOf('web').upsert(facts('a'));
  await opening.promise;
  former.write = write;
  there = { sink: other, fingerprint: 'there' };
  binding.reopen();
  opened.resolve();
  await until(() => other.place.rows.size === 1 && binding.state.phase === 'Exported');
  t.equal(binding.state.fingerprint, 'there');
  t.equal(former.place.rows.size, 0);
  await binding.close();
});

t.test('an edited Secret that leads to another destination is followed when it is next read', async (t) => {
  const former = new SinkGate(2);
  const refused = new MemorySink(new MemoryPlace());
  refused.write = () => Promise.reject(new KollectError('KOL_SINK_AUTH', 'refused', { retryAfterMs: 10 }));
  const other = new MemorySink(new MemoryPlace());
  const queue = new SinkGate(1);
  let moved = false;
  const { rowsOf, binding } = setUp({
    open: async () => (moved ? { sink: other, ...memory, fingerprint: 'there', queue } : { sink: refused, ...memory, fingerprint: 'here', queue: former }),
  });
  rowsOf('web').upsert(facts('a'));
  await until(() => binding.state.phase === 'Failed');
  const held = Promise.withResolvers<boolean>();
  const busy = queue.pass({ inventory: 'other', binding: 'other', mode: 'full', signal: new AbortController().signal }, () => held.promise);
  moved = true;
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(other.place.rows.size, 0, 'it takes its turn there');
  held.resolve(true);
  await busy;
  await until(() => other.place.rows.size === 1);
  await binding.close();
});

t.test('a comparison that is asked for while a pass runs is done after it, and loses no change', async (t) => {
  const { rowsOf, sink, place, binding, equal } = setUp();
  const web = rowsOf('web');
  web.upsert(facts('a'));
  await until(() => place.writes.length === 1);
  const gate = Promise.withResolvers<void>();
  const write = sink.write.bind(sink);
  sink.write = async (change, signal) => {
    sink.write = write;
    const result = await write(change, signal);
    await gate.promise;
    return result;
  };
  web.upsert(facts('b'));
  await until(() => place.rows.size === 2);
  binding.reopen();
  web.upsert(facts('c'));
  gate.resolve();
  await until(() => place.writes.length >= 3 && equal());
  t.equal(place.writes.at(-1)?.mode, 'reconcile');
  web.upsert(facts('d'));
  await until(() => equal());
  t.equal(place.rows.size, 4);
  await binding.close();
});

t.test('a sink that is not there yet is found later', async (t) => {
  const queue = new SinkGate(2);
  let exists = false;
  const place = new MemoryPlace();
  const sink = new MemorySink(place, { installation: 'ours' });
  const { rowsOf, binding } = setUp({
    open: async () => {
      if (!exists) throw new KollectError('KOL_SINK_NOT_FOUND', 'no sink', { retryAfterMs: 10 });
      return { sink, ...memory, fingerprint: 'here', queue };
    },
  });
  rowsOf('web').upsert(facts('a'));
  await until(() => binding.state.error?.code === 'KOL_SINK_NOT_FOUND');
  exists = true;
  await until(() => place.rows.size === 1);
  t.equal(binding.state.error, undefined);
  await binding.close();
});

t.test('the rows of a target that is made anew wait until all of them are', async (t) => {
  const { rowsOf, place, binding, turning, equal } = setUp();
  const web = rowsOf('web');
  for (const uid of ['a', 'b', 'c']) web.upsert(facts(uid));
  await until(() => place.writes.length === 1);

  turning.add('web');
  web.upsert(facts('a', 'made anew'));
  // As long as three passes would take.
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(place.writes.length, 1);
  for (const uid of ['b', 'c']) web.upsert(facts(uid, 'made anew'));
  turning.clear();
  await until(() => equal());
  t.strictSame(place.writes.slice(1), [{ mode: 'delta', upserts: 3, deletes: 0 }], 'all of them at once, and without being told');
  await binding.close();
});

t.test('by a view that is turning nothing is exported or compared', async (t) => {
  const { rowsOf, view, place, binding, equal } = setUp({ verifyIntervalMs: 10 });
  const web = rowsOf('web');
  web.upsert(facts('a'));
  await until(() => place.questions.length > 0);
  view.turn();
  web.upsert(facts('b'));
  await new Promise((resolve) => setTimeout(resolve, 50));
  const { length } = place.questions;
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(place.writes.length, 1);
  t.equal(place.questions.length, length);
  view.turned();
  await until(() => equal() && place.questions.length > length);
  await binding.close();
});

t.test('a row that was refused is sent again when its content is another, or all are asked for, and keeps what is there of it', async (t) => {
  const { rowsOf, place, binding } = setUp({ intervalMs: 100 });
  const web = rowsOf('web');
  for (const uid of ['a', 'b', 'c']) web.upsert(facts(uid));
  await until(() => place.writes.length === 1);
  place.poison = 'poison';
  web.upsert(facts('b', 'poison 1'));
  await until(() => binding.state.rejected.length === 1);
  t.match(binding.state.rejected, [{ key: { targetName: 'web', uid: 'b' }, code: 'poison' }]);
  const told = () => place.states.values().some(({ digest }) => digest !== undefined);
  t.notOk(told());

  place.put({ namespace: 'shop', name: 'inventory', cluster: '', generation: 1 }, { ...facts('phantom'), targetName: 'web', targetNamespace: 'shop', hash: '' });
  await until(() => place.rows.size === 3);
  t.equal(place.held().get('web/b'), 'b', 'a comparison deletes the phantom alone');
  t.match(place.writes.at(-1), { mode: 'reconcile', upserts: 2 }, 'and does not try again');
  t.equal(binding.state.rejected.length, 1);

  web.upsert(facts('b', 'poison 2'));
  await until(() => place.writes.at(-1)?.mode === 'delta');
  t.match(place.writes.at(-1), { mode: 'delta', upserts: 1 });
  place.poison = undefined;
  binding.reopen();
  await until(() => binding.state.rejected.length === 0);
  t.equal(place.held().get('web/b'), 'poison 2');
  t.ok(told());

  place.poison = 'poison';
  web.upsert(facts('c', 'poison'));
  await until(() => binding.state.rejected.length === 1);
  web.remove('shop', 'c');
  await until(() => place.rows.size === 2);
  t.equal(binding.state.rejected.length, 0);
  await binding.close();
});

t.test('what a former leader may have written late is found by comparing once more, where the destination does not refuse it', async (t) => {
  for (const refusesLateWrites of [false, true]) {
    const place = new MemoryPlace();
    const sink = new MemorySink(place, { installation: 'ours' });
    const { rowsOf, binding } = setUp({ open: async () => ({ sink, ...memory, refusesLateWrites, fingerprint: 'here', queue: new SinkGate(2) }) });
    const web = rowsOf('web');
    binding.compareAfterTakeover();
    web.upsert(facts('u1', 'new'));
    await until(() => binding.state.phase === 'Exported');
    const [[key] = ['']] = place.held();
    place.put({ namespace: 'shop', name: 'inventory', cluster: '', generation: 1 }, { targetName: 'web', targetNamespace: 'shop', namespace: 'shop', name: 'u1', uid: 'u1', payload: 'late', hash: '' });
    binding.compareAfterTakeover();
    web.upsert(facts('u2'));
    await until(() => place.held().size === 2 && binding.lag.rows === 0);
    t.equal(place.held().get(key), refusesLateWrites ? 'late' : 'new');
    await binding.close();
  }
});

t.test('a destination that is not connected is not known to have refused what a former leader wrote late', async (t) => {
  const place = new MemoryPlace();
  const sink = new MemorySink(place, { installation: 'ours' });
  const queue = new SinkGate(2);
  let refuses = false;
  const write = sink.write.bind(sink);
  sink.write = async (...change) => {
    if (refuses) throw new KollectError('KOL_SINK_AUTH', 'login refused', { retryAfterMs: 10 });
    return await write(...change);
  };
  const { rowsOf, binding } = setUp({ open: async () => ({ sink, ...memory, refusesLateWrites: true, fingerprint: 'here', queue }) });
  const web = rowsOf('web');
  web.upsert(facts('u1', 'new'));
  await until(() => binding.state.phase === 'Exported');
  const [[key] = ['']] = place.held();
  place.put({ namespace: 'shop', name: 'inventory', cluster: '', generation: 1 }, { targetName: 'web', targetNamespace: 'shop', namespace: 'shop', name: 'u1', uid: 'u1', payload: 'late', hash: '' });
  refuses = true;
  web.upsert(facts('u2'));
  await until(() => binding.state.phase === 'Failed');
  refuses = false;
  binding.compareAfterTakeover();
  await until(() => place.held().size === 2 && binding.lag.rows === 0);
  t.equal(place.held().get(key), 'new');
  await binding.close();
});

t.test('credentials that are others rebuild the connection, and nothing is compared', async (t) => {
  let opens = 0;
  let current = true;
  const queue = new SinkGate(2);
  const place = new MemoryPlace();
  const { rowsOf, binding } = setUp({
    open: async () => {
      opens++;
      return { sink: new MemorySink(place), ...memory, isCurrent: async () => current, fingerprint: 'here', queue };
    },
  });
  const web = rowsOf('web');
  web.upsert(facts('a'));
  await until(() => place.writes.length === 1);
  binding.reconnect();
  web.upsert(facts('b'));
  await until(() => place.writes.length === 2);
  t.equal(opens, 2);
  t.match(place.writes[1], { mode: 'delta', upserts: 1 });

  web.upsert(facts('c'));
  await until(() => place.writes.length === 3);
  t.equal(opens, 2, 'which are not read for a delta');
  current = false;
  place.script = ['lose'];
  web.upsert(facts('d'));
  await until(() => place.rows.size === 4 && binding.state.phase === 'Exported');
  t.ok(opens > 2, 'before a full pass they are read again');
  t.equal(place.closed, opens - 1);
  await binding.close();
});

t.test('what happens to a target during its first pass follows that pass', async (t) => {
  const { rowsOf, place, binding, synced, turning, equal } = setUp();
  const [web, jobs] = [rowsOf('web'), rowsOf('jobs')];
  web.upsert(facts('w'));
  for (const uid of ['j', 'k']) jobs.upsert(facts(uid));
  await until(() => place.held().size === 1 && binding.state.phase === 'Exported');
  const during = async (begin: () => void, change: () => void): Promise<void> => {
    const gate = Promise.withResolvers<void>();
    place.gate = gate.promise;
    const { waiting } = place;
    begin();
    binding.poke();
    await until(() => place.waiting > waiting);
    change();
    place.gate = undefined;
    gate.resolve();
    await until(equal);
  };
  await during(
    () => synced.add('jobs'),
    () => {
      jobs.upsert(facts('j', 'j2'));
      jobs.remove('shop', 'k');
      jobs.upsert(facts('l'));
    },
  );
  turning.add('jobs');
  web.upsert(facts('w', 'w2'));
  await until(() => place.held().get('web/w') === 'w2');
  await during(
    () => turning.delete('jobs'),
    () => jobs.upsert(facts('j', 'j3')),
  );
  t.equal(binding.lag.rows, 0);
  await binding.close();
});

t.test('a destination that is found lost while only some targets are compared gets all of them', async (t) => {
  const { rowsOf, sink, place, binding, synced, equal } = setUp();
  const [web, jobs] = [rowsOf('web'), rowsOf('jobs')];
  web.upsert(facts('w'));
  jobs.upsert(facts('j'));
  await until(() => place.held().size === 1 && binding.state.phase === 'Exported');
  place.rows.clear();
  place.states.clear();
  const check = sink.check.bind(sink);
  let lost = 0;
  sink.check = async (identity) => {
    if (place.rows.size > 0) return await check(identity);
    lost++;
    throw new KollectError('KOL_SINK_DESTINATION_LOST', 'the table is gone', { retryAfterMs: 5 });
  };
  synced.add('jobs');
  binding.poke();
  await until(equal);
  t.ok(lost > 0);
  await binding.close();
});

t.test('refused rows are tried again after an edit during the pass that refused them', async (t) => {
  const { rowsOf, place, binding, equal } = setUp();
  const web = rowsOf('web');
  const gate = Promise.withResolvers<void>();
  place.gate = gate.promise;
  place.poison = 'bad';
  for (const uid of ['a', 'b']) web.upsert(facts(uid, uid === 'a' ? 'bad' : uid));
  await until(() => place.waiting === 1);
  binding.reopen();
  place.gate = undefined;
  gate.resolve();
  await until(() => place.writes.length === 1);
  place.poison = undefined;
  await until(equal);
  t.equal(binding.state.rejected.length, 0);
  await binding.close();
});

t.test('a sink of whole documents that waits for a target does nothing meanwhile', async (t) => {
  let looks = 0;
  const place = new MemoryPlace();
  const { rowsOf, binding, synced } = setUp({
    intervalMs: 1,
    open: async () => ({ sink: new MemorySink(place), ...memory, granularity: 'document', fingerprint: 'here', queue: new SinkGate(2) }),
    onChange: () => looks++,
  });
  rowsOf('web').upsert(facts('w'));
  await until(() => place.writes.length === 1 && binding.state.phase === 'Exported');
  synced.delete('web');
  binding.reopen();
  const { checks } = place;
  await eventually(() => looks > 0, { intervalMs: 5 });
  // Longer than the interval, which counts as a second.
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  const before = looks;
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.ok(looks - before < 5, `${looks - before} looks`);
  t.equal(place.checks, checks);
  synced.add('web');
  binding.poke();
  await until(() => place.writes.length > 1);
  await binding.close();
});

t.test('a document that would lose too much stays as it is until that is allowed, and is written again when somebody else wrote it', async (t) => {
  const place = new MemoryPlace('document');
  const sink = new MemorySink(place, { installation: 'ours' });
  const names = (count: number) => Array.from({ length: count }, (_, index) => `u${index}`);
  const identity = { namespace: 'shop', name: 'inventory', cluster: '', generation: 1 };
  await sink.write(whole(names(300).map((uid) => row(uid)), { identity, after: { rows: 300, digest: 'd' } }), new AbortController().signal);
  const { store, binding } = setUp({
    intervalMs: 1_000,
    previous: { fingerprint: 'here', lastChecksum: 'd', rows: 300, lastExportTime: '2026-01-15T12:00:00.000Z' },
    open: async () => ({ sink, ...memory, granularity: 'document', fingerprint: 'here', queue: new SinkGate(2) }),
  });
  const web = store.open('shop', 'web').resource('/v1/configmap');
  for (const uid of names(10)) web.upsert(facts(uid));
  await until(() => binding.state.held !== undefined);
  t.match(binding.state, { held: { reason: 'guard', stale: 290, rows: 300 }, lastChecksum: 'd', lastExportTime: '2026-01-15T12:00:00.000Z' });
  t.equal(place.held().size, 300);
  await binding.allowDeletions();
  await until(() => binding.state.held === undefined);
  t.equal(place.held().size, 10);
  t.not(binding.state.lastChecksum, 'd');

  const { length } = place.writes;
  place.isTouched = true;
  await until(() => place.writes.length > length && !place.isTouched);
  t.equal(place.writes.at(-1)?.mode, 'reconcile');
  await binding.close();
});
