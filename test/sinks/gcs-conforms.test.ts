import { generateKeyPairSync, randomUUID } from 'node:crypto';
import nock from 'nock';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { GcsStore } from '../../controller/sinks/gcs/store.ts';
import { createDialer } from '../../controller/sinks/runtime/dialer.ts';
import { HttpProxy, type HttpFault } from '../faults/http-proxy.ts';
import { startGcs } from '../servers/gcs/index.ts';
import { startS3 } from '../servers/s3/index.ts';
import { canary, failure, identity, rows, signal, whole } from './conformance.ts';
import { filesConform } from './files-conformance.ts';
import { bareGcs } from './gcs-place.ts';
import { objectPlace, openObjects } from './object-place.ts';
import { objectsConform } from './objects-conformance.ts';
import { bareS3 } from './s3-place.ts';

const server = await startGcs({ buckets: ['inventory'] });
t.teardown(() => server.stop());
const store = bareGcs(server, 'inventory');

filesConform({ name: 'gcs', impliesTrees: false, place: async () => objectPlace(store) });

objectsConform({
  name: 'gcs',
  port: server.port,
  store: (port = server.port) => ({ ...store, endpoint: `http://127.0.0.1:${port}/inventory` }),
  restart: async () => {
    await server.kill('SIGTERM');
    await server.start();
  },
  isCommit: (method, url) => (method === 'POST' && url.includes('uploadType=multipart')) || (method === 'PUT' && url.includes('upload_id')),
  throttled: { status: 429, body: '{"error":{"code":429,"message":"slower","errors":[{"reason":"rateLimitExceeded"}]}}' },
});

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048, privateKeyEncoding: { type: 'pkcs8', format: 'pem' }, publicKeyEncoding: { type: 'spki', format: 'pem' } });
const account = { type: 'service_account', client_email: 'kollect@example.iam.gserviceaccount.com', private_key: privateKey };

t.test('gcs: the key of a service account becomes a token, which Google alone is told', async (t) => {
  const authority = createAuthority('google');
  const { certificate: cert, key } = issueCertificate(authority, { hosts: ['storage.googleapis.com'] });
  const proxy = await new HttpProxy(server.port, { cert, key }).start();
  const plain = await new HttpProxy(server.port).start();
  t.teardown(() => [proxy, plain].forEach((one) => one.stop()));
  nock('https://oauth2.googleapis.com').post('/token').reply(200, { access_token: `${canary}-token`, token_type: 'Bearer', expires_in: 3_600 });
  t.teardown(() => nock.restore());
  const seen = new Set<string>();
  proxy.fault = plain.fault = ({ headers }) => void seen.add(String(headers.authorization));
  const prefix = `gs://inventory/${randomUUID()}`;
  const spec = { endpoint: prefix, tls: { caBundle: Buffer.from(authority.certificate).toString('base64') }, options: { storageClass: 'NEARLINE', userProject: 'payer' } };
  const secret = { 'credentials.json': JSON.stringify(account) };
  const { sink } = await openObjects(store, { spec, secret, mapHosts: new Map([['storage.googleapis.com:443', { host: '127.0.0.1', port: proxy.port }]]) });
  t.match(await sink.write(whole(rows(2)), signal), { written: 2 });
  t.strictSame([...seen], [`Bearer ${canary}-token`]);
  t.ok(proxy.requests.every((line) => line.includes('userProject=payer')));
  await sink.close();
  seen.clear();
  const ofOurs = { endpoint: `http://127.0.0.1:${plain.port}/inventory/other` };
  t.match(await failure(openObjects(store, { spec: ofOurs, secret })), { code: 'KOL_SINK_CONFIG', message: /hosts of Google over https only, and "127\.0\.0\.1" is none: correct/ });
  const other = await openObjects(store, { spec: ofOurs });
  t.match((await other.sink.probe(signal)).message, /no login at a server that is not of Google/);
  t.strictSame([...seen], ['undefined']);
  await other.sink.close();
  const patience = new AbortController();
  nock('https://oauth2.googleapis.com').post('/token').reply(() => {
    patience.abort();
    return new Promise(() => undefined);
  });
  const waiting = await openObjects(store, { spec: { endpoint: 'gs://inventory/waiting' }, secret });
  const since = performance.now();
  t.match(await failure(waiting.sink.check(identity(), patience.signal)), { code: 'KOL_SINK_UNAVAILABLE' });
  t.ok(performance.now() - since < 4_000, 'a token that does not come keeps nobody');
  await waiting.sink.close();
});

t.test('gcs: what is kept of an upload counts, and one that is gone was lost to somebody', async (t) => {
  const proxy = await new HttpProxy(server.port).start();
  t.teardown(() => proxy.stop());
  const settings = { endpoint: { scheme: 'http', host: '127.0.0.1', port: undefined, user: undefined, bucket: 'inventory', prefix: 'deep' } as const, title: 'bucket', tls: { ca: undefined, verifies: true, client: undefined }, url: `http://127.0.0.1:${proxy.port}`, login: { kind: 'nobody' } as const, storageClass: undefined, kmsKeyName: undefined, userProject: undefined };
  const bucket = new GcsStore(settings, createDialer({ policy: { allowPrivate: true, allowLoopback: true } }));
  proxy.fault = ({ url = '' }) => ({ status: 404, body: url.includes('/o/') ? 'No such object: my-bucket/key' : '{}' });
  t.equal(await bucket.head('key', signal), undefined, 'whatever the bucket is called');
  t.equal(proxy.requests.length, 1);
  proxy.fault = ({ url = '' }) => ({ status: 404, body: url.includes('/o/') ? 'The specified bucket does not exist.' : '{}' });
  t.match(await failure(bucket.head('key', signal)), { code: 'KOL_SINK_SCHEMA' });
  t.match(proxy.requests.at(-1), /prefix=deep%2F&/, 'no more is listed than the sink may');
  const ranges: unknown[] = [];
  let answers: HttpFault[] = [{ status: 308, headers: { range: 'bytes=0-3' } }, { status: 308, headers: { range: 'bytes=0-7' } }, { status: 308, headers: { range: 'bytes=0-9' } }, { status: 200 }];
  proxy.fault = ({ method, headers }) => {
    if (method === 'POST') return { status: 200, headers: { location: '/session' } };
    if (method !== 'PUT') return { status: 499 };
    ranges.push(headers['content-range']);
    return answers.shift();
  };
  const send = async () => {
    const upload = await bucket.upload('key', { replaces: 'none', contentType: 'text/plain', metadata: {} }, signal);
    await upload.part(Buffer.alloc(8), signal);
    await upload.part(Buffer.alloc(4), signal);
    await upload.finish(signal);
  };
  await send();
  t.strictSame(ranges, ['bytes 0-7/*', 'bytes 4-7/*', 'bytes 8-11/12', 'bytes 10-11/12']);
  answers = [{ status: 308 }];
  t.match(await failure(send()), { code: 'KOL_SINK_UNAVAILABLE', message: /does not keep what it is sent/ });
  for (const status of [404, 410]) {
    answers = [{ status }];
    await t.rejects(send(), { name: 'ConditionFailed' });
  }
  await bucket.close();
});

t.test('gcs: HMAC keys go by the protocol of S3', async (t) => {
  const s3 = await startS3({ buckets: ['inventory'], region: 'auto' });
  t.teardown(() => s3.stop());
  const bare = bareS3(s3, 'inventory');
  const place = objectPlace({ ...bare, type: 'gcs' });
  const { sink } = await place.opened({ installation: 'ours' });
  t.match((await sink.probe(signal)).message, /can be listed, read and written/);
  t.match(await sink.write(whole(rows(2)), signal), { written: 2 });
  t.match(await sink.write(whole(rows(2)), signal), { written: 0 });
  t.match(await sink.write(whole(rows(3)), signal), { written: 3 });
  await sink.close();
  bare.client.destroy();
  t.match(await failure(place.opened({ spec: { options: { kmsKeyName: 'k' } } })), { code: 'KOL_SINK_CONFIG', message: /credentials\.json/ });
});

t.test('gcs: what is wrong is told with what to do, and never with a secret', async (t) => {
  const bad: [Record<string, string>, string, RegExp][] = [
    [{ 'credentials.json': `{ ${canary}` }, 'KOL_SINK_AUTH', /is no JSON: put the JSON key of a service account there/],
    [{ 'credentials.json': JSON.stringify({ type: 'external_account', credential_source: { file: '/etc/passwd' } }) }, 'KOL_SINK_AUTH', /no key of a service account/],
    [{ 'credentials.json': JSON.stringify({ ...account, private_key: `-----BEGIN PRIVATE KEY-----\n${canary}\n-----END PRIVATE KEY-----` }) }, 'KOL_SINK_AUTH', /cannot be read/],
    [{ other: canary }, 'KOL_SINK_SECRET_KEY', /credentials\.json/],
    [{ accessKeyID: 'x' }, 'KOL_SINK_SECRET_KEY', /secretAccessKey/],
  ];
  for (const [secret, code, message] of bad) t.match(await failure(openObjects(store, { secret })), { code, message });
  t.match(await failure(openObjects(store, { spec: { options: { storageClass: 'COLD' } } })), { code: 'KOL_SINK_CONFIG', message: /NEARLINE/ });
  const proxy = await new HttpProxy(server.port).start();
  t.teardown(() => proxy.stop());
  const { sink } = await openObjects({ ...store, endpoint: `http://127.0.0.1:${proxy.port}/inventory` });
  const answers: [number, string, string, RegExp][] = [
    [401, 'authError', 'KOL_SINK_AUTH', /refused the login: correct credentials\.json/],
    [403, 'forbidden', 'KOL_SINK_AUTH', /lacks storage\.objects\.create: grant it/],
    [403, 'rateLimitExceeded', 'KOL_SINK_UNAVAILABLE', /limits how often/],
    [403, 'quotaExceeded', 'KOL_SINK_UNAVAILABLE', /quota .*: raise it/],
    [403, 'retentionPolicyNotMet', 'KOL_SINK_REFUSED', /retention policy/],
    [400, 'userProjectMissing', 'KOL_SINK_CONFIG', /options\.userProject/],
    [400, 'invalid', 'KOL_SINK_CONFIG', /it said so/],
    [404, 'notFound', 'KOL_SINK_SCHEMA', /does not exist: create it/],
    [409, 'conflict', 'KOL_SINK_UNAVAILABLE', /changing the same/],
    [413, 'uploadTooLarge', 'KOL_SINK_REFUSED', /maxExportBytes/],
    [503, 'backendError', 'KOL_SINK_UNAVAILABLE', /limits how often/],
    [500, 'internalError', 'KOL_SINK_UNAVAILABLE', /the store failed/],
  ];
  for (const [status, reason, code, message] of answers) {
    proxy.fault = ({ method }) => (method === 'POST' ? { status, body: JSON.stringify({ error: { message: 'it said so', errors: [{ reason }] } }) } : undefined);
    t.match(await failure(sink.write(whole(rows(1), { identity: identity('refused') }), signal)), { code, message }, reason);
  }
  proxy.fault = ({ url = '' }) => (url.includes('testPermissions') ? { status: 200, body: '{"permissions":["storage.objects.list","storage.objects.get"]}' } : undefined);
  t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_AUTH', message: /lacks storage\.objects\.create, storage\.objects\.delete: grant roles\/storage\.objectUser/ });
  await sink.close();
});
