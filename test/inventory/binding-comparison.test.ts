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
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';
import { facts, memory, startBinding, until } from './binding-fixture.ts';

const setUp = (options: Partial<BindingOptions> = {}) => startBinding({ synced: ['web'], ...options });

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

t.test('what changes while a destination is asked whether it is back is exported, too', async (t) => {
  for (const granularity of ['row', 'document'] as const) {
    const place = new MemoryPlace(granularity);
    const sink = new MemorySink(place, { installation: 'ours' });
    const queue = new SinkGate(2);
    const [write, check] = [sink.write.bind(sink), sink.check.bind(sink)];
    let isDown = true;
    sink.write = async (...change) => {
      if (isDown) throw new KollectError('KOL_SINK_UNAVAILABLE', 'down', { retryAfterMs: 5 });
      return await write(...change);
    };
    const { rowsOf, binding } = setUp({ open: async () => ({ sink, ...memory, granularity, queue }) });
    const web = rowsOf('web');
    for (const uid of ['stays', 'changes', 'leaves']) web.upsert(facts(uid));
    await until(() => binding.state.error?.code === 'KOL_SINK_UNAVAILABLE');
    let isAsked = false;
    sink.check = async (...asked) => {
      const answer = await check(...asked);
      if (!isDown && !isAsked) {
        isAsked = true;
        web.upsert(facts('changes', 'another'));
        web.upsert(facts('comes'));
        web.remove('shop', 'leaves');
      }
      return answer;
    };
    isDown = false;
    await until(() => isAsked && binding.state.phase === 'Exported' && binding.lag.rows === 0);
    web.upsert(facts('later'));
    await until(() => place.held().has('web/later'));
    t.strictSame([...place.held()].sort(), [['web/changes', 'another'], ['web/comes', 'comes'], ['web/later', 'later'], ['web/stays', 'stays']], granularity);
    await binding.close();
  }
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
