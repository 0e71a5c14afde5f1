import { setTimeout } from 'node:timers/promises';
import t from 'tap';
import type { FrozenRows } from '../../controller/collect/collector.ts';
import { RowStore } from '../../controller/collect/row-store.ts';
import type { TargetRows } from '../../controller/collect/target-rows.ts';
import { planPass, type Cursor } from '../../controller/inventory/pass.ts';
import { Quarantine } from '../../controller/inventory/quarantine.ts';
import { InventoryView } from '../../controller/inventory/view.ts';
import type { ExportRow } from '../../controller/sinks/contract.ts';

const of = (target: TargetRows) => target.resource('/v1/configmap');
const facts = (uid: string, payload = uid) => ({ namespace: 'shop', name: uid, uid, payload, resourceVersion: '1', failures: 0 });
const identity = { namespace: 'shop', name: 'inventory', cluster: '', generation: 1 };

function setUp() {
  const store = new RowStore();
  let changes = 0;
  const view = new InventoryView('shop', () => changes++);
  store.subscribe({
    row: (target, before, after) => view.rowChanged(target, before, after),
    left: (target, uid) => view.rowLeft(target, uid),
    opened: (target) => view.addTarget(target),
    closed: (target) => view.removeTarget(target),
  });
  const synced = new Set<string>();
  const frozen = new Map<string, FrozenRows[]>();
  const turning = new Set<string>();
  const plan = (cursor?: Parameters<typeof planPass>[0]['cursor'], mayHoldRows = false, granularity: 'row' | 'document' = 'row') =>
    planPass({ view, identity, cursor, mayHoldRows, isSynced: (target) => synced.has(target.name), isTurning: (target) => turning.has(target.name), granularity, frozen: (target) => frozen.get(target.name) });
  /** The place of a reader that has confirmed a pass. */
  const confirmed = ({ reached }: NonNullable<ReturnType<typeof planPass>>): Cursor => ({ ...reached, reader: view.read(reached.targets), fingerprint: 'f', isHeld: false });
  return { store, view, synced, turning, frozen, plan, confirmed, changed: () => changes };
}

const written = (upserts: Iterable<readonly ExportRow[]>) => [...upserts].flat().map((row) => `${row.targetName}/${row.payload}`).sort();

t.test('a view counts what its targets hold', async (t) => {
  const { store, view } = setUp();
  const web = store.open('shop', 'web');
  of(web).upsert(facts('a'));
  of(web).upsert(facts('b'));
  of(store.open('shop', 'jobs')).upsert(facts('c'));
  t.equal(view.count, 3);
  store.close('shop', 'jobs');
  t.equal(view.count, 2);
});

t.test('rows that were refused as they are stay behind, and finding them costs nothing for the others', async (t) => {
  const { store, view, synced } = setUp();
  const [web, full] = ['web', 'full'].map((name) => store.open('shop', name)) as [TargetRows, TargetRows];
  for (const target of [web, full]) for (const uid of ['a', 'b', 'c', 'gone']) of(target).upsert(facts(uid));
  for (let index = 0; index < 3_000; index++) of(web).upsert(facts(`u${index}`));
  full.limits = { maxRows: 3 };
  for (let index = 0; index < 200_000; index++) if (!full.refused.more) of(full).upsert(facts(`f${index}`));
  let questions = 0;
  const quarantine = new (class extends Quarantine {
    override holds(row: ExportRow): boolean {
      questions++;
      return super.holds(row);
    }
  })();
  const rejected = (row: ExportRow) => ({ key: { targetName: row.targetName, uid: row.uid }, namespace: 'shop', hash: row.hash, code: '23514', message: '' });
  quarantine.add([web, full].flatMap((target) => ['a', 'b', 'gone'].map((uid) => rejected(target.get('shop', uid)!))));
  for (const target of [web, full]) {
    of(target).upsert(facts('b', 'b2'));
    of(target).remove('shop', 'gone');
    synced.add(target.name);
  }
  const plan = () => planPass({ view, identity, cursor: undefined, mayHoldRows: true, isSynced: ({ name }) => synced.has(name), granularity: 'row', quarantine })!;
  const names = (keys: Iterable<{ key: { targetName: string; uid: string } }>) => Array.from(keys, ({ key }) => `${key.targetName}/${key.uid}`).sort();
  const { change, ...rest } = plan();
  t.strictSame([full.refused.more, change.completeTargets], [true, ['web']]);
  const sent = written(change.upserts);
  t.equal(change.upsertCount, sent.length);
  t.equal(sent.length, 3_002 + 2);
  t.notOk(sent.includes('web/a') || sent.includes('full/a'));
  t.ok(sent.includes('web/b2') && sent.includes('full/b2'));
  t.ok(change.keep.some(({ targetName, uid }) => `${targetName}/${uid}` === 'web/a'));
  t.strictSame(names(quarantine.left({ change, ...rest })), ['full/a', 'full/gone', 'web/a'], 'of a target that is not complete nobody knows that the object is gone');
  t.ok(questions < 10, `${questions} rows are asked about`);
  quarantine.retry();
  t.equal(written(plan().change.upserts).length, sent.length + 2);
});

t.test('a reader is told each changed row once, in its last form', async (t) => {
  const { store, view } = setUp();
  const web = store.open('shop', 'web');
  for (const uid of ['a', 'b', 'c']) of(web).upsert(facts(uid));
  const reader = view.read(new Set([web]));
  of(web).upsert(facts('a', 'a2'));
  of(web).upsert(facts('a', 'a3'));
  of(web).remove('shop', 'b');
  of(web).upsert(facts('d'));
  of(web).remove('shop', 'd');
  const delta = view.changesSince(reader);
  t.strictSame(delta?.upserts.map((row) => row.payload), ['a3']);
  t.strictSame(delta?.deletes.map(({ uid }) => uid).sort(), ['b', 'd'], 'a row that came and went is deleted, in case a cut pass wrote it');
  view.confirm(reader, view.revision, new Set([web]));
  t.strictSame(view.changesSince(reader)?.upserts, []);
  t.equal(view.lag(reader).rows, 0);
});

t.test('a slow reader keeps its changes while a fast one moves on', async (t) => {
  const { store, view } = setUp();
  const web = store.open('shop', 'web');
  const slow = view.read(new Set([web]));
  const fast = view.read(new Set([web]));
  of(web).upsert(facts('a'));
  view.confirm(fast, view.revision, new Set([web]));
  of(web).upsert(facts('b'));
  t.strictSame(view.changesSince(fast)?.upserts.map((row) => row.uid), ['b']);
  t.strictSame(view.changesSince(slow)?.upserts.map((row) => row.uid).sort(), ['a', 'b']);
  t.equal(view.lag(slow).rows, 2);
});

t.test('a log that outgrows its share sends its readers to a full comparison', async (t) => {
  const { store, view } = setUp();
  const web = store.open('shop', 'web');
  const reader = view.read(new Set([web]));
  const fast = view.read(new Set([web]));
  of(web).upsert(facts('first'));
  const began = performance.now();
  view.confirm(fast, view.revision, new Set([web]));
  await setTimeout(100);
  const { ms } = view.lag(reader);
  for (let index = 1; index <= 10_001; index++) of(web).upsert(facts(`u${index}`));
  t.equal(view.changesSince(reader), undefined);
  t.equal(view.lag(reader).rows, 10_002, 'it may lack every row');
  t.ok(view.lag(reader).ms >= ms, 'for as long as before');
  t.ok(view.lag(fast).ms < performance.now() - began - 50);
  of(web).upsert(facts('last'));
  t.equal(view.lag(reader).rows, 10_003);
  view.confirm(reader, view.revision, new Set([web]));
  t.strictSame(view.lag(reader), { rows: 0, ms: 0 });
});

t.test('a target that has not listed yet never touches the sink', async (t) => {
  const { store, synced, plan } = setUp();
  const web = store.open('shop', 'web');
  t.equal(plan(), undefined, 'no row, not synced');
  of(web).upsert(facts('a'));
  t.equal(plan(), undefined, 'a part of a list is not a list');
  synced.add('web');
  const pass = plan();
  t.strictSame(pass?.change.completeTargets, ['web']);
  t.strictSame(written(pass!.change.upserts), ['web/a']);
});

t.test('synced targets are exported while others are awaited, and only their stale rows go', async (t) => {
  const { store, synced, plan, confirmed } = setUp();
  of(store.open('shop', 'web')).upsert(facts('a'));
  const jobs = store.open('shop', 'jobs');
  of(jobs).upsert(facts('j'));
  synced.add('web');
  const first = plan()!;
  t.strictSame(first.change.completeTargets, ['web']);
  t.strictSame(first.change.knownTargets, ['jobs', 'web'], 'the rows of the awaited target are not those of a stranger');
  t.strictSame(written(first.change.upserts), ['web/a']);
  t.equal(first.reached.rows, 1);

  const cursor = confirmed(first);
  of(jobs).upsert(facts('j', 'j2'));
  t.equal(plan(cursor), undefined, 'changes of the awaited target wait with it');
  synced.add('jobs');
  const second = plan(cursor)!;
  t.strictSame(second.change.completeTargets, ['jobs']);
  t.strictSame(written(second.change.upserts), ['jobs/j2']);
});

t.test('one change is a delta of one row', async (t) => {
  const { store, synced, plan, confirmed } = setUp();
  const web = store.open('shop', 'web');
  for (let index = 0; index < 100; index++) of(web).upsert(facts(`u${index}`));
  synced.add('web');
  const first = plan()!;
  const cursor = confirmed(first);
  t.equal(plan(cursor), undefined);
  of(web).upsert(facts('u5', 'scaled'));
  of(web).remove('shop', 'u6');
  const delta = plan(cursor)!;
  t.equal(delta.mode, 'delta');
  t.strictSame(written(delta.change.upserts), ['web/scaled']);
  t.strictSame(delta.change.deletes, [{ targetName: 'web', uid: 'u6' }]);
  t.strictSame(delta.change.completeTargets, []);
  t.equal(delta.change.knownTargets, undefined);
  t.equal(delta.reached.rows, 99);
  t.equal(delta.digest, web.digest.toString());
});

t.test('of objects that are left out the sink keeps what it has, until they are gone', async (t) => {
  const { store, synced, plan, confirmed } = setUp();
  const web = store.open('shop', 'web');
  web.limits = { maxRows: 1 };
  for (const uid of ['a', 'b', 'c']) of(web).upsert(facts(uid));
  synced.add('web');
  const first = plan()!;
  t.strictSame(first.change.completeTargets, ['web']);
  t.strictSame(first.change.keep, ['b', 'c'].map((uid) => ({ targetName: 'web', uid })));
  t.equal(first.change.after, undefined, 'nobody knows what the sink holds of them');

  const cursor = confirmed(first);
  of(web).remove('shop', 'b');
  t.match(plan(cursor), { mode: 'delta', change: { deletes: [{ targetName: 'web', uid: 'b' }] } });
  const list = of(web).beginList();
  of(web).upsert(facts('a'));
  await of(web).completeList(list);
  t.match(plan(cursor)?.change.deletes.length, 2, 'what a complete list does not name is gone, too');
});

t.test('while not all that a target leaves out is known, it is written and followed, and nothing beside its rows goes', async (t) => {
  const { store, synced, plan, confirmed } = setUp();
  const web = store.open('shop', 'web');
  web.limits = { maxRows: 1 };
  of(web).upsert(facts('a'));
  for (let index = 0; index < 10_001; index++) of(web).upsert(facts(`u${index}`));
  synced.add('web');
  const first = plan()!;
  t.strictSame(first.change.completeTargets, [], 'what the destination has of the others stays there');
  t.strictSame(first.change.knownTargets, ['web']);
  t.strictSame(written(first.change.upserts), ['web/a']);

  const cursor = confirmed(first);
  t.equal(plan(cursor), undefined);
  of(web).upsert(facts('a', 'a2'));
  const delta = plan(cursor)!;
  t.equal(delta.mode, 'delta');
  t.strictSame(written(delta.change.upserts), ['web/a2']);

  const later = confirmed(delta);
  of(web).upsert(facts('a', 'a3'));
  const list = of(web).beginList();
  of(web).upsert(facts('a', 'a3'));
  await of(web).completeList(list);
  const compared = plan(later)!;
  t.strictSame(compared.change.completeTargets, ['web'], 'all is known: now older rows go');
  t.strictSame(written(compared.change.upserts), ['web/a3'], 'each row once');
  t.equal(compared.change.upsertCount, 1);
  t.equal(plan(confirmed(compared)), undefined);
});

t.test('a target that refuses objects after it was compared goes on by deltas', async (t) => {
  const { store, synced, plan, confirmed } = setUp();
  const web = store.open('shop', 'web');
  for (const uid of ['a', 'b']) of(web).upsert(facts(uid));
  synced.add('web');
  const cursor = confirmed(plan()!);
  web.limits = { maxRows: 1 };
  of(web).upsert(facts('c'));
  t.equal(plan(cursor), undefined);
  of(web).remove('shop', 'a');
  t.strictSame(plan(cursor)?.change.deletes, [{ targetName: 'web', uid: 'a' }], 'a deleted object is a deleted row');
  of(web).remove('shop', 'c');
  t.strictSame(plan(cursor)?.change.completeTargets, [], 'it needs no other comparison');
});

t.test('a kind that cannot be listed keeps what is there of it, and holds back no other kind', async (t) => {
  const { store, synced, frozen, plan, confirmed } = setUp();
  const web = store.open('shop', 'web');
  of(web).upsert(facts('a'));
  const maps = { group: '', kind: 'configmap', namespace: undefined };
  frozen.set('web', [maps]);
  const first = plan()!;
  t.strictSame(first.change.completeTargets, ['web']);
  t.strictSame(first.change.spared, [{ targetName: 'web', ...maps }]);
  t.equal(first.change.after, undefined, 'nobody knows how many rows the destination has');
  const cursor = confirmed(first);
  t.equal(plan(cursor), undefined, 'once is enough');
  of(web).remove('shop', 'a');
  t.match(plan(cursor), { mode: 'delta', change: { deletes: [{ targetName: 'web', uid: 'a' }] } }, 'what was seen to go goes');

  const later = confirmed(plan(cursor)!);
  frozen.set('web', [{ ...maps, namespace: 'shop' }]);
  t.match(plan(later), { mode: 'reconcile', change: { spared: [{ namespace: 'shop' }] } }, 'a part of it can be listed again');
  frozen.delete('web');
  t.equal(plan(later), undefined, 'a list is under way');
  synced.add('web');
  const compared = plan(later)!;
  t.strictSame(compared.change.completeTargets, ['web']);
  t.equal(compared.change.spared, undefined);
  const settled = confirmed(compared);
  synced.delete('web');
  frozen.set('web', [maps]);
  t.equal(plan(settled), undefined, 'what was compared once goes on by deltas');
});

t.test('rows of a target that is being made anew wait, and hold back no other target', async (t) => {
  const { store, synced, turning, plan, confirmed } = setUp();
  const [web, jobs] = [store.open('shop', 'web'), store.open('shop', 'jobs')];
  for (const uid of ['a', 'b']) of(web).upsert(facts(uid));
  of(jobs).upsert(facts('j'));
  for (const name of ['web', 'jobs']) synced.add(name);
  const cursor = confirmed(plan()!);
  turning.add('web');
  of(web).upsert(facts('a', 'made anew'));
  of(web).remove('shop', 'b');
  t.equal(plan(cursor), undefined);
  of(jobs).upsert(facts('j', 'j2'));
  const others = plan(cursor)!;
  t.match(others, { mode: 'delta', change: { deletes: [], completeTargets: [], after: undefined } });
  t.strictSame(written(others.change.upserts), ['jobs/j2']);
  turning.clear();
  t.match(plan(cursor), { mode: 'delta', change: { deletes: [{ uid: 'b' }] } }, 'nothing was written meanwhile: it goes on with its changes');
  const late = plan(confirmed(others))!;
  t.strictSame(late.change.completeTargets, ['web'], 'else it is compared');
  t.strictSame(written(late.change.upserts), ['web/made anew']);
});

t.test('a sink of whole documents waits for all targets, and gets all rows of all of them', async (t) => {
  const { store, synced, frozen, turning, plan, confirmed } = setUp();
  const [web, jobs] = [store.open('shop', 'web'), store.open('shop', 'jobs')];
  of(web).upsert(facts('a'));
  of(jobs).upsert(facts('j'));
  synced.add('web');
  t.equal(plan(undefined, true, 'document'), undefined);
  frozen.set('jobs', [{ group: '', kind: 'configmap', namespace: 'pay' }]);
  t.equal(plan(undefined, true, 'document'), undefined, 'also for what cannot be listed');
  synced.add('jobs');
  const first = plan(undefined, true, 'document')!;
  t.strictSame(written(first.change.upserts), ['jobs/j', 'web/a']);
  t.equal(first.change.since, undefined);
  const cursor = confirmed(first);
  t.equal(plan(cursor, true, 'document'), undefined);
  of(web).upsert(facts('a', 'a2'));
  turning.add('jobs');
  t.equal(plan(cursor, true, 'document'), undefined, 'also for one that is being made anew');
  turning.clear();
  const next = plan(cursor, true, 'document')!;
  t.strictSame(written(next.change.upserts), ['jobs/j', 'web/a2']);
  t.strictSame(next.change.completeTargets.toSorted(), ['jobs', 'web']);
  t.strictSame(written([next.change.since!.upserts]), ['web/a2'], 'and is told what changed since the last pass');
  of(web).remove('shop', 'a');
  t.match(plan(cursor, true, 'document')!.change.since, { upserts: [], deletes: [{ targetName: 'web', uid: 'a' }] });
  t.equal(plan({ ...cursor, isHeld: true }, true, 'document')!.change.since, undefined, 'unless it left that as it was');
  store.close('shop', 'jobs');
  t.equal(plan(cursor, true, 'document')!.change.since, undefined, 'or a target is another');
  synced.delete('web');
  t.ok(plan(cursor, true, 'document')!.change.since === undefined, 'a target that was listed once is not waited for');
});

t.test('a target that is gone is told by its absence, also when it comes back under the same name', async (t) => {
  const { store, synced, plan, confirmed } = setUp();
  of(store.open('shop', 'web')).upsert(facts('a'));
  synced.add('web');
  const first = plan()!;
  const cursor = confirmed(first);
  store.close('shop', 'web');
  const gone = plan(cursor)!;
  t.strictSame(gone.change.knownTargets, []);
  t.equal(gone.reached.rows, 0);

  synced.delete('web');
  store.open('shop', 'web');
  t.equal(plan(cursor), undefined, 'the new target has not listed: the old rows stay until it has');
  synced.add('web');
  t.strictSame(plan(cursor)?.change.completeTargets, ['web'], 'then whatever it does not have goes');
});

t.test('an inventory without targets holds no rows', async (t) => {
  const { plan } = setUp();
  t.strictSame(plan()?.change.knownTargets, []);
});

t.test('while targets are awaited, only the rows of targets that are gone go, and only where there may be any', async (t) => {
  const { store, plan } = setUp();
  store.open('shop', 'web');
  t.equal(plan(undefined, false), undefined);
  const pass = plan(undefined, true)!;
  t.strictSame(pass.change.knownTargets, ['web']);
  t.strictSame(pass.change.completeTargets, []);
  t.equal(pass.reached.targets.size, 0);
});

t.test('a target that nobody reads yet does not fill the log of the others', async (t) => {
  const { store, view } = setUp();
  const web = store.open('shop', 'web');
  const reader = view.read(new Set([web]));
  const jobs = store.open('shop', 'jobs');
  for (let index = 0; index < 10_100; index++) of(jobs).upsert(facts(`j${index}`));
  of(web).upsert(facts('a'));
  t.strictSame(view.changesSince(reader)?.upserts.map((row) => row.uid), ['a']);
});
