import t from 'tap';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
import { KollectError } from '../../shared/errors.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';
import { facts, memory, startBinding, until } from './binding-fixture.ts';

const setUp = (options: Partial<BindingOptions> = {}) => startBinding({ synced: ['web'], ...options });

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
