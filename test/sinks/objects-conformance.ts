import { gunzipSync } from 'node:zlib';
import t from 'tap';
import type { SinkChange } from '../../controller/sinks/contract.ts';
import { HttpProxy, type HttpFault } from '../faults/http-proxy.ts';
import { canary, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { objectPlace, openObjects, type BareStore, type ObjectPlace } from './object-place.ts';

export interface ObjectsConformance {
  name: string;
  /** With the endpoint and connection of another port, behind which the same server is. */
  store(port?: number): BareStore;
  port: number;
  /** Stops the server and starts it with what it holds. */
  restart(): Promise<void>;
  /** Whether a request makes an object seen. */
  isCommit(method: string, url: string): boolean;
  /** How the store says that it is asked too often. */
  throttled: HttpFault;
}

const path = 'inventory/team-a/shop.json';
const after = (count: number, digest: string) => ({ after: { rows: count, digest } });

/** What every store of objects must do beside what all sinks with files do. */
export function objectsConform(conformance: ObjectsConformance): void {
  const { name, port, isCommit, throttled } = conformance;
  const store = conformance.store();

  const behindProxy = async (t: { teardown(end: () => void): void }): Promise<{ proxy: HttpProxy; place: ObjectPlace }> => {
    const proxy = await new HttpProxy(port).start();
    t.teardown(() => proxy.stop());
    return { proxy, place: objectPlace(conformance.store(proxy.port)) };
  };

  t.test(`${name}: a document tells whose it is and which snapshot it holds`, async (t) => {
    const place = objectPlace(store);
    const { sink } = await place.opened({ installation: 'ours' });
    t.strictSame(await sink.check(identity(), signal), { rows: 0, digest: undefined, owned: false });
    t.match(await sink.write(whole(rows(3), after(3, 'first')), signal), { confirmed: 3, written: 3 });
    t.strictSame(await sink.check(identity(), signal), { rows: 3, digest: 'first', owned: true });
    t.match(await place.metadata(path), { kollectinventory: 'default/team-a/shop', kollectinstallation: 'ours', kollectdigest: 'first', kollectrows: '3' });
    const restarted = await place.opened({ installation: 'ours' });
    t.strictSame(await restarted.sink.check(identity(), signal), { rows: 3, digest: 'first', owned: true });
    t.match(await restarted.sink.write(whole(rows(3), after(3, 'first')), signal), { written: 0, bytes: 0 });
    t.match(await sink.write(whole(rows(3)), signal), { written: 0 }, 'it says the same, and nobody knows of which snapshot');
    t.strictSame(await restarted.sink.check(identity(), signal), { rows: 3, digest: undefined, owned: true });
    await sink.write(whole(rows(2), after(2, 'second')), signal);
    await place.put(path, '{}');
    t.strictSame(await restarted.sink.check(identity(), signal), { rows: undefined, digest: undefined, owned: false }, 'somebody else wrote it');
    t.match(await sink.write(whole(rows(2), after(2, 'second')), signal), { written: 2 });
    await place.remove(path);
    t.strictSame(await sink.check(identity(), signal), { rows: 0, digest: undefined, owned: false });
    await sink.write(whole(rows(2), after(2, 'second')), signal);
    t.strictSame(await restarted.sink.remove(identity(), false, signal), { deleted: 2 });
    t.strictSame(await place.files(), {});
    await Promise.all([sink.close(), restarted.sink.close()]);
  });

  t.test(`${name}: documents in parts are one snapshot, or none`, async (t) => {
    const place = objectPlace(store);
    const { sink } = await place.opened({ installation: 'ours' });
    const three = ['a', 'b', 'c'].map((uid) => row(uid, { v: uid.repeat(400) }));
    const parts = (): SinkChange => ({ ...whole(three, after(3, 'parts')), maxDocumentBytes: 1_500 });
    t.match(await sink.write(parts(), signal), { confirmed: 3, written: 3 });
    t.equal(Object.keys(await place.files()).length, 2);
    const restarted = await place.opened({ installation: 'ours' });
    t.strictSame(await restarted.sink.check(identity(), signal), { rows: 3, digest: 'parts', owned: true });
    t.match(await restarted.sink.write(parts(), signal), { written: 0, deleted: 0 });
    await place.remove('inventory/team-a/shop.part-0001-of-0002.json');
    for (const one of [sink, (await place.opened({ installation: 'ours' })).sink]) t.match(await one.check(identity(), signal), { digest: undefined });
    t.match(await sink.write(whole(three, after(3, 'one')), signal), { written: 3, deleted: 1 });
    t.strictSame(Object.keys(await place.files()), [path]);
    await Promise.all([sink.close(), restarted.sink.close()]);
  });

  t.test(`${name}: documents of others are not touched`, async (t) => {
    const place = objectPlace(store);
    const [ours, theirs, nobody] = await Promise.all(['ours', 'theirs', undefined].map(async (installation) => (await place.opened({ installation })).sink));
    await ours!.write(whole(rows(3)), signal);
    const before = await place.files();
    for (const sink of [theirs!, nobody!]) {
      for (const attempt of [() => sink.write(whole(rows(1)), signal), () => sink.check(identity(), signal)]) t.match(await failure(attempt()), { code: 'KOL_SINK_OWNER', class: 'terminal' });
      t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 });
    }
    t.match(await failure(nobody!.write(whole(rows(1), { identity: identity('shop', 'west') }), signal)), { code: 'KOL_SINK_OWNER' });
    t.strictSame(await place.files(), before);
    const clusters = await place.opened({ spec: { pathTemplate: '{cluster}/{namespace}/{name}{extension}' } });
    for (const cluster of ['east', 'west']) await clusters.sink.write(whole(rows(1), { identity: identity('shop', cluster) }), signal);
    t.strictSame(Object.keys(await place.files()).sort(), ['east/team-a/shop.json', path, 'west/team-a/shop.json']);
    const other = await place.opened({ spec: { pathTemplate: '{namespace}/{name}{extension}' } });
    await other.sink.write(whole(rows(1), { identity: identity('shop', 'east') }), signal);
    t.match(await failure(other.sink.write(whole(rows(1), { identity: identity('shop', 'west') }), signal)), { code: 'KOL_SINK_OWNER', message: /\{cluster\}/ });
    await Promise.all([ours, theirs, nobody, clusters.sink, other.sink].map((sink) => sink!.close()));
  });

  t.test(`${name}: what somebody else writes at the same time is not overwritten`, async (t) => {
    const { proxy, place } = await behindProxy(t);
    const { sink } = await place.opened({ installation: 'ours' });
    for (const round of ['new', 'there']) {
      let isFirst = true;
      proxy.fault = async ({ method = '', url = '' }) => {
        if (isFirst && isCommit(method, url)) {
          isFirst = false;
          await place.put(path, `theirs ${round}`);
        }
        return undefined;
      };
      t.match(await failure(sink.write(whole(rows(2, { v: round })), signal)), { code: 'KOL_SINK_BUSY', class: 'transient' }, round);
      t.strictSame(await place.files(), { [path]: `theirs ${round}` });
      t.match(await sink.write(whole(rows(2, { v: round })), signal), { written: 2 }, 'the next one has seen it');
    }
    await sink.close();
  });

  t.test(`${name}: whatever is lost on the way, the next pass ends in what the inventory is`, async (t) => {
    for (const spec of [{}, { layout: { mode: 'perResource' } }] as const) {
      for (const [fault, times] of [['lost', 1], ['lost', 50], ['reset', 50], [throttled, 1]] as const) {
        const { proxy, place } = await behindProxy(t);
        const { sink } = await place.opened({ installation: 'ours', spec });
        await sink.write(whole(rows(10, { v: 1 })), signal);
        let left: number = times;
        proxy.fault = ({ method = '', url = '' }) => (isCommit(method, url) && left-- > 0 ? fault : undefined);
        const next = () => whole(rows(9, { v: 2 }), after(9, 'next'));
        const what = `${JSON.stringify(spec)} ${JSON.stringify(fault)} ${times}`;
        if (times === 1) t.match(await sink.write(next(), signal), { confirmed: 9, written: 9 }, `${what}: one is made good at once`);
        else t.match(await failure(sink.write(next(), signal)), { class: 'transient' }, what);
        proxy.fault = () => undefined;
        await sink.write(next(), signal);
        const other = objectPlace(store);
        const reference = await other.opened({ installation: 'ours', spec });
        await reference.sink.write(next(), signal);
        t.strictSame(timeless(await place.files()), timeless(await other.files()), what);
        await Promise.all([sink.close(), reference.sink.close()]);
      }
    }
  });

  t.test(`${name}: a write that is not answered ends with the caller's patience`, async (t) => {
    const { proxy, place } = await behindProxy(t);
    const { sink } = await place.opened({ installation: 'ours' });
    proxy.fault = ({ method = '', url = '' }) => (isCommit(method, url) ? 'silence' : undefined);
    const patience = new AbortController();
    setTimeout(() => patience.abort(), 500);
    t.match(await failure(sink.write(whole(rows(3)), patience.signal)), { class: 'transient' });
    proxy.fault = () => undefined;
    t.match(await sink.write(whole(rows(3)), signal), { written: 0 }, 'it has arrived');
    await sink.close();
  });

  t.test(`${name}: an export over a restart of the server is made good`, async (t) => {
    const { proxy, place } = await behindProxy(t);
    const { sink } = await place.opened({ installation: 'ours', spec: { layout: { mode: 'perResource' } } });
    let commits = 0;
    let restart: Promise<void> | undefined;
    proxy.fault = ({ method = '', url = '' }) => {
      if (isCommit(method, url) && ++commits === 60) restart = conformance.restart();
      return restart ? 'reset' : undefined;
    };
    t.match(await failure(sink.write(whole(rows(200)), signal)), { class: 'transient' });
    t.ok(restart, 'in between');
    await restart;
    proxy.fault = () => undefined;
    t.match(await sink.write(whole(rows(200)), signal), { confirmed: 200 });
    t.equal(Object.keys(await place.files()).length, 201);
    t.equal((await sink.check(identity(), signal)).rows, 200);
    await sink.close();
  });

  t.test(`${name}: a document that is larger than one request arrives as it is, or not at all`, async (t) => {
    const { proxy, place } = await behindProxy(t);
    const { sink } = await place.opened({ installation: 'ours' });
    const large = Array.from({ length: 2_600 }, (_, index) => row(`u${index}`, { v: `${index}`.repeat(2_000).slice(0, 8_000) }));
    const first = () => whole(large, after(large.length, 'large'));
    t.match(await sink.write(first(), signal), { confirmed: 2_600, written: 2_600 });
    const read = async () => JSON.parse((await store.read(`${place.prefix}/${path}`)).toString()) as { itemCount: number; items: unknown[] };
    t.strictSame((await read()).items, large.map(({ payload }) => JSON.parse(payload) as unknown).sort((a, b) => ((a as { uid: string }).uid < (b as { uid: string }).uid ? -1 : 1)));
    t.strictSame(await sink.check(identity(), signal), { rows: 2_600, digest: 'large', owned: true });
    const sent = proxy.requests.length;
    t.match(await sink.write(first(), signal), { written: 0, bytes: 0 });
    t.notOk(proxy.requests.slice(sent).some((line) => line.startsWith('PUT') || line.startsWith('POST')), 'what is there is not sent again');
    proxy.fault = ({ method = '', url = '' }) => (isCommit(method, url) ? { status: 403 } : undefined);
    t.match(await failure(sink.write(whole(large.slice(1), after(2_599, 'other')), signal)), { code: 'KOL_SINK_AUTH', class: 'terminal' });
    t.equal((await read()).itemCount, 2_600);
    proxy.fault = () => undefined;
    t.match(await sink.write(whole(large.slice(1), after(2_599, 'other')), signal), { written: 2_599 });
    t.equal((await read()).itemCount, 2_599);
    await sink.close();
  });

  t.test(`${name}: all formats, under their names, and nothing is sent again that says the same`, async (t) => {
    const place = objectPlace(store);
    for (const [serialization, file, check] of [
      [{ format: 'json', compression: 'gzip' }, 'inventory/team-a/shop.json.gz', (bytes: Buffer) => (JSON.parse(gunzipSync(bytes).toString()) as { itemCount: number }).itemCount === 2],
      [{ format: 'csv' }, 'inventory/team-a/shop.csv', (bytes: Buffer) => bytes.toString().split('\n').length === 4],
      [{ format: 'parquet', compression: 'zstd' }, 'inventory/cluster=default/ns=team-a/name=shop/generation=1.parquet', (bytes: Buffer) => bytes.toString('latin1').startsWith('PAR1')],
    ] as const) {
      const { sink } = await place.opened({ installation: 'ours', spec: { serialization, objectStore: { hotAttributes: ['v'] } } });
      t.match(await sink.write(whole(rows(2, { v: 'x' })), signal), { written: 2 });
      t.ok(check(Buffer.from((await place.files())[file] ?? '', 'latin1')), file);
      t.match(await sink.write(whole(rows(2, { v: 'x' })), signal), { written: 0, bytes: 0 }, file);
      t.strictSame(await sink.remove(identity(), false, signal), { deleted: 2 });
      await sink.close();
    }
    t.strictSame(await place.files(), {});
  });

  t.test(`${name}: a leader that is none any more writes nothing`, async (t) => {
    const place = objectPlace(store);
    const { sink } = await place.opened({ installation: 'ours' });
    await sink.write(whole(rows(3)), signal);
    const before = await place.files();
    const former = await place.opened({
      installation: 'ours',
      fence: () => {
        throw new Error('the lease is lost');
      },
    });
    for (const attempt of [() => former.sink.write(whole(rows(1)), signal), () => former.sink.remove(identity(), true, signal)]) t.match(await failure(attempt()), { message: /the lease is lost/ });
    t.strictSame(await place.files(), before);
    await Promise.all([sink.close(), former.sink.close()]);
  });

  t.test(`${name}: a probe tells what it found, and writes nothing`, async (t) => {
    const { proxy, place } = await behindProxy(t);
    const { sink } = await place.opened();
    const { message } = await sink.probe(signal);
    t.match(message, /HTTP without TLS/);
    t.notOk(message.includes(canary));
    t.strictSame(await place.files(), {});
    proxy.fault = () => ({ status: 403 });
    t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_AUTH' });
    proxy.fault = () => throttled;
    t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE' });
    await sink.close();
    proxy.stop();
    const away = await place.opened();
    t.match(await failure(away.sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE', message: /nothing listens there/ });
    await away.sink.close();
    const endpoint = `${store.endpoint}-missing`;
    const missing = await openObjects(store, { spec: { endpoint } });
    for (const attempt of [() => missing.sink.probe(signal), () => missing.sink.write(whole(rows(1)), signal)]) t.match(await failure(attempt()), { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: /does not exist/ });
    await missing.sink.close();
    for (const [host, code] of [['169.254.169.254', 'KOL_SINK_ADDRESS'], ['127.0.0.1', 'KOL_SINK_ADDRESS'], ['nowhere.invalid', 'KOL_SINK_UNAVAILABLE']] as const) {
      const guarded = await openObjects(store, { spec: { endpoint: endpoint.replace('127.0.0.1', host) }, policy: { allowPrivate: true, allowLoopback: false } });
      t.match(await failure(guarded.sink.probe(signal)), { code }, host);
      await guarded.sink.close();
    }
  });
}

/** But for when it was written. */
function timeless(files: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(files).map(([file, text]) => [file, text.replaceAll(/("?exportedAt"?: ?"?)[^",\n]+/g, '$1')]));
}
