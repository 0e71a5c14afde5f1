import t from 'tap';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';
import { facts, startBinding, until } from './binding-fixture.ts';

/** A process that exports the targets `web` and `jobs` to a place, and what it says in status. */
function start(place: MemoryPlace, { keepsRecord = true, ...options }: Partial<BindingOptions> & { keepsRecord?: boolean } = {}) {
  const process = startBinding({ place, sink: new MemorySink(place, { installation: keepsRecord ? 'ours' : undefined }), quietMs: 50, ...options });
  const { binding, rowsOf, sync } = process;
  const [web, jobs] = [rowsOf('web'), rowsOf('jobs')];
  const status = () => ({ dirty: binding.dirty, ...binding.state });
  return { binding, web, jobs, sync, status };
}

/** A place that was left clean, and the status that says so. */
async function left({ keepsRecord = true } = {}) {
  const place = new MemoryPlace();
  const first = start(place, { keepsRecord });
  first.web.upsert(facts('a'));
  first.jobs.upsert(facts('b'));
  for (const name of ['web', 'jobs']) first.sync(name);
  await until(() => place.rows.size === 2 && !first.binding.dirty);
  const previous = first.status();
  await first.binding.close();
  return { place, previous, writes: place.writes.length };
}

for (const keepsRecord of [true, false]) t.test(`who finds what it collected writes nothing, and goes on from there, where ${keepsRecord ? 'a' : 'no'} record is kept`, async (t) => {
  const { place, previous, writes } = await left({ keepsRecord });
  const { binding, web, jobs, sync } = start(place, { previous, keepsRecord });
  web.upsert(facts('a'));
  sync('web');
  const { checks } = place;
  jobs.upsert(facts('b'));
  sync('jobs');
  await until(() => binding.state.phase === 'Exported');
  t.equal(place.writes.length, writes, 'it waited for both targets');
  t.equal(place.checks, checks + 1);
  t.match(binding.state, { rows: 2, lastExportTime: previous.lastExportTime, fingerprint: 'here' });
  t.equal(binding.dirty, false);
  web.upsert(facts('a', 'a2'));
  await until(() => place.writes.length > writes);
  t.match(place.writes.slice(writes), [{ mode: 'delta', upserts: 1 }]);
  await binding.close();
});

for (const isTold of [true, false]) t.test(`stale rows whose owner nobody wrote down ${isTold ? 'go when status knows them to be ours' : 'wait for consent'}`, async (t) => {
  const { place, previous } = await left();
  place.states.clear();
  const { binding, web, sync } = start(place, { previous: isTold ? previous : undefined });
  web.upsert(facts('a'));
  sync('web');
  sync('jobs');
  await until(() => binding.state.phase === 'Exported');
  t.match(binding.state.held, isTold ? undefined : { reason: 'foreign', stale: 1 });
  t.equal(place.rows.size, isTold ? 1 : 2);
  await binding.close();
});

const differences: Record<string, (found: Awaited<ReturnType<typeof left>>) => Partial<BindingOptions['previous'] & object> & { payload?: string }> = {
  'status is not clean': () => ({ dirty: true }),
  'status says nothing of it': () => ({ dirty: undefined }),
  'the rows are others': () => ({ payload: 'changed' }),
  'it was another destination': () => ({ fingerprint: 'there' }),
  'rows are missing there': ({ place }) => {
    place.rows.delete(place.rows.keys().next().value!);
    return {};
  },
  'somebody else wrote there': ({ place }) => {
    for (const state of place.states.values()) state.digest = 'other';
    return {};
  },
  'the last write there left unknown what it did': ({ place }) => {
    for (const state of place.states.values()) delete state.digest;
    return {};
  },
};
for (const [name, change] of Object.entries(differences)) {
  t.test(`everything is compared when ${name}`, async (t) => {
    const found = await left();
    const { payload = 'a', ...previous } = change(found);
    const { binding, web, jobs, sync } = start(found.place, { previous: { ...found.previous, ...previous } });
    web.upsert(facts('a', payload));
    jobs.upsert(facts('b'));
    for (const target of ['web', 'jobs']) sync(target);
    await until(() => found.place.writes.length > found.writes);
    t.equal(found.place.writes.at(-1)?.mode, 'reconcile');
    await until(() => found.place.rows.size === 2);
    await binding.close();
  });
}

for (const isListing of [true, false]) t.test(`after the first while, targets are waited for ${isListing ? 'as long as they are being listed' : 'no more when nobody lists them'}`, async (t) => {
  const { place, previous, writes } = await left();
  const { binding, web, jobs, sync } = start(place, { previous, startMs: 50, isListing: () => isListing });
  web.upsert(facts('a'));
  if (isListing) await new Promise((resolve) => setTimeout(resolve, 1_500));
  else await until(() => place.writes.length > writes);
  t.equal(binding.compared, !isListing);
  jobs.upsert(facts('b'));
  for (const name of ['web', 'jobs']) sync(name);
  await until(() => binding.state.phase === 'Exported');
  t.equal(place.writes.length === writes, isListing);
  await binding.close();
});

t.test('who waits for all of its targets has exported nothing, however often it looks at the sink', async (t) => {
  const { place, previous } = await left();
  const { binding, web } = start(place, { previous: { ...previous, dirty: true }, intervalMs: 1_000 });
  web.upsert(facts('a'));
  await until(() => binding.compared);
  const { checks } = place;
  await until(() => place.checks > checks);
  t.equal(binding.state.phase, 'Waiting');
  await binding.close();
});

t.test('status says that there is a write before it begins, and takes it back after a while', async (t) => {
  const { place, previous, writes } = await left();
  const marks: number[] = [];
  const marked = Promise.withResolvers<void>();
  const { binding, web, jobs, sync } = start(place, {
    previous,
    markDirty: async () => {
      marks.push(place.writes.length);
      await marked.promise;
    },
  });
  web.upsert(facts('a', 'a2'));
  jobs.upsert(facts('b'));
  for (const target of ['web', 'jobs']) sync(target);
  await until(() => marks.length === 1);
  t.strictSame(marks, [writes]);
  t.equal(place.writes.length, writes, 'it waits for the API server');
  t.equal(binding.dirty, true);
  marked.resolve();
  await until(() => place.writes.length > writes && !binding.dirty);
  t.equal(marks.length, 1);
  place.poison = 'poison';
  web.upsert(facts('a', 'poison'));
  await until(() => binding.state.rejected.length === 1);
  t.equal(marks.length, 2);
  // As long as it takes when everything is known.
  await new Promise((resolve) => setTimeout(resolve, 200));
  t.equal(binding.dirty, true, 'a row is refused: what is there is not what was collected');
  await binding.close();
});

t.test('a write that status cannot tell of is made where the destination tells of it, and waits elsewhere', async (t) => {
  for (const keepsRecord of [true, false]) {
    const { place, previous, writes } = await left({ keepsRecord });
    let marks = 0;
    const api = Promise.withResolvers<void>();
    const markDirty = (): Promise<void> => {
      marks++;
      return api.promise;
    };
    const { binding, web, jobs, sync } = start(place, { previous, keepsRecord, markMs: 50, markDirty });
    web.upsert(facts('a', 'a2'));
    jobs.upsert(facts('b'));
    for (const target of ['web', 'jobs']) sync(target);
    if (keepsRecord) {
      await until(() => place.writes.length > writes && !binding.dirty);
      api.resolve();
      web.upsert(facts('a', 'a3'));
      await until(() => place.writes.length > writes + 1);
      t.equal(marks, 2, 'what was said of the former write says nothing of this one');
    } else {
      await until(() => binding.state.phase === 'Failed' && marks === 2);
      t.match(binding.state.error, { code: 'KOL_STATUS_WRITE', class: 'transient' });
      t.equal(place.writes.length, writes);
      api.resolve();
      await until(() => place.writes.length > writes && binding.state.phase === 'Exported');
      t.strictSame([...place.held().values()].sort(), ['a2', 'b']);
    }
    await binding.close();
  }
});
