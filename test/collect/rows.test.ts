import t from 'tap';
import { createHash } from 'node:crypto';
import { SnapshotDigest } from '../../controller/collect/digest.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { objectKey } from '../../shared/kube/object-key.ts';
import { Subscription } from '../../controller/collect/subscription.ts';
import { RowStore, type Row, type TargetRows } from '../../controller/collect/row-store.ts';

const facts = (uid: string, payload: string, namespace = 'shop') => ({ namespace, name: uid, uid, payload, resourceVersion: '1', failures: 0 });

function storeWithJournal(): { store: RowStore; journal: string[] } {
  const store = new RowStore();
  const journal: string[] = [];
  store.subscribe({
    row: (target, before, after) => journal.push(`${target.name} ${before?.payload ?? '-'}>${after?.payload ?? '-'}`),
    opened: (target) => journal.push(`open ${target.name}`),
    closed: (target) => journal.push(`close ${target.name}`),
  });
  return { store, journal };
}

t.test('the digest is the sum of the hashes modulo 2^256, whatever the order', async (t) => {
  const hashes = Array.from({ length: 500 }, (_, index) => createHash('sha256').update(`row ${index}`).digest());
  let sum = 0n;
  const forward = new SnapshotDigest();
  const backward = new SnapshotDigest();
  for (const hash of hashes) {
    sum = (sum + BigInt(`0x${hash.toString('hex')}`)) % 2n ** 256n;
    forward.add(hash.toString('binary'));
  }
  for (const hash of hashes.toReversed()) backward.add(hash.toString('binary'));
  t.equal(forward.toString(), sum.toString(16).padStart(64, '0'));
  t.equal(backward.toString(), forward.toString());

  const halves = [new SnapshotDigest(), new SnapshotDigest()];
  hashes.forEach((hash, index) => halves[index % 2]!.add(hash.toString('binary')));
  halves[0]!.addAll(halves[1]!);
  t.equal(halves[0]!.toString(), forward.toString(), 'digests add up');
  for (const hash of hashes) forward.subtract(hash.toString('binary'));
  t.equal(forward.toString(), '0'.repeat(64), 'taking all away leaves nothing');
});

t.test('only real changes are told', async (t) => {
  const { store, journal } = storeWithJournal();
  const rows = store.open('shop', 'web');
  t.equal(rows.upsert(facts('a', 'one')), 'created');
  t.equal(rows.upsert(facts('a', 'one')), 'unchanged');
  t.equal(rows.upsert(facts('a', 'two')), 'updated');
  t.equal(rows.remove('shop', 'a'), true);
  t.equal(rows.remove('shop', 'a'), false);
  t.strictSame(journal, ['open web', 'web ->one', 'web one>two', 'web two>-']);
  t.equal(rows.count, 0);
  t.equal(rows.bytes, 0);
  t.equal(rows.digest.toString(), '0'.repeat(64));
});

t.test('changes that change no row are counted, lists that repeat an object are not', async (t) => {
  const store = new RowStore();
  const rows = store.open('shop', 'web');
  rows.upsert(facts('a', 'x'));
  rows.upsert(facts('a', 'x'));
  rows.upsert({ ...facts('a', 'x'), resourceVersion: '2' });
  rows.upsert({ ...facts('a', 'y'), resourceVersion: '3' });
  t.equal(store.unchanged, 1);
  store.close('shop', 'web');
  t.equal(store.unchanged, 1, 'a counter never falls');
});

t.test('a complete list sweeps what it did not confirm, and nothing else', async (t) => {
  const { store } = storeWithJournal();
  const rows = store.open('shop', 'web');
  for (const uid of ['a', 'b', 'c']) rows.upsert(facts(uid, uid));
  const list = rows.beginList();
  rows.upsert(facts('a', 'a'));
  rows.upsert(facts('d', 'd'));
  rows.remove('shop', 'c');
  t.equal(rows.completeList(list), 1, 'b was neither listed nor seen');
  t.strictSame(uids(rows), ['a', 'd']);
});

t.test('lists of single namespaces sweep these, whatever else is listed meanwhile', async (t) => {
  const { store } = storeWithJournal();
  const rows = store.open('shop', 'web');
  for (const uid of ['a', 'b']) rows.upsert(facts(uid, uid, 'north'));
  for (const uid of ['c', 'd']) rows.upsert(facts(uid, uid, 'south'));
  const north = rows.beginList();
  rows.upsert(facts('a', 'a', 'north'));
  const south = rows.beginList();
  rows.upsert(facts('c', 'c', 'south'));
  t.equal(rows.completeList(north, undefined, 'north'), 1, 'b was not listed');
  t.strictSame(uids(rows), ['a', 'c', 'd'], 'the other namespace is not touched');
  t.equal(rows.completeList(south, new Set(['d']), 'south'), 0, 'd could not be read');
  t.strictSame(uids(rows), ['a', 'c', 'd']);
});

t.test('rows with failed attributes are counted while they fail', async (t) => {
  const { store } = storeWithJournal();
  const rows = store.open('shop', 'web');
  rows.upsert({ ...facts('a', 'x'), failures: 2 });
  rows.upsert({ ...facts('b', 'x'), failures: 1 });
  t.equal(rows.failing, 2);
  rows.upsert({ ...facts('a', 'x'), failures: 0 });
  rows.remove('shop', 'b');
  t.equal(rows.failing, 0);
});

t.test('a target that is closed and opened again is another one', async (t) => {
  const { store, journal } = storeWithJournal();
  const first = store.open('shop', 'web');
  first.upsert(facts('a', 'x'));
  store.close('shop', 'web');
  t.not(store.open('shop', 'web'), first);
  t.equal(store.count, 0);
  t.strictSame(journal, ['open web', 'web ->x', 'close web', 'open web']);
});

t.test('objects that are served without a uid are kept by namespace and name', async (t) => {
  const rows = new RowStore().open('shop', 'web');
  const profile = compileProfile({ spec: { targetGVK: { group: 'metrics.k8s.io', version: 'v1beta1', kind: 'PodMetrics' }, attributes: [{ name: 'cpu', path: '$.cpu' }] } });
  const subscription = new Subscription({ rows, spec: { watchMode: 'All' }, profile, namespaced: false, namespaces: () => undefined });
  const object = (name: string, cpu: number, namespace = 'shop', uid?: string): KubeObject => ({ apiVersion: 'metrics.k8s.io/v1beta1', kind: 'PodMetrics', metadata: { namespace, name, ...(uid === undefined ? {} : { uid }) }, cpu });
  for (const metrics of [object('a', 1), object('b', 1), object('a', 1, 'pay'), object('c', 1, 'shop', 'u-c')]) subscription.apply(metrics);
  t.strictSame(uids(rows), ['pay/a', 'shop/a', 'shop/b', 'u-c']);
  subscription.apply(object('a', 2));
  t.equal(rows.count, 4, 'a change is a change');
  t.match([...rows.rows()].find(({ uid }) => uid === 'shop/a')?.payload, /"uid":"shop\/a","attributes":\{"cpu":2\}/);
  subscription.remove(object('b', 1));
  const list = rows.beginList();
  subscription.apply(object('a', 1, 'pay'));
  rows.completeList(list, new Set([objectKey(object('a', 2))]));
  t.strictSame(uids(rows), ['pay/a', 'shop/a'], 'one was listed, one exists and could not be read');
  t.equal(objectKey({ metadata: { name: 'node' } }), '/node');
});

function uids(rows: TargetRows): string[] {
  return [...rows.rows()].map((row: Row) => row.uid).sort();
}
