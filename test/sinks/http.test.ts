import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttpsServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { gunzipSync } from 'node:zlib';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import type { KollectSnapshotSinkSpec } from '../../shared/api/kollect-snapshot-sink.ts';
import { canary, failure, identity, row, rows, signal, whole } from './conformance.ts';

interface Received {
  method: string;
  url: string;
  headers: IncomingMessage['headers'];
  body: Buffer;
}

/** What receives documents. `answer` may answer in its own way; else it is 204. */
class Receiver {
  readonly received: Received[] = [];
  answer: (request: Received, response: ServerResponse) => boolean | void = () => undefined;
  readonly #server: ReturnType<typeof createHttpServer> | Server;

  constructor(tls?: { cert: string; key: string; ca: string }) {
    const serve = async (incoming: IncomingMessage, response: ServerResponse): Promise<void> => {
      const pieces: Buffer[] = [];
      for await (const piece of incoming as AsyncIterable<Buffer>) pieces.push(piece);
      const request = { method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers, body: Buffer.concat(pieces) };
      if (request.method !== 'OPTIONS') this.received.push(request);
      if (!this.answer(request, response)) response.writeHead(204).end();
    };
    const listen = (incoming: IncomingMessage, response: ServerResponse): void => void serve(incoming, response).catch(() => response.destroy());
    this.#server = tls ? createHttpsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, listen) : createHttpServer(listen);
  }

  async start(): Promise<this> {
    await once(this.#server.listen(0, '127.0.0.1'), 'listening');
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  stop(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

const receiver = await new Receiver().start();
t.teardown(() => receiver.stop());
t.beforeEach(() => {
  receiver.received.length = 0;
  receiver.answer = () => undefined;
});

const secrets: Record<string, Record<string, string>> = {
  token: { token: `${canary}-token` },
  basic: { username: 'kollect', password: canary },
  headers: { 'X-Tenant': 'team-a', 'X-Api-Key': `${canary}-key` },
  key: { key: `${canary}-signs` },
};

type Options = Partial<Omit<OpenSinkOptions, 'sink' | 'readSecret'>>;

async function open(spec: Partial<KollectSnapshotSinkSpec> = {}, { policy = { allowPrivate: true, allowLoopback: true }, ...options }: Options = {}): Promise<OpenedSink> {
  const sink = { kind: 'KollectSnapshotSink', metadata: { name: 'hook', namespace: 'team-a' }, spec: { type: 'http', endpoint: `http://127.0.0.1:${receiver.port}/hooks/inventory?version=1`, http: {}, ...spec } };
  const readSecret: OpenSinkOptions['readSecret'] = async (_namespace, name) =>
    secrets[name] && { metadata: { resourceVersion: '1' }, data: Object.fromEntries(Object.entries(secrets[name]).map(([key, value]) => [key, Buffer.from(value).toString('base64')])) };
  return await openSink({ sink, readSecret, policy, ...options });
}

const documentOf = ({ body }: Received) => JSON.parse(body.toString()) as { itemCount: number; partIndex?: number; items: unknown[] };

t.test('http: each export is one request, and what is confirmed is not sent again', async (t) => {
  const { sink, place } = await open({ cluster: 'prod' });
  t.equal(place, `POST http://127.0.0.1:${receiver.port}/hooks/inventory as cluster "prod"`);
  const of = { identity: identity('shop', 'prod') };
  t.match(await sink.write(whole(rows(3), of), signal), { confirmed: 3, written: 3, rejected: [] });
  t.match(await sink.write(whole(rows(3), of), signal), { confirmed: 3, written: 0, bytes: 0 });
  t.match(receiver.received, [
    { method: 'POST', url: '/hooks/inventory?version=1', headers: { 'content-type': 'application/json', 'content-length': /^\d+$/, 'x-kollect-cluster': 'prod', 'x-kollect-namespace': 'team-a', 'x-kollect-inventory': 'shop', 'x-kollect-generation': '1', 'x-kollect-rows': '3', 'idempotency-key': /^[0-9a-f]{64}$/ } },
  ]);
  t.equal(receiver.received.length, 1);
  t.match(documentOf(receiver.received[0]!), { itemCount: 3, cluster: 'prod', items: { length: 3 } });
  await sink.write(whole([], of), signal);
  t.equal(documentOf(receiver.received[1]!).itemCount, 0, 'an emptied inventory is told, too');
  await sink.write(whole(rows(3), of), signal);
  t.strictSame(await sink.remove(of.identity, false, signal), { deleted: 0 });
  t.strictSame(await sink.remove(of.identity, true, signal), { deleted: 3 });
  t.strictSame(receiver.received.map((request) => documentOf(request).itemCount), [3, 0, 3, 0]);
  const keys = receiver.received.map(({ headers }) => headers['idempotency-key']);
  t.equal(new Set(keys).size, 4, 'a content that comes back is another request');
  t.strictSame(await sink.check(of.identity, signal), { rows: undefined, digest: undefined, isLog: true });
  await sink.close();
});

t.test('http: methods, formats, logins, headers and signatures', async (t) => {
  const ways: [string, Partial<KollectSnapshotSinkSpec>, Partial<Received>][] = [
    ['a token', { http: { method: 'PUT', auth: { secretRef: { name: 'token' } } } }, { method: 'PUT', headers: { authorization: `Bearer ${canary}-token` } }],
    ['a password', { secretRef: { name: 'basic' }, http: { method: 'PATCH' } }, { method: 'PATCH', headers: { authorization: `Basic ${Buffer.from(`kollect:${canary}`).toString('base64')}` } }],
    ['headers', { http: { headersSecretRef: { name: 'headers' } } }, { headers: { 'x-tenant': 'team-a', 'x-api-key': `${canary}-key` } }],
    ['lines', { serialization: { format: 'ndjson' } }, { headers: { 'content-type': 'application/x-ndjson' } }],
  ];
  for (const [what, spec, expected] of ways) {
    const { sink } = await open(spec);
    await sink.write(whole(rows(2)), signal);
    t.match(receiver.received.pop(), expected, what);
    await sink.close();
  }
  for (const [algorithm, header] of [['hmac-sha256', undefined], ['hmac-sha512', 'X-Hub']] as const) {
    const { sink } = await open({ http: { signature: { secretRef: { name: 'key' }, algorithm, header } }, serialization: { compression: 'gzip' } });
    await sink.write(whole(rows(2)), signal);
    const { headers, body } = receiver.received.pop()!;
    t.equal(headers[(header ?? 'X-Kollect-Signature').toLowerCase()], `${algorithm}=${createHmac(algorithm.slice(5), `${canary}-signs`).update(body).digest('hex')}`, 'over the bytes as they are sent');
    t.equal(headers['content-encoding'], 'gzip');
    t.equal((JSON.parse(gunzipSync(body).toString()) as { itemCount: number }).itemCount, 2);
    await sink.close();
  }
});

t.test('http: a large document is made as it is sent, and parts are requests of their own', async (t) => {
  const { sink } = await open({ http: { signature: { secretRef: { name: 'key' } } } });
  const large = Array.from({ length: 1_300 }, (_, index) => row(`u${index}`, { v: 'x'.repeat(8_000) }));
  t.match(await sink.write(whole(large), signal), { written: 1_300 });
  const [first] = receiver.received.splice(0);
  t.equal(documentOf(first!).items.length, 1_300);
  t.equal(first!.headers['x-kollect-signature'], `hmac-sha256=${createHmac('sha256', `${canary}-signs`).update(first!.body).digest('hex')}`);
  const parts = () => ({ ...whole(['a', 'b', 'c'].map((uid) => row(uid, { v: uid.repeat(400) }))), maxDocumentBytes: 1_500 });
  let left = 1;
  receiver.answer = ({ headers }, response) => headers['x-kollect-part'] === '2/2' && left-- > 0 && !!response.writeHead(500).end();
  t.match(await failure(sink.write(parts(), signal)), { code: 'KOL_SINK_UNAVAILABLE' });
  t.match(await sink.write(parts(), signal), { confirmed: 3, written: 3 });
  t.strictSame(receiver.received.map(({ headers }) => headers['x-kollect-part']), ['1/2', '2/2', '1/2', '2/2']);
  const [one, two, again, too] = receiver.received;
  t.strictSame([again!.body, again!.headers['idempotency-key']], [one!.body, one!.headers['idempotency-key']], 'a repetition is the same, byte by byte');
  t.strictSame([too!.body, too!.headers['idempotency-key']], [two!.body, two!.headers['idempotency-key']]);
  await sink.close();
});

t.test('http: what the server answers is told with what to do, and never with a secret', async (t) => {
  const { sink } = await open({ http: { auth: { secretRef: { name: 'token' } } } });
  const answers: [number, Record<string, string>, object][] = [
    [400, { 'content-type': 'text/plain' }, { code: 'KOL_SINK_REFUSED', class: 'terminal', message: /refused the document.*: no use/ }],
    [401, {}, { code: 'KOL_SINK_AUTH', message: /refused the login: correct the Secret/ }],
    [403, {}, { code: 'KOL_SINK_AUTH' }],
    [404, {}, { code: 'KOL_SINK_SCHEMA', message: /correct spec\.endpoint/ }],
    [405, {}, { code: 'KOL_SINK_CONFIG', message: /takes no POST/ }],
    [408, {}, { code: 'KOL_SINK_UNAVAILABLE', class: 'transient' }],
    [413, {}, { code: 'KOL_SINK_REFUSED', message: /maxExportBytes/ }],
    [429, { 'retry-after': '7' }, { code: 'KOL_SINK_UNAVAILABLE', retryAfterMs: 7_000 }],
    [503, { 'retry-after': new Date(Date.now() + 600_000).toUTCString() }, { code: 'KOL_SINK_UNAVAILABLE', retryAfterMs: Number }],
    [500, { 'retry-after': 'soon' }, { code: 'KOL_SINK_UNAVAILABLE', retryAfterMs: undefined, message: /look at its log/ }],
    [302, { location: '/elsewhere' }, { code: 'KOL_SINK_CONFIG', message: /write the final address/ }],
    [307, { location: 'http://127.0.0.1:1/' }, { code: 'KOL_SINK_CONFIG', message: /write the final address/ }],
    [308, { location: '/hooks/inventory' }, { code: 'KOL_SINK_CONFIG' }],
  ];
  for (const [status, headers, expected] of answers) {
    receiver.answer = ({ headers: asked }, response) => !!response.writeHead(status, headers).end(`no use ${asked.authorization}`);
    t.match(await failure(sink.write(whole(rows(1)), signal)), expected, String(status));
  }
  receiver.received.length = 0;
  receiver.answer = ({ url }, response) => url !== '/moved' && !!response.writeHead(307, { location: '/moved' }).end();
  t.match(await sink.write(whole(rows(1)), signal), { written: 1 });
  t.strictSame(receiver.received.map(({ url, headers }) => [url, headers.authorization]), [['/hooks/inventory?version=1', `Bearer ${canary}-token`], ['/moved', `Bearer ${canary}-token`]], 'within the server, redirects are followed');
  t.strictSame(receiver.received[0]!.body, receiver.received[1]!.body);
  await sink.close();

  const wrong: [Partial<KollectSnapshotSinkSpec>, string, RegExp][] = [
    [{ http: { auth: { type: 'basic', secretRef: { name: 'token' } } } }, 'KOL_SINK_SECRET_KEY', /username/],
    [{ http: { auth: { secretRef: { name: 'key' } } } }, 'KOL_SINK_SECRET_KEY', /token, username/],
    [{ http: { signature: { secretRef: { name: 'token' } } } }, 'KOL_SINK_SECRET_KEY', /the key key/],
    [{ http: { headersSecretRef: { name: 'missing' } } }, 'KOL_SINK_SECRET', /missing/],
    [{ endpoint: '' }, 'KOL_SINK_CONFIG', /is empty/],
  ];
  for (const [spec, code, message] of wrong) t.match(await failure(open(spec)), { code, message });
  secrets['own'] = { 'Content-Length': '1' };
  t.match(await failure(open({ http: { headersSecretRef: { name: 'own' } } })), { code: 'KOL_SINK_CONFIG', message: /Content-Length/ });
  secrets['lines'] = { 'X-A': `${canary}\r\nX-B: b` };
  t.match(await failure(open({ http: { headersSecretRef: { name: 'lines' } } })), { code: 'KOL_SINK_CONFIG', message: /cannot be sent as a header/ });
});

t.test('http: lost answers, servers that are away, and leaders that are none any more', async (t) => {
  const { sink } = await open();
  receiver.answer = (_request, response) => !!response.destroy();
  t.match(await failure(sink.write(whole(rows(2)), signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient' });
  receiver.answer = () => true;
  const patience = new AbortController();
  setTimeout(() => patience.abort(), 300);
  t.match(await failure(sink.write(whole(rows(2)), patience.signal)), { class: 'transient' });
  receiver.answer = () => undefined;
  t.match(await sink.write(whole(rows(2)), signal), { written: 2 });
  t.equal(new Set(receiver.received.map(({ headers }) => headers['idempotency-key'])).size, 1, 'whoever keeps the keys of requests has it once');
  t.match(await sink.write({ ...whole([]), staleLimit: { rows: 1, exempt: [] } }, signal), { held: 2 }, 'more rows than may go stay');
  await sink.close();
  const former = await open({}, {
    fence: () => {
      throw new Error('the lease is lost');
    },
  });
  const before = receiver.received.length;
  for (const attempt of [() => former.sink.write(whole(rows(1)), signal), () => former.sink.remove(identity(), true, signal)]) t.match(await failure(attempt()), { message: /the lease is lost/ });
  t.equal(receiver.received.length, before);
  await former.sink.close();
  const away = await open({ endpoint: 'http://127.0.0.1:1/' });
  t.match(await failure(away.sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE', message: /nothing listens there/ });
  await away.sink.close();
  const guarded = await open({ endpoint: 'http://169.254.169.254/latest' });
  t.match(await failure(guarded.sink.write(whole(rows(1)), signal)), { code: 'KOL_SINK_ADDRESS' });
  await guarded.sink.close();
});

t.test('http: a probe sends no document', async (t) => {
  const { sink } = await open();
  t.match((await sink.probe(signal)).message, /HTTP without TLS: .* answers \(204 to OPTIONS\); whether it takes documents only an export shows/);
  receiver.answer = (_request, response) => !!response.writeHead(404).end();
  t.match((await sink.probe(signal)).message, /404 to OPTIONS/);
  receiver.answer = (_request, response) => !!response.writeHead(200, { allow: 'GET, PUT' }).end();
  t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_CONFIG', message: /takes no POST/ });
  receiver.answer = (_request, response) => !!response.writeHead(401).end();
  t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_AUTH' });
  t.strictSame(receiver.received, []);
  await sink.close();
});

t.test('http: over TLS both know each other', async (t) => {
  const authority = createAuthority('hooks');
  const { certificate: cert, key } = issueCertificate(authority, { hosts: ['hooks.example.com'] });
  const own = issueCertificate(authority, { hosts: ['kollect'], usage: 'client' });
  const secure = await new Receiver({ cert, key, ca: authority.certificate }).start();
  t.teardown(() => secure.stop());
  secrets['client'] = { 'tls.crt': own.certificate, 'tls.key': own.key };
  const spec = { endpoint: `https://hooks.example.com:${secure.port}/` };
  const caBundle = Buffer.from(authority.certificate).toString('base64');
  const lookupAll = async () => ['127.0.0.1'];
  const known = await open({ ...spec, tls: { caBundle, clientCertificateSecretRef: { name: 'client' } } }, { lookupAll });
  t.match(await known.sink.write(whole(rows(2)), signal), { written: 2 });
  t.match((await known.sink.probe(signal)).message, /^TLS/);
  await known.sink.close();
  const unknown = await open({ ...spec, tls: { caBundle } }, { lookupAll });
  t.match(await failure(unknown.sink.write(whole(rows(2)), signal)), { code: 'KOL_SINK_CONFIG', message: /clientCertificateSecretRef/ });
  await unknown.sink.close();
  const untrusted = await open(spec, { lookupAll });
  t.match(await failure(untrusted.sink.write(whole(rows(2)), signal)), { code: 'KOL_SINK_CONFIG', message: /not trusted/ });
  await untrusted.sink.close();
});
