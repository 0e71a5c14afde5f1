import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { createDialer } from '../../controller/sinks/runtime/dialer.ts';
import { S3Store } from '../../controller/sinks/s3/store.ts';
import { HttpProxy } from '../faults/http-proxy.ts';
import { eventually } from '../servers/eventually.ts';
import { startS3 } from '../servers/s3/index.ts';
import { canary, failure, identity, rows, signal, whole } from './conformance.ts';
import { filesConform } from './files-conformance.ts';
import { objectPlace, openObjects } from './object-place.ts';
import { objectsConform } from './objects-conformance.ts';
import { bareS3 } from './s3-place.ts';

const server = await startS3({ buckets: ['inventory'], secretAccessKey: `${canary}-secret` });
t.teardown(() => server.stop());
const store = bareS3(server, 'inventory');
t.teardown(() => store.client.destroy());

filesConform({ name: 's3', impliesTrees: false, place: async () => objectPlace(store) });

objectsConform({
  name: 's3',
  port: server.port,
  store: (port = server.port) => ({ ...store, endpoint: `http://127.0.0.1:${port}/inventory` }),
  restart: async () => {
    // Killed, it would lose what belongs to the file that it is writing.
    await server.kill('SIGTERM');
    await server.start();
  },
  isCommit: (method, url) => (method === 'PUT' && !url.includes('partNumber')) || (method === 'POST' && url.includes('uploadId')),
  throttled: { status: 503, headers: { 'content-type': 'application/xml' }, body: '<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>' },
});

t.test('s3: what it refuses is told with what to do, and never with a secret', async (t) => {
  const proxy = await new HttpProxy(server.port).start();
  t.teardown(() => proxy.stop());
  const answers: [number, string, string, RegExp][] = [
    [403, 'AccessDenied', 'KOL_SINK_AUTH', /s3:PutObject/],
    [403, 'ExpiredToken', 'KOL_SINK_AUTH', /sessionToken/],
    [400, 'AuthorizationHeaderMalformed', 'KOL_SINK_CONFIG', /options\.region/],
    [400, 'EntityTooLarge', 'KOL_SINK_REFUSED', /maxExportBytes/],
    [400, 'KMS.DisabledException', 'KOL_SINK_CONFIG', /sseKmsKeyId/],
    [403, 'QuotaExceeded', 'KOL_SINK_UNAVAILABLE', /quota/],
    [507, 'XMinioStorageFull', 'KOL_SINK_UNAVAILABLE', /room/],
    [403, 'RequestTimeTooSkewed', 'KOL_SINK_UNAVAILABLE', /clocks/],
    [400, 'InvalidStorageClass', 'KOL_SINK_CONFIG', /spec\.options.*said so/],
    [404, 'NoSuchKey', 'KOL_SINK_BUSY', /at the same time/],
    [404, 'NoSuchBucket', 'KOL_SINK_SCHEMA', /does not exist: create it/],
    [400, 'RequestTimeout', 'KOL_SINK_UNAVAILABLE', /did not arrive whole/],
    [400, 'BadDigest', 'KOL_SINK_UNAVAILABLE', /did not arrive whole/],
    [409, 'OperationAborted', 'KOL_SINK_UNAVAILABLE', /changing the same/],
    [418, 'Teapot', 'KOL_SINK_REFUSED', /refused the request/],
  ];
  const { sink } = await openObjects({ ...store, endpoint: `http://127.0.0.1:${proxy.port}/inventory` }, { spec: {} });
  for (const [status, name, code, message] of answers) {
    proxy.fault = ({ method }) => (method === 'PUT' ? { status, headers: { 'content-type': 'application/xml' }, body: `<Error><Code>${name}</Code><Message>said so ${store.secret['secretAccessKey']}</Message></Error>` } : undefined);
    t.match(await failure(sink.write(whole(rows(1), { identity: identity('refused') }), signal)), { code, message }, name);
  }
  for (const [name, code] of [['NoSuchUpload', undefined], ['InvalidArgument', undefined], ['InvalidDigest', 'KOL_SINK_CONFIG']] as const) {
    proxy.fault = ({ method }) => (method === 'PUT' ? { status: 400, headers: { 'content-type': 'application/xml' }, body: `<Error><Code>${name}</Code></Error>` } : undefined);
    if (code === undefined) t.match(await sink.probe(signal), { message: /can be listed, read and written/ }, name);
    else t.match(await failure(sink.probe(signal)), { code }, name);
  }
  await sink.close();
  const settings = { endpoint: { scheme: 'http', host: '127.0.0.1', port: undefined, user: undefined, bucket: 'inventory', prefix: '' } as const, title: 'bucket', tls: { ca: undefined, verifies: true, client: undefined }, url: `http://127.0.0.1:${proxy.port}`, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId: server.accessKeyId, secretAccessKey: server.secretAccessKey }, storageClass: undefined, encryption: undefined, hasConditions: true };
  const bucket = new S3Store(settings, createDialer({ policy: { allowPrivate: true, allowLoopback: true } }));
  proxy.fault = ({ method }) => (method === 'GET' ? { status: 416, headers: { 'content-type': 'application/xml' }, body: '<Error><Code>InvalidRange</Code></Error>' } : undefined);
  t.strictSame(await bucket.read('empty', 10, signal), new Uint8Array(), 'it has no first bytes');
  proxy.fault = ({ method, url = '' }) => (method !== 'POST' ? undefined : url.includes('uploadId') ? { status: 404, headers: { 'content-type': 'application/xml' }, body: '<Error><Code>NoSuchUpload</Code></Error>' } : undefined);
  const upload = await bucket.upload('begun', { replaces: 'any', contentType: 'text/plain', metadata: {} }, signal);
  await upload.part(Buffer.from('x'), signal);
  await t.rejects(upload.finish(signal), { name: 'ConditionFailed' });
  const conditions: unknown[] = [];
  const refusals = [412, 501];
  proxy.fault = ({ method, headers }) => {
    if (method !== 'DELETE') return undefined;
    conditions.push(headers['if-match']);
    const status = refusals.shift();
    return { status: status ?? 204, ...(status !== undefined && { headers: { 'content-type': 'application/xml' }, body: `<Error><Code>${status === 412 ? 'PreconditionFailed' : 'NotImplemented'}</Code></Error>` }) };
  };
  await t.rejects(bucket.remove('key', '"seen"', signal), { name: 'ConditionFailed' });
  await bucket.remove('key', '"seen"', signal);
  await bucket.remove('key', '"seen"', signal);
  t.strictSame(conditions.filter((condition, index) => condition !== undefined || conditions[index - 1] !== undefined), ['"seen"', '"seen"', undefined]);
  await bucket.close();
});

t.test('s3: conditions are left out for stores that do not know them, and options reach the store', async (t) => {
  const proxy = await new HttpProxy(server.port).start();
  t.teardown(() => proxy.stop());
  const place = objectPlace({ ...store, endpoint: `http://127.0.0.1:${proxy.port}/inventory` });
  const { sink } = await place.opened({ spec: { options: { region: 'us-east-1', forcePathStyle: 'true', storageClass: 'STANDARD_IA', sse: 'aws:kms', sseKmsKeyId: 'key-1' } } });
  const seen: Record<string, unknown>[] = [];
  proxy.fault = ({ method, headers }) => {
    if (method !== 'PUT') return undefined;
    seen.push(headers);
    return headers['if-none-match'] || headers['if-match'] ? { status: 501, headers: { 'content-type': 'application/xml' }, body: '<Error><Code>NotImplemented</Code><Message>no</Message></Error>' } : undefined;
  };
  t.match(await sink.write(whole(rows(2)), signal), { written: 2 });
  t.match(await sink.write(whole(rows(3)), signal), { written: 3 });
  t.strictSame(seen.map((headers) => headers['if-none-match'] ?? headers['if-match'] ?? 'none').filter((condition, index, all) => all[index - 1] !== condition), ['*', 'none']);
  t.match(seen.at(-1), { 'x-amz-storage-class': 'STANDARD_IA', 'x-amz-server-side-encryption': 'aws:kms', 'x-amz-server-side-encryption-aws-kms-key-id': 'key-1', 'content-type': 'application/json' });
  await sink.close();
});

t.test('s3: without a Secret the workload has an identity, which is asked for beside the guard', async (t) => {
  const host = 's3.us-east-1.amazonaws.com';
  const authority = createAuthority('aws');
  const { certificate: cert, key } = issueCertificate(authority, { hosts: [host] });
  const proxy = await new HttpProxy(server.port, { cert, key }).start();
  const silent = await new HttpProxy(server.port).start();
  silent.fault = () => new Promise(() => undefined);
  t.teardown(() => [proxy, silent].forEach((one) => one.stop()));
  const environment = { AWS_ACCESS_KEY_ID: server.accessKeyId, AWS_SECRET_ACCESS_KEY: server.secretAccessKey, AWS_CONTAINER_CREDENTIALS_FULL_URI: `http://127.0.0.1:${silent.port}/` };
  Object.assign(process.env, environment);
  t.teardown(() => {
    for (const name of Object.keys(environment)) delete process.env[name];
  });
  for (const endpoint of [store.endpoint, 'https://s3.example.com/inventory', `http://${host}/inventory`, 'https://s3-1.us-east-1.elb.amazonaws.com/inventory']) {
    t.match(await failure(openObjects({ ...store, endpoint, secret: {} })), { code: 'KOL_SINK_CONFIG', message: /hosts of AWS over https only, and .*: put accessKeyID/ }, endpoint);
  }
  const spec = { tls: { caBundle: Buffer.from(authority.certificate).toString('base64') }, options: { forcePathStyle: 'true', region: 'us-east-1' } };
  const mapHosts = new Map([[`${host}:443`, { host: '127.0.0.1', port: proxy.port }]]);
  const place = objectPlace({ ...store, endpoint: `https://${host}/inventory`, secret: {} });
  const { sink } = await place.opened({ spec, mapHosts });
  t.match((await sink.probe(signal)).message, /identity of the workload/);
  t.match(await sink.write(whole(rows(2)), signal), { written: 2 });
  await sink.close();
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']) delete process.env[name];
  const waiting = await place.opened({ spec, mapHosts });
  const patience = new AbortController();
  const probe = failure(waiting.sink.check(identity(), patience.signal));
  await eventually(async () => silent.requests.length > 0, { what: 'the question for credentials' });
  patience.abort();
  const since = performance.now();
  t.match(await probe, { code: 'KOL_SINK_UNAVAILABLE', message: 'the work was cancelled' });
  t.ok(performance.now() - since < 4_000, 'nobody waits for them until they are given up');
  await waiting.sink.close();
});
