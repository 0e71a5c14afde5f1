import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { inspect } from 'node:util';
import fc from 'fast-check';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { backendTypes, loadBackend } from '../../controller/sinks/registry.ts';
import { resolveCa, resolveClientCertificate } from '../../controller/sinks/runtime/ca.ts';
import { createDialer } from '../../controller/sinks/runtime/dialer.ts';
import { networkFault, sanitizedError, tlsFault } from '../../controller/sinks/runtime/errors.ts';
import { guardedAgents } from '../../controller/sinks/runtime/guarded-agent.ts';
import { httpRequest } from '../../controller/sinks/runtime/http-request.ts';
import { openSink } from '../../controller/sinks/runtime/open-sink.ts';
import { createSanitizer } from '../../controller/sinks/runtime/sanitize.ts';
import { resolveSecret, withGrant, type ReadSecret } from '../../controller/sinks/runtime/secrets.ts';
import { sinkTypes } from '../../shared/api/sink-types.ts';
import { KollectError } from '../../shared/errors.ts';
import type { Backend, CheckedAddress, Sink } from '../../controller/sinks/contract.ts';
import { change, failure, identity, signal } from './conformance.ts';
import { memoryBackend, MemoryPlace } from './memory.ts';
import { loopback, sinkObject } from './postgres-place.ts';

const secrets = (all: Record<string, Record<string, string>>): ReadSecret => async (namespace, name) => {
  const found = all[`${namespace}/${name}`];
  if (!found) return undefined;
  const data = Object.fromEntries(Object.entries(found).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  return { metadata: { resourceVersion: '7' }, data };
};

t.test('a Secret is looked for in the namespace of the sink, and its values do not print', async (t) => {
  const read = secrets({ 'team-a/dsn': { url: '  \n', dsn: ' value-of-dsn \n' }, 'other/dsn': { DATABASE_URL: 'elsewhere' } });
  const own = await resolveSecret({ name: 'dsn' }, 'team-a', read);
  t.match(own, { key: 'team-a/dsn', resourceVersion: '7' });
  t.equal(own.values.first('url', 'dsn'), 'value-of-dsn', 'blank keys are passed over, values trimmed');
  t.equal(own.values.first('constructor'), undefined);
  for (const printed of [inspect(own.values), JSON.stringify(own.values), `${String(own.values)}`]) t.notMatch(printed, 'value-of-dsn');
  t.equal((await resolveSecret({ name: 'dsn', namespace: 'other' }, 'team-a', read)).values.require('dsn', 'DATABASE_URL'), 'elsewhere');
});

t.test('a missing Secret or key is named, with the keys that would do', async (t) => {
  const read = secrets({ 'team-a/dsn': { other: 'x' } });
  t.match(await failure(resolveSecret({ name: 'none' }, 'team-a', read)), {
    code: 'KOL_SINK_SECRET',
    class: 'transient',
    reason: 'SecretResolveFailed',
    message: /^secret "none" in namespace "team-a" not found/,
  });
  const { values } = await resolveSecret({ name: 'dsn' }, 'team-a', read);
  t.throws(() => values.require('dsn', 'url'), { code: 'KOL_SINK_SECRET_KEY', message: 'secret "dsn" in namespace "team-a" does not hold any of the keys dsn, url: add it with a value that is not blank' });
  const denied: ReadSecret = async () => {
    throw new Error('secrets "dsn" is forbidden');
  };
  t.match(await failure(resolveSecret({ name: 'dsn' }, 'team-a', denied)), { code: 'KOL_SINK_SECRET', message: /could not be read: secrets "dsn" is forbidden/ });
});

t.test('a Secret of another namespace may be granted to some, by itself or by its namespace', async (t) => {
  const grant = (text: string | undefined): ReadSecret => async () => ({ metadata: { resourceVersion: '7', ...(text === undefined ? {} : { annotations: { 'kollect.dev/grant-to': text } }) }, data: {} });
  const resolve = (read: ReadSecret, from = 'team-a') => resolveSecret({ name: 'dsn', namespace: 'platform' }, from, read);
  for (const text of [undefined, 'team-a', 'other, team-a']) t.match(await resolve(grant(text)), { key: 'platform/dsn' });
  t.match(await resolve(grant(''), 'platform'), { key: 'platform/dsn' }, 'those of its own namespace need none');
  for (const text of ['', 'other', 'team-ab', '*']) {
    t.match(await failure(resolve(grant(text))), { code: 'KOL_SINK_SECRET_GRANT', reason: 'SecretResolveFailed', message: /^secret "dsn" in namespace "platform" is not granted to sinks of namespace "team-a": add "team-a" to the annotation kollect\.dev\/grant-to/ });
  }
  const plain = { metadata: { resourceVersion: '7' }, data: {} };
  t.equal(withGrant(plain, undefined), plain);
  t.match(await failure(resolve(async () => withGrant(plain, 'other'))), { code: 'KOL_SINK_SECRET_GRANT' });
  t.match(await resolve(async () => withGrant((await grant('team-a')('', ''))!, 'other')), { resourceVersion: '7' }, 'its own grant counts');
  const versions = await Promise.all(['team-a', 'team-a,other'].map(async (text) => (await resolve(async () => withGrant(plain, text))).resourceVersion));
  t.not(versions[0], versions[1], 'who used it hears that the grant is another');
});

t.test('authorities come from the bundle or from the first key that holds some', async (t) => {
  const [first, second] = [createAuthority('first', 1).certificate, createAuthority('second', 1).certificate];
  const bundle = (text: string) => ({ caBundle: Buffer.from(text).toString('base64') });
  t.strictSame(await resolveCa(undefined, 'team-a', secrets({})), { pem: undefined, secret: undefined });
  t.equal((await resolveCa(bundle(`text before\n${first}${second}`), 'team-a', secrets({}))).pem, `${first.trim()}\n${second.trim()}`);
  const ref = { caSecretRef: { name: 'ca' } };
  t.equal((await resolveCa(ref, 'team-a', secrets({ 'team-a/ca': { 'ca.pem': second, 'ca.crt': first } }))).pem, first.trim());
  for (const [tls, read, expected] of [
    [ref, secrets({}), { code: 'KOL_SINK_SECRET', message: /secret "ca" in namespace "team-a" not found/ }],
    [ref, secrets({ 'team-a/ca': { cert: first } }), { code: 'KOL_SINK_SECRET', message: /any of the keys tls\.crt, ca\.crt, ca\.pem/ }],
    [ref, secrets({ 'team-a/ca': { 'ca.crt': 'no pem' } }), { code: 'KOL_SINK_CONFIG', message: /secret "team-a\/ca" of spec\.tls\.caSecretRef holds no PEM certificate/ }],
    [bundle(first.replace(/\n[A-Za-z0-9+/]{10}/, '\n')), secrets({}), { code: 'KOL_SINK_CONFIG', message: /certificate 1 of spec\.tls\.caBundle cannot be read/ }],
    [{ ...bundle(first), ...ref }, secrets({}), { code: 'KOL_SINK_CONFIG', message: /both caBundle and caSecretRef/ }],
  ] as const) t.match(await failure(resolveCa(tls, 'team-a', read)), expected);
  const client = { clientCertificateSecretRef: { name: 'me' } };
  t.match(await failure(resolveClientCertificate(client, 'team-a', secrets({ 'team-a/me': { 'tls.crt': first } }))), { code: 'KOL_SINK_SECRET', message: /does not hold the key tls\.key/ });
  const [own, other] = [issueCertificate(createAuthority('one'), { hosts: ['me'], usage: 'client' }), issueCertificate(createAuthority('one'), { hosts: ['me'], usage: 'client' })];
  const resolved = (cert: string, key: string) => resolveClientCertificate(client, 'team-a', secrets({ 'team-a/me': { 'tls.crt': cert, 'tls.key': key } }));
  t.match(await resolved(own.certificate, own.key), { cert: own.certificate.trim(), key: own.key.trim() });
  const unusable = { code: 'KOL_SINK_CONFIG', class: 'terminal' };
  t.match(await failure(resolved('no pem', own.key)), { ...unusable, message: /^tls\.crt of secret "team-a\/me" of spec\.tls\.clientCertificateSecretRef cannot be read: put PEM into it/ });
  t.match(await failure(resolved(own.certificate, 'no pem')), { ...unusable, message: /^tls\.key of secret "team-a\/me" .* cannot be read/ });
  t.match(await failure(resolved(own.certificate, other.key)), { ...unusable, message: /is not the key of tls\.crt: put both of one certificate into it/ });
});

t.test('the dialer checks every address of every answer', async (t) => {
  const names: Record<string, string[]> = { good: ['192.0.2.1', '192.0.2.2'], mixed: ['192.0.2.1', '169.254.169.254'], inside: ['10.0.0.1'], nothing: [] };
  const asked: string[] = [];
  const lookupAll = async (host: string) => {
    asked.push(host);
    return names[host] ?? [];
  };
  const dialer = createDialer({ policy: { allowPrivate: true, allowLoopback: false }, lookupAll, mapHosts: new Map([['mapped.svc:5432', { host: '127.0.0.1', port: 15_432 }]]) });
  t.strictSame(await dialer.resolve('good', 5432), { host: '192.0.2.1', port: 5432, servername: 'good', others: ['192.0.2.2'] });
  t.strictSame(await dialer.resolve('Mapped.svc', 5432), { host: '127.0.0.1', port: 15_432, servername: 'Mapped.svc', others: [] });
  t.match(await failure(dialer.resolve('mapped.svc', 5433)), { code: 'KOL_SINK_UNAVAILABLE' }, 'the port belongs to the name');
  t.match(await failure(dialer.resolve('mixed', 1)), { code: 'KOL_SINK_ADDRESS', class: 'terminal', message: /host "mixed" is refused: 169\.254\.169\.254 is/ });
  t.match(await failure(dialer.resolve('mixed', 1, 'the server')), { message: /^the server is refused: it is the address of a cloud metadata service: point the sink to another host$/ });
  t.match(await failure(dialer.resolve('nothing', 1)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /host "nothing" cannot be resolved/ });
  t.match(await failure(createDialer({ policy: { allowPrivate: false, allowLoopback: false }, lookupAll }).resolve('inside', 1)), { code: 'KOL_SINK_ADDRESS' });
  t.match(await failure(dialer.resolve('localhost', 1)), { code: 'KOL_SINK_ADDRESS' });
  t.notOk(asked.includes('localhost'), 'what is refused as written is not resolved');
  names['good'] = ['127.0.0.1'];
  t.match(await failure(dialer.resolve('good', 5432)), { code: 'KOL_SINK_ADDRESS' }, 'a name that was good is resolved again');
});

t.test('a mapped host is no way around names that are not mapped', async (t) => {
  const dialer = createDialer({ policy: { allowPrivate: true, allowLoopback: false }, mapHosts: new Map([['db.svc:5432', { host: '127.0.0.1', port: 1 }]]) });
  t.match(await failure(dialer.resolve('127.0.0.1', 5432)), { code: 'KOL_SINK_ADDRESS' });
});

t.test('an agent that is destroyed leaves no connection that it was still dialling', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.teardown(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const gate = Promise.withResolvers<CheckedAddress>();
  const agents = guardedAgents({ resolve: () => gate.promise }, { ca: undefined, verifies: true, client: undefined }, 1);
  for (const scheme of ['http', 'https'] as const) {
    const asked = failure(httpRequest(agents, { method: 'GET', url: new URL(`${scheme}://name:${port}/`) }, AbortSignal.timeout(20_000)));
    agents[scheme].destroy();
    gate.resolve({ host: '127.0.0.1', port, servername: 'name', others: [] });
    t.match(await asked, { code: 'KOL_SINK_UNAVAILABLE', message: /given up/ }, scheme);
  }
});

t.test('pieces of what logs in are hidden where they stand alone, and who logs in is not', async (t) => {
  const key = Buffer.from('the key of an account').toString('base64');
  const pem = `-----BEGIN PRIVATE KEY-----\nMIIabcdefghij\n-----END PRIVATE KEY-----\n`;
  const data = { connectionString: `AccountName=shop;AccountKey=${key};EndpointSuffix=x`, sasToken: '?sv=2024&sig=s1gnature%2Bx%3D', 'credentials.json': JSON.stringify({ private_key: pem }), accountName: 'shop', AZURE_TENANT_ID: 'tenant', clientID: 'client' };
  const { values } = await resolveSecret({ name: 'login' }, 'team-a', secrets({ 'team-a/login': data }));
  const sanitize = createSanitizer(values.values());
  t.equal(sanitize(`shop tenant client <${key}> <s1gnature+x=> <s1gnature%2Bx%3D> <MIIabcdefghij>`), 'shop tenant client <***> <***> <***> <***>');
  t.equal(createSanitizer([])('AccountKey=abcd; SharedAccessSignature=abcd, ?sv=1&sig=abcd'), 'AccountKey=***; SharedAccessSignature=***, ?sv=1&sig=***');
});

t.test('no form of a secret survives, wherever it stands in a message', (t) => {
  const password = 'p@ss w/örd+1';
  const dsn = `postgres://user:${encodeURIComponent(password)}@db.example/inv`;
  const sanitize = createSanitizer([dsn, ' token-123\n', 'host=h password=\'it\\\'s-here\' user=u', 'abc']);
  const forms = [password, encodeURIComponent(password), Buffer.from(password).toString('base64'), Buffer.from(dsn).toString('base64url'), dsn, 'token-123', Buffer.from('token-123').toString('base64'), "it's-here", JSON.stringify(password).slice(1, -1)];
  for (const form of forms) {
    const text = sanitize(`login with <${form}> failed`);
    t.notOk(text.includes(form), form);
    t.match(text, /^login with <\*\*\*.*> failed$/);
  }
  t.equal(sanitize('abc is too short to be hidden'), 'abc is too short to be hidden');
  t.equal(sanitize('nothing to hide in table "public"."items"'), 'nothing to hide in table "public"."items"');
  t.end();
});

t.test('what looks like a credential is hidden though nobody named it', (t) => {
  const sanitize = createSanitizer([]);
  const cases: [string, string][] = [
    ['cannot clone https://bot:s3cr3t@git.example/r.git', 'cannot clone https://***@git.example/r.git'],
    ['nats://s3cr3t@h:4222 and amqp+ssl://a:b@c@h', 'nats://***@h:4222 and amqp+ssl://***@h'],
    ['host=h user=u password=s3cr3t dbname=d', 'host=h user=u password=*** dbname=d'],
    ["password = 's3 cr3t' and pwd=\"x y\"", 'password=*** and pwd=***'],
    ['Authorization: Bearer s3cr3t.abc', 'Authorization: ***'],
    ['{"Authorization":"Basic czNjcjN0"}', '{"Authorization":"***"}'],
    ['PRIVATE-TOKEN: glpat-s3cr3t', 'PRIVATE-TOKEN: ***'],
    ['got bearer s3cr3ts3cr3t', 'got bearer ***'],
    ['key -----BEGIN RSA PRIVATE KEY-----\nMIIs3cr3t\n-----END RSA PRIVATE KEY----- end', 'key *** end'],
    ['cut off -----BEGIN PRIVATE KEY-----\nMIIs3cr3t', 'cut off ***'],
    ['one\r\ntwo\u0000\u001b[31m\u202ered', 'one two [31m red'],
  ];
  for (const [text, expected] of cases) t.equal(sanitize(text), expected, JSON.stringify(text));
  t.equal(sanitize('x'.repeat(5_000)).length, 1_024);
  t.end();
});

t.test('no secret survives in any text, and the names of things do, be they those of users too', async (t) => {
  const names = fc.constantFrom('events', 'kollect_events', 'inventory.events', 'git', 'gitops', 'https://git.example/platform/gitops.git', 'shop', 'user', 'username');
  const tail = fc.string({ maxLength: 12, unit: 'grapheme' });
  const secret = fc.tuple(fc.string({ minLength: 12, maxLength: 20, unit: fc.constantFrom(...'0123456789abcdef') }), tail).map(([id, end]) => `canary${id}${end}`);
  const form = fc.constantFrom<((password: string, user: string) => string)[]>(
    (password) => password,
    (password) => password.trim(),
    (password) => encodeURIComponent(password.toWellFormed()),
    (password) => Buffer.from(password.trim()).toString('base64'),
    (password) => JSON.stringify(password),
    (password, user) => Buffer.from(`${user}:${password.trim()}`).toString('base64'),
    (password, user) => `nats://${user}:${encodeURIComponent(password.toWellFormed())}@host:4222`,
  );
  const key = fc.constantFrom('password', 'token', 'nkey', 'creds', 'credentials.json', 'secretAccessKey');
  const property = fc.asyncProperty(fc.record({ key, secret, user: names, form, shown: fc.array(names, { minLength: 1, maxLength: 4 }) }), async ({ key, secret, user, form, shown }) => {
    const { values } = await resolveSecret({ name: 'login' }, 'team-a', secrets({ 'team-a/login': { username: user, [key]: secret } }));
    const text = form(secret, user);
    const clean = createSanitizer(values.values())([...shown, text, ...shown].join(' '));
    // Forms that hold the canary, or its base64.
    return !clean.includes(secret.slice(0, 18)) && (text.includes('canary') || !clean.includes(text.slice(0, -4))) && clean.startsWith(shown.join(' ')) && clean.endsWith(shown.join(' '));
  });
  await t.resolves(fc.assert(property, { numRuns: 1_000 }));
});

t.test('an error leaves with its code, and without its origin', (t) => {
  const sanitize = createSanitizer(['s3cr3t-value']);
  const origin = new Error('s3cr3t-value');
  const known = sanitizedError(new KollectError('KOL_SINK_SCHEMA', 'has s3cr3t-value', { class: 'row', retryAfterMs: 5, cause: origin }), sanitize);
  t.match(known, { code: 'KOL_SINK_SCHEMA', class: 'row', retryAfterMs: 5, message: 'has ***' });
  t.equal(known.cause, undefined);
  t.notMatch(inspect(known, { showHidden: true }), 's3cr3t-value');
  t.match(sanitizedError(new TypeError('s3cr3t-value is not a function'), sanitize), { code: 'KOL_INTERNAL', message: 'TypeError: *** is not a function' });
  t.match(sanitizedError('s3cr3t-value', sanitize), { code: 'KOL_INTERNAL', message: '***' });
  t.equal(networkFault(Object.assign(new Error('x'), { code: 'EHOSTUNREACH' })), 'no route to it (EHOSTUNREACH): look at the network, its policies and firewalls');
  t.equal(networkFault(Object.assign(new Error('x'), { code: '42P01' })), undefined);
  t.match(tlsFault(Object.assign(new Error('x'), { code: 'CERT_HAS_EXPIRED' })), /has expired/);
  t.equal(tlsFault(new Error('x')), undefined);
  t.end();
});

t.test('a type without a backend is not implemented, whether the API knows it or not', async (t) => {
  const admitted = Object.keys(sinkTypes);
  const built = Object.entries(sinkTypes).filter(([, { isBuilt }]) => isBuilt);
  t.strictSame(built.map(([type]) => type).toSorted(), backendTypes.toSorted(), 'admission warns of the others');
  for (const type of backendTypes) t.equal((await loadBackend(type)).type, type);
  for (const type of [...admitted.filter((type) => !backendTypes.includes(type)), 'oracle', 'constructor']) {
    const opening = openSink({ sink: { ...sinkObject(), spec: { type } }, readSecret: secrets({}), policy: loopback });
    t.match(await failure(opening), { code: 'KOL_SINK_NOT_IMPLEMENTED', reason: 'ExportUnavailable', message: new RegExp(`"${type}" are not implemented`) });
  }
});

t.test('opening reads what the sink names and says which versions it read', async (t) => {
  const ca = createAuthority('authority', 1).certificate;
  const read = secrets({ 'team-a/dsn': { dsn: 'postgres://u@h/d' }, 'pki/ca': { 'ca.crt': ca } });
  const sink = sinkObject({ tls: { caSecretRef: { name: 'ca', namespace: 'pki' } } });
  const opened = await openSink({ sink, readSecret: read, policy: loopback });
  t.strictSame([...opened.secretVersions], [['team-a/dsn', '7'], ['pki/ca', '7']]);
  t.equal(opened.backend.type, 'postgres');
  for (const [installation, mode, refuses] of [['ours', 'ensure', true], [undefined, 'ensure', false], ['ours', 'existing', false]] as const) {
    const other = await openSink({ sink: sinkObject({ provisioning: { mode } }), readSecret: read, policy: loopback, installation });
    t.equal(other.refusesLateWrites, refuses, 'nobody keeps what is late from a table without a record of who wrote last');
    await other.sink.close();
  }
  await opened.sink.close();
  t.match(await failure(openSink({ sink: sinkObject(), readSecret: secrets({}), policy: loopback })), { code: 'KOL_SINK_SECRET', message: /secret "dsn" in namespace "team-a" not found/ });
  t.match(await failure(openSink({ sink: sinkObject({ postgres: undefined }), readSecret: read, policy: loopback })), { code: 'KOL_SINK_CONFIG', message: /spec\.postgres is missing/ });
});

t.test('nobody waits for a backend that does not answer, nor for one that does not hear', async (t) => {
  const heard: AbortSignal[] = [];
  const hangs = (signal: AbortSignal): Promise<never> => {
    heard.push(signal);
    return new Promise(() => undefined);
  };
  const objects = (signal: AbortSignal): Promise<never> => new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(new Error('aborted with s3cr3t-value'))));
  const opened = async (work: (signal: AbortSignal) => Promise<never>) => {
    const sink: Sink = { probe: work, check: (_identity, signal) => work(signal), write: (_change, signal) => work(signal), remove: (_identity, _isOwn, signal) => work(signal), close: async () => undefined };
    const backend: Backend = { ...memoryBackend(new MemoryPlace()), open: async () => sink };
    const object = { ...sinkObject(), spec: { type: 'memory', secretRef: { name: 'dsn' } } };
    return (await openSink({ sink: object, readSecret: secrets({ 'team-a/dsn': { token: 's3cr3t-value' } }), policy: loopback, load: async () => backend, budgets: { probe: 40, check: 40, remove: 40, reaction: 40 } })).sink;
  };
  const late = { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: 'the sink has not answered within 0.04 s' };
  for (const work of [hangs, objects]) {
    const sink = await opened(work);
    t.match(await failure(sink.probe(signal)), late);
    t.match(await failure(sink.check(identity(), signal)), late);
    t.match(await failure(sink.remove(identity(), true, signal)), late);
    const abort = new AbortController();
    const writing = failure(sink.write(change([]), abort.signal));
    setTimeout(() => abort.abort(), 100);
    t.match((await writing).message, work === hangs ? /^the work was cancelled$/ : /aborted with \*\*\*/, 'a write has all the time that its caller gives it');
    t.match((await failure(sink.write(change([]), AbortSignal.abort()))).message, /cancelled|aborted/);
  }
  t.ok(heard.every(({ aborted }) => aborted), 'and it was told');
});
