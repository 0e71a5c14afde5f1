import t from 'tap';
import { rowsThere } from '../../controller/inventory/binding-state.ts';
import { DeletionHold } from '../../controller/inventory/deletion-hold.ts';
import { planPass } from '../../controller/inventory/pass.ts';
import type { CheckResult } from '../../controller/sinks/contract.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';
import { facts, memory, startBinding, until } from './binding-fixture.ts';

const identity = { namespace: 'shop', name: 'inventory', cluster: '', generation: 1 };

/** A process of its own that exports a target `web` to a place. */
function start(place: MemoryPlace, { intervalMs = 0, there = () => ({ place, fingerprint: 'here' }), conditions = [] as { reason: string }[] } = {}) {
  const open = async () => ({ ...memory, sink: new MemorySink(there().place), fingerprint: there().fingerprint, queue: process.queue });
  const process = startBinding({ place, intervalMs, previous: { fingerprint: 'here', conditions }, open });
  const web = process.rowsOf('web');
  const add = (from: number, to: number) => {
    for (let index = from; index < to; index++) web.upsert(facts(`u${index}`));
  };
  /** A list that names the first so many. */
  const list = async (count: number): Promise<void> => {
    const epoch = web.beginList();
    add(0, count);
    await web.completeList(epoch);
  };
  return { ...process, web, add, list, sync: () => process.sync('web') };
}

/** A process that has exported rows. */
async function exported(count: number, options?: { intervalMs?: number }) {
  const place = new MemoryPlace();
  const process = start(place, options);
  process.add(0, count);
  process.sync();
  await until(() => place.rows.size === count && process.binding.state.phase === 'Exported');
  return process;
}

t.test('a list that lacks most of the rows deletes nothing until it is allowed; changes go on', async (t) => {
  const { place, binding, web, list, add } = await exported(300);
  await list(149);
  await until(() => binding.state.held !== undefined);
  t.strictSame(binding.state.held, { reason: 'guard', stale: 151, rows: 300 });
  t.equal(place.rows.size, 300);
  web.upsert(facts('u0', 'changed'));
  web.remove('shop', 'u1');
  add(1_000, 1_001);
  await until(() => place.held().get('web/u0') === 'changed');
  t.equal(place.rows.size, 300, 'one came, one was seen to go');
  await until(() => binding.lag.rows === 0);
  t.equal(rowsThere(binding.state), 300);
  t.equal(binding.state.held?.stale, 151);
  t.notOk(place.states.values().some(({ digest }) => digest !== undefined), 'what the sink holds is not what was collected');

  await binding.allowDeletions();
  t.equal(place.rows.size, 149);
  t.equal(binding.state.held, undefined);
  t.equal(rowsThere(binding.state), 149);
  await list(20);
  await until(() => binding.state.held !== undefined);
  t.equal(place.rows.size, 150, 'it was allowed once');
  await binding.close();
});

t.test('what was seen to go, and less than half, goes at once', async (t) => {
  const { place, web, list, binding } = await exported(300);
  await list(151);
  await until(() => place.rows.size === 151);
  for (let index = 1; index < 151; index++) web.remove('shop', `u${index}`);
  await until(() => place.rows.size === 1);
  t.equal(binding.state.held, undefined);
  await binding.close();
});

t.test('so few rows may always go that a handful of objects is no reason to ask', async (t) => {
  for (const [gone, left] of [[100, 20], [101, 121]] as const) {
    const { place, list, binding } = await exported(20 + gone);
    const { length } = place.writes;
    await list(20);
    await until(() => place.writes.length > length && binding.lag.rows === 0);
    t.equal(place.rows.size, left, `of ${20 + gone} rows ${gone} are gone`);
    await binding.close();
  }
});

t.test('an edit explains whatever it removes', async (t) => {
  const { place, web, binding, store } = await exported(300);
  const epoch = web.beginList();
  web.upsert(facts('u0'));
  await web.completeList(epoch, undefined, undefined, true);
  await until(() => place.rows.size === 1);
  store.close('shop', 'web');
  await until(() => place.rows.size === 0);
  t.equal(binding.state.held, undefined);
  await binding.close();
});

t.test('after a restart nobody knows why rows are stale', async (t) => {
  const first = await exported(300);
  await first.binding.close();
  const { place } = first;
  const second = start(place, { intervalMs: 100 });
  second.add(0, 10);
  second.sync();
  await until(() => second.binding.state.held !== undefined);
  t.strictSame(second.binding.state.held, { reason: 'guard', stale: 290, rows: 300 });
  t.equal(place.rows.size, 300);
  const { length } = place.writes;
  const { checks } = place;
  await until(() => place.checks > checks);
  t.equal(place.writes.length, length, 'it is not compared again and again');
  // The list was wrong.
  await second.list(250);
  await until(() => place.rows.size === 250);
  t.equal(second.binding.state.held, undefined);
  await second.binding.close();
});

t.test('rows that come beside those that are held back do not outvote them, nor does another restart', async (t) => {
  const first = await exported(200);
  await first.binding.close();
  const { place } = first;
  const second = start(place, { intervalMs: 20 });
  second.add(1_000, 1_200);
  second.sync();
  await until(() => second.binding.state.held !== undefined);
  t.strictSame(second.binding.state.held, { reason: 'guard', stale: 200, rows: 200 });
  const { checks } = place;
  await until(() => place.checks > checks + 2);
  t.equal(place.rows.size, 400, 'each look at the destination comes to the same');
  const { length } = place.writes;
  second.binding.reopen();
  await until(() => place.writes.length > length && second.binding.lag.rows === 0);
  t.equal(place.rows.size, 400, 'so does a comparison');
  await second.binding.close();

  const third = start(place, { conditions: [{ reason: 'DeletionHeld' }] });
  third.add(1_000, 1_200);
  third.sync();
  await until(() => third.binding.state.held !== undefined);
  t.equal(third.binding.state.held?.stale, 200);
  t.equal(place.rows.size, 400);
  await third.binding.allowDeletions();
  t.equal(place.rows.size, 200);
  await third.binding.close();
});

t.test('what is held back while all targets are awaited is counted once among the rows that are there', async (t) => {
  const place = new MemoryPlace();
  for (let index = 0; index < 300; index++) place.put(identity, { ...facts(`u${index}`), targetName: 'former', targetNamespace: 'shop', hash: '' });
  const { binding, rowsOf } = startBinding({ place, previous: { fingerprint: 'here', rows: 300 } });
  rowsOf('web').upsert(facts('new'));
  for (let comparison = 0; comparison < 2; comparison++) {
    const { length } = place.writes;
    binding.reopen();
    await until(() => place.writes.length > length && binding.state.held !== undefined);
    t.match(binding.state, { phase: 'Waiting', held: { stale: 300 } });
    t.equal(rowsThere(binding.state), 300);
  }
  await binding.close();
});

t.test('while deletions are paused everything else goes on, and afterwards what was seen to go goes', async (t) => {
  const { place, web, binding, add } = await exported(300);
  binding.pauseDeletions(true);
  for (let index = 0; index < 200; index++) web.remove('shop', `u${index}`);
  add(1_000, 1_001);
  await until(() => place.rows.size === 301);
  t.match(binding.state.held, { reason: 'paused', stale: 200 });
  binding.reopen();
  const { length } = place.writes;
  await until(() => place.writes.length > length);
  t.equal(place.rows.size, 301, 'nor does a comparison delete');
  binding.pauseDeletions(false);
  await until(() => place.rows.size === 101);
  t.equal(binding.state.held, undefined);
  await binding.close();
});

t.test('a pause tells what it holds back though nothing else changes', async (t) => {
  const { place, web, binding } = await exported(3);
  binding.pauseDeletions(true);
  for (const [uid, stale] of [['u0', 1], ['u1', 2]] as const) {
    web.remove('shop', uid);
    await until(() => binding.state.held?.stale === stale);
  }
  t.match(binding.state.held, { reason: 'paused' });
  t.equal(place.rows.size, 3);
  binding.pauseDeletions(false);
  await until(() => place.rows.size === 1);
  t.equal(binding.state.held, undefined);
  await binding.close();
});

t.test('a pause that ends during a pass brings what the pass left', async (t) => {
  const { place, web, binding } = await exported(3);
  binding.pauseDeletions(true);
  const gate = Promise.withResolvers<void>();
  place.gate = gate.promise;
  web.remove('shop', 'u0');
  web.upsert(facts('new'));
  await until(() => place.waiting === 1);
  binding.pauseDeletions(false);
  place.gate = undefined;
  gate.resolve();
  await until(() => !place.held().has('web/u0') && place.held().has('web/new'));
  await until(() => binding.state.held === undefined);
  t.equal(place.rows.size, 3);
  await binding.close();
});

t.test('at another destination nothing is known of what is there', async (t) => {
  let there = { place: new MemoryPlace(), fingerprint: 'here' };
  const { binding, add, sync, synced } = start(there.place, { there: () => there });
  add(0, 3);
  sync();
  await until(() => binding.state.phase === 'Exported');
  const other = await exported(300);
  await other.binding.close();
  synced.delete('web');
  other.store.close('shop', 'web');
  there = { place: other.place, fingerprint: 'there' };
  // Rows of a target that there is not any more: nothing tells why.
  for (const [key, entry] of other.place.rows.entries().toArray()) {
    other.place.rows.delete(key);
    other.place.rows.set(key.replace('web/', 'former/'), { ...entry, row: { ...entry.row, targetName: 'former' } });
  }
  binding.reopen();
  await until(() => binding.state.held !== undefined);
  t.equal(other.place.rows.size, 300);
  await binding.close();
});

t.test('consent lasts until everything was compared, and no longer than it is given', async (t) => {
  const first = await exported(300);
  await first.binding.close();
  const { place } = first;
  const second = start(place, { intervalMs: 100 });
  second.add(0, 10);
  let used = false;
  void second.binding.allowDeletions().then(() => (used = true));
  const { length } = place.writes;
  await until(() => place.writes.length > length);
  t.notOk(used, 'its target is not listed yet');
  second.sync();
  await until(() => place.rows.size === 10);
  await until(() => used);
  second.add(10, 300);
  await until(() => place.rows.size === 300);
  await second.list(5);
  await until(() => second.binding.state.held !== undefined);
  t.equal(place.rows.size, 300);
  await second.binding.close();

  const third = await exported(300);
  third.place.script = Array.from({ length: 200 }, () => 'refuse' as const);
  await third.list(10);
  void third.binding.allowDeletions();
  await until(() => third.binding.state.phase === 'Failed');
  third.binding.withdrawDeletions();
  third.place.script = [];
  await until(() => third.binding.state.held !== undefined);
  t.equal(third.place.rows.size, 300);
  await third.binding.close();
});

t.test('consent is for one pass over what is listed, and for what was stale when it was given', async (t) => {
  const first = await exported(300);
  first.store.open('shop', 'never listed');
  await first.binding.allowDeletions();
  await first.list(10);
  await until(() => first.binding.state.held !== undefined);
  t.equal(first.place.rows.size, 300, 'it was used, though a target is awaited');
  await first.binding.close();

  for (const later of [false, true]) {
    const { place, binding, list, add } = await exported(300);
    place.script = Array.from({ length: 400 }, () => 'refuse' as const);
    if (!later) await list(10);
    void binding.allowDeletions();
    await until(() => binding.state.phase === 'Failed');
    if (later) await list(10);
    add(0, 1);
    place.script = [];
    if (later) await until(() => binding.state.held !== undefined);
    else await until(() => place.rows.size === 10);
    t.equal(place.rows.size, later ? 300 : 10);
    await binding.close();
  }
});

t.test('consent that nobody could use ends by itself', async (t) => {
  const { view, binding } = start(new MemoryPlace());
  const hold = new DeletionHold();
  const given = performance.now();
  const ended = hold.allow(view);
  const now = t.capture(performance, 'now', () => given + 3_500_000);
  hold.reviewConsent(view.targets);
  t.equal(hold.deletions, 'allowed');
  now.restore();
  t.capture(performance, 'now', () => given + 3_700_000);
  hold.reviewConsent(view.targets);
  t.equal(hold.deletions, 'guarded');
  await ended;
  await binding.close();
});

t.test('where nothing is there nothing is somebody else\'s, whoever the destination knows of', async (t) => {
  const { web, add, view, binding } = start(new MemoryPlace());
  add(0, 3);
  const plan = planPass({ view, identity, cursor: undefined, mayHoldRows: true, isSynced: () => true, granularity: 'row' })!;
  t.strictSame(plan.change.completeTargets, [web.name]);
  const limitOf = async (there: CheckResult) => {
    const sink = new MemorySink(new MemoryPlace());
    sink.check = async () => there;
    const opened = { ...memory, sink, queue: new SinkGate(1) };
    const hold = new DeletionHold();
    const judged = await hold.limit(opened, plan, view, { identity, signal: new AbortController().signal, isKnown: false, isCompared: false, isOwn: false, held: undefined, told: undefined });
    const held = hold.after(plan, { before: undefined, stale: 1, judged, isDocument: false });
    return [plan.change.staleLimit?.rows, held?.reason];
  };
  t.strictSame(await limitOf({ rows: 0, owned: false, digest: undefined }), [100, 'guard']);
  t.strictSame(await limitOf({ rows: 0, digest: undefined }), [100, 'guard']);
  t.strictSame(await limitOf({ rows: 1, owned: false, digest: undefined }), [0, 'foreign']);
  t.strictSame(await limitOf({ rows: 1, digest: undefined }), [0, 'foreign'], 'nothing says that we were there');
  t.strictSame(await limitOf({ rows: 1, owned: true, digest: undefined }), [100, 'guard']);
  await binding.close();
});
