import t from 'tap';
import type { OpenSink } from '../../controller/inventory/sink-connection.ts';
import type { Binding } from '../../controller/inventory/binding.ts';
import { exportedSink, ownFingerprint, removingEntry } from '../../controller/inventory/cleanup.ts';
import { inventoryStatus } from '../../controller/inventory/inventory-status.ts';
import { Removal, type RemovalOptions } from '../../controller/inventory/removal.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import { KollectError, type ErrorCode } from '../../shared/errors.ts';
import { createLogger } from '../../shared/log.ts';
import { eventually } from '../servers/eventually.ts';
import { change, identity, rows, signal } from '../sinks/conformance.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';

const until = (holds: () => boolean): Promise<unknown> => eventually(holds, { intervalMs: 5 });

interface State {
  /** Of opening the sink. */
  error?: KollectError | undefined;
  /** Of removing from it. */
  fault?: KollectError | undefined;
  isRemembered?: boolean;
}

/** A removal from a sink that holds one row. */
async function setUp(state: State = {}, options: Partial<RemovalOptions> = {}, queue = new SinkGate(1)) {
  const place = new MemoryPlace();
  const sink = new MemorySink(place);
  await sink.write(change(rows(1)), signal);
  let attempts = 0;
  let opens = 0;
  const remove = sink.remove.bind(sink);
  sink.remove = async (...args) => {
    attempts++;
    if (state.fault) throw state.fault;
    return await remove(...args);
  };
  const opened: OpenSink = {
    sink,
    type: 'memory',
    cluster: '',
    granularity: 'row',
    refusesLateWrites: false,
    fingerprint: 'here',
    place: 'memory',
    queue,
    isCurrent: async () => true,
  };
  const deleted: boolean[] = [];
  const removal: Removal = new Removal({
    sink: exportedSink({ name: 'database/pg', namespace: 'shop', fingerprint: 'here' }),
    isPaused: false,
    inventory: identity(),
    directory: {
      intervalOf: () => undefined,
      obstacle: () => undefined,
      onChange: () => undefined,
      open: async () => {
        opens++;
        if (state.error) throw state.error;
        return opened;
      },
      openFormer: async () => (state.isRemembered ? opened : undefined),
    },
    kept: async () => new Set(),
    logger: createLogger({ level: 'error', format: 'text', name: 'test' }),
    onFailure: () => undefined,
    onDone: () => deleted.push(removal.hasDeleted),
    ...options,
  });
  return { removal, place, queue, deleted, attempts: () => attempts, opens: () => opens };
}

/** One that is repeated at once, or not in this test. */
const fault = (code: ErrorCode, retryAfterMs: number): KollectError => new KollectError(code, code, { retryAfterMs });
const never = 3_600_000;

t.test('it waits for its turn, succeeds once, and holds nobody up afterwards', async (t) => {
  const release = Promise.withResolvers<boolean>();
  const queue = new SinkGate(1);
  const other = queue.pass({ inventory: 'other', binding: 'other', mode: 'delta', signal }, () => release.promise);
  const { place, deleted, attempts, opens } = await setUp({}, {}, queue);
  await until(() => opens() === 1);
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.equal(attempts(), 0);
  release.resolve(true);
  await other;
  await until(() => deleted.length > 0);
  t.strictSame(deleted, [true]);
  t.equal(place.rows.size, 0);
  t.ok(queue.isIdle);
});

t.test('a failure of the destination holds it back at the queue, and is repeated', async (t) => {
  const state: State = { fault: fault('KOL_SINK_AUTH', 20) };
  const { removal, deleted, attempts, queue } = await setUp(state);
  await until(() => attempts() >= 3);
  t.match(removal.error, { code: 'KOL_SINK_AUTH' });
  t.notOk(queue.isIdle);
  state.fault = undefined;
  await until(() => deleted.length > 0);
  t.ok(queue.isIdle);
});

t.test('a sink that cannot be opened is none of the queue’s business', async (t) => {
  const state: State = { error: fault('KOL_SINK_CONFIG', 20) };
  const { removal, deleted, queue, opens } = await setUp(state);
  await until(() => opens() >= 3);
  t.match(removal.error, { code: 'KOL_SINK_CONFIG' });
  t.ok(queue.isIdle);
  state.error = undefined;
  await until(() => deleted.length > 0);
});

t.test('rows stay while it cannot be told whether another reference writes there, and if one does', async (t) => {
  let kept: Promise<Set<string>> = Promise.reject(fault('KOL_SINK_UNAVAILABLE', 20));
  kept.catch(() => undefined);
  let asked = 0;
  const { removal, place, deleted, queue } = await setUp({}, { kept: () => (asked++, kept) });
  await until(() => asked >= 3);
  t.match(removal.error, { code: 'KOL_SINK_UNAVAILABLE' });
  t.ok(queue.isIdle, 'which says nothing about the destination');
  kept = Promise.resolve(new Set(['here']));
  await until(() => deleted.length > 0);
  t.strictSame(deleted, [false]);
  t.equal(place.rows.size, 1);
});

t.test('rows of a destination that nothing was exported to are not taken for its own', async (t) => {
  for (const fingerprint of [undefined, 'elsewhere']) {
    const { place, deleted, attempts } = await setUp({}, { sink: exportedSink({ name: 'database/pg', namespace: 'shop', fingerprint }) });
    await until(() => deleted.length > 0);
    t.strictSame([attempts(), deleted, place.rows.size], [1, [false], 1]);
  }
});

t.test('where rows are waiting for consent, what was exported is not all that is there', (t) => {
  const entry = { state: { fingerprint: undefined, held: undefined }, options: { previous: { fingerprint: 'former' } } } as unknown as Binding;
  t.equal(ownFingerprint(entry), 'former');
  t.equal(ownFingerprint({ ...entry, state: { ...entry.state, fingerprint: 'here' } }), 'here');
  for (const [reason, wanted] of [['guard', 'here'], ['foreign', undefined], ['paused', 'former']] as const) {
    t.equal(ownFingerprint({ ...entry, state: { ...entry.state, fingerprint: 'here', held: { reason, stale: 1, rows: 2 } } }), wanted, reason);
  }
  t.end();
});

t.test('an attempt that failed may have deleted rows that another reference wrote meanwhile', async (t) => {
  let kept = new Set<string>();
  const state: State = { fault: fault('KOL_SINK_UNAVAILABLE', 20) };
  const { deleted, attempts } = await setUp(state, { kept: async () => kept });
  await until(() => attempts() === 1);
  kept = new Set(['here']);
  await until(() => deleted.length > 0);
  t.strictSame([attempts(), deleted], [1, [true]]);
});

t.test('nothing is deleted while deletions are paused', async (t) => {
  const { removal, place, deleted, opens, attempts } = await setUp({ fault: fault('KOL_SINK_UNAVAILABLE', 20) }, { isPaused: true });
  t.ok(removal.isPaused);
  t.match(removingEntry(removal), { phase: 'Removing', fingerprint: 'here', lastError: /kollect\.dev\/pause-deletes is "true"/ });
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.strictSame([opens(), place.rows.size], [0, 1]);
  removal.pause(false);
  await until(() => attempts() > 0);
  removal.pause(true);
  await new Promise((resolve) => setTimeout(resolve, 20));
  const before = attempts();
  await new Promise((resolve) => setTimeout(resolve, 60));
  t.equal(attempts(), before, 'also not when it had begun');
  await removal.close();
  t.strictSame(deleted, []);

  const other = await setUp({}, { isPaused: true });
  other.removal.pause(false);
  await until(() => other.deleted.length > 0);
  t.equal(other.place.rows.size, 0);
});

t.test('a sink or Secret that is gone is tried as it was, once, unless that failed before', async (t) => {
  for (const code of ['KOL_SINK_NOT_FOUND', 'KOL_SINK_SECRET', 'KOL_SINK_NOT_IMPLEMENTED'] as const) {
    for (const isRemembered of [true, false]) {
      const { deleted, place, attempts } = await setUp({ error: new KollectError(code, code), isRemembered });
      await until(() => deleted.length > 0);
      t.equal(place.rows.size, isRemembered ? 0 : 1, `${code}, ${isRemembered ? '' : 'not '}remembered`);
      t.equal(attempts(), isRemembered ? 1 : 0);
    }
  }
  const broken = await setUp({ error: new KollectError('KOL_SINK_NOT_FOUND', 'gone'), fault: fault('KOL_SINK_UNAVAILABLE', never), isRemembered: true });
  await until(() => broken.deleted.length > 0);
  t.equal(broken.attempts(), 1, 'it lets go');

  const state: State = { fault: fault('KOL_SINK_UNAVAILABLE', never), isRemembered: true };
  const failed = await setUp(state);
  await until(() => failed.removal.error !== undefined);
  state.error = new KollectError('KOL_SINK_NOT_FOUND', 'gone');
  failed.removal.retry();
  await until(() => failed.deleted.length > 0);
  t.equal(failed.attempts(), 1, 'and does not try again what failed');
});

t.test('an edit of the sink ends the waiting, and closing ends all', async (t) => {
  const state: State = { fault: fault('KOL_SINK_UNAVAILABLE', never) };
  const { removal, deleted, attempts } = await setUp(state);
  await until(() => attempts() === 1 && removal.error !== undefined);
  removal.retry();
  await until(() => attempts() === 2);
  await removal.close();
  state.fault = undefined;
  t.strictSame(deleted, []);
  t.equal(attempts(), 2);
});

t.test('status has room for what is being removed, whatever else there is', (t) => {
  const entries = (count: number, phase: 'Active' | 'Removing') => Array.from({ length: count }, (_, index) => ({ name: `database/${phase}-${index}`, namespace: 'shop', phase }));
  const found = inventoryStatus(
    {
      inventory: { metadata: { name: 'inventory', namespace: 'shop', generation: 1 }, spec: { databaseSinkRefs: entries(20, 'Active').map(({ name }) => name.slice('database/'.length)) } } as unknown as KollectInventory,
      previous: { sinkExports: entries(20, 'Active') },
      view: new InventoryView('shop', () => undefined),
      problems: [],
      isEarly: false,
      rollup: undefined,
      bindings: [],
      removals: entries(60, 'Removing').map(({ name, namespace }) => ({ key: name, namespace, fingerprint: undefined, isPaused: false, error: undefined })),
      awaiting: [],
      incomplete: [],
      obstacles: new Map(),
      blocked: { reason: 'Suspended', message: '' },
      asked: undefined,
    },
    '2026-01-01T00:00:00.000Z',
  ).sinkExports;
  const lastError = 'rows are kept as long as spec.suspend is true';
  t.strictSame(found, [...entries(4, 'Active'), ...entries(60, 'Removing').map((entry) => ({ ...entry, lastError }))]);
  t.end();
});
