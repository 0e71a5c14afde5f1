import t from 'tap';
import { KollectError } from '../../shared/errors.ts';
import { attribute, change, failure, identity, row, rows, signal, whole, type Conformance } from './conformance.ts';

/** What holds of every backend when answers are lost, rows are refused, work is cancelled, or somebody else writes. */
export function conformsUnderFaults({ name, supports, maxRowBytes, keyHasCluster, destination }: Conformance): void {
  t.test(`${name}: a lost confirmation is an error, and the repetition ends in the same`, async (t) => {
    const delta = () => change(rows(3, { v: 2 }), { deletes: ['u000009'] });
    const complete = () => whole(rows(3, { v: 2 }));
    // A complete pass may consist of several writes; losing one that it does not make is no failure.
    for (const [write, later] of [[delta, 0], [complete, 0], [complete, 1], [complete, 2], [complete, 3]] as const) {
      const place = await destination();
      const sink = await place.open();
      await sink.write(whole(rows(10, { v: 1 })), signal);
      place.loseConfirmation(later);
      const lost = sink.write(write(), signal);
      if (later === 0) t.match(await failure(lost), { class: 'transient' });
      else await lost.catch(() => undefined);
      place.loseConfirmation(Infinity);
      await sink.write(write(), signal);
      const stored = await place.contents();
      t.strictSame(stored.slice(0, 3).map(attribute), [2, 2, 2]);
      t.equal(stored.length, write === complete ? 3 : 9);
      await sink.close();
    }
  });

  t.test(`${name}: a cancelled write ends at once and leaves nothing half done`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(whole(rows(3, { v: 1 })), signal);
    const hold = await place.holdNextWrite();
    const abort = new AbortController();
    const cancelled = failure(sink.write(change(rows(3, { v: 2 })), abort.signal));
    await hold.waiting();
    const began = performance.now();
    abort.abort();
    await cancelled;
    t.ok(performance.now() - began < 10_000, 'nobody waits for the server');
    await hold.release();
    t.strictSame((await place.contents()).map(attribute), [1, 1, 1]);
    await sink.write(change(rows(3, { v: 2 })), signal);
    t.strictSame((await place.contents()).map(attribute), [2, 2, 2], 'the sink goes on');
    t.match(await failure(sink.write(change(rows(1)), AbortSignal.abort())), { class: 'transient' }, 'cancelled before it began');
    await sink.close();
  });

  t.test(`${name}: rows that the destination refuses do not hold up the others`, { skip: supports.rowRefusal ? false : 'declared as not supported' }, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(whole(rows(300, { v: 1 })), signal);
    await place.refuse('poison');
    const bad = (uid: string) => row(uid, { v: 'poison' });
    const mixed = rows(300, { v: 2 }).map((entry, index) => (index % 100 === 7 ? bad(entry.uid) : entry));
    const refused = ['u000007', 'u000107', 'u000207'];
    for (const write of [change(mixed), whole(mixed)]) {
      const { confirmed, rejected } = await sink.write(write, signal);
      t.equal(confirmed, 297);
      t.strictSame(rejected.map(({ key, hash }) => ({ key, hash })), refused.map((uid) => ({ key: { targetName: 'web', uid }, hash: bad(uid).hash })), 'by key and content');
      t.ok(rejected.every(({ code, message }) => code !== '' && message !== '' && !message.includes('poison')), 'with a reason, and without the content');
      const stored = await place.contents();
      t.equal(stored.filter((entry) => attribute(entry) === 2).length, 297);
      t.equal(stored.length, 300, 'what the destination held of a refused row stays: it is old, not stale');
    }
    const fresh = await sink.write(whole([bad('a'), row('b'), bad('c')], { identity: identity('other') }), signal);
    t.match(fresh, { written: 1, rejected: [{ key: { uid: 'a' } }, { key: { uid: 'c' } }] }, 'in a first export too');
    await sink.close();
  });

  t.test(`${name}: a row over the ceiling is refused alone, and what was there of it stays where there are rows`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(whole(rows(3, { v: 1 })), signal);
    const large = row('u000001', { v: 'x'.repeat(maxRowBytes) });
    for (const write of [change([row('u000000', { v: 2 }), large]), whole([row('u000000', { v: 2 }), large, row('u000002', { v: 1 })])]) {
      t.match((await sink.write(write, signal)).rejected, [{ key: { targetName: 'web', uid: 'u000001' }, hash: large.hash, code: 'PayloadTooLarge' }]);
      t.strictSame((await place.contents()).map(attribute), supports.changes ? [2, 1, 1] : [2, 1]);
    }
    const smaller = supports.changes ? 1 : 3;
    t.match(await sink.write(change([row('u000001', { v: 'x'.repeat(1_000) })]), signal), { confirmed: smaller, written: smaller, rejected: [] }, 'and is taken when it is smaller');
    await sink.close();
  });

  t.test(`${name}: a value that goes and comes back is there, whatever was lost on the way`, async (t) => {
    const place = await destination();
    const sink = await place.open();
    await sink.write(whole(rows(3, { v: 'A' })), signal);
    for (const loses of [false, true]) {
      for (const write of [change, whole]) {
        if (loses) place.loseConfirmation(0);
        // Another each time, that nobody knows it again.
        await sink.write(write(rows(3, { v: `B ${loses} ${write.name}` })), signal).catch((error: unknown) => t.ok(loses, String(error)));
        place.loseConfirmation(Infinity);
        await sink.write(write(rows(3, { v: 'A' })), signal);
        t.strictSame((await place.contents()).map(attribute), ['A', 'A', 'A']);
      }
    }
    await sink.close();
  });

  t.test(`${name}: a write that is never answered ends with the caller's patience, and the repetition ends in the same`, async (t) => {
    for (const write of [() => change(rows(3, { v: 2 }), { deletes: ['u000009'] }), () => whole(rows(9, { v: 2 }))]) {
      const place = await destination();
      const sink = await place.open();
      await sink.write(whole(rows(10, { v: 1 })), signal);
      place.loseAnswer();
      const patience = new AbortController();
      setTimeout(() => patience.abort(), 500);
      t.match(await failure(sink.write(write(), patience.signal)), { class: 'transient' });
      await sink.write(write(), signal);
      const stored = await place.contents();
      t.equal(stored.length, 9);
      t.strictSame(stored.slice(0, 3).map(attribute), [2, 2, 2]);
      await sink.close();
    }
  });

  t.test(`${name}: nothing is committed by a process that does not lead any more`, async (t) => {
    const place = await destination();
    const leader = await place.open({ installation: 'ours' });
    await leader.write(whole(rows(3, { v: 1 })), signal);
    const before = await place.contents();
    const asked: number[] = [];
    const former = await place.open({
      installation: 'ours',
      fence: (ms) => {
        asked.push(ms);
        throw new KollectError('KOL_SINK_UNAVAILABLE', 'the lease is lost');
      },
    });
    const attempts = [() => former.write(change(rows(1, { v: 2 })), signal), () => former.write(whole(rows(1, { v: 2 })), signal), () => former.remove(identity(), true, signal)];
    for (const attempt of attempts) t.match(await failure(attempt()), { message: 'the lease is lost' });
    t.ok(asked.length >= 3 && asked.every((ms) => ms > 0));
    t.strictSame(await place.contents(), before);
    await Promise.all([leader.close(), former.close()]);
  });

  t.test(`${name}: a check tells which snapshot is there, unless nobody knows`, { skip: supports.digests ? false : 'declared as not supported' }, async (t) => {
    const place = await destination();
    const sink = await place.open({ installation: 'ours' });
    const digest = async () => (await sink.check(identity(), signal)).digest;
    await sink.write(whole(rows(3), { after: { rows: 3, digest: 'first' } }), signal);
    t.strictSame(await sink.check(identity(), signal), { rows: 3, digest: 'first', owned: true });
    await sink.write(change(rows(1, { v: 2 }), { after: { rows: 3, digest: 'second' } }), signal);
    t.equal(await digest(), 'second');
    const restarted = await place.open({ installation: 'ours' });
    t.equal((await restarted.check(identity(), signal)).digest, 'second', 'also to a process that did not write it');
    await restarted.close();
    await sink.write(change(rows(1, { v: 3 })), signal);
    t.equal(await digest(), undefined, 'not after a write without one');
    await sink.write(whole(rows(3), { after: { rows: 3, digest: 'third' } }), signal);
    t.equal(await digest(), 'third');
    t.equal((await sink.check(identity('other'), signal)).digest, undefined);
    await sink.write(change([row('u000001', { v: 'x'.repeat(maxRowBytes) })], { after: { rows: 3, digest: 'fourth' } }), signal);
    t.equal(await digest(), undefined, 'not while a row is missing');
    await sink.remove(identity(), true, signal);
    t.strictSame(await sink.check(identity(), signal), { rows: 0, digest: undefined, owned: false });
    await sink.close();
  });

  t.test(`${name}: rows of another installation are not touched, and rows of nobody are taken over`, { skip: supports.owners ? false : 'declared as not supported' }, async (t) => {
    const place = await destination();
    const [ours, theirs] = [await place.open({ installation: 'ours' }), await place.open({ installation: 'theirs' })];
    await ours.write(whole(rows(3, { v: 1 })), signal);
    const before = await place.contents();
    const unknown = await place.open({});
    const clash = { code: 'KOL_SINK_OWNER', class: 'terminal' };
    const attempts = [() => theirs.write(whole(rows(1)), signal), () => theirs.write(change(rows(1, { v: 2 }), { deletes: ['u000002'] }), signal), () => theirs.check(identity(), signal), () => unknown.write(whole(rows(1)), signal), () => unknown.write(change(rows(1, { v: 2 }), { deletes: ['u000002'] }), signal), () => unknown.check(identity(), signal)];
    for (const attempt of attempts) t.match(await failure(attempt()), clash);
    t.strictSame(await theirs.remove(identity(), true, signal), { deleted: 0 }, 'there is nothing of theirs to remove');
    t.strictSame(await unknown.remove(identity(), true, signal), { deleted: 0 }, 'nor of somebody who is not known');
    await unknown.close();
    t.strictSame(await place.contents(), before);

    await theirs.write(whole(keyHasCluster === false ? rows(5).slice(3) : rows(2), { identity: identity('shop', 'west') }), signal);
    await theirs.write(whole(rows(2), { identity: identity('stock') }), signal);
    t.equal((await place.contents()).length, 7, 'other inventories and clusters are nobody\'s yet');
    t.match(await failure(ours.write(change(rows(1, { v: 2 }), { identity: identity('stock') }), signal)), clash);
    t.match(await ours.write(change(rows(1, { v: 2 })), signal), { written: 1 });

    const foundling = identity('foundling');
    const nobody = await place.open({});
    await nobody.write(whole(rows(3), { identity: foundling }), signal);
    t.match(await ours.write(whole(rows(1), { identity: foundling, staleLimit: { rows: 0, exempt: [] } }), signal), { held: 2 });
    for (const sink of [ours, nobody]) {
      t.strictSame(await sink.remove(foundling, false, signal), { deleted: 0 }, 'what nobody is known to have written stays');
      t.strictSame(await sink.remove(foundling, true, signal), { deleted: 3 }, 'unless the caller knows');
      await nobody.write(whole(rows(3), { identity: foundling }), signal);
    }

    await ours.remove(identity(), false, signal);
    t.match(await theirs.write(whole(rows(1)), signal), { written: 1 }, 'what its owner left is free');
    await Promise.all([ours.close(), theirs.close(), nobody.close()]);
  });
}
