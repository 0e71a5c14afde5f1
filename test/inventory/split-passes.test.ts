import { setTimeout as pause } from 'node:timers/promises';
import fc from 'fast-check';
import t from 'tap';
import { SnapshotDigest } from '../../controller/collect/digest.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { Binding } from '../../controller/inventory/binding.ts';
import type { BindingOptions } from '../../controller/inventory/binding-options.ts';
import { Rollup, type RollupSelection } from '../../controller/inventory/rollup.ts';
import { InventoryView, type ViewTarget } from '../../controller/inventory/view.ts';
import { rowName, type ExportRow, type InventoryIdentity, type SinkChange } from '../../controller/sinks/contract.ts';
import { SinkGate } from '../../controller/sinks/runtime/sink-gate.ts';
import { KollectError } from '../../shared/errors.ts';
import { createLogger } from '../../shared/log.ts';
import { eventually } from '../servers/eventually.ts';
import { MemoryPlace, MemorySink } from '../sinks/memory.ts';

// Other histories: KOLLECT_SEED=1 tap test/inventory/split-passes.test.ts
const seed = Number(process.env['KOLLECT_SEED'] ?? 22);
const histories = 400;
/** A binding that has nothing to do asks nothing; whoever waits for a question goes on after this time. */
const idleMs = 100;

const targetNames = ['apps', 'base', 'core'];
const namespaces = ['pay', 'shop'];

const target = fc.constantFrom(...targetNames);
const place = { target, namespace: fc.constantFrom(...namespaces), uid: fc.nat(2) };
const of = <K extends string>(...kinds: K[]) => fc.constantFrom(...kinds);
const step = fc.oneof(
  { weight: 14, arbitrary: fc.record({ kind: of('upsert'), ...place, payload: fc.constantFrom('v0', 'v1', 'v2', 'v3', 'poison') }) },
  { weight: 7, arbitrary: fc.record({ kind: of('remove'), ...place }) },
  { weight: 5, arbitrary: fc.record({ kind: of('sync', 'freeze', 'turn', 'close', 'dismiss', 'limit', 'list'), target }) },
  { weight: 4, arbitrary: fc.record({ kind: of('sync'), target }) },
  { weight: 3, arbitrary: fc.record({ kind: of('relabel'), namespace: fc.constantFrom(...namespaces) }) },
  { weight: 1, arbitrary: fc.record({ kind: of('select'), dedupe: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: of('reopen', 'reconnect', 'pause', 'allow', 'move', 'restart', 'lose'), target: fc.constant('') }) },
  { weight: 5, arbitrary: fc.record({ kind: of('restart', 'quiet', 'move', 'reconnect'), target: fc.constant('') }) },
  { weight: 4, arbitrary: fc.record({ kind: of('flap'), ...place }) },
  { weight: 16, arbitrary: fc.record({ kind: of('answer'), outcome: fc.constantFrom('done' as const, 'done' as const, 'done' as const, 'failed' as const) }) },
  { weight: 2, arbitrary: fc.record({ kind: of('settle') }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

type Outcome = 'done' | 'failed';
/** Waits for the outcome of what a destination was asked. */
type Ask = (signal: AbortSignal) => Promise<Outcome>;

/** A destination whose answers wait until the test gives them: what happens meanwhile happens while a pass is under way. */
class SlowSink extends MemorySink {
  readonly #ask: Ask;
  /** Rows of the last pass that was confirmed. */
  #confirmed: ReadonlyMap<string, ExportRow> | undefined;

  constructor(at: MemoryPlace, ask: Ask) {
    super(at, { installation: 'ours' });
    this.#ask = ask;
  }

  override async check(identity: InventoryIdentity, signal = new AbortController().signal) {
    await this.#answer(signal);
    return await super.check(identity);
  }

  override async differing(identity: InventoryIdentity, rows: readonly ExportRow[], signal = new AbortController().signal) {
    const differing = await super.differing(identity, rows);
    await this.#answer(signal);
    return differing;
  }

  override async write(...[change, signal]: Parameters<MemorySink['write']>) {
    await this.#answer(signal);
    const upserts = [...change.upserts].flat();
    if (change.since && this.#confirmed) checkSince(this.#confirmed, upserts, change);
    const result = await super.write({ ...change, upserts: [upserts] }, signal);
    checkTold(this.place);
    await this.#answer(signal);
    this.#confirmed = new Map(upserts.map((row) => [rowName(row), row]));
    return result;
  }

  async #answer(signal: AbortSignal): Promise<void> {
    if ((await this.#ask(signal)) === 'failed') throw new KollectError('KOL_SINK_UNAVAILABLE', 'connection lost', { retryAfterMs: 1 });
  }
}

/** With what changed since the last pass that was confirmed, there is what all rows say. */
function checkSince(confirmed: ReadonlyMap<string, ExportRow>, upserts: readonly ExportRow[], { since, keep }: SinkChange): void {
  const rows = new Map(confirmed);
  for (const key of [...since!.deletes, ...keep]) rows.delete(rowName(key));
  for (const row of since!.upserts) rows.set(rowName(row), row);
  const differs = rows.size !== upserts.length || upserts.some((row) => rows.get(rowName(row))?.hash !== row.hash);
  if (differs) throw new Error(`what changed since the last pass makes ${rows.size} rows that are not the ${upserts.length} of this one`);
}

/** What a destination was told of its rows is so. */
function checkTold({ rows, states }: MemoryPlace): void {
  const told = states.values().find(({ digest }) => digest !== undefined);
  const digest = new SnapshotDigest();
  for (const { row } of rows.values()) digest.add(row.hash);
  if (told && (told.rows !== rows.size || told.digest !== digest.toString())) throw new Error(`told of ${told.rows} rows, which are not the ${rows.size} that are there`);
}

interface Setting {
  dedupe: boolean;
  verifies: boolean;
  granularity: 'row' | 'document';
}

async function play(steps: readonly Step[], setting: Setting): Promise<void> {
  const store = new RowStore();
  const synced = new Set<string>();
  const frozen = new Set<string>();
  const turning = new Set<string>();
  const dismissed = new Set<string>();
  const labelled = new Set(['shop']);
  let { dedupe } = setting;
  const selection = (): RollupSelection => ({ includes: (namespace) => labelled.has(namespace), dedupe });
  const isListed = ({ name }: ViewTarget) => synced.has(name) || frozen.has(name);

  let poke = () => undefined as void;
  const view = new InventoryView('', () => poke());
  const rollup = new Rollup({ view, selection: selection(), isListed, isAwaited: () => false, patienceMs: 0 });
  store.subscribe({
    row: (...change) => rollup.rowChanged(...change),
    left: (target, uid) => rollup.rowLeft(target, uid),
    opened: (target) => rollup.addTarget(target),
    closed: (target) => rollup.removeTarget(target),
  });

  const places = [new MemoryPlace(), new MemoryPlace()];
  let at = 0;
  let waiting: ((outcome: Outcome) => void) | undefined;
  let isOver = false;
  const ask: Ask = (signal) =>
    isOver
      ? Promise.resolve('done')
      : new Promise((resolve) => {
          if (signal.aborted) return resolve('failed');
          signal.addEventListener('abort', () => ((waiting = undefined), resolve('failed')), { once: true });
          if (waiting) errors.push('two passes at once');
          waiting = resolve;
        });
  const errors: string[] = [];
  let opens = 0;
  let isPaused = false;
  const begin = (previous: BindingOptions['previous']) => {
    const begun = new Binding({
      family: 'database',
      name: 'pg',
      namespace: 'shop',
      view,
      inventory: { namespace: 'shop', name: 'inventory', generation: 1 },
      isSynced: (target) => rollup.takesPart(target) && synced.has(target.name),
      frozen: (target) => (rollup.takesPart(target) && frozen.has(target.name) ? [{ group: '', kind: 'configmap', namespace: 'pay' }] : undefined),
      isTurning: ({ name }) => turning.has(name),
      open: async () => {
        const from = at;
        // It takes 0 to 15 ms, and fails now and then.
        await pause((++opens * 7) % 16);
        if (!isOver && opens % 5 === 0) throw new KollectError('KOL_SINK_AUTH', 'not now', { retryAfterMs: 1 });
        const sink = new SlowSink(places[from]!, ask);
        return { sink, type: 'memory', cluster: '', granularity: setting.granularity, refusesLateWrites: false, place: 'memory', isCurrent: async () => true, fingerprint: `${from}`, queue: gates[from]! };
      },
      intervalMs: 0,
      verifyIntervalMs: setting.verifies ? 100 : 0,
      previous,
      quietMs: 10,
      logger: createLogger({ level: 'error', format: 'text', name: 'test' }),
      observer: { passed: () => undefined, failed: (_, { code, message }) => void (code === 'KOL_INTERNAL' && errors.push(message)) },
      onChange: () => undefined,
    });
    begun.pauseDeletions(isPaused);
    return begun;
  };
  const gates = [new SinkGate(2), new SinkGate(2)];
  let binding: Binding = begin(undefined);
  poke = () => binding.poke();

  const held = () => [...places[at]!.held()].map(([key, payload]) => `${key}=${payload}`).sort().join('\n');
  const expected = () => [...view.targets].flatMap((member) => member.pieces().flat().map((row) => `${row.targetName}/${row.uid}=${row.payload}`)).sort().join('\n');
  const answer = async (outcome: Outcome) => {
    const until = performance.now() + idleMs;
    while (!waiting && performance.now() < until) await pause(5);
    waiting?.(outcome);
    waiting = undefined;
    await pause(0);
  };
  /** Nothing is in the way of anything any more. */
  const settle = async () => {
    for (const rows of store.targets()) {
      for (const row of rows.pieces().flat()) if (row.payload.includes('poison')) upsert(rows, row.namespace, row.uid, 'cured');
      rows.limits = {};
      for (const uid of rows.refusedUids().toArray()) rows.resource(resource).remove(uid.slice(0, -1), uid);
      synced.add(rows.name);
    }
    frozen.clear();
    turning.clear();
    rollup.targetsListed();
    isPaused = false;
    binding.pauseDeletions(false);
    binding.poke();
    isOver = true;
    waiting?.('done');
    waiting = undefined;
    await eventually(() => binding.state.phase === 'Exported' && binding.lag.rows === 0 && held() === expected(), { intervalMs: 5 }).catch(() => {
      throw new Error(`the destination has\n${held()}\nnot\n${expected()}\n${JSON.stringify(binding.state)}`);
    });
    checkTold(places[at]!);
    isOver = false;
  };

  const run = async (now: Step) => {
    const { kind } = now;
    if (kind === 'upsert') upsert(store.open('', now.target), now.namespace, `${now.namespace}${now.uid}`, now.payload);
    else if (kind === 'remove') store.open('', now.target).resource(resource).remove(now.namespace, `${now.namespace}${now.uid}`);
    else if (kind === 'relabel') {
      if (!labelled.delete(now.namespace)) labelled.add(now.namespace);
      rollup.namespaceChanged(now.namespace);
    } else if (kind === 'select') {
      ({ dedupe } = now);
      rollup.select(selection());
    } else if (kind === 'answer') await answer(now.outcome);
    else if (kind === 'settle') await settle();
    else if (kind === 'quiet') {
      await settle();
      // Longer than a sink has to be left in peace.
      await pause(30);
    } else if (kind === 'flap') {
      const rows = store.open('', now.target);
      const uid = `${now.namespace}${now.uid}`;
      const row = rows.get(now.namespace, uid);
      upsert(rows, now.namespace, uid, 'flap');
      if (row) upsert(rows, now.namespace, uid, JSON.parse(row.payload).value);
      else rows.resource(resource).remove(now.namespace, uid);
    } else if (kind === 'reopen') binding.reopen();
    else if (kind === 'reconnect') binding.reconnect();
    else if (kind === 'allow') void binding.allowDeletions();
    else if (kind === 'pause') binding.pauseDeletions((isPaused = !isPaused));
    else if (kind === 'lose') places[at]!.script.push('lose');
    else if (kind === 'move') {
      at = 1 - at;
      binding.reopen();
    } else if (kind === 'restart') {
      const { dirty, state } = binding;
      await binding.close();
      binding = begin({ ...state, dirty });
    } else {
      const rows = store.get('', now.target);
      if (!rows) return;
      if (kind === 'sync') {
        synced.add(now.target);
        frozen.delete(now.target);
      } else if (kind === 'freeze') {
        synced.delete(now.target);
        frozen.add(now.target);
      } else if (kind === 'turn') {
        if (!turning.delete(now.target)) turning.add(now.target);
      } else if (kind === 'close') {
        for (const set of [synced, frozen, turning, dismissed]) set.delete(now.target);
        store.close('', now.target);
      } else if (kind === 'dismiss') {
        if (dismissed.delete(now.target)) rollup.addTarget(rows);
        else {
          dismissed.add(now.target);
          rollup.removeTarget(rows);
        }
      } else if (kind === 'limit') rows.limits = rows.limits.maxRows === undefined ? { maxRows: 1 } : {};
      else {
        const listed = rows.resource(resource);
        const epoch = listed.beginList();
        for (const row of rows.rows()) if (row.namespace === 'shop') listed.confirm(row.namespace, row.uid);
        void listed.completeList(epoch);
      }
      rollup.targetsListed();
      binding.poke();
    }
  };
  try {
    for (const now of steps) await run(now);
    await settle();
  } finally {
    isOver = true;
    await binding.close();
  }
  if (errors.length > 0) throw new Error(errors.join());
}

const resource = '/v1/configmap';

function upsert(rows: TargetRows, namespace: string, uid: string, value: string): void {
  const payload = JSON.stringify({ targetName: rows.name, group: '', kind: 'configmap', namespace, value });
  rows.resource(resource).upsert({ namespace, name: uid, uid, payload, resourceVersion: '1', failures: 0 });
}

t.test('whatever happens while a pass is under way, the destination holds in the end what the view has', async (t) => {
  const setting = fc.record({ dedupe: fc.boolean(), verifies: fc.constantFrom(false, false, false, true), granularity: fc.constantFrom('row' as const, 'row' as const, 'document' as const) });
  const played = fc.sample(fc.tuple(fc.array(step, { minLength: 20, maxLength: 40, size: 'max' }), setting), { numRuns: histories, seed });
  // Side by side, for they do little but wait.
  const failures: string[] = [];
  await Promise.all(
    played.map(async ([steps, of]) => {
      await play(steps, of).catch((error: unknown) => failures.push(`${String(error)}\n${JSON.stringify(of)}\n${steps.map((one) => JSON.stringify(one)).join('\n')}`));
    }),
  );
  t.equal(failures.length, 0, failures.toSorted((a, b) => a.length - b.length)[0] ?? 'no failure');
});
