import t from 'tap';
import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AccessReviews } from '../../controller/collect/access-reviews.ts';
import { Collector } from '../../controller/collect/collector.ts';
import { SnapshotDigest } from '../../controller/collect/digest.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { objectKey } from '../../shared/kube/object-key.ts';
import type { KubeClient } from '../../shared/kube/client.ts';
import { createLogger } from '../../shared/log.ts';
import type { CollectionSpec } from '../../controller/collect/selection.ts';
import { Subscription } from '../../controller/collect/subscription.ts';
import type { ResourceRows } from '../../controller/collect/resource-rows.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { Row } from '../../controller/collect/row.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { eventually } from '../servers/eventually.ts';

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
  const target = store.open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  t.equal(rows.upsert(facts('a', 'one')), 'created');
  t.equal(rows.upsert(facts('a', 'one')), 'unchanged');
  t.equal(rows.upsert(facts('a', 'two')), 'updated');
  t.equal(rows.remove('shop', 'a'), true);
  t.equal(rows.remove('shop', 'a'), false);
  t.strictSame(journal, ['open web', 'web ->one', 'web one>two', 'web two>-']);
  t.equal(target.count, 0);
  t.equal(target.bytes, 0);
  t.equal(target.digest.toString(), '0'.repeat(64));
});

t.test('changes that change no row are counted, lists that repeat an object are not', async (t) => {
  const store = new RowStore();
  const target = store.open('shop', 'web');
  const rows = target.resource('/v1/configmap');
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
  const target = store.open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  for (const uid of ['a', 'b', 'c']) rows.upsert(facts(uid, uid));
  const list = rows.beginList();
  rows.upsert(facts('a', 'a'));
  rows.upsert(facts('d', 'd'));
  rows.remove('shop', 'c');
  t.equal(await rows.completeList(list), 1, 'b was neither listed nor seen');
  t.strictSame(uids(target), ['a', 'd']);
});

t.test('lists of single namespaces sweep these, whatever else is listed meanwhile', async (t) => {
  const { store } = storeWithJournal();
  const target = store.open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  for (const uid of ['a', 'b']) rows.upsert(facts(uid, uid, 'north'));
  for (const uid of ['c', 'd']) rows.upsert(facts(uid, uid, 'south'));
  const north = rows.beginList();
  rows.upsert(facts('a', 'a', 'north'));
  const south = rows.beginList();
  rows.upsert(facts('c', 'c', 'south'));
  t.equal(await rows.completeList(north, undefined, 'north'), 1, 'b was not listed');
  t.strictSame(uids(target), ['a', 'c', 'd'], 'the other namespace is not touched');
  t.equal(await rows.completeList(south, new Set(['d']), 'south'), 0, 'd could not be read');
  t.strictSame(uids(target), ['a', 'c', 'd']);
});

t.test('lists of one resource say nothing of the rows of another', async (t) => {
  const { store, journal } = storeWithJournal();
  const target = store.open('shop', 'web');
  const [maps, pods] = [target.resource('/v1/configmap'), target.resource('/v1/pod')];
  t.equal(target.resource('/v1/pod'), pods);
  for (const uid of ['a', 'b']) maps.upsert(facts(uid, uid));
  for (const uid of ['c', 'd']) pods.upsert({ ...facts(uid, uid), failures: 1 });
  const list = maps.beginList();
  maps.upsert(facts('a', 'a'));
  for (let lists = 0; lists < 3; lists++) pods.beginList();
  t.equal(await maps.completeList(list), 1);
  t.strictSame(uids(target), ['a', 'c', 'd']);
  t.strictSame([target.count, target.bytes, target.failing], [3, 3, 2]);
  maps.removeNamespace('shop');
  t.strictSame([uids(target), [...maps.namespaces()], [...pods.namespaces()]], [['c', 'd'], [], ['shop']]);

  journal.length = 0;
  target.retain(new Set(['/v1/configmap']));
  t.strictSame(journal, ['web c>-', 'web d>-'], 'what is not collected any more leaves');
  t.strictSame([target.count, target.failing, target.digest.toString()], [0, 0, '0'.repeat(64)]);
  await nextTurn();
  t.not(target.resource('/v1/pod'), pods);
});

t.test('very many rows leave in turns with others, and what is seen meanwhile stays', async (t) => {
  const { store } = storeWithJournal();
  const target = store.open('shop', 'web');
  const many = 60_000;
  const uid = (index: number): string => `uid-${index}`;
  const leave: Record<string, (rows: ResourceRows) => unknown> = {
    'of a namespace': (rows) => rows.removeNamespace('shop'),
    'after a list': (rows) => rows.completeList(rows.beginList()),
    'of a resource': () => target.retain(new Set(['/v1/pod'])),
  };
  for (const [which, remove] of Object.entries(leave)) {
    const rows = target.resource('/v1/configmap');
    for (let index = 0; index < many; index++) rows.upsert(facts(uid(index), uid(index)));
    t.strictSame([target.count, target.pieces().flat().length, [...target.rows()].length], [many, many, many]);
    remove(rows);
    t.ok(target.count > 0 && target.count < many, `${which}: ${target.count} are left for later turns`);
    // The last ones are still there, the first are created again.
    for (const index of [0, many - 1]) rows.upsert(facts(uid(index), uid(index)));
    while (target.count > 2) await nextTurn();
    t.strictSame(uids(target), [uid(0), uid(many - 1)]);
    await nextTurn();
    if (which === 'of a resource') t.equal(target.resource('/v1/configmap'), rows, 'which has rows again');
    for (const index of [0, many - 1]) rows.remove('shop', uid(index));
    t.strictSame([target.count, target.bytes, target.digest.toString()], [0, 0, '0'.repeat(64)]);
  }
});

t.test('rows that leave, for whatever namespaces and however often it is said, leave in the turns of one', async (t) => {
  const { store } = storeWithJournal();
  const target = store.open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  const many = 60_000;
  for (let index = 0; index < many; index++) rows.upsert(facts(`uid-${index}`, 'x', 'north'));
  for (const namespace of ['south', 'west', 'east']) rows.upsert(facts(`in-${namespace}`, 'x', namespace));
  const all = target.count;
  rows.removeNamespace('north');
  const left = target.count;
  t.ok(left > 3 && left < all, `${left} are left for later turns`);
  rows.removeNamespace('south');
  rows.removeNamespace('north');
  target.retain(new Set());
  target.retain(new Set());
  t.equal(target.count, left, 'nothing more happens at once');
  rows.upsert(facts('uid-0', 'back', 'north'));
  rows.removeNamespace('north');
  rows.upsert(facts('stays', 'x', 'east'));
  while (target.count > 1) await nextTurn();
  t.strictSame(uids(target), ['stays']);
});

t.test('what an older list says of a row counts less than what a newer one does', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  for (const uid of ['a', 'b']) rows.upsert(facts(uid, uid));
  const older = rows.beginList();
  const newer = rows.beginList();
  rows.confirm('shop', 'a', newer);
  for (const uid of ['a', 'b']) rows.confirm('shop', uid, older);
  t.equal(await rows.completeList(newer), 1);
  t.strictSame(uids(target), ['a']);
});

t.test('an object that two resources serve is one row, that of the first by key', async (t) => {
  for (const order of [['old', 'new'], ['new', 'old']] as const) {
    const { store, journal } = storeWithJournal();
    const target = store.open('shop', 'web');
    const of = { old: target.resource('autoscaling/v1/Scaler'), new: target.resource('autoscaling/v2/Scaler') };
    of.new.upsert(facts('other', 'o'));
    for (const version of order) of[version].upsert(facts('a', version));
    t.strictSame([...target.rows()].map(({ payload }) => payload).sort(), ['o', 'old']);
    t.equal(target.count, 2);
    journal.length = 0;
    of.new.upsert({ ...facts('a', 'newer'), failures: 1 });
    of.new.upsert({ ...facts('a', 'newer'), failures: 2 });
    t.strictSame([journal, target.failing, target.bytes], [[], 0, 4], 'what stands behind is not told and not counted');
    of.old.upsert(facts('a', 'older'));
    of.old.remove('shop', 'a');
    t.strictSame([journal, target.failing, target.count], [['web old>older', 'web older>newer'], 1, 2], 'it takes the place of the row that leaves');
    of.old.upsert(facts('a', 'back'));
    t.strictSame([[...target.rows()].map(({ payload }) => payload).sort(), target.failing], [['back', 'o'], 0]);
    of.new.remove('shop', 'a');
    of.old.remove('shop', 'a');
    t.strictSame([journal.slice(2), target.count], [['web newer>back', 'web back>-'], 1]);

    of.old.upsert(facts('b', 'old'));
    of.new.upsert(facts('b', 'new'));
    target.retain(new Set(['autoscaling/v2/Scaler']));
    t.strictSame([...target.rows()].map(({ payload }) => payload).sort(), ['new', 'o']);
    t.equal(target.count, 2);
    target.clear();
    t.strictSame([target.count, target.bytes, target.digest.toString()], [0, 0, '0'.repeat(64)]);
  }
});

t.test('a kind that is collected in another version keeps its rows until they are listed', async (t) => {
  const { store, journal } = storeWithJournal();
  const target = store.open('shop', 'web');
  target.resource('autoscaling/v1/scaler').upsert(facts('a', 'old'));
  target.resource('/v1/pod').upsert(facts('p', 'pod'));
  journal.length = 0;
  target.retain(new Set(['autoscaling/v2/scaler', '/v1/pod']));
  const rows = target.resource('autoscaling/v2/scaler');
  const list = rows.beginList();
  rows.upsert(facts('a', 'new'));
  t.equal(await rows.completeList(list), 0);
  t.strictSame([journal, uids(target)], [['web old>new'], ['a', 'p']]);
});

t.test('what lists removed of a resource counts also when the target collects it no more', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/pod');
  rows.upsert(facts('a', 'pod'));
  await rows.completeList(rows.beginList());
  t.equal(target.swept, 1);
  target.retain(new Set(['/v1/configmap']));
  await eventually(() => target.keys.length === 0);
  t.equal(target.swept, 1);
});

t.test('rows with failed attributes are counted while they fail', async (t) => {
  const { store } = storeWithJournal();
  const target = store.open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  rows.upsert({ ...facts('a', 'x'), failures: 2 });
  rows.upsert({ ...facts('b', 'x'), failures: 1 });
  t.equal(target.failing, 2);
  rows.upsert({ ...facts('a', 'x'), failures: 0 });
  rows.remove('shop', 'b');
  t.equal(target.failing, 0);
});

t.test('a target that is closed and opened again is another one', async (t) => {
  const { store, journal } = storeWithJournal();
  const first = store.open('shop', 'web');
  first.resource('/v1/configmap').upsert(facts('a', 'x'));
  store.close('shop', 'web');
  t.not(store.open('shop', 'web'), first);
  t.equal(store.count, 0);
  t.strictSame(journal, ['open web', 'web ->x', 'close web', 'open web']);
});

t.test('objects that are served without a uid are kept by resource, namespace and name', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  const profile = compileProfile({ spec: { targetGVK: { group: 'metrics.k8s.io', version: 'v1beta1', kind: 'PodMetrics' }, attributes: [{ name: 'cpu', path: '$.cpu' }] } });
  const resource = { group: 'metrics.k8s.io', plural: 'pods', namespaced: false };
  const subscription = new Subscription({ rows, spec: { watchMode: 'All' }, profile, resource, namespaces: () => undefined });
  const object = (name: string, cpu: number, namespace = 'shop', uid?: string): KubeObject => ({ apiVersion: 'metrics.k8s.io/v1beta1', kind: 'PodMetrics', metadata: { namespace, name, ...(uid === undefined ? {} : { uid }) }, cpu });
  for (const metrics of [object('a', 1), object('b', 1), object('a', 1, 'pay'), object('c', 1, 'shop', 'u-c')]) subscription.apply(metrics);
  t.strictSame(uids(target), ['pods.metrics.k8s.io/pay/a', 'pods.metrics.k8s.io/shop/a', 'pods.metrics.k8s.io/shop/b', 'u-c']);
  subscription.apply(object('a', 2));
  t.equal(target.count, 4, 'a change is a change');
  t.match([...target.rows()].find(({ uid }) => uid.endsWith('/shop/a'))?.payload, /"uid":"pods.metrics.k8s.io\/shop\/a","attributes":\{"cpu":2\}/);
  subscription.remove(object('b', 1));
  const list = rows.beginList();
  subscription.apply(object('a', 1, 'pay'));
  await rows.completeList(list, new Set([objectKey(object('a', 2), resource)]));
  t.strictSame(uids(target), ['pods.metrics.k8s.io/pay/a', 'pods.metrics.k8s.io/shop/a'], 'one was listed, one exists and could not be read');
  t.equal(objectKey({ metadata: { name: 'node' } }), '/node');
  const others = new Subscription({ rows: target.resource('other.example/v1/podmetrics'), spec: { watchMode: 'All' }, profile, resource: { ...resource, group: 'other.example' }, namespaces: () => undefined });
  others.apply(object('a', 3));
  t.equal(target.count, 3, 'another kind is another object');
});

function uids(target: TargetRows): string[] {
  return [...target.rows()].map((row: Row) => row.uid).sort();
}

t.test('many targets follow a change of namespaces in turns with everybody else', async (t) => {
  const resource = { group: '', version: 'v1', kind: 'ConfigMap', plural: 'configmaps', namespaced: true, verbs: ['list', 'watch'], path: () => '/api/v1/configmaps' };
  const profile = compileProfile({ spec: { targetGVK: { group: '', version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'value', path: '$.data.value' }] } });
  const known = new Map([['shop', { name: 'shop', labels: {}, annotations: undefined }]]);
  const allowed = Promise.withResolvers<string[]>();
  let looks = 0;
  let isSlow = false;
  const list = () => {
    looks++;
    // Longer than a turn.
    for (const until = performance.now() + 20; isSlow && performance.now() < until; );
    return known.values();
  };
  const collector = new Collector({
    client: {} as KubeClient,
    reviews: { denied: () => allowed.promise } as unknown as AccessReviews,
    store: new RowStore(),
    namespaces: { get: (name) => known.get(name), list },
    logger: createLogger({ level: 'error', format: 'text', name: 'test', write: () => undefined }),
    onProgress: () => undefined,
  });
  const names = Array.from({ length: 5 }, (_, index) => `t${index}`);
  const spec: CollectionSpec = { watchMode: 'All', namespaceSelector: {} };
  for (const name of names) collector.collect('team', name, { resources: [{ key: '/v1/configmap', collect: { fingerprint: '1', spec, profile, resource } }] });
  const namespacesOf = () => names.map((name) => collector.state('team', name)?.effectiveNamespaces.join(' '));
  [looks, isSlow] = [0, true];
  known.set('bar', { name: 'bar', labels: {}, annotations: undefined });
  collector.namespacesChanged();
  t.equal(looks, 1, 'the others have their turn first');
  known.set('cafe', { name: 'cafe', labels: {}, annotations: undefined });
  collector.namespacesChanged();
  await eventually(() => looks >= 10);
  t.strictSame(namespacesOf(), names.map(() => 'shop bar cafe'), 'all know of the last change');
  t.equal(looks, 10, 'once for each');
  [looks, isSlow] = [0, false];
  known.delete('bar');
  collector.namespacesChanged();
  await eventually(() => looks >= 5);
  t.strictSame(namespacesOf(), names.map(() => 'shop cafe'));
  allowed.resolve(['list']);
  await collector.stop();
});
