import { createHash } from 'node:crypto';
import t from 'tap';
import type { ExportRow, SinkChange, InventoryIdentity } from '../../controller/sinks/contract.ts';
import { Random } from '../faults/random.ts';
import { attribute, canary, change, identity, row, rows, signal, uids, whole, type Conformance, type StoredRow } from './conformance.ts';
import { conformsUnderFaults } from './conforms-under-faults.ts';

/** What every backend must do, named by what a user would observe. */
export function conforms(conformance: Conformance): void {
  const { name, supports, destination } = conformance;
  const ofRows = { skip: supports.changes ? false : 'declared as not supported' };
  const ofDocuments = { skip: supports.changes ? 'declared as not supported' : false };
  /** What a pass writes that changes some of all rows. */
  const written = (changed: number, all: number): number => (supports.changes ? changed : all);
  t.test(`${name}: a pass that is repeated changes nothing`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    t.match(await sink.write(whole(rows(5)), signal), { confirmed: 5, written: 5, deleted: 0, rejected: [] });
    const first = await place.contents();
    t.match(await sink.write(whole(rows(5)), signal), { confirmed: 5, written: 0, deleted: 0 });
    t.match(await sink.write(change(rows(5)), signal), { written: 0, deleted: 0 });
    t.strictSame(await place.contents(), first, 'not one row was written again');
    await sink.close();
  });

  t.test(`${name}: a change writes the rows that changed and no other`, ofRows, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(whole(rows(4, { v: 1 })), signal);
    const before = await place.contents();
    const result = await sink.write(change([row('u000001', { v: 2 }), row('new', { v: 1 }), row('u000003', { v: 1 })], { deletes: ['u000002', 'never-there'] }), signal);
    t.match(result, { written: 2, deleted: 1, rejected: [] });
    const after = await place.contents();
    t.strictSame(uids(after), ['new', 'u000000', 'u000001', 'u000003']);
    t.equal(attribute(after[2]), 2);
    t.strictSame([after[1], after[3]], [before[0], before[3]]);
    await sink.close();
  });

  t.test(`${name}: changes one by one and all at once end in the same`, async (t) => {
    const [stepwise, atOnce] = [await destination(), await destination()];
    const [one, other] = [await stepwise.open(), await atOnce.open()];
    await one.write(whole(rows(6, { v: 1 })), signal);
    await one.write(change([row('u000000', { v: 2 })], { deletes: ['u000001'] }), signal);
    await one.write(change([row('u000001', { v: 3 })], { deletes: ['u000005'] }), signal);
    await other.write(whole([row('u000000', { v: 2 }), row('u000001', { v: 3 }), ...rows(5, { v: 1 }).slice(2)]), signal);
    const plain = (stored: StoredRow[]) => stored.map((entry) => ({ ...entry, written: undefined }));
    t.strictSame(plain(await stepwise.contents()), plain(await atOnce.contents()));
    await Promise.all([one.close(), other.close()]);
  });

  t.test(`${name}: whatever happened, changes one by one end in the snapshot`, async (t) => {
    for (const seed of [1, 2, 3]) {
      const random = new Random(seed);
      const place = await destination();
      const sink = await place.open();
      const snapshot = new Map<string, ExportRow>();
      const keyOf = ({ targetName, uid }: ExportRow) => `${targetName}/${uid}`;
      const write = (upserts: readonly ExportRow[], gone: readonly ExportRow[]) =>
        sink.write({ ...change(upserts), deletes: gone.map(({ targetName, uid }) => ({ targetName, uid })) }, signal);
      await sink.write(change([], { complete: ['web', 'jobs'], known: ['web', 'jobs'] }), signal);
      for (let step = 0; step < 20; step++) {
        const upserts = Array.from({ length: random.below(4) }, () => row(`u${random.below(8)}`, { v: random.below(3) }, random.below(2) === 0 ? 'web' : 'jobs'));
        // A target, or a part of its rows, leaves the inventory and may come back with the values it had.
        const leaving = random.below(5) === 0 ? 'jobs' : undefined;
        const named = new Set(upserts.map(keyOf));
        const gone = [...snapshot.values()].filter((entry) => !named.has(keyOf(entry)) && (entry.targetName === leaving || random.below(6) === 0));
        for (const entry of upserts) snapshot.set(keyOf(entry), entry);
        for (const entry of gone) snapshot.delete(keyOf(entry));
        const losing = random.below(4) === 0 && upserts.length > 0;
        if (losing) place.loseConfirmation(0);
        await write(upserts, gone).catch(async (error: unknown) => {
          t.ok(losing, String(error));
          place.loseConfirmation(Infinity);
          await write(upserts, gone);
        });
        place.loseConfirmation(Infinity);
      }
      const expected = [...snapshot.values()].map((entry) => `${keyOf(entry)}=${JSON.stringify((JSON.parse(entry.payload) as { attributes: unknown }).attributes)}`).sort();
      const stored = (await place.contents()).map(({ target, uid, payload }) => `${target}/${uid}=${JSON.stringify((JSON.parse(payload) as { attributes: unknown }).attributes)}`).sort();
      t.strictSame(stored, expected, `history ${seed}`);
      const full = change([...snapshot.values()], { complete: ['web', 'jobs'], known: ['web', 'jobs'] });
      t.match(await sink.write(full, signal), { written: 0, deleted: 0 }, 'and everything at once finds nothing to do');
      await sink.close();
    }
  });

  t.test(`${name}: an empty change confirms without a write`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    t.strictSame(await sink.write(change([]), signal), { confirmed: 0, written: 0, deleted: 0, bytes: 0, rejected: [] });
    t.notOk(await place.touched());
    await sink.close();
  });

  t.test(`${name}: a complete target loses what it does not name, others keep theirs`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(change([...rows(3), ...rows(2, {}, 'jobs'), ...rows(1, {}, 'old')], { complete: ['web', 'jobs', 'old'], known: ['web', 'jobs', 'old'] }), signal);
    const keys = async () => (await place.contents()).map(({ target, uid }) => `${target}/${uid}`);

    t.match(await sink.write(change([row('u000000')], { complete: ['web'] }), signal), { deleted: 2 });
    t.strictSame(await keys(), ['jobs/u000000', 'jobs/u000001', 'old/u000000', 'web/u000000']);
    t.match(await sink.write(change([], { known: ['web', 'jobs'] }), signal), { deleted: 1 });
    t.strictSame(await keys(), ['jobs/u000000', 'jobs/u000001', 'web/u000000'], 'targets that are not known any more go, incomplete ones do not');
    t.match(await sink.write(change([], { complete: ['web'], keep: ['u000000', 'never-there'] }), signal), { deleted: 0 });
    t.match(await sink.write(change([], { complete: ['jobs'] }), signal), { deleted: 2 });
    t.strictSame(await keys(), ['web/u000000'], 'a complete target without rows is empty');
    t.match(await sink.write(change([], { known: [] }), signal), { deleted: 1 });
    t.strictSame(await keys(), []);
    await sink.close();
  });

  t.test(`${name}: more stale rows than the limit keep all as it is`, ofDocuments, async (t) => {
    const place = await destination();
    const sink = await place.open({ installation: 'ours' });
    await sink.write(whole([...rows(10), ...rows(5, {}, 'jobs')], { complete: ['web', 'jobs'], known: ['web', 'jobs'] }), signal);
    const before = await place.contents();
    const few = (staleLimit: NonNullable<SinkChange['staleLimit']>) => sink.write(whole([row('u000000', { v: 'new' })], { staleLimit }), signal);
    t.match(await few({ rows: 8, exempt: ['jobs'] }), { confirmed: 0, written: 0, deleted: 0, held: 9 });
    t.match(await few({ rows: 13, exempt: [] }), { written: 0, held: 14 });
    t.strictSame(await place.contents(), before);
    const restarted = await place.open({ installation: 'ours' });
    t.match(await restarted.write(whole([row('u000000')], { staleLimit: { rows: 13, exempt: [], lost: 14 } }), signal), { written: 0, held: 14 }, 'nor does one who only knows how many are lost');
    t.match(await few({ rows: 14, exempt: [] }), { written: 1, deleted: 14 }, 'as many as the limit go');
    t.strictSame((await place.contents()).map(attribute), ['new']);
    await Promise.all([sink.close(), restarted.close()]);
  });

  t.test(`${name}: more stale rows than the limit stay, all of them, and everything else is done`, ofRows, async (t) => {
    const place = await destination();
    const sink = await place.open({ installation: 'ours' });
    const both = { complete: ['web', 'jobs'], known: ['web', 'jobs'] };
    await sink.write(whole([...rows(10), ...rows(5, {}, 'jobs'), ...rows(3, {}, 'old')], { complete: ['web', 'jobs', 'old'], known: ['web', 'jobs', 'old'] }), signal);
    const few = [row('u000000', { v: 'new' }), row('u000009')];
    const held = await sink.write(whole(few, { ...both, deletes: ['u000001'], staleLimit: { rows: 9, exempt: ['jobs'] }, after: { rows: 2, digest: 'd' } }), signal);
    // Seven of web, three of old, and not the one that was named.
    t.match(held, { written: 1, deleted: 6, held: 10 });
    const left = await place.contents();
    t.strictSame([left.length, left.filter(({ target }) => target === 'jobs').length], [12, 0]);
    t.equal(attribute(left.find(({ target, uid }) => target === 'web' && uid === 'u000000')), 'new');
    t.not((await sink.check(identity(), signal)).digest, 'd', 'what is there is not what was asked for');
    t.match(await sink.write(whole(few, { ...both, staleLimit: { rows: 10, exempt: [] } }), signal), { written: 0, deleted: 10 }, 'as many as the limit go');
    t.strictSame(uids(await place.contents()), ['u000000', 'u000009']);
    await sink.close();
  });

  t.test(`${name}: rows that nobody owns are taken over, and what is stale among them waits for consent`, { skip: supports.owners ? false : 'declared as not supported' }, async (t) => {
    const place = await destination();
    const [nobody, ours] = [await place.open({}), await place.open({ installation: 'ours' })];
    const owned = async () => (await ours.check(identity(), signal)).owned;
    await nobody.write(whole(rows(10, { v: 1 })), signal);
    const before = await place.contents();
    t.equal(await owned(), false);
    const some = rows(8, { v: 1 });
    const none = { rows: 0, exempt: [] };
    for (const [round, written] of [['the first', 0], ['the next, for want of consent', 1]] as const) {
      t.match(await ours.write(whole(some, { staleLimit: none, after: { rows: 8, digest: 'd' } }), signal), { written, deleted: 0, held: 2 }, round);
      t.match(await ours.write(change([row('u000000', { v: round })], { after: { rows: 8, digest: 'e' } }), signal), { written: 1 });
      t.equal(await owned(), false, round);
    }
    t.strictSame((await place.contents()).slice(1), before.slice(1), 'not one row was written that is as it should be');
    t.match(await ours.write(whole(some, { after: { rows: 8, digest: 'd' } }), signal), { written: 1, deleted: 2 }, 'with consent they go');
    t.equal(await owned(), true);
    await nobody.write(whole(rows(3), { identity: identity('stock') }), signal);
    t.match(await ours.write(whole(rows(3), { identity: identity('stock'), staleLimit: none, after: { rows: 3, digest: 'd' } }), signal), { written: 0 });
    t.equal((await ours.check(identity('stock'), signal)).owned, true, 'where nothing is stale nobody has to consent');
    await Promise.all([nobody.close(), ours.close()]);
  });

  t.test(`${name}: rows of a complete target that are spared stay where nobody named them`, ofRows, async (t) => {
    const place = await destination();
    const sink = await place.open();
    const ofKind = (uid: string, kind: string, { group, namespace = 'ns' }: { group?: string; namespace?: string } = {}, targetName = 'web'): ExportRow => {
      const plain = row(uid, {}, targetName);
      const payload = JSON.stringify({ targetNamespace: 'team-a', targetName, namespace, name: uid, ...(group === undefined ? {} : { group }), version: 'v1', kind, uid, attributes: {} });
      return { ...plain, namespace, payload, hash: createHash('sha256').update(payload).digest().toString('latin1') };
    };
    const apps = { group: 'apps' };
    const all = [ofKind('a', 'Pod'), ofKind('b', 'Deployment', apps), ofKind('c', 'Deployment'), ofKind('d', 'Service'), ofKind('e', 'Service', { namespace: 'other' }), ofKind('f', 'Deployment', apps, 'jobs')];
    const both = { complete: ['web', 'jobs'], known: ['web', 'jobs'] };
    await sink.write(whole(all, both), signal);
    const spared = [{ targetName: 'web', group: 'apps', kind: 'deployment' }, { targetName: 'web', group: '', kind: 'service', namespace: 'other' }];
    t.match(await sink.write(whole([ofKind('g', 'Pod')], { ...both, spared }), signal), { written: 1, deleted: 4 });
    t.strictSame(uids(await place.contents()), ['b', 'e', 'g'], 'another group, namespace or target is not spared');
    t.match(await sink.write(whole([ofKind('g', 'Pod')], both), signal), { written: 0, deleted: 2 });
    await sink.close();
  });

  t.test(`${name}: inventories and clusters in one destination do not touch each other`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    // A uid is unique in its cluster only, so clusters have uids in common here, unless nothing else tells their rows from each other.
    const of = ({ cluster }: InventoryIdentity) => (conformance.keyHasCluster === false && cluster === 'west' ? rows(4).slice(2) : rows(2));
    const ofWest = (uid: string) => (conformance.keyHasCluster === false ? uid.replace(/.$/, (digit) => String(Number(digit) + 2)) : uid);
    const all = [identity('shop', 'east'), identity('shop', 'west'), identity('stock', 'east'), { ...identity('shop', 'east'), namespace: 'team-b' }];
    for (const one of all) await sink.write(whole(of(one), { identity: one }), signal);
    t.equal((await place.contents()).length, 8);
    t.match(await sink.write(whole([], { identity: identity('shop', 'east') }), signal), { deleted: 2 });
    t.match(await sink.write(change([], { identity: identity('shop', 'west'), deletes: [ofWest('u000001')] }), signal), { deleted: 1 });
    t.strictSame(await sink.remove(identity('stock', 'east'), true, signal), { deleted: 2 });
    const left = (await place.contents()).map(({ inventory, cluster, uid }) => `${inventory} ${cluster} ${uid}`);
    t.strictSame(left, [`team-a/shop west ${ofWest('u000000')}`, 'team-b/shop east u000000', 'team-b/shop east u000001']);
    if (supports.counts) t.match(await sink.check(identity('shop', 'west'), signal), { rows: 1 });
    await sink.close();
  });

  t.test(`${name}: removal empties the inventory, also where nothing is`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 });
    t.notOk(await place.touched(), 'nothing is created in order to be emptied');
    await sink.write(whole(rows(3)), signal);
    t.strictSame(await sink.remove(identity(), true, signal), { deleted: 3 });
    t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 });
    t.strictSame(await place.contents(), []);
    await sink.close();
  });

  t.test(`${name}: a probe leaves no trace`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    const { message } = await sink.probe(signal);
    t.notOk(message.includes(canary));
    t.notOk(await place.touched());
    await sink.write(whole(rows(2)), signal);
    const before = await place.contents();
    await sink.probe(signal);
    t.strictSame(await place.contents(), before);
    await sink.close();
  });

  t.test(`${name}: content of every kind arrives as it is`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    const odd = [
      row('big', '{"v":123456789012345678901234567890}'),
      row('text', { v: 'tab\t newline\n quote" backslash\\ slash/ ü 漢 🚀 \u2028 ${x} \\N \\. \\x41' }),
      row('nul', { v: 'a\u0000b\\u0000c\\\u0000d' }),
      row('deep', { v: { a: [1, 2.5, null, true, { b: [] }] } }),
    ];
    const passes = { 'in bulk': () => sink.write(whole(odd), signal), 'as a change': () => sink.write(change(odd), signal) };
    for (const [how, write] of Object.entries(passes)) {
      await sink.remove(identity(), true, signal);
      t.match(await write(), { written: 4, rejected: [] }, how);
      const stored = new Map((await place.contents()).map((entry) => [entry.uid, entry]));
      t.match(stored.get('big')?.payload, /123456789012345678901234567890/);
      t.equal(attribute(stored.get('text')), 'tab\t newline\n quote" backslash\\ slash/ ü 漢 🚀 \u2028 ${x} \\N \\. \\x41');
      t.equal(attribute(stored.get('nul')), supports.nul ? 'a\u0000b\\u0000c\\\u0000d' : 'ab\\u0000c\\d', 'no more than the character U+0000 is left out, text that looks like its escape stays');
      t.strictSame(attribute(stored.get('deep')), { a: [1, 2.5, null, true, { b: [] }] });
    }
    await sink.close();
  });

  t.test(`${name}: rows that are not as they should be are found, and nothing else is`, { skip: supports.rowQuestions ? false : 'declared as not supported' }, async (t) => {
    const place = await destination();
    const sink = await place.open();
    const differing = async (asked: ExportRow[], of = identity()) => (await sink.differing!(of, asked, signal)).map(({ targetName, uid }) => `${targetName}/${uid}`);
    const odd = [row('big', '{"v":123456789012345678901234567890,"w":1.50,"x":1e2}'), row('nul', { v: 'a\u0000b' }), row('text', { v: 'tab\t\n"\\ü漢🚀' }), { ...row('cluster-wide'), namespace: '' }];
    const all = [...rows(2_000, { v: 1 }), ...odd];
    await sink.write(whole(all), signal);
    const before = await place.contents();
    t.strictSame(await differing(all), []);
    t.strictSame(await differing([]), []);
    const asked = [row('u000000', { v: 2 }), row('missing'), row('u000001', { v: 1 }), row('u000002', { v: 1 }, 'jobs')];
    t.strictSame(await differing(asked), ['web/u000000', 'web/missing', 'jobs/u000002']);
    t.strictSame(await differing([row('u000000', { v: 1 })], identity('stock')), ['web/u000000']);
    t.strictSame(await differing([row('u000000', { v: 1 })], identity('shop', 'west')), ['web/u000000']);
    t.strictSame(await place.contents(), before, 'and nothing was written');
    await sink.close();
  });

  t.test(`${name}: a row that comes twice counts once, the later one`, ofRows, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(whole([row('a', { v: 1 }), row('b', { v: 1 }), row('a', { v: 2 })]), signal);
    t.strictSame((await place.contents()).map(attribute), [2, 1]);
    await sink.write(change([row('b', { v: 3 }), row('b', { v: 4 })]), signal);
    t.strictSame((await place.contents()).map(attribute), [2, 4]);
    await sink.close();
  });

  t.test(`${name}: many rows, then a tenth of them changed and a tenth gone`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    const { manyRows: many = 25_000 } = conformance;
    const tenth = many / 10;
    const all = rows(many, { v: 1 });
    t.match(await sink.write(whole(all), signal), { written: many, deleted: 0 });
    const rest = all.slice(tenth).map((entry, index) => (index < tenth ? row(entry.uid, { v: 2 }) : entry));
    t.match(await sink.write(whole(rest), signal), { written: written(tenth, many - tenth), deleted: tenth });
    const stored = await place.contents();
    t.equal(stored.length, many - tenth);
    t.equal(stored.filter((entry) => attribute(entry) === 2).length, tenth);
    t.equal(uids(stored)[0], all[tenth]!.uid);
    await sink.close();
  });

  conformsUnderFaults(conformance);
}
