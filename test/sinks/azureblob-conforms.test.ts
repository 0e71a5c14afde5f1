import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { ContainerSASPermissions, generateBlobSASQueryParameters, SASProtocol, StorageSharedKeyCredential } from '@azure/storage-blob';
import nock from 'nock';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { HttpProxy } from '../faults/http-proxy.ts';
import { eventually } from '../servers/eventually.ts';
import { startAzure } from '../servers/azure/index.ts';
import { bareAzure } from './azure-place.ts';
import { canary, failure, identity, rows, signal, whole } from './conformance.ts';
import { filesConform } from './files-conformance.ts';
import { objectPlace, openObjects, type OpenObjectsOptions } from './object-place.ts';
import { objectsConform } from './objects-conformance.ts';

const server = await startAzure();
t.teardown(() => server.stop());
const store = await bareAzure(server, 'inventory');

filesConform({ name: 'azureblob', impliesTrees: false, place: async () => objectPlace(store) });

objectsConform({
  name: 'azureblob',
  port: server.port,
  store: (port = server.port) => ({ ...store, endpoint: `http://127.0.0.1:${port}/${server.account}/inventory` }),
  restart: async () => {
    const answers = () => fetch(server.endpoint).then(() => true, () => false);
    await server.kill('SIGTERM');
    await eventually(async () => !(await answers()), { what: 'the end of the server' });
    await server.start();
    await eventually(answers, { what: 'an answer of the server' });
  },
  isCommit: (method, url) => method === 'PUT' && !/[?&]comp=block(?:&|$)/.test(url),
  throttled: { status: 503, headers: { 'x-ms-error-code': 'ServerBusy', 'content-type': 'application/xml' }, body: '<?xml version="1.0" encoding="utf-8"?><Error><Code>ServerBusy</Code><Message>slower</Message></Error>' },
});

t.test('azureblob: all ways to log in', async (t) => {
  const shared = new StorageSharedKeyCredential(server.account, server.key);
  const sas = (permissions: string) => generateBlobSASQueryParameters({ containerName: 'inventory', permissions: ContainerSASPermissions.parse(permissions), protocol: SASProtocol.HttpsAndHttp, expiresOn: new Date(Date.now() + 3_600_000) }, shared).toString();
  const ways: [string, OpenObjectsOptions, RegExp][] = [
    ['a connection string, and the container alone', { spec: { endpoint: `azblob://inventory/${randomUUID()}` }, secret: { connectionString: server.connectionString } }, /key of the account/],
    ['a connection string with a signature', { spec: { endpoint: `inventory/${randomUUID()}` }, secret: { AZURE_STORAGE_CONNECTION_STRING: `BlobEndpoint=${server.endpoint}/;SharedAccessSignature=${sas('rwdlc')}` } }, /shared access signature/],
    ['a signature', { secret: { sasToken: `?${sas('rwdlc')}`, accountName: server.account } }, /shared access signature/],
    ['a key', {}, /key of the account/],
  ];
  for (const [what, options, message] of ways) {
    const { sink } = await openObjects({ ...store, endpoint: `${store.endpoint}/${randomUUID()}` }, options);
    t.match((await sink.probe(signal)).message, message, what);
    t.match(await sink.write(whole(rows(2)), signal), { written: 2 }, what);
    t.strictSame(await sink.remove(identity(), true, signal), { deleted: 2 });
    await sink.close();
  }
  const other = Buffer.from(`${canary} and thirty-two bytes or more`).toString('base64');
  const bad: [string, OpenObjectsOptions, string, RegExp][] = [
    ['another key', { secret: { ...store.secret, accountKey: other } }, 'KOL_SINK_AUTH', /correct the Secret/],
    ['a signature that does not let us write', { secret: { sasToken: sas('rl'), accountName: server.account } }, 'KOL_SINK_AUTH', /may not write blobs: grant .*rwdlc/],
    ['no key', { secret: { accountName: server.account } }, 'KOL_SINK_SECRET_KEY', /accountKey/],
    ['nothing', { secret: { other: canary } }, 'KOL_SINK_SECRET_KEY', /connectionString, .*sasToken/],
    ['a connection string of something else', { secret: { connectionString: `Server=db;Password=${canary}` } }, 'KOL_SINK_AUTH', /names no account/],
    ['a connection string without a key', { secret: { connectionString: `AccountName=${server.account}` } }, 'KOL_SINK_AUTH', /neither an AccountKey/],
    ['a token for a host that is not of Azure', { secret: {} }, 'KOL_SINK_CONFIG', /hosts of Azure over https only/],
    ['the same with an application', { secret: { tenantID: 't', clientID: 'c', clientSecret: canary } }, 'KOL_SINK_CONFIG', /hosts of Azure over https only/],
    ['a container without its account', { spec: { endpoint: 'azblob://inventory' }, secret: {} }, 'KOL_SINK_CONFIG', /names no account/],
    ['a tier that does not exist', { spec: { options: { accessTier: 'Warm' } } }, 'KOL_SINK_CONFIG', /Hot, Cool, Cold, Archive/],
    ['no identity', { spec: { endpoint: 'https://nobody.blob.core.windows.net/inventory' }, secret: {} }, 'KOL_SINK_AUTH', /there are no credentials: name a Secret/],
  ];
  for (const [what, options, code, message] of bad) {
    const work = openObjects(store, options).then(async ({ sink }) => {
      await sink.probe(signal).finally(() => sink.close());
    });
    t.match(await failure(work), { code, message }, what);
  }
});

t.test('azureblob: the identity of the workload becomes a token, which Azure alone is told', async (t) => {
  const authority = createAuthority('azure');
  const host = 'account.blob.core.windows.net';
  const { certificate: cert, key } = issueCertificate(authority, { hosts: [host] });
  const proxy = await new HttpProxy(server.port, { cert, key }).start();
  t.teardown(() => proxy.stop());
  const folder = t.testdir({ token: 'of the workload\n' });
  const environment = { AZURE_TENANT_ID: 'tenant', AZURE_CLIENT_ID: 'client', AZURE_FEDERATED_TOKEN_FILE: join(folder, 'token'), AZURE_AUTHORITY_HOST: 'https://login.microsoftonline.com/' };
  Object.assign(process.env, environment);
  t.teardown(() => {
    for (const name of Object.keys(environment)) delete process.env[name];
    nock.restore();
  });
  const asked: URLSearchParams[] = [];
  nock('https://login.microsoftonline.com').post('/tenant/oauth2/v2.0/token').times(2).reply(async (request: Request) => {
    asked.push(new URLSearchParams(await request.text()));
    return [200, { access_token: `${canary}-token`, expires_in: 3_600 }];
  });
  nock('https://login.microsoftonline.com').post('/tenant/oauth2/v2.0/token').reply(401, { error: 'invalid_client', error_codes: [7_000_215], error_description: canary });
  const seen = new Set<string>();
  proxy.fault = ({ headers }) => {
    seen.add(String(headers.authorization));
    return { status: 403, headers: { 'x-ms-error-code': 'AuthorizationPermissionMismatch' } };
  };
  const spec = { endpoint: `https://${host}/inventory`, tls: { caBundle: Buffer.from(authority.certificate).toString('base64') } };
  const mapHosts = new Map([[`${host}:443`, { host: '127.0.0.1', port: proxy.port }]]);
  const attempt = async (secret: Record<string, string>) => {
    const { sink } = await openObjects(store, { spec, secret, mapHosts });
    return await failure(sink.probe(signal).finally(() => sink.close()));
  };
  const application = { tenantID: 'tenant', clientID: 'other', clientSecret: `${canary}-secret` };
  for (const secret of [{}, application]) t.match(await attempt(secret), { code: 'KOL_SINK_AUTH', message: /may not list blobs: grant/ });
  t.strictSame([...seen], [`Bearer ${canary}-token`]);
  t.match(asked.map((form) => Object.fromEntries(form)), [
    { client_id: 'client', client_assertion: 'of the workload', scope: 'https://storage.azure.com/.default', grant_type: 'client_credentials' },
    { client_id: 'other', client_secret: `${canary}-secret` },
  ]);
  nock('https://login.microsoftonline.us').post('/tenant/oauth2/v2.0/token').times(2).reply(200, { token: 'of something else' });
  process.env['AZURE_AUTHORITY_HOST'] = 'https://login.microsoftonline.us';
  for (const secret of [application, {}]) t.match(await attempt(secret), { code: 'KOL_SINK_UNAVAILABLE', message: /login\.microsoftonline\.us answered with something that is no token/ }, 'as the environment says');
  process.env['AZURE_FEDERATED_TOKEN_FILE'] = join(folder, 'missing');
  t.match(await attempt({}), { code: 'KOL_SINK_AUTH', message: /token of the workload cannot be read \(ENOENT\): see that/ });
  process.env['AZURE_AUTHORITY_HOST'] = environment.AZURE_AUTHORITY_HOST;
  t.match(await attempt(application), { code: 'KOL_SINK_AUTH', message: /gave no token \(invalid_client, AADSTS7000215\): correct/ });
});

t.test('azureblob: what it refuses is told with what to do, and never with a secret', async (t) => {
  const proxy = await new HttpProxy(server.port).start();
  t.teardown(() => proxy.stop());
  const { sink } = await openObjects({ ...store, endpoint: `http://127.0.0.1:${proxy.port}/${server.account}/inventory` });
  const answers: [number, string, string, RegExp][] = [
    [403, 'AuthenticationFailed', 'KOL_SINK_AUTH', /refused the login: correct/],
    [403, 'AuthorizationFailure', 'KOL_SINK_AUTH', /firewall/],
    [409, 'BlobImmutableDueToPolicy', 'KOL_SINK_REFUSED', /policy, hold or lease/],
    [413, 'RequestBodyTooLarge', 'KOL_SINK_REFUSED', /maxExportBytes/],
    [409, 'AccountLimitExceeded', 'KOL_SINK_UNAVAILABLE', /limit of the account/],
    [503, 'ServerBusy', 'KOL_SINK_UNAVAILABLE', /limits how often/],
    [500, 'InternalError', 'KOL_SINK_UNAVAILABLE', /the store failed/],
    [400, 'InvalidHeaderValue', 'KOL_SINK_CONFIG', /spec\.options/],
    [404, 'BlobNotFound', 'KOL_SINK_BUSY', /at the same time/],
    [400, 'InvalidBlockList', 'KOL_SINK_BUSY', /at the same time/],
    [404, 'ContainerNotFound', 'KOL_SINK_SCHEMA', /does not exist: create it/],
    [412, 'LeaseIdMissing', 'KOL_SINK_REFUSED', /policy, hold or lease/],
    [400, 'Md5Mismatch', 'KOL_SINK_UNAVAILABLE', /did not arrive whole/],
    [418, 'Teapot', 'KOL_SINK_REFUSED', /refused the request/],
  ];
  for (const [status, code, expected, message] of answers) {
    proxy.fault = ({ method }) => (method === 'PUT' ? { status, headers: { 'x-ms-error-code': code } } : undefined);
    t.match(await failure(sink.write(whole(rows(1), { identity: identity('refused') }), signal)), { code: expected, message }, code);
  }
  const asked: string[] = [];
  proxy.fault = ({ method, url = '' }) => {
    if (method !== 'GET' || !url.includes('comp=list')) return undefined;
    asked.push(new URL(url, 'http://proxy').searchParams.get('marker') ?? '');
    return { status: 200, headers: { 'content-type': 'application/xml' }, body: `<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="inventory"><Blobs/>${asked.length % 3 === 0 ? '<NextMarker/>' : `<NextMarker>m${asked.length}</NextMarker>`}</EnumerationResults>` };
  };
  t.match(await sink.check(identity('pages'), signal), { rows: 0 });
  t.strictSame(asked.slice(0, 3), ['', 'm1', 'm2'], 'page by page');
  await sink.close();
});
