import t from 'tap';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { Row } from '../../controller/collect/row.ts';
import type { RollupSelection } from '../../controller/inventory/rollup.ts';
import { eventually } from '../servers/eventually.ts';
import { digestOf, of, startRollup, upsert } from './rollup-fixture.ts';

const everything: RollupSelection = { includes: () => true, dedupe: false };
const once: RollupSelection = { includes: () => true, dedupe: true };

t.test('rows of namespaces that are not selected are not there', async (t) => {
  const { view, rollup, pass, open } = startRollup({ includes: (namespace) => namespace === 'shop', dedupe: false });
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
  const { view, rollup, pass, rows, open } = startRollup({ includes: (namespace) => labelled.has(namespace), dedupe: false });
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
  const { view, rollup, pass, open } = startRollup({ includes: (namespace) => labelled.has(namespace), dedupe: false });
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
  const { view, rollup, pass, rows, open } = startRollup(once);
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
  const { store, view, pass, rows, open } = startRollup(once);
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
  const { store, synced, rollup, pass, rows, open } = startRollup(once);
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
  const { store, synced, rollup, pass, plan, rows } = startRollup(once, { patienceMs: 60_000, failing });
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
  const { store, synced, rollup, pass, rows } = startRollup(once, { patienceMs: 50 });
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
  const { rollup, store, synced, view } = startRollup(once, { patienceMs: 20 });
  const apps = store.open('', 'apps');
  store.open('', 'late');
  upsert(apps, 'shop', 'a');
  synced.add('apps');
  rollup.close();
  await new Promise((resolve) => setTimeout(resolve, 60));
  t.strictSame([...view.targets].filter((target) => rollup.takesPart(target)), []);
});

t.test('shards are told by name, as many as are asked for, with the digest of their rows', async (t) => {
  const { rollup, open } = startRollup(everything);
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
