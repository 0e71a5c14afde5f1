import t from 'tap';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
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
  const { held } = binding.state;
  web.upsert(facts('u0', 'changed'));
  await until(() => binding.state.held !== held);
  t.match(binding.state.held, { stale: 290, rows: 300, isUntouched: true }, 'it is not counted once more with each pass');
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
