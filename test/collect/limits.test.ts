import t from 'tap';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { lowestLimits } from '../../controller/collect/limits.ts';
import { memoryLevel, type MemoryLevel } from '../../controller/collect/memory-watermark.ts';
import { RefusalKeeper } from '../../controller/collect/refusal-keeper.ts';
import { RefusedObjects } from '../../controller/collect/refused-objects.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { Subscription } from '../../controller/collect/subscription.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';

const of = (target: TargetRows) => target.resource('/v1/configmap');
const facts = (uid: string, payload = uid, namespace = 'shop') => ({ namespace, name: uid, uid, payload, resourceVersion: '1', failures: 0 });

t.test('the lowest of all limits holds, each for itself', async (t) => {
  t.strictSame(lowestLimits([]), {});
  t.strictSame(lowestLimits([undefined, { maxRows: 500 }, { maxRows: 200, maxBytes: 10 }, {}]), { maxRows: 200, maxBytes: 10 });
});

t.test('at the limit of rows known objects go on and new ones are refused', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  target.limits = { maxRows: 2 };
  t.equal(rows.upsert(facts('a')), 'created');
  t.equal(rows.upsert(facts('b')), 'created');
  t.equal(target.shortage, undefined, 'a target that is full and refused nothing is complete');
  t.equal(rows.upsert(facts('c')), 'refused');
  t.equal(rows.admits('shop', 'd'), false, 'before anything is extracted');
  t.equal(rows.admits('shop', 'a'), true);
  t.equal(rows.upsert(facts('a', 'a2')), 'updated');
  t.match([target.count, target.refused.count, target.shortage, target.room], [2, 2, 'maxRows', 0]);

  target.limits = { maxRows: 1 };
  t.equal(rows.upsert(facts('b', 'b2')), 'updated', 'a limit below what is there takes nothing away');
  t.equal(target.count, 2);
});

t.test('at the limit of bytes a smaller object may still come', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  target.limits = { maxBytes: 100 };
  t.equal(rows.upsert(facts('a', 'x'.repeat(90))), 'created');
  t.equal(rows.upsert(facts('b', 'x'.repeat(11))), 'refused');
  t.equal(rows.upsert(facts('d', 'é'.repeat(6))), 'refused', 'bytes, not characters');
  t.equal(rows.upsert(facts('c', 'x'.repeat(10))), 'created');
  t.match([target.shortage, target.bytes, target.room], ['maxBytes', 100, 0]);
  target.limits = { maxBytes: 1_000 };
  t.equal(rows.upsert(facts('b', 'x'.repeat(11))), 'created');
  t.equal(rows.upsert(facts('d', 'é'.repeat(6))), 'created');
  t.equal(target.shortage, undefined);
});

t.test('a known row that would grow beyond the limit of bytes stays as it was', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  target.limits = { maxBytes: 100 };
  const put = (payload: string, resourceVersion: string) => rows.upsert({ ...facts('a', payload), resourceVersion });
  for (const uid of ['a', 'b']) rows.upsert(facts(uid, 'x'.repeat(50)));
  t.equal(rows.upsert(facts('c', 'x')), 'refused', 'nothing new comes');
  rows.remove('shop', 'c');
  t.equal(put('x'.repeat(60), '2'), 'updated', 'what is there grows a tenth beyond');
  const list = rows.beginList();
  t.equal(put('y'.repeat(61), '3'), 'refused');
  t.match(rows.get('shop', 'a'), { payload: 'x'.repeat(60), resourceVersion: '3' }, 'no older than what was seen, for whoever compares');
  t.match([target.shortage, target.refused.count, target.bytes, target.count], ['maxBytes', 1, 110, 2]);
  rows.upsert(facts('b', 'x'.repeat(50)));
  t.equal(await rows.completeList(list), 0, 'it exists');
  t.equal(put('é'.repeat(30), '4'), 'updated', 'as large as before');
  t.equal(target.shortage, undefined);
  t.equal(put('é'.repeat(31), '5'), 'refused', 'bytes, not characters');
  t.equal(put('é'.repeat(30), '6'), 'unchanged');
  t.equal(target.shortage, undefined, 'the object is what its row says again');

  target.limits = { maxBytes: 10 };
  t.equal(put('z'.repeat(50), '7'), 'updated', 'what shrinks is taken beyond any limit');
  const beta = target.resource('/v1beta1/configmap');
  t.equal(beta.upsert(facts('a', 'w'.repeat(51))), 'refused', 'what another resource says of it is measured by what is known');
  t.equal(beta.upsert(facts('a', 'w'.repeat(50))), 'created');
});

t.test('an object that is more than a row can hold is left out, or its row stays as it was, and no list is made for it', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  const attributes = Array.from({ length: 10 }, (_, index) => ({ name: `a${index}`, path: '$.data.t' }));
  const compiled = compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes } });
  const endless = { get a0(): string { throw new RangeError('Invalid string length'); } };
  const profile: typeof compiled = { ...compiled, extract: (object) => ('endless' in object ? { attributes: endless, failures: [] } : compiled.extract(object)) };
  const subscription = new Subscription({ rows, spec: { watchMode: 'All' }, profile, resource: { group: '', plural: 'configmaps', namespaced: false }, namespaces: () => undefined });
  const map = (uid: string, characters: number, more = {}) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: uid, uid, resourceVersion: '1' }, data: { t: 'x'.repeat(characters) }, ...more });
  subscription.apply(map('a', 1));
  const before = rows.get('', 'a')?.payload;
  const list = rows.beginList();
  for (const uid of ['a', 'b']) subscription.apply(map(uid, 900_000));
  subscription.apply(map('c', 1, { endless: true }));
  t.equal(await rows.completeList(list), 0, 'it exists');
  t.equal(rows.get('', 'a')?.payload, before);
  t.match([target.count, target.refused, target.shortage], [1, { count: 3, tooLarge: 3, any: true }, 'maxRowBytes']);
  t.ok(subscription.cannotRead('a'));

  let lists = 0;
  const keeper = new RefusalKeeper({ collections: () => [{ rows: target, relist: () => lists++ }], onChange: () => {} });
  t.teardown(() => keeper.stop());
  for (let second = 0; second < 3_600; second++) keeper.look(second * 1_000);
  t.equal(lists, 0, 'no room helps');
  target.limits = { maxRows: 1 };
  subscription.apply(map('d', 1));
  t.equal(target.shortage, 'maxRows', 'what can be raised is told first');
  target.limits = {};

  for (const uid of ['a', 'b', 'c', 'd']) subscription.apply(map(uid, 2));
  t.match([target.count, target.refused.any, target.refused.tooLarge, target.shortage], [4, false, 0, undefined]);
  subscription.apply(map('a', 900_000));
  subscription.remove(map('a', 900_000));
  t.match([target.count, target.refused.any, target.refused.tooLarge], [3, false, 0]);
});

t.test('limits hold for all resources of a target together', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const [maps, pods] = [target.resource('/v1/configmap'), target.resource('/v1/pod')];
  target.limits = { maxRows: 2 };
  maps.upsert(facts('a'));
  t.equal(pods.upsert(facts('b')), 'created');
  t.equal(maps.upsert(facts('c')), 'refused');
  t.equal(pods.upsert(facts('d')), 'refused');
  t.equal(pods.upsert(facts('a')), 'created', 'an object that has a row already');
  t.match([target.count, target.refused, target.shortage], [2, { count: 2, tooLarge: 0, more: false, any: true }, 'maxRows']);
  await pods.completeList(pods.beginList());
  t.equal(target.refused.count, 1, 'a list of one resource tells nothing of what another one refused');
  t.equal(target.count, 1);
  target.clear();
  t.equal(target.refused.any, false);
});

t.test('what was refused is forgotten when it is gone, not wanted, or not listed any more', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  target.limits = { maxRows: 1 };
  for (const uid of ['a', 'b', 'c', 'd']) rows.upsert(facts(uid, uid, uid === 'd' ? 'pay' : 'shop'));
  t.equal(target.refused.count, 3);
  rows.remove('shop', 'b');
  rows.removeNamespace('pay');
  t.equal(target.refused.count, 1);

  const list = rows.beginList();
  rows.upsert(facts('a'));
  rows.upsert(facts('e'));
  await rows.completeList(list, undefined, 'pay');
  t.equal(target.refused.count, 2, 'a list of another namespace says nothing');
  await rows.completeList(list);
  t.equal(target.refused.count, 1, 'c was not listed');
  t.equal(await rows.completeList(rows.beginList(), new Set(['a', 'e'])), 0);
  t.equal(target.refused.count, 1, 'what a list did not look at is as it was');
  rows.clear();
  t.equal(target.refused.any, false);
});

t.test('of very many refused objects it is only remembered that there are more', async (t) => {
  const refused = new RefusedObjects(() => undefined);
  for (let index = 0; index < 10_001; index++) refused.add(`u${index}`, 'shop', 1);
  t.match([refused.count, refused.more], [10_000, true]);
  for (let index = 0; index < 10_001; index++) refused.delete(`u${index}`);
  t.match([refused.count, refused.any], [0, true], 'the one without a name may still be there');
  refused.listed(2, undefined, 'other');
  t.equal(refused.any, true, 'a list of another namespace says nothing');
  refused.listed(2, undefined, 'shop');
  t.equal(refused.any, false);
});

t.test('when memory is scarce the largest target alone takes nothing new; when it is full, none does', async (t) => {
  const memory: { level: MemoryLevel } = { level: 'enough' };
  const store = new RowStore(memory);
  const [small, large] = [store.open('a', 'small'), store.open('b', 'large')];
  of(small).upsert(facts('a'));
  for (const uid of ['a', 'b']) of(large).upsert(facts(uid));
  memory.level = 'scarce';
  t.equal(of(large).upsert(facts('c')), 'refused');
  t.equal(of(large).upsert(facts('a', 'A')), 'updated');
  t.equal(of(large).upsert(facts('a', 'a2')), 'updated', 'known rows go on');
  t.equal(of(small).upsert(facts('a', 'a2')), 'updated');
  t.equal(of(small).upsert(facts('b')), 'created');
  t.match([large.shortage, large.room, small.shortage], ['memory', 0, undefined]);
  memory.level = 'full';
  t.equal(of(small).upsert(facts('c')), 'refused');
  t.equal(of(small).upsert(facts('a', 'A2')), 'updated');
  t.equal(of(small).upsert(facts('a', 'a22')), 'refused', 'then known rows do not grow either');
  memory.level = 'scarce';
  store.close('b', 'large');
  t.equal(of(small).upsert(facts('d')), 'refused', 'then another one is the largest');
});

t.test('the level of memory falls later than it rises', async (t) => {
  t.strictSame([0.1, 0.8, 0.81, 0.91].map((share) => memoryLevel(share, 'enough')), ['enough', 'enough', 'scarce', 'full']);
  t.strictSame([0.89, 0.76, 0.75].map((share) => memoryLevel(share, 'full')), ['scarce', 'scarce', 'enough']);
});

t.test('what was refused is listed again when there is room, ever more seldom while there is not enough', async (t) => {
  const target = new RowStore().open('shop', 'web');
  const rows = target.resource('/v1/configmap');
  const told: (string | undefined)[] = [];
  let lists = 0;
  const keeper = new RefusalKeeper({ collections: () => [{ rows: target, relist: () => lists++ }], onChange: (changed: TargetRows) => told.push(changed.shortage) });
  t.teardown(() => keeper.stop());
  const listsUntil = (from: number, to: number): number => {
    const before = lists;
    for (let second = from; second < to; second++) keeper.look(second * 1_000);
    return lists - before;
  };
  target.limits = { maxRows: 10 };
  for (let index = 0; index < 20; index++) rows.upsert(facts(`u${index}`));
  t.equal(listsUntil(0, 1_000), 0, 'no room, no list');
  t.strictSame(told, ['maxRows']);
  rows.remove('shop', 'u0');
  const often = listsUntil(1_000, 4_600);
  t.ok(often > 3 && often < 15, `${often} lists in an hour`);

  target.limits = { maxRows: 11 };
  t.equal(listsUntil(4_600, 4_601), 1, 'a limit that was raised: at once');
  target.limits = { maxRows: 100 };
  t.equal(listsUntil(4_601, 4_602), 1);
  for (let index = 0; index < 20; index++) rows.upsert(facts(`u${index}`));
  t.equal(listsUntil(4_602, 5_602), 0);
  t.strictSame(told, ['maxRows', undefined], 'complete again');

  target.limits = { maxBytes: target.bytes + 100 };
  rows.upsert(facts('u1', 'x'.repeat(300)));
  const inVain = listsUntil(6_000, 9_600);
  t.ok(inVain > 3 && inVain < 15, `room for a row of the usual size is none for a larger one: ${inVain} lists in an hour`);
});

t.test('a runaway target does not end a process with a small heap, and grows again when rows left', async (t) => {
  const script = join(import.meta.dirname, 'memory-process.ts');
  const { stdout } = await promisify(execFile)(process.execPath, ['--max-old-space-size=80', script]);
  t.match(JSON.parse(stdout), { shortage: 'memory', known: 'updated', other: 'created', level: 'enough', again: 'created' });
});
