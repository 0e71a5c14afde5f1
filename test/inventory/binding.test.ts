import t from 'tap';
import { RowStore } from '../../controller/collect/row-store.ts';
import { Binding, type BindingOptions } from '../../controller/inventory/binding.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import type { Sink, SinkChange, WriteResult } from '../../controller/sinks/contract.ts';
import { KollectError } from '../../shared/errors.ts';
import { createLogger } from '../../shared/log.ts';

const facts = (uid: string, payload = uid) => ({ namespace: 'shop', name: uid, uid, payload, resourceVersion: '1', failures: 0 });

/** A destination in memory, with a script of what goes wrong. */
class MemorySink implements Sink {
  readonly rows = new Map<string, string>();
  readonly writes: { mode: string; upserts: number; deletes: number }[] = [];
  /** Taken one a write: an error before, an error after the rows were taken, or nothing. */
  script: ('refuse' | 'cut' | 'lose' | undefined)[] = [];
  checks = 0;
  closed = 0;

  async probe() {
    return { message: 'ok' };
  }

  async check() {
    this.checks++;
    return { rows: this.rows.size };
  }

  async write(change: SinkChange): Promise<WriteResult> {
    const step = this.script.shift();
    if (step === 'refuse') throw new KollectError('KOL_SINK_UNAVAILABLE', 'refused', { retryAfterMs: 5 });
    if (step === 'lose') {
      this.rows.clear();
      throw new KollectError('KOL_SINK_DESTINATION_LOST', 'the table is gone', { retryAfterMs: 5 });
    }
    const rows = [...change.upserts].flat();
    const complete = new Set(change.completeTargets);
    const kept = new Set(rows.map((row) => `${row.targetName}/${row.uid}`));
    for (const key of this.rows.keys()) {
      const target = key.split('/')[0]!;
      const strange = change.knownTargets !== undefined && !change.knownTargets.includes(target);
      if (strange || (complete.has(target) && !kept.has(key))) this.rows.delete(key);
    }
    for (const row of rows) this.rows.set(`${row.targetName}/${row.uid}`, row.payload);
    for (const key of change.deletes) this.rows.delete(`${key.targetName}/${key.uid}`);
    if (step === 'cut') throw new KollectError('KOL_SINK_UNAVAILABLE', 'connection lost after the commit', { retryAfterMs: 5 });
    this.writes.push({ mode: complete.size > 0 ? 'reconcile' : 'delta', upserts: rows.length, deletes: change.deletes.length });
    return { written: rows.length, deleted: change.deletes.length, bytes: 0, rejected: [] };
  }

  async remove() {
    return { deleted: 0 };
  }

  async close() {
    this.closed++;
  }
}

function setUp(options: Partial<BindingOptions> = {}) {
  const store = new RowStore();
  const sink = new MemorySink();
  const view = new InventoryView('shop', () => binding.poke());
  store.subscribe({
    row: (target, before, after) => view.rowChanged(target, before, after),
    opened: (target) => view.addTarget(target),
    closed: (target) => view.removeTarget(target),
  });
  const synced = new Set(['web']);
  const binding: Binding = new Binding({
    family: 'database',
    name: 'pg',
    namespace: 'shop',
    view,
    inventory: { namespace: 'shop', name: 'inventory', generation: 1 },
    isSynced: (target) => synced.has(target.name),
    open: async () => ({ sink, type: 'memory', cluster: '', fingerprint: 'here' }),
    intervalMs: 0,
    previous: undefined,
    logger: createLogger({ level: 'error', format: 'text', name: 'test' }),
    observer: { passed: () => undefined, failed: () => undefined },
    onChange: () => undefined,
    ...options,
  });
  const equal = () => {
    const expected = [...view.targets].flatMap((target) => [...target.rows()].map((row) => `${row.targetName}/${row.uid}=${row.payload}`));
    return [...sink.rows].map(([key, payload]) => `${key}=${payload}`).sort().join() === expected.sort().join();
  };
  return { store, view, sink, binding, synced, equal };
}

async function until(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!holds()) {
    if (Date.now() > deadline) throw new Error('did not happen within 10 s');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

t.test('the first pass is complete, the next ones are deltas, and a burst is one of them', async (t) => {
  const { store, sink, binding, equal } = setUp();
  const web = store.open('shop', 'web').resource('v1/ConfigMap');
  for (let index = 0; index < 500; index++) web.upsert(facts(`u${index}`));
  await until(() => sink.writes.length === 1);
  t.strictSame(sink.writes[0], { mode: 'reconcile', upserts: 500, deletes: 0 });
  for (let index = 0; index < 100; index++) web.upsert(facts(`u${index}`, 'scaled'));
  web.remove('shop', 'u499');
  await until(() => equal());
  t.strictSame(sink.writes.slice(1), [{ mode: 'delta', upserts: 100, deletes: 1 }]);
  t.equal(binding.state.rows, 499);
  await binding.close();
  t.equal(sink.closed, 1);
});

t.test('a refused write, an unknown outcome and changes in between leave sink and view equal', async (t) => {
  const { store, sink, binding, equal } = setUp();
  const web = store.open('shop', 'web').resource('v1/ConfigMap');
  for (const uid of ['a', 'b', 'c']) web.upsert(facts(uid));
  await until(() => sink.writes.length === 1);

  sink.script = ['refuse', 'cut', 'refuse'];
  web.upsert(facts('a', 'a2'));
  web.remove('shop', 'b');
  await until(() => binding.state.phase === 'Failed');
  web.upsert(facts('b', 'back'));
  web.remove('shop', 'c');
  await until(() => binding.state.phase === 'Exported' && equal());
  t.same([...sink.rows], [['web/a', 'a2'], ['web/b', 'back']]);
  await binding.close();
});

t.test('a failed first pass is repeated as a whole', async (t) => {
  const { store, sink, binding, equal } = setUp();
  sink.script = ['refuse', 'cut'];
  const web = store.open('shop', 'web').resource('v1/ConfigMap');
  web.upsert(facts('a'));
  await until(() => binding.state.phase === 'Failed');
  web.upsert(facts('b'));
  await until(() => binding.state.phase === 'Exported' && equal());
  t.equal(sink.writes[0]?.mode, 'reconcile');
  await binding.close();
});

t.test('a destination that lost its data gets all of it again', async (t) => {
  const { store, sink, binding, equal } = setUp();
  const web = store.open('shop', 'web').resource('v1/ConfigMap');
  for (const uid of ['a', 'b']) web.upsert(facts(uid));
  await until(() => sink.writes.length === 1);
  sink.script = ['lose'];
  web.upsert(facts('c'));
  await until(() => sink.rows.size === 3 && equal());
  t.equal(sink.writes.at(-1)?.mode, 'reconcile');
  await binding.close();
});

t.test('the interval asks one question, and a difference is mended', async (t) => {
  const { store, sink, binding, equal } = setUp({ intervalMs: 500 });
  const web = store.open('shop', 'web').resource('v1/ConfigMap');
  for (const uid of ['a', 'b']) web.upsert(facts(uid));
  await until(() => sink.checks >= 1);
  t.equal(sink.writes.length, 1, 'an unchanged inventory is not written again');
  sink.rows.delete('web/a');
  await until(() => sink.rows.size === 2 && equal());
  t.equal(sink.writes.length, 2);
  await binding.close();
});

t.test('another destination behind the same sink is filled from the beginning', async (t) => {
  let fingerprint = 'here';
  const first = new MemorySink();
  const other = new MemorySink();
  const { store, binding } = setUp({
    open: async () => ({ sink: fingerprint === 'here' ? first : other, type: 'memory', cluster: '', fingerprint }),
  });
  store.open('shop', 'web').resource('v1/ConfigMap').upsert(facts('a'));
  await until(() => first.writes.length === 1);
  fingerprint = 'there';
  binding.reopen();
  await until(() => other.rows.size === 1);
  t.equal(first.rows.size, 1, 'what was written elsewhere stays there');
  await binding.close();
});

t.test('a comparison that is asked for while a pass runs is done after it, and loses no change', async (t) => {
  const { store, sink, binding, equal } = setUp();
  const web = store.open('shop', 'web').resource('v1/ConfigMap');
  web.upsert(facts('a'));
  await until(() => sink.writes.length === 1);
  const gate = Promise.withResolvers<void>();
  const write = sink.write.bind(sink);
  sink.write = async (change) => {
    sink.write = write;
    const result = await write(change);
    await gate.promise;
    return result;
  };
  web.upsert(facts('b'));
  await until(() => sink.rows.size === 2);
  binding.reopen();
  web.upsert(facts('c'));
  gate.resolve();
  await until(() => sink.writes.length >= 3 && equal());
  t.equal(sink.writes.at(-1)?.mode, 'reconcile');
  web.upsert(facts('d'));
  await until(() => equal());
  t.equal(sink.rows.size, 4);
  await binding.close();
});

t.test('a sink that is not there yet is found later', async (t) => {
  let exists = false;
  const sink = new MemorySink();
  const { store, binding } = setUp({
    open: async () => {
      if (!exists) throw new KollectError('KOL_SINK_NOT_FOUND', 'no sink', { retryAfterMs: 10 });
      return { sink, type: 'memory', cluster: '', fingerprint: 'here' };
    },
  });
  store.open('shop', 'web').resource('v1/ConfigMap').upsert(facts('a'));
  await until(() => binding.state.error?.code === 'KOL_SINK_NOT_FOUND');
  exists = true;
  await until(() => sink.rows.size === 1);
  t.equal(binding.state.error, undefined);
  await binding.close();
});
