import fc from 'fast-check';
import t from 'tap';
import type { Row } from '../../controller/collect/row.ts';
import type { RollupSelection } from '../../controller/inventory/rollup.ts';
import type { SelectedRows } from '../../controller/inventory/selected-rows.ts';
import { inTurns, SharedTurns } from '../../shared/in-turns.ts';
import { eventually } from '../servers/eventually.ts';
import { stepByStep } from './paces.ts';
import { digestOf, of, startRollup, upsert } from './rollup-fixture.ts';

t.test('what moves many rows gives everybody else a turn, and nothing is exported meanwhile', async (t) => {
  const labelled = new Set(['pay', 'shop']);
  let steps = 0;
  const pace: typeof inTurns = async (items, work, ended) => await inTurns(items, (item) => (steps++, work(item)), ended);
  const { view, rollup, plan, pass, rows, open } = startRollup({ includes: (namespace) => labelled.has(namespace), dedupe: true }, { pace });
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

t.test('what one event sets going in many rollups takes one turn between two of everybody else, and each of them has its own', async (t) => {
  let now = performance.now();
  t.capture(performance, 'now', () => now);
  const labelled = new Set(['shop']);
  const turns = new SharedTurns();
  /** A step takes a millisecond. */
  const steps: number[] = [];
  const rollups = Array.from({ length: 20 }, (_, index) => {
    const pace: typeof inTurns = (items, work, ...rest) => inTurns(items, (item) => (now++, steps.push(index), work(item)), ...rest);
    return startRollup({ includes: (namespace) => labelled.has(namespace), dedupe: false }, { pace, turns });
  });
  const everybodyElse = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const settle = async (): Promise<number> => {
    let most = 0;
    while (rollups.some(({ view }) => view.isTurning)) {
      const { length } = steps;
      await everybodyElse();
      most = Math.max(most, steps.length - length);
    }
    return most;
  };
  for (const { open } of rollups) open('apps', Array.from({ length: 12 }, (_, uid) => `${uid}`));
  await settle();
  // Nobody has had a turn lately.
  await everybodyElse();
  labelled.delete('shop');
  steps.length = 0;
  for (const { rollup } of rollups) rollup.namespaceChanged('shop');
  t.equal(steps.length, 5, 'as many as fit into one turn');
  t.equal(await settle(), 5);
  t.equal(new Set(steps.slice(0, 21 * 5)).size, rollups.length, 'the one that was first has had a second turn, and all others one');
  t.strictSame(rollups.map(({ view }) => view.count), rollups.map(() => 0));
});

t.test('what breaks off is begun anew, with all that was wanted in the meantime', async (t) => {
  const faults: string[] = [];
  let isBroken = true;
  const includes = (namespace: string) => {
    if (isBroken && namespace === 'odd') throw new Error('odd');
    return namespace !== 'pay';
  };
  const { store, view, rollup, pass, rows, open } = startRollup({ includes, dedupe: true }, { pace: inTurns, onFault: (error) => faults.push(String(error)) });
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
  const { store, view, rollup, plan, pass, rows, open } = startRollup({ includes: (namespace) => labelled.has(namespace), dedupe: false }, { pace });
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
      const { store, synced, view, rollup, plan, pass, rows, forgetCursor } = startRollup(selection(), { pace });
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
