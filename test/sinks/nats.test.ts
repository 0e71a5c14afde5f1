import { createHash } from 'node:crypto';
import { StorageType, type JsMsg } from 'nats';
import t from 'tap';
import type { Sink, SinkChange } from '../../controller/sinks/contract.ts';
import { startNats } from '../servers/nats/index.ts';
import { canary, change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { adminOf, natsPlace, openNats, type OpenNatsOptions } from './nats-place.ts';

const server = await startNats({
  config: () => `max_payload: 65536
authorization {
  users: [
    { user: kollect, password: "${canary}" }
    { user: reader, password: "${canary}", permissions: { publish: ["$JS.API.INFO", "$JS.API.STREAM.INFO.*", "$JS.API.STREAM.NAMES"], subscribe: "_INBOX.>" } }
    { user: narrow, password: "${canary}", permissions: { publish: ["$JS.API.>", "$SYS.REQ.USER.INFO"], subscribe: "_INBOX.>" } }
  ]
}`,
});
const ends: (() => Promise<void> | void)[] = [() => server.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const place = () => natsPlace(server, 'aggregate', (end) => ends.push(end));

interface Envelope {
  schemaVersion: string;
  timestamp: string;
  cluster: string;
  namespace: string;
  payload: { uid: string; attributes: { v: unknown } }[];
}

const values = (message: JsMsg | undefined) => message?.json<Envelope>().payload.map(({ uid, attributes }) => `${uid}=${JSON.stringify(attributes.v)}`);
const last = async ({ messages }: Pick<Awaited<ReturnType<typeof place>>, 'messages'>) => values((await messages()).at(-1));

t.test('an export is one message, and none when nothing changed', async (t) => {
  const at = await place();
  const sink = await at.open();
  t.match(await sink.write(whole([row('b', { v: 1 }), row('a', { v: 1 })], { identity: identity('shop', 'prod-west'), after: { rows: 2, digest: 'd' } }), signal), { confirmed: 2, written: 2, deleted: 0, rejected: [] });
  const [message] = await at.messages();
  const text = message!.string();
  t.match(text, /^\{"schemaVersion":"kollect\.dev\/v1alpha1","timestamp":"[^"]+Z","cluster":"prod-west","namespace":"team-a","payload":\[\{"targetNamespace"/);
  t.strictSame(values(message), ['a=1', 'b=1'], 'in canonical order');
  const payload = text.slice(text.indexOf('"payload":') + 10, -1);
  const header = (name: string) => message!.headers?.get(name);
  t.equal(header('Nats-Msg-Id'), createHash('sha256').update(['prod-west', 'team-a', 'shop', '1/1', payload].map((field) => `${Buffer.byteLength(field)}:${field}`).join('')).digest('hex'));
  t.strictSame(['Cluster', 'Namespace', 'Inventory', 'Generation', 'Part', 'Checksum', 'Digest'].map((name) => header(`Kollect-${name}`)), ['prod-west', 'team-a', 'shop', '1', '1/1', createHash('sha256').update(payload).digest('hex'), 'd']);
  t.match(await sink.write(whole([row('a', { v: 1 }), row('b', { v: 1 })], { identity: identity('shop', 'prod-west') }), signal), { confirmed: 2, written: 0 });
  t.equal((await at.messages()).length, 1);
  t.match(await sink.write(whole([row('a', { v: 2 })], { identity: identity('shop', 'prod-west') }), signal), { confirmed: 1, written: 1, deleted: 1 });
  t.strictSame(await last(at), ['a=2']);
  t.match(await sink.write(whole([], { identity: identity('shop', 'prod-west') }), signal), { confirmed: 0, deleted: 1 });
  t.strictSame(await last(at), [], 'an inventory without rows is a message, too');
  t.match(await sink.write(change([]), signal), { confirmed: 0, written: 0 });
  t.equal((await at.messages()).length, 3);
  await sink.close();
});

t.test('what was exported before is told again when something else was told since', async (t) => {
  const at = await place();
  const [sink, restarted] = [await at.open(), await at.open()];
  const write = async (to: Sink, v: string) => (await to.write(whole([row('a', { v })]), signal)).written;
  for (const v of ['A', 'B', 'A', 'B', 'A']) t.equal(await write(sink, v), 1);
  t.strictSame((await at.messages()).map((message) => values(message)), [['a="A"'], ['a="B"'], ['a="A"'], ['a="B"'], ['a="A"']]);
  t.equal(await write(restarted, 'B'), 1, 'also by a process that does not know what was told');
  t.strictSame(await last(at), ['a="B"']);
  for (const loses of [0, 1, 2]) {
    at.proxy.breakCommit('cut', loses);
    for (const v of ['C', 'A', 'C']) await write(sink, v).catch(() => undefined);
    at.proxy.heal();
    await write(sink, 'C');
    t.strictSame(await last(at), ['a="C"'], 'whatever was lost on the way');
  }
  await Promise.all([sink.close(), restarted.close()]);
});

t.test('a message that may have arrived is told once more, and not whenever it is tried again', async (t) => {
  const at = await place();
  const sink = await at.open();
  await sink.write(whole([row('a')], { identity: identity('other') }), signal);
  at.proxy.breakCommit('cut');
  t.match(await failure(sink.write(whole(rows(3)), signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient' });
  at.proxy.breakCommit('cut', 1);
  t.match(await failure(sink.write(whole(rows(3)), signal)), { code: 'KOL_SINK_UNAVAILABLE' });
  await sink.write(whole(rows(3)), signal);
  t.equal((await at.messages()).length, 3, 'one of the other, and two of this');
  at.proxy.breakCommit('silence');
  t.match(await failure(sink.write(whole(rows(2)), AbortSignal.timeout(300))), { class: 'transient' });
  at.proxy.heal();
  await sink.write(whole(rows(2)), signal);
  t.equal((await last(at))?.length, 2, 'nor does it wait for a connection that does not answer');
  await sink.close();
});

t.test('an inventory that is larger than a message goes in parts', async (t) => {
  const at = await place();
  const sink = await at.open();
  const some = (v: number) => rows(300, { v, text: 'x'.repeat(1_000) });
  const large = row('large', { v: 'x'.repeat(66_000) });
  t.match(await sink.write(whole([...some(1), large]), signal), { confirmed: 300, written: 300, rejected: [{ key: { uid: 'large' }, code: 'PayloadTooLarge' }] });
  const first = await at.messages();
  const total = first.length;
  t.ok(total >= 5 && total <= 7, `${total} parts`);
  t.strictSame(first.map(({ headers }) => headers?.get('Kollect-Part')), first.map((_message, index) => `${index + 1}/${total}`));
  t.equal(new Set(first.map((message) => message.json<Envelope>().timestamp)).size, 1);
  t.equal((await at.contents()).length, 300, 'the consumer of the documentation puts them together');
  // Only one of them is another, and all are told: whoever reads them needs all.
  await sink.write(whole([...some(1).slice(0, -1), row('u000299', { v: 2, text: 'x'.repeat(1_000) })]), signal);
  const second = (await at.messages()).slice(total);
  t.equal(second.length, total);
  t.equal(new Set(second.map((message) => message.json<Envelope>().timestamp)).size, 1);
  t.equal((await at.contents()).length, 300);

  await at.manager.streams.update(at.stream, { max_msg_size: 4_096 });
  const restarted = await at.open();
  const smaller = [...rows(20, { text: 'y'.repeat(300) }), row('large', { v: 'x'.repeat(4_000) })];
  t.match(await restarted.write(whole(smaller), signal), { confirmed: 20, rejected: [{ key: { uid: 'large' } }] }, 'the limit of the stream counts, too');
  t.equal((await at.contents()).length, 20);
  await Promise.all([sink.close(), restarted.close()]);
});

t.test('where too much would go nothing is told, until it is allowed', async (t) => {
  const at = await place();
  const sink = await at.open();
  await sink.write(whole(rows(20)), signal);
  const few: SinkChange = whole(rows(1), { staleLimit: { rows: 10, exempt: [] } });
  const since = { upserts: [], deletes: rows(20).slice(1).map(({ targetName, uid }) => ({ targetName, uid })) };
  t.match(await sink.write(few, signal), { confirmed: 0, written: 0, deleted: 0, held: 19 });
  const exchanged = [...rows(5), ...Array.from({ length: 15 }, (_, index) => row(`other${index}`))];
  t.match(await sink.write(whole(exchanged, { staleLimit: { rows: 10, exempt: [] } }), signal), { written: 0, held: 15 }, 'as many come as go');
  t.match(await sink.write({ ...few, since }, signal), { held: 19 });
  t.equal((await at.messages()).length, 1);
  t.match(await sink.write({ ...whole(rows(1), { staleLimit: { rows: 10, exempt: ['web'] } }), since }, signal), { written: 1, deleted: 19 });
  await sink.write(whole(rows(20)), signal);
  t.match(await sink.write(whole(rows(1)), signal), { written: 1 });
  await sink.close();
});

t.test('removal is a last, empty message', async (t) => {
  const at = await place();
  const sink = await at.open();
  t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 });
  t.notOk(await at.touched(), 'nothing is created in order to be emptied');
  await sink.write(whole(rows(3)), signal);
  t.strictSame(await sink.remove(identity(), true, signal), { deleted: 3 });
  t.strictSame(await last(at), []);
  t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 });
  const restarted = await at.open();
  t.strictSame(await restarted.remove(identity('other'), false, signal), { deleted: 0 }, 'what nobody is known to have told stays');
  t.equal((await at.messages()).length, 2);
  t.strictSame(await restarted.remove(identity('other'), true, signal), { deleted: 1 });
  t.equal((await at.messages()).length, 3);
  await Promise.all([sink.close(), restarted.close()]);
});

t.test('nothing is told by a process that does not lead, and messages say who leads', async (t) => {
  const at = await place();
  const { sink } = await at.opened({ epoch: { current: () => 7, outrank: () => undefined } });
  await sink.write(whole(rows(1)), signal);
  t.equal((await at.messages())[0]!.headers?.get('Kollect-Epoch'), '7');
  const former = await at.open({ fence: () => { throw new Error('the lease is lost'); } });
  for (const attempt of [() => former.write(whole(rows(2)), signal), () => former.remove(identity(), true, signal)]) t.match(await failure(attempt()), { message: /the lease is lost/ });
  t.equal((await at.messages()).length, 1);
  await Promise.all([sink.close(), former.close()]);
});

t.test('a check asks for the stream, and one that is gone is filled anew', async (t) => {
  for (const mode of ['aggregate', 'perItem'] as const) {
    const at = await natsPlace(server, mode, (end) => ends.push(end));
    const sink = await at.open();
    t.match(await sink.check(identity(), signal), { rows: 0, digest: undefined });
    await sink.write(whole(rows(3, { v: 1 })), signal);
    t.match(await sink.check(identity(), signal), { rows: undefined, isLog: true, isTouched: false });
    await at.manager.streams.delete(at.stream);
    const lost = { code: 'KOL_SINK_DESTINATION_LOST', class: 'transient' };
    t.match(await failure(sink.check(identity(), signal)), lost);
    await sink.write(whole(rows(3, { v: 1 })), signal);
    t.ok((await at.messages()).length > 0, 'the same rows are told to a new stream');
    await at.manager.streams.delete(at.stream);
    // In memory: files of the one that was deleted may still be there for a moment, and the server counts on from those.
    await at.manager.streams.add({ name: at.stream, subjects: [at.subject], storage: StorageType.Memory });
    t.match(await (await at.open()).check(identity(), signal), { isTouched: true }, 'a stream that never had a message had none of ours');
    t.match(await failure(sink.check(identity(), signal)), lost);
    await sink.write(whole(rows(3, { v: 1 })), signal);
    await at.manager.streams.delete(at.stream);
    const writing = sink.write(mode === 'perItem' ? change(rows(1, { v: 2 })) : whole(rows(1, { v: 2 })), signal);
    t.match(await failure(writing), lost, 'it is noticed by the next message, too');
    await sink.close();
  }
});

t.test('a stream that somebody empties is filled anew, and one that forgets is left alone', async (t) => {
  for (const mode of ['aggregate', 'perItem'] as const) {
    const at = await natsPlace(server, mode, (end) => ends.push(end));
    const sink = await at.open();
    const isTouched = async (of = sink) => (await of.check(identity(), signal)).isTouched;
    const count = async () => (await at.manager.streams.info(at.stream)).state.messages;
    // Of all messages, or of those before the last.
    for (const keep of [0, 1]) {
      for (const number of [3, 4]) {
        await sink.write(whole(rows(number, { v: 1 })), signal);
        t.equal(await isTouched(), false);
      }
      await at.manager.streams.purge(at.stream, { keep });
      t.equal(await isTouched(), true);
      t.equal(await isTouched(), true, 'until all is told');
      const restarted = await at.open();
      t.equal(await isTouched(restarted), keep === 0, 'who begins sees whether there is any');
      await restarted.close();
      t.match(await sink.write(whole(rows(4, { v: 1 })), signal), { written: 4 });
      t.ok((await count()) > keep);
      t.equal(await isTouched(), false);
    }
    await at.manager.streams.update(at.stream, { max_age: 3_600_000_000_000 });
    await at.manager.streams.purge(at.stream);
    t.equal(await isTouched(), false);
    await sink.close();
  }
});

t.test('what a process told is told again by the next one between a begin and an end', async (t) => {
  const at = await natsPlace(server, 'perItem', (end) => ends.push(end));
  const first = await at.open();
  await first.write(change([...rows(5, { v: 1 }), ...rows(2, {}, 'jobs')], { complete: ['web', 'jobs'], known: ['web', 'jobs'] }), signal);
  await first.close();
  const types = async (from: number) => (await at.messages()).slice(from).map((message) => message.json<{ type: string }>().type);
  const count = (await at.messages()).length;
  const second = await at.open();
  t.match(await second.write(change([row('u000000', { v: 2 })], { deletes: ['u000001'] }), signal), { written: 1, deleted: 1 }, 'a change needs no knowledge');
  t.strictSame(await types(count), ['upsert', 'delete']);
  const kept = [row('u000000', { v: 2 }), row('u000002', { v: 1 })];
  t.match(await second.write(change(kept, { complete: ['web'], known: ['web'], keep: ['u000003'] }), signal), { written: 2 });
  t.strictSame(await types(count + 2), ['snapshotBegin', 'upsert', 'upsert', 'keep', 'snapshotEnd']);
  t.strictSame((await at.contents()).map(({ uid }) => uid), ['u000000', 'u000002', 'u000003'], 'readers drop the rest, and targets that are gone');
  const before = (await at.messages()).length;
  t.match(await second.write(change(kept, { complete: ['web'], known: ['web'] }), signal), { written: 0, deleted: 1 }, 'from then on what changes is known');
  t.strictSame(await types(before), ['delete']);
  const third = await at.open();
  t.match(await third.write(change([row('u000005')], { complete: ['web'], known: ['web'], staleLimit: { rows: 0, exempt: [] } }), signal), { written: 1, held: 1 }, 'while deletions are paused none is told');
  t.equal((await at.contents()).length, 3);
  t.match(await third.write(change([row('u000005')], { complete: ['web'], known: ['web'] }), signal), { written: 1 });
  t.strictSame((await at.contents()).map(({ uid }) => uid), ['u000005']);
  await Promise.all([second.close(), third.close()]);
});

t.test('a server that restarts is written to again', async (t) => {
  const own = await startNats({ config: () => `authorization { user: kollect, password: "${canary}" }` });
  t.teardown(() => own.stop());
  for (const mode of ['aggregate', 'perItem'] as const) {
    const at = await natsPlace(own, mode, (end) => t.teardown(end));
    const sink = await at.open();
    await sink.write(whole(rows(3, { v: 1 })), signal);
    await own.kill();
    t.match(await failure(sink.write(whole(rows(3, { v: 2 })), signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /nothing listens there|was lost|does not answer/ });
    await own.start();
    await sink.write(whole(rows(3, { v: 2 })), signal);
    const again = await adminOf(own);
    const stream = await (await again.jetstreamManager()).streams.info(at.stream);
    t.ok(stream.state.messages >= 2, 'with what it had');
    await again.close();
    await sink.close();
  }
});

t.test('a stream is made and widened where it may be, and others stay as they are', async (t) => {
  const at = await place();
  const write = async (options: OpenNatsOptions) => {
    const { sink } = await at.opened(options);
    try {
      return await sink.write(whole(rows(1)), signal);
    } finally {
      await sink.close();
    }
  };
  const config = async (stream = at.stream) => (await at.manager.streams.info(stream)).config;
  await write({ spec: { options: { maxAge: '1h', storage: 'memory', replicas: '1' } } });
  t.match(await config(), { subjects: [at.subject], max_age: 3_600_000_000_000, storage: 'memory', num_replicas: 1 });
  await write({ spec: { nats: { subject: `${at.stream}.more` } } });
  t.match(await config(), { subjects: [at.subject, `${at.stream}.more`], max_age: 3_600_000_000_000 }, 'what was made here gets further subjects');
  const schema = { code: 'KOL_SINK_SCHEMA', class: 'terminal' };
  t.match(await failure(write({ spec: { nats: { subject: 'else' }, provisioning: { mode: 'existing' } } })), { ...schema, message: /takes ".*" and not "else"/ });
  t.match(await failure(write({ spec: { nats: { stream: 'absent' }, provisioning: { mode: 'existing' } } })), { ...schema, message: /stream "absent" does not exist/ });
  t.match(await failure(write({ spec: { nats: { stream: 'absent' } } })), { ...schema, message: /another stream takes: name that one/ });

  const theirs = `${at.stream}-theirs`;
  await at.manager.streams.add({ name: theirs, subjects: [`${theirs}.>`], max_msgs: 7 });
  const before = await config(theirs);
  for (const mode of ['ensure', 'existing'] as const) await write({ spec: { nats: { stream: theirs, subject: `${theirs}.a` }, provisioning: { mode } } });
  t.match(await failure(write({ spec: { nats: { stream: theirs, subject: 'else' } } })), { ...schema, message: /add the subject to it/ });
  t.strictSame(await config(theirs), before);
  await at.manager.streams.add({ name: `${theirs}-silent`, subjects: ['silent'], no_ack: true });
  t.match(await failure(write({ spec: { nats: { stream: `${theirs}-silent`, subject: 'silent' } } })), { ...schema, message: /no_ack/ });
  for (const options of [{ storage: 'disk' }, { replicas: '6' }, { maxAge: 'long' }, { maxAge: '1ms' }]) t.match(await failure(at.opened({ spec: { options } })), { code: 'KOL_SINK_CONFIG', message: new RegExp(Object.keys(options)[0]!) });
  t.match(await failure(write({ spec: { nats: { stream: `${theirs}-many`, subject: 'many' }, options: { replicas: '3' } } })), { code: 'KOL_SINK_CONFIG', message: /replicas/ });
  t.match(await failure(at.opened({ spec: { nats: { url: 'nats://user@127.0.0.1' } } })), { code: 'KOL_SINK_CONFIG', message: /credential/ });
});

t.test('a probe says what an export will meet, and writes nothing', async (t) => {
  const at = await place();
  const probe = async (options: OpenNatsOptions = {}) => {
    const { sink } = await at.opened(options);
    try {
      return await sink.probe(signal);
    } finally {
      await sink.close();
    }
  };
  t.match(await probe(), { message: /^NATS 2\.\d+\.\d+ with JetStream, without TLS: login succeeded, the first export will create stream "\w+", messages have at most 65536 bytes$/, isPassing: true }, 'the first export makes it untrue');
  const as = (username: string) => ({ secret: { username, password: canary } });
  t.match(await failure(probe(as('reader'))), { code: 'KOL_SINK_AUTH', message: new RegExp(`publish to \\$JS\\.API\\.STREAM\\.CREATE\\.${at.stream}`) });
  t.match(await failure(probe({ spec: { provisioning: { mode: 'existing' } } })), { code: 'KOL_SINK_SCHEMA', message: /does not exist/ });
  t.notOk(await at.touched());
  await (await at.open()).write(whole(rows(1)), signal);
  t.match(await probe(), { message: /stream "\w+" takes "\w+\.events"/, isPassing: false });
  t.match(await probe({ ...as('reader'), spec: { provisioning: { mode: 'existing' } } }), { message: /login succeeded/ });
  t.match(await failure(probe(as('narrow'))), { code: 'KOL_SINK_AUTH', message: new RegExp(`let it publish to ${at.subject}`) });
  const writing = (await at.opened(as('narrow'))).sink;
  t.match(await failure(writing.write(whole(rows(2)), signal)), { code: 'KOL_SINK_AUTH', class: 'terminal', message: new RegExp(`let it publish to ${at.subject}`) });
  t.match(await probe({ spec: { nats: { subject: `${at.stream}.more` } } }), { message: /the first export will add "\w+\.more" to stream/, isPassing: true });
  t.match(await failure(probe({ spec: { nats: { stream: 'another' } } })), { code: 'KOL_SINK_SCHEMA', message: new RegExp(`stream "${at.stream}" takes subject`) });
  t.equal((await at.messages()).length, 1);

  const without = await startNats({ config: () => `accounts { plain { users: [{ user: kollect, password: "${canary}" }] } }` });
  ends.push(() => without.stop());
  const { sink } = await openNats(`nats://127.0.0.1:${without.port}`, { secret: { username: 'kollect', password: canary } });
  for (const attempt of [() => sink.probe(signal), () => sink.write(whole(rows(1)), signal)]) t.match(await failure(attempt()), { code: 'KOL_SINK_CONFIG', class: 'terminal', message: /JetStream is not enabled for the account/ });
  await sink.close();
});
