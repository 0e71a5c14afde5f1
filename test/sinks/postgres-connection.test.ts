import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { parseDsn } from '../../controller/sinks/postgres/dsn.ts';
import { CountedResources } from '../../controller/sinks/runtime/shared-resources.ts';
import { eventually } from '../servers/eventually.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { canary, failure, identity, rows, signal, whole } from './conformance.ts';
import { end, flood, floodBytes, listening, type Silence } from './connection-failures.ts';
import { count, open, postgresPlace, table, type PostgresPlace } from './postgres-place.ts';

const certificates = mkdtempSync(join(tmpdir(), 'kollect-test-tls-'));
const authority = createAuthority('test authority', 1);
const issued = issueCertificate(authority, { hosts: ['database.example'], days: 1 });
const access = 'hostssl all certified 127.0.0.1/32 cert\nhost all all 127.0.0.1/32 scram-sha-256\n';
const files = { 'tls.crt': issued.certificate, 'tls.key': issued.key, 'ca.crt': authority.certificate, 'hba.conf': access };
for (const [name, text] of Object.entries(files)) writeFileSync(join(certificates, name), text, { mode: 0o600 });
if (process.getuid?.() === 0) for (const path of ['.', ...Object.keys(files)]) chownSync(join(certificates, path), 65_534, 65_534);

const ends: (() => Promise<void> | void)[] = [];
const [server, encrypted] = await Promise.all([
  startPostgres(),
  startPostgres({
    settings: {
      ssl: 'on',
      ssl_cert_file: join(certificates, 'tls.crt'),
      ssl_key_file: join(certificates, 'tls.key'),
      ssl_ca_file: join(certificates, 'ca.crt'),
      hba_file: join(certificates, 'hba.conf'),
    },
  }),
]);
t.teardown(async () => {
  for (const end of ends) await end();
  await Promise.all([server.stop(), encrypted.stop()]);
  rmSync(certificates, { recursive: true });
});
const newPlace = (): Promise<PostgresPlace> => postgresPlace(server, (end) => ends.push(end));

t.test('at most two sessions a destination, shared by its sinks, and none after the last is closed', async (t) => {
  const place = await newPlace();
  const shared = new CountedResources();
  const opened = await Promise.all(Array.from({ length: 5 }, () => open({ dsn: place.dsn, shared })));
  const sessions = async () => (await place.sql(`SELECT FROM pg_stat_activity WHERE usename = 'user_${place.database}' AND backend_type = 'client backend'`)).length;
  await Promise.all(opened.map(({ sink }, index) => sink.write(whole(rows(50), { identity: identity(`shop-${index}`) }), signal)));
  t.equal(await count(place), 250);
  t.ok((await sessions()) <= 2);
  t.equal(shared.size, 1);
  for (const { sink } of opened.slice(1)) await sink.close();
  t.ok((await sessions()) >= 1);
  await opened[0]!.sink.close();
  await opened[0]!.sink.close();
  await eventually(async () => (await sessions()) === 0);
  t.equal(shared.size, 0);
});

t.test('a name that led to an allowed address leads to no other one when it is dialled again', async (t) => {
  const place = await newPlace();
  const answers = [['127.0.0.1'], ['169.254.169.254'], ['127.0.0.1', '169.254.169.254'], ['::ffff:169.254.169.254'], ['127.0.0.1']];
  const asked: string[] = [];
  const lookupAll = async (host: string) => {
    asked.push(host);
    return answers.shift() ?? [];
  };
  const dsn = place.dsn.replace('@127.0.0.1:', '@rebound.example:');
  const { sink } = await open({ dsn, lookupAll });
  await sink.write(whole(rows(3)), signal);
  t.strictSame(asked, ['rebound.example'], 'what was checked is dialled, and the name is not looked up by anybody else');
  await sink.close();
  for (const _ of [1, 2, 3]) {
    const again = (await open({ dsn, lookupAll })).sink;
    t.match(await failure(again.check(identity(), signal)), { code: 'KOL_SINK_ADDRESS', class: 'terminal', message: /^the host of the connection string is refused: it is the address of a cloud metadata service: point the sink to another host$/ });
    await again.close();
  }
  const last = (await open({ dsn, lookupAll })).sink;
  t.match(await last.check(identity(), signal), { rows: 3 });
  await last.close();
  t.equal(asked.length, 5, 'each time anew');
});

t.test('the fingerprint follows the destination and never the credentials', async (t) => {
  const base = { dsn: `postgres://u:${canary}@db:5432/inv` };
  const of = async (options: Partial<Parameters<typeof open>[0]>) => {
    const { fingerprint, sink } = await open({ ...base, ...options });
    await sink.close();
    return fingerprint;
  };
  const first = await of({});
  t.match(first, /^[0-9a-f]{64}$/);
  for (const dsn of ['postgres://other:secret@DB/inv', 'host=db user=u dbname=inv password=new', `postgres://u:${canary}@db/inv?sslmode=require`]) t.equal(await of({ dsn }), first, dsn);
  t.equal(await of({ spec: { options: { statement_timeout: '5' } } }), first);
  const others = [
    { dsn: 'postgres://u@db:5433/inv' },
    { dsn: 'postgres://u@db2/inv' },
    { dsn: 'postgres://u@db/inv2' },
    { spec: { cluster: 'west' } },
    { spec: { postgres: { databaseRef: { name: 'dsn' }, table: 'other' } } },
    { spec: { postgres: { databaseRef: { name: 'dsn' }, table, schema: 'other' } } },
  ];
  t.equal(new Set([first, ...(await Promise.all(others.map(of)))]).size, others.length + 1);
});

t.test('passes at all tables of a database take turns', async (t) => {
  const of = async (options: Partial<Parameters<typeof open>[0]>) => {
    const { server: found, sink } = await open({ dsn: 'postgres://u@db:5432/inv', ...options });
    await sink.close();
    return found;
  };
  const first = await of({});
  t.equal(await of({ spec: { cluster: 'west', postgres: { databaseRef: { name: 'dsn' }, table: 'other', schema: 'other' } } }), first);
  t.equal(await of({ dsn: 'postgres://other:secret@DB/inv' }), first);
  for (const dsn of ['postgres://u@db:5433/inv', 'postgres://u@db2/inv', 'postgres://u@db/inv2']) t.not(await of({ dsn }), first);
});

t.test('a wrong password, user, database or host says which, and shows none of them', async (t) => {
  const place = await newPlace();
  const dsn = new URL(place.dsn);
  const changed = (change: (url: URL) => void): string => {
    const url = new URL(dsn);
    change(url);
    return url.href;
  };
  const cases: [string, string, object][] = [
    ['password', changed((url) => (url.password = `${canary}-wrong`)), { code: 'KOL_SINK_AUTH', class: 'terminal', message: /refused the login: correct user and password .*28P01/ }],
    ['no password', changed((url) => (url.password = '')), { code: 'KOL_SINK_AUTH', message: /asks for a password and the connection string has none/ }],
    ['user', changed((url) => (url.username = 'nobody-there')), { code: 'KOL_SINK_AUTH', message: /refused the login/ }],
    ['database', changed((url) => (url.pathname = '/nothing-there')), { code: 'KOL_SINK_AUTH', message: /the database that the connection string names does not exist/ }],
    ['host', changed((url) => (url.hostname = 'nothing-there.invalid')), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /^the host of the connection string cannot be resolved \(ENOTFOUND|EAI_AGAIN\)/ }],
    ['port', changed((url) => (url.port = '1')), { code: 'KOL_SINK_UNAVAILABLE', message: /cannot be reached, nothing listens there \(ECONNREFUSED\)/ }],
  ];
  for (const [what, dsn, expected] of cases) {
    const { sink } = await open({ dsn });
    const error = await failure(sink.probe(signal));
    t.match(error, expected, what);
    for (const hidden of ['nothing-there', 'nobody-there', '127.0.0.1', place.database]) t.notOk(error.message.includes(hidden), `${what}: hides ${hidden}`);
    if (what === 'database') t.strictSame(await sink.remove(identity(), true, signal), { deleted: 0 }, 'no database, nothing to remove');
    await sink.close();
  }
});

t.test('a server of something else is told from PostgreSQL at once, and nothing is kept of what it says', async (t) => {
  const torrents = await Promise.all(['', 'R\0\0\0\x08\0\0\0\0', 'N\x7f\xff\xff\xff', 'E\0\0\0\x02'].map(flood));
  const says = (text: string): Promise<Silence> => listening((socket) => void socket.write(text));
  const others = [...torrents, await says('SSH-2.0-OpenSSH_9.6\r\n'), await says('HTTP/1.1 400 Bad Request\r\n\r\n'), await says('x'), await says('E\0\0\0\x08Sabc'), await says('E\0\0\0\x04'), await says('N\0\0\0\x08Sab\0'), await listening((socket) => void socket.pipe(socket)), await says('\x4a\0\0\0\x0a8.0.36\0')];
  t.teardown(() => others.forEach(end));
  for (const [index, { port }] of others.entries()) {
    const { sink } = await open({ dsn: `postgres://kollect:${canary}@127.0.0.1:${port}/inventory?sslmode=disable` });
    t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE', message: /: see whether it is PostgreSQL that listens there/ }, String(index));
    await sink.close();
  }
  for (const torrent of torrents) t.ok(torrent.taken() < floodBytes, `of a server that writes without end ${torrent.taken()} bytes are taken`);
});

t.test('the address policy holds for the host of the connection string', async (t) => {
  const strict = { allowPrivate: false, allowLoopback: false };
  for (const [host, message] of [
    ['127.0.0.1', /the host of the connection string is refused: it is a loopback address/],
    ['localhost', /is refused: it is a name of the loopback address/],
    ['10.1.2.3', /is refused: it is a private address/],
    ['169.254.169.254', /metadata/],
    ['[::ffff:127.0.0.1]', /loopback/],
  ] as const) {
    const { sink } = await open({ dsn: `postgres://u:${canary}@${host}/db`, policy: strict });
    const error = await failure(sink.probe(signal));
    t.match(error, { code: 'KOL_SINK_ADDRESS', class: 'terminal', message });
    t.notOk(error.message.includes(host));
    await sink.close();
  }
  const place = await newPlace();
  const mapped = await open({
    dsn: place.dsn.replace(/127\.0\.0\.1:\d+/, 'postgres.kollect-system.svc:5432'),
    policy: strict,
    mapHosts: new Map([['postgres.kollect-system.svc:5432', { host: '127.0.0.1', port: server.port }]]),
  });
  t.match(await mapped.sink.probe(signal), { message: /login succeeded/ }, 'unless the operator mapped it');
  await mapped.sink.close();
});

t.test('sslmode means what it means to libpq', async (t) => {
  const pem = (text: string) => Buffer.from(text).toString('base64');
  const trusted = { caBundle: pem(authority.certificate) };
  const strange = { caBundle: pem(createAuthority('another authority', 1).certificate) };
  const at = async (which: typeof server, options: { query?: string; host?: string; tls?: object }): Promise<string> => {
    const { query = '', host = 'database.example', tls } = options;
    const opened = await open({
      dsn: `postgres://postgres:${which.password}@${host}/postgres${query}`,
      spec: tls ? { tls } : {},
      mapHosts: new Map([[`${host}:5432`, { host: '127.0.0.1', port: which.port }]]),
    });
    return await opened.sink.probe(signal).then(
      ({ message }) => message,
      (error: Error) => error.message,
    ).finally(() => opened.sink.close());
  };
  const cases: [string, typeof server, Parameters<typeof at>[1], RegExp][] = [
    ['nothing said, no TLS there', server, {}, /without TLS: login/],
    ['nothing said, TLS there', encrypted, {}, /over TLS, server not verified: login/],
    ['disable', encrypted, { query: '?sslmode=disable' }, /without TLS: login/],
    ['require, no TLS there', server, { query: '?sslmode=require' }, /offers no TLS/],
    ['require', encrypted, { query: '?sslmode=require' }, /over TLS, server not verified: login/],
    ['require with an authority', encrypted, { query: '?sslmode=require', tls: trusted, host: 'other.example' }, /over TLS, authority of the server verified: login/],
    ['require with another authority', encrypted, { query: '?sslmode=require', tls: strange }, /authority that is not trusted|signed by itself/],
    ['verify-ca without an authority', encrypted, { query: '?sslmode=verify-ca' }, /authority that is not trusted|signed by itself/],
    ['verify-full', encrypted, { query: '?sslmode=verify-full', tls: trusted }, /over TLS, authority and name of the server verified: login/],
    ['verify-full at another name', encrypted, { query: '?sslmode=verify-full', tls: trusted, host: 'other.example' }, /certificate of the server is for another host/],
    ['an authority, nothing else said', encrypted, { tls: trusted, host: 'other.example' }, /certificate of the server is for another host/],
    ['an authority, no TLS there', server, { tls: trusted }, /offers no TLS/],
    ['verify-full and insecureSkipVerify', encrypted, { query: '?sslmode=verify-full', tls: { insecureSkipVerify: true } }, /over TLS, server not verified: login/],
  ];
  for (const [what, which, options, expected] of cases) t.match(await at(which, options), expected, what);
  t.match(await failure(open({ dsn: 'postgres://u@h/d?sslmode=disable', spec: { tls: trusted } })), { code: 'KOL_SINK_CONFIG', message: /sslmode=disable while spec\.tls names an authority/ });
});

t.test('a client certificate logs in without a password, and only the right one', async (t) => {
  await encrypted.query('CREATE ROLE certified LOGIN; REVOKE CREATE ON SCHEMA public FROM public');
  const probe = async (signer: typeof authority | undefined, subject: string) => {
    const own = signer && issueCertificate(signer, { hosts: [subject], days: 1, usage: 'client' });
    const { sink } = await open({
      dsn: 'postgres://certified@database.example/postgres',
      spec: { tls: { caBundle: Buffer.from(authority.certificate).toString('base64'), ...(own && { clientCertificateSecretRef: { name: 'dsn' } }) } },
      secrets: own ? { 'tls.crt': own.certificate, 'tls.key': own.key } : {},
      mapHosts: new Map([['database.example:5432', { host: '127.0.0.1', port: encrypted.port }]]),
    });
    return await sink.probe(signal).finally(() => sink.close());
  };
  t.match(await failure(probe(authority, 'certified')), { message: /lacks CREATE on schema "public"/ }, 'logged in');
  t.match(await failure(probe(authority, 'somebody-else')), { code: 'KOL_SINK_AUTH', message: /refused the login/ });
  t.match(await failure(probe(undefined, '')), { code: 'KOL_SINK_AUTH' });
  t.match((await failure(probe(createAuthority('another authority', 1), 'certified'))).code, /KOL_SINK_(?:CONFIG|UNAVAILABLE)/);
});

t.test('connection strings are read as PostgreSQL reads them, and no error repeats them', async (t) => {
  const base = { host: 'h', port: 5432, user: 'u', password: undefined, database: 'u', sslmode: undefined };
  t.match(parseDsn('postgres://u@h'), base);
  t.match(parseDsn('postgresql://u:p%40s%2Fs@h:6000/data%20base?sslmode=require&connect_timeout=3&pool_max_conns=4'), { ...base, port: 6000, password: 'p@s/s', database: 'data base', sslmode: 'require', connectTimeoutMs: 3_000 });
  t.match(parseDsn("host=h user=u password='it\\'s a \\\\ secret' dbname = d port=80"), { ...base, port: 80, password: "it's a \\ secret", database: 'd' });
  t.match(parseDsn('postgres://u@[2001:db8::1]:5433/d'), { host: '2001:db8::1', port: 5433 });
  t.match(parseDsn('postgres:///d?host=h&user=u'), { host: 'h', user: 'u', database: 'd' });
  const bad: [string, RegExp][] = [
    ['postgres://u:p@/d', /names no host|no URL/],
    ['postgres://h/d', /names no user/],
    ['postgres://u@h,g/d', /names several hosts|no URL/],
    ['host=/run/postgresql user=u', /socket of the local machine/],
    ['postgres://u@h/d?sslmode=maybe', /sets sslmode to something else than disable, allow/],
    ['postgres://u@h/d?sslrootcert=/etc/passwd', /use spec\.tls\.caSecretRef/],
    ['postgres://u@h/d?sslkey=/x', /use spec\.tls\.clientCertificateSecretRef/],
    ['host=h user=u port=http', /port that is not a number/],
    ['postgres://u:p@h:543x/d', /port that is not a number from 1 to 65535/],
    ['postgres://u:p@[2001:db8::1]:70000/d?sslmode=require', /port that is not a number/],
    ['postgres://h:0/d', /port that is not a number|names no user/],
    ['postgres://u:p/w@h:5432/d', /percent-encode/],
    ['postgres://u:p#w@h:70000/d', /percent-encode/],
    ['mysql://u@h/d', /neither a URL .* nor a list of pairs/],
    ['postgres://u:50%-off@h/d', /percent/],
  ];
  for (const [dsn, message] of bad) t.throws(() => parseDsn(dsn), { code: 'KOL_SINK_CONFIG', message }, dsn);
  t.match(await failure(open({ dsn: `postgres://u:${canary}/#@h/d` })), { code: 'KOL_SINK_CONFIG' });
  t.match(await failure(open({ dsn: `db.example ${canary}` })), { message: 'the connection string in the Secret is neither a URL (postgres://user:password@host:5432/database) nor a list of pairs (host=… user=…)' });
  t.notMatch((await failure(open({ dsn: 'password' }))).message, 'user:password', 'unless that is the password');
});
