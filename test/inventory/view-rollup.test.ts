import fc from 'fast-check';
import t from 'tap';
import { SnapshotDigest } from '../../controller/collect/digest.ts';
import { RowStore, type TargetRows } from '../../controller/collect/row-store.ts';
import { planPass, type Cursor } from '../../controller/inventory/pass.ts';
import { Rollup, type RollupSelection } from '../../controller/inventory/rollup.ts';
import type { SelectedRows } from '../../controller/inventory/selected-rows.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import { inTurns } from '../../shared/in-turns.ts';
import { eventually } from '../servers/eventually.ts';
import { atOnce, stepByStep } from './paces.ts';
import type { Row } from '../../controller/collect/row-store.ts';

const of = (target: TargetRows) => target.resource('/v1/configmap');
const identity = { namespace: 'cluster', name: 'rollup', cluster: '', generation: 1 };
const everything: RollupSelection = { includes: () => true, dedupe: false };
const once: RollupSelection = { includes: () => true, dedupe: true };

/** A rollup over a store, and a destination that passes are applied to as a sink would. */
function setUp(selection: RollupSelection, { patienceMs = 0, failing = new Set<string>(), pace = atOnce, onFault }: { patienceMs?: number; failing?: Set<string>; pace?: typeof inTurns; onFault?: (error: unknown) => void } = {}) {
  const store = new RowStore();
  const synced = new Set<string>();
  const view = new InventoryView('', () => undefined);
  const rollup = new Rollup({ view, selection, isListed: ({ name }) => synced.has(name), isAwaited: ({ name }) => !synced.has(name) && !failing.has(name), patienceMs, pace, onFault, anewMs: 100 });
  store.subscribe({
    row: (...change) => rollup.rowChanged(...change),
    left: (target, uid) => rollup.rowLeft(target, uid),
    opened: (target) => rollup.addTarget(target),
    closed: (target) => rollup.removeTarget(target),
  });
  const held = new Map<string, Map<string, string>>();
  const of = (targetName: string) => held.get(targetName) ?? held.set(targetName, new Map()).get(targetName)!;
  let cursor: Cursor | undefined;
  const plan = () => planPass({ view, identity, cursor, granularity: 'row', mayHoldRows: true, isSynced: (target) => rollup.takesPart(target) && synced.has(target.name) });
  /** Tells what the pass was, and what it took away. */
  const pass = () => {
    const planned = plan();
    if (!planned) return undefined;
    const { change, reached } = planned;
    const written = [...change.upserts].flat();
    for (const name of change.completeTargets) of(name).clear();
    if (change.knownTargets) for (const name of held.keys()) if (!change.knownTargets.includes(name)) held.delete(name);
    for (const { targetName, uid } of change.deletes) of(targetName).delete(uid);
    for (const row of written) of(row.targetName).set(row.uid, row.payload);
    const reader = cursor?.reader ?? view.read(reached.targets);
    view.confirm(reader, planned.revision, reached.targets);
    cursor = { ...reached, reader, fingerprint: 'f', isHeld: false };
    const told = ({ targetName, uid }: { targetName: string; uid: string }) => `${targetName}/${uid}`;
    return { mode: planned.mode, upserts: written.map(told).sort(), deletes: change.deletes.map(told).sort() };
  };
  const rows = (name?: string) => [...held].flatMap(([target, rowsOf]) => (name === undefined || name === target ? [...rowsOf].map(([uid, payload]) => `${target}/${uid}=${payload}`) : [])).sort();
  const open = (name: string, uids: readonly string[], namespace = 'shop') => {
    const target = store.open('', name);
    for (const uid of uids) upsert(target, namespace, uid);
    synced.add(name);
    rollup.targetsListed();
    return target;
  };
  return { store, synced, view, rollup, plan, pass, rows, open, forgetCursor: () => (cursor = undefined) };
}

function upsert(target: TargetRows, namespace: string, uid: string, payload = uid): void {
  of(target).upsert({ namespace, name: uid, uid, payload, resourceVersion: payload, failures: 0 });
}

t.test('rows of namespaces that are not selected are not there', async (t) => {
  const { view, rollup, pass, open } = setUp({ includes: (namespace) => namespace === 'shop', dedupe: false });
  const apps = open('apps', ['a', 'b']);
  upsert(apps, 'pay', 'p');
  t.equal(view.count, 2);
  t.strictSame(pass()?.upserts, ['apps/a', 'apps/b']);
  upsert(apps, 'pay', 'p2');
  of(apps).remove('pay', 'p');
  t.equal(pass(), undefined);
  t.strictSame(rollup.shards(10).map(({ namespace, itemCount, targetCount }) => ({ namespace, itemCount, targetCount })), [{ namespace: 'shop', itemCount: 2, targetCount: 1 }]);
});

t.test('a namespace that is relabelled leaves and enters by its own rows', async (t) => {
  const labelled = new Set(['shop', 'pay']);
  const { view, rollup, pass, rows, open } = setUp({ includes: (namespace) => labelled.has(namespace), dedupe: false });
  const apps = open('apps', ['a', 'b']);
  upsert(apps, 'pay', 'p');
  pass();
  labelled.delete('pay');
  rollup.namespaceChanged('pay');
  t.strictSame(pass(), { mode: 'delta', upserts: [], deletes: ['apps/p'] });
  t.equal(view.count, 2);
  upsert(apps, 'pay', 'p', 'p2');
  upsert(apps, 'pay', 'q');
  t.equal(pass(), undefined, 'what changes out there concerns nobody');
  labelled.add('pay');
  rollup.namespaceChanged('pay');
  t.strictSame(pass(), { mode: 'delta', upserts: ['apps/p', 'apps/q'], deletes: [] });
  t.strictSame(rows(), ['apps/a=a', 'apps/b=b', 'apps/p=p2', 'apps/q=q']);
});

t.test('of objects that are left out, those of selected namespaces count', async (t) => {
  const labelled = new Set(['shop', 'pay']);
  const { view, rollup, pass, open } = setUp({ includes: (namespace) => labelled.has(namespace), dedupe: false });
  const apps = open('apps', ['a']);
  apps.limits = { maxRows: 1 };
  for (const namespace of ['shop', 'pay', 'elsewhere']) upsert(apps, namespace, `x-${namespace}`);
  const [member] = view.targets;
  t.strictSame([...member!.refusedUids()].sort(), ['x-pay', 'x-shop']);
  t.match(member!.refused, { any: true, count: 2, more: false });
  pass();
  labelled.delete('pay');
  rollup.namespaceChanged('pay');
  t.strictSame(pass()?.deletes, ['apps/x-pay'], 'the destination may have an older row of it');
  of(apps).remove('shop', 'x-shop');
  t.strictSame(pass()?.deletes, ['apps/x-shop']);
});

t.test('of several rows of an object the last target by name has the one that stands', async (t) => {
  const { view, rollup, pass, rows, open } = setUp(once);
  const first = open('apps', ['a', 'b']);
  pass();
  const second = open('base', ['b', 'c']);
  t.strictSame(pass(), { mode: 'reconcile', upserts: ['base/b', 'base/c'], deletes: ['apps/b'] });
  t.equal(view.count, 3);
  upsert(first, 'shop', 'b', 'b2');
  t.equal(pass(), undefined, 'the row behind may change');
  of(second).remove('shop', 'b');
  t.strictSame(pass(), { mode: 'delta', upserts: ['apps/b'], deletes: ['base/b'] });
  t.strictSame(rows(), ['apps/a=a', 'apps/b=b2', 'base/c=c']);
  upsert(second, 'shop', 'b', 'b3');
  t.strictSame(pass(), { mode: 'delta', upserts: ['base/b'], deletes: ['apps/b'] });
  t.equal(rollup.shards(1)[0]?.itemCount, 3);
});

t.test('rows that stood behind come back with the end of the target in front', async (t) => {
  const { store, view, pass, rows, open } = setUp(once);
  open('apps', ['a', 'b']);
  open('base', ['b', 'c']);
  open('core', ['c']);
  pass();
  store.close('', 'base');
  t.strictSame(pass()?.upserts, ['apps/b']);
  t.strictSame(rows(), ['apps/a=a', 'apps/b=b', 'core/c=c']);
  t.equal(view.count, 3);
});

t.test('the row of another target stays until the one in front can be exported', async (t) => {
  const { store, synced, rollup, pass, rows, open } = setUp(once);
  open('apps', ['a']);
  const base = store.open('', 'base');
  upsert(base, 'shop', 'a');
  pass();
  t.strictSame(rows(), ['apps/a=a']);
  synced.add('base');
  t.equal(pass(), undefined);
  rollup.targetsListed();
  pass();
  t.strictSame(rows(), ['base/a=a']);
});

t.test('at first targets with one row for each object begin together, and wait for none that fails', async (t) => {
  const failing = new Set<string>();
  const { store, synced, rollup, pass, plan, rows } = setUp(once, { patienceMs: 60_000, failing });
  for (const name of ['apps', 'base', 'core']) upsert(store.open('', name), 'shop', 'a');
  for (const name of ['apps', 'base']) synced.add(name);
  rollup.targetsListed();
  pass();
  t.strictSame(rows(), [], 'the destination may hold the row of the third');
  t.equal(plan(), undefined);
  failing.add('core');
  rollup.targetsListed();
  pass();
  t.strictSame(rows(), ['base/a=a']);
  upsert(store.open('', 'later'), 'shop', 'b');
  upsert(store.open('', 'apps'), 'shop', 'c');
  pass();
  t.strictSame(rows(), ['apps/c=c', 'base/a=a'], 'nobody waits for one that comes later');
});

t.test('targets do not wait for each other for ever', async (t) => {
  const { store, synced, rollup, pass, rows } = setUp(once, { patienceMs: 50 });
  for (const name of ['apps', 'base']) upsert(store.open('', name), 'shop', 'a');
  synced.add('apps');
  rollup.targetsListed();
  await eventually(() => {
    pass();
    return rows().length === 1;
  });
  t.strictSame(rows(), ['apps/a=a']);
});

t.test('a rollup that is closed takes nobody in when the waiting would have ended', async (t) => {
  const { rollup, store, synced, view } = setUp(once, { patienceMs: 20 });
  const apps = store.open('', 'apps');
  store.open('', 'late');
  upsert(apps, 'shop', 'a');
  synced.add('apps');
  rollup.close();
  await new Promise((resolve) => setTimeout(resolve, 60));
  t.strictSame([...view.targets].filter((target) => rollup.takesPart(target)), []);
});

t.test('what moves many rows gives everybody else a turn, and nothing is exported meanwhile', async (t) => {
  const labelled = new Set(['pay', 'shop']);
  let steps = 0;
  const pace: typeof inTurns = async (items, work, ended) => await inTurns(items, (item) => (steps++, work(item)), ended);
  const { view, rollup, plan, pass, rows, open } = setUp({ includes: (namespace) => labelled.has(namespace), dedupe: true }, { pace });
  const uids = Array.from({ length: 20_000 }, (_, index) => `${index}`);
  open('apps', uids);
  const base = open('base', uids, 'shop');
  upsert(base, 'pay', 'p');
  const turned = async () => {
    let turns = 0;
    for (; view.isTurning; turns++) await new Promise((resolve) => setImmediate(resolve));
    return turns;
  };
  await turned();
  pass();
  t.equal(rows().length, 20_001);
  for (const count of [1, 20_001]) {
    if (!labelled.delete('shop')) labelled.add('shop');
    steps = 0;
    rollup.namespaceChanged('shop');
    t.ok(steps < 40_000, 'there is more to do than fits into a turn');
    t.equal(plan(), undefined);
    t.ok((await turned()) > 1);
    t.equal(view.count, count);
    pass();
    t.equal(rows().length, count);
  }
});

t.test('what breaks off is begun anew, with all that was wanted in the meantime', async (t) => {
  const faults: string[] = [];
  let isBroken = true;
  const includes = (namespace: string) => {
    if (isBroken && namespace === 'odd') throw new Error('odd');
    return namespace !== 'pay';
  };
  const { store, view, rollup, pass, rows, open } = setUp({ includes, dedupe: true }, { pace: inTurns, onFault: (error) => faults.push(String(error)) });
  open('apps', ['a', 'b']);
  await eventually(() => !view.isTurning, { intervalMs: 5 });
  pass();
  const odd = open('core', ['c'], 'odd');
  await eventually(() => faults.length > 1, { intervalMs: 5 });
  t.strictSame([...new Set(faults)], ['Error: odd']);
  t.ok(view.isTurning);
  upsert(store.open('', 'apps'), 'shop', 'a', 'a2');
  store.open('', 'apps').resource('/v1/configmap').remove('shop', 'b');
  upsert(odd, 'shop', 'd');
  open('base', ['a', 'e'], 'shop');
  open('gone', ['g']);
  store.close('', 'gone');
  rollup.select({ includes, dedupe: false });
  isBroken = false;
  await eventually(() => !view.isTurning, { intervalMs: 5 });
  pass();
  t.strictSame(rows(), ['apps/a=a2', 'base/a=a', 'base/e=e', 'core/c=c', 'core/d=d']);
  t.equal(view.count, 5);
  rollup.close();
});

t.test('of rows that change while a namespace turns, each is what it is in the end', async (t) => {
  const labelled = new Set(['pay', 'shop']);
  const { pace, go } = stepByStep(0);
  const { store, view, rollup, plan, pass, rows, open } = setUp({ includes: (namespace) => labelled.has(namespace), dedupe: false }, { pace });
  const apps = open('apps', ['a', 'b', 'c', 'd']);
  upsert(apps, 'pay', 'p');
  upsert(store.open('', 'base'), 'shop', 'x');
  go(Infinity);
  pass();
  labelled.delete('shop');
  rollup.namespaceChanged('shop');
  go(3);
  upsert(apps, 'shop', 'a', 'a2');
  of(apps).remove('shop', 'b');
  of(apps).remove('shop', 'd');
  upsert(apps, 'shop', 'd', 'd2');
  upsert(apps, 'shop', 'e');
  upsert(apps, 'pay', 'p', 'p2');
  t.equal(view.isTurning, true);
  t.equal(plan(), undefined);
  labelled.add('shop');
  rollup.namespaceChanged('shop');
  store.close('', 'base');
  go(2);
  upsert(apps, 'shop', 'e', 'e2');
  t.equal(plan(), undefined, 'it turns back');
  go(Infinity);
  t.equal(view.isTurning, false);
  t.equal(view.count, 5);
  pass();
  t.strictSame(rows(), ['apps/a=a2', 'apps/c=c', 'apps/d=d2', 'apps/e=e2', 'apps/p=p2']);
});

t.test('shards are told by name, as many as are asked for, with the digest of their rows', async (t) => {
  const { rollup, open } = setUp(everything);
  const apps = open('apps', ['s'], 'shop');
  upsert(apps, 'pay', 'p1');
  upsert(apps, 'pay', 'p2');
  upsert(open('base', []), 'pay', 'p3');
  t.equal(rollup.shardCount, 2);
  t.strictSame(rollup.shards(1), [{ namespace: 'pay', itemCount: 3, targetCount: 2, checksum: digestOf([...rollupRows(['p1', 'p2', 'p3'])]) }]);
  of(apps).remove('shop', 's');
  t.strictSame(rollup.shards(5).map(({ namespace }) => namespace), ['pay']);
});

/** Hashes as the store makes them. */
function rollupRows(payloads: readonly string[]): Row[] {
  const target = new RowStore().open('', 'any');
  for (const payload of payloads) upsert(target, 'any', payload);
  return [...target.rows()];
}

function digestOf(rows: readonly Row[]): string {
  const digest = new SnapshotDigest();
  for (const row of rows) digest.add(row.hash);
  return digest.toString();
}

const targetNames = ['apps', 'base', 'core'];
const namespaces = ['', 'pay', 'shop'];
const uids = [0, 1, 2];
const filters = ['all', 'labelled', 'shop'] as const;

const target = fc.constantFrom(...targetNames);
const place = { target, namespace: fc.constantFrom(...namespaces), uid: fc.constantFrom(...uids) };
const step = fc.oneof(
  { weight: 12, arbitrary: fc.record({ kind: fc.constant('upsert' as const), ...place, payload: fc.nat(3) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('remove' as const), ...place }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sync' as const), target }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('close' as const, 'dismiss' as const), target }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('relabel' as const), namespace: fc.constantFrom(...namespaces) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('select' as const), filter: fc.constantFrom(...filters), dedupe: fc.boolean() }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('pass' as const) }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('go' as const), steps: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const) }) },
);

t.test('whatever happens, passes lead to what a look at everything finds', async (t) => {
  fc.assert(
    fc.property(fc.constantFrom(...filters), fc.boolean(), fc.constantFrom(0, 2, Infinity), fc.array(step, { minLength: 40, maxLength: 80, size: 'max' }), (firstFilter, firstDedupe, freely, steps) => {
      const labelled = new Set(['shop']);
      let filter = firstFilter;
      let dedupe = firstDedupe;
      const selection = (): RollupSelection => {
        const by = filter;
        return { includes: (namespace) => by === 'all' || (by === 'shop' ? namespace === 'shop' : labelled.has(namespace)), dedupe };
      };
      const { pace, go } = stepByStep(freely);
      const { store, synced, view, rollup, plan, pass, rows, forgetCursor } = setUp(selection(), { pace });
      const dismissed = new Set<string>();

      /** What the rollup has to have, by target, without any of its own means. */
      const members = () => [...store.targets()].filter(({ name }) => !dismissed.has(name) && (!dedupe || synced.has(name))).sort((a, b) => (a.name < b.name ? -1 : 1));
      const model = () => {
        const standing = new Map<string, Row>();
        for (const member of members()) {
          for (const row of member.rows()) if (selection().includes(row.namespace)) standing.set(dedupe ? row.uid : `${row.targetName}/${row.uid}`, row);
        }
        return [...standing.values()];
      };
      const check = () => {
        if (view.isTurning) return;
        const expected = model();
        const text = (all: readonly Row[]) => all.map((row) => `${row.targetName}/${row.uid}=${row.payload}`).sort().join();
        if (view.count !== expected.length) throw new Error(`counts ${view.count} of ${expected.length}`);
        if (text([...view.targets].flatMap((member) => member.pieces().flat())) !== text(expected)) throw new Error('the pieces are others');
        for (const member of view.targets) {
          if (member.digest.toString() !== digestOf(expected.filter(({ targetName }) => targetName === member.name))) throw new Error(`digest of ${member.name}`);
        }
        const selected = members().flatMap((member) => [...member.rows()].filter(({ namespace }) => selection().includes(namespace)));
        const behind = [...view.targets].reduce((sum, member) => sum + (member as SelectedRows).behind.size, 0);
        if (behind !== selected.length - expected.length) throw new Error(`${behind} rows stand behind`);
        const shards = namespaces.flatMap((namespace) => {
          const inside = expected.filter((row) => row.namespace === namespace);
          return inside.length === 0 ? [] : [{ namespace, itemCount: inside.length, targetCount: new Set(inside.map((row) => row.targetName)).size, checksum: digestOf(inside) }];
        });
        if (JSON.stringify(rollup.shards(10)) !== JSON.stringify(shards) || rollup.shardCount !== shards.length) throw new Error(`shards ${JSON.stringify(rollup.shards(10))}`);
      };
      const checkPass = () => {
        if (pass() && view.isTurning) throw new Error('a pass by a view that is turning');
        if (view.isTurning) return;
        if (plan() !== undefined) throw new Error('a pass after a pass');
        const expected = model();
        for (const name of synced) {
          if (dismissed.has(name) || !store.get('', name)) continue;
          const wanted = expected.filter(({ targetName }) => targetName === name).map((row) => `${name}/${row.uid}=${row.payload}`).sort().join();
          if (rows(name).join() !== wanted) throw new Error(`${name}: the destination has ${rows(name).join()}, not ${wanted}`);
        }
      };

      for (const now of steps) {
        if (now.kind === 'upsert') upsert(store.open('', now.target), now.namespace, `${now.namespace}${now.uid}`, `v${now.payload}`);
        else if (now.kind === 'remove') of(store.open('', now.target)).remove(now.namespace, `${now.namespace}${now.uid}`);
        else if (now.kind === 'sync') {
          if (!store.get('', now.target)) continue;
          synced.add(now.target);
          rollup.targetsListed();
        } else if (now.kind === 'close') {
          synced.delete(now.target);
          dismissed.delete(now.target);
          store.close('', now.target);
        } else if (now.kind === 'dismiss') {
          // A target whose labels do not match any more, or match again.
          const rowsOf = store.get('', now.target);
          if (!rowsOf) continue;
          if (dismissed.delete(now.target)) rollup.addTarget(rowsOf);
          else {
            dismissed.add(now.target);
            rollup.removeTarget(rowsOf);
          }
        } else if (now.kind === 'relabel') {
          if (!labelled.delete(now.namespace)) labelled.add(now.namespace);
          rollup.namespaceChanged(now.namespace);
        } else if (now.kind === 'select') {
          ({ filter, dedupe } = now);
          rollup.select(selection());
        } else if (now.kind === 'go') go(now.steps);
        else if (now.kind === 'restart') forgetCursor();
        else checkPass();
        check();
      }
      for (const { name } of store.targets()) synced.add(name);
      rollup.targetsListed();
      go(Infinity);
      if (view.isTurning) throw new Error('it turns for ever');
      checkPass();
      check();
      const everywhere = model().map((row) => `${row.targetName}/${row.uid}=${row.payload}`).sort().join();
      if (rows().join() !== everywhere) throw new Error(`the destination has ${rows().join()}, not ${everywhere}`);
    }),
    { numRuns: Number(process.env['KOLLECT_FUZZ_RUNS'] ?? 300), seed: Number(process.env['KOLLECT_FUZZ_SEED'] ?? 20_260_101) },
  );
  t.pass();
});
