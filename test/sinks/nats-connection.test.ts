import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { nkeys } from 'nats';
import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { eventually } from '../servers/eventually.ts';
import { createAccounts } from '../servers/nats/accounts.ts';
import { startNats } from '../servers/nats/index.ts';
import { canary, failure, identity, rows, signal, whole } from './conformance.ts';
import { natsPlace, openNats, type OpenNatsOptions } from './nats-place.ts';

const nkey = nkeys.createUser();
const seed = Buffer.from(nkey.getSeed()).toString();
const server = await startNats({ config: () => `authorization { users: [{ user: kollect, password: "${canary}" }, { nkey: ${nkey.getPublicKey()} }] }` });
const ends: (() => Promise<void> | void)[] = [() => server.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const place = () => natsPlace(server, 'aggregate', (end) => ends.push(end));
const url = `nats://127.0.0.1:${server.port}`;

/** Connections for one: the server offers no TLS, which is known once it was asked. */
const each = 2;

/** A server of ours on 127.0.0.1, and its port. */
async function listening(listener: Server): Promise<number> {
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  ends.push(() => void listener.close());
  return (listener.address() as AddressInfo).port;
}

t.test('all who come at the same time share one connection, and none is left of it', async (t) => {
  const at = await place();
  const sink = await at.open();
  const ask = () => sink.check(identity(), signal);
  await Promise.all(Array.from({ length: 4 }, ask));
  t.equal(at.proxy.connections, each);
  at.proxy.cut();
  await eventually(async () => (await Promise.allSettled(Array.from({ length: 4 }, ask))).every(({ status }) => status === 'fulfilled'), { what: 'a connection again' });
  t.equal(at.proxy.connections, 2 * each);
  await sink.close();
  await eventually(async () => at.proxy.cut() === 0, { what: 'the end of the connections' });
  t.match(await failure(ask()), { code: 'KOL_SINK_UNAVAILABLE', message: /is being closed/ });
  t.equal(at.proxy.connections, 2 * each);
});

t.test('a connection that is closed while it is doubted is not followed by another', async (t) => {
  const at = await place();
  const sink = await at.open();
  await sink.check(identity(), signal);
  at.proxy.freeze();
  t.match(await failure(sink.check(identity(), AbortSignal.timeout(100))), { class: 'transient' });
  const asking = failure(sink.check(identity(), signal));
  await sink.close();
  t.match(await asking, { code: 'KOL_SINK_UNAVAILABLE' });
  t.equal(at.proxy.connections, each);
});

t.test('a server that takes a connection and says nothing is left', async (t) => {
  let open = 0;
  const port = await listening(
    createServer((socket) => {
      open++;
      socket.on('error', () => undefined).on('close', () => open--).resume();
    }),
  );
  const { sink } = await openNats(`nats://127.0.0.1:${port}`);
  const asking = failure(sink.probe(signal));
  await eventually(async () => open === 1, { what: 'the connection' });
  t.match(await asking, { code: 'KOL_SINK_UNAVAILABLE', message: /does not answer/ });
  await eventually(async () => open === 0, { what: 'its end' });
  await sink.close();
});

t.test('people log in with what their Secret holds', async (t) => {
  const at = await place();
  const { creds, config } = createAccounts();
  const [tokens, operators] = await Promise.all([startNats({ config: () => `authorization { token: "${canary}" }` }), startNats({ config: () => config })]);
  ends.push(() => tokens.stop(), () => operators.stop());
  const tries: [name: string, url: string, right: Record<string, string>, wrong: Record<string, string>][] = [
    ['user', url, { username: 'kollect', password: canary }, { username: 'kollect', password: `${canary}-wrong` }],
    ['nkey', url, { nkey: seed }, { nkey: Buffer.from(nkeys.createUser().getSeed()).toString() }],
    ['token', `nats://127.0.0.1:${tokens.port}`, { token: canary, username: 'nobody', password: 'x' }, { token: `${canary}-wrong` }],
    ['creds', `nats://127.0.0.1:${operators.port}`, { creds: creds.replaceAll('\n', '\r\n') }, { creds: createAccounts().creds }],
  ];
  for (const [name, to, right, wrong] of tries) {
    const spec = { nats: { stream: `${at.stream}-${name}`, subject: `${name}.login` } };
    const { sink } = await openNats(to, { spec, secret: right });
    t.match((await sink.probe(signal)).message, /login succeeded/, name);
    t.match(await sink.write(whole(rows(1)), signal), { written: 1 }, name);
    await sink.close();
    const refused = await openNats(to, { spec, secret: wrong });
    const error = await failure(refused.sink.probe(signal));
    t.match(error, { code: 'KOL_SINK_AUTH', class: 'terminal', message: /refused the login/ }, name);
    for (const secret of Object.values(wrong)) t.notOk(secret.length > 8 && JSON.stringify([error, error.stack]).includes(secret));
    await refused.sink.close();
  }
  t.match(await failure((await openNats(url)).sink.probe(signal)), { code: 'KOL_SINK_AUTH' }, 'nobody is let in without');
  const bad: [Record<string, string>, RegExp, string][] = [
    [{ creds: canary }, /key creds of the Secret/, 'KOL_SINK_AUTH'],
    [{ nkey: canary }, /key nkey of the Secret/, 'KOL_SINK_AUTH'],
    [{ username: 'kollect' }, /key password/, 'KOL_SINK_SECRET_KEY'],
    [{ other: canary }, /creds, nkey, token, username/, 'KOL_SINK_SECRET_KEY'],
  ];
  for (const [secret, message, code] of bad) t.match(await failure(openNats(url, { secret })), { code, message });
});

t.test('TLS verifies the name that the sink knows, and shows who we are', async (t) => {
  const authority = createAuthority('nats test');
  const host = issueCertificate(authority, { hosts: ['nats.example.com'] });
  const own = issueCertificate(authority, { hosts: ['kollect'], usage: 'client' });
  const tls = (verify: boolean) => (folder: string) => {
    const file = (name: string, text: string) => {
      writeFileSync(join(folder, name), text, { mode: 0o600 });
      return join(folder, name);
    };
    return `tls { cert_file: "${file('cert.pem', host.certificate)}", key_file: "${file('key.pem', host.key)}", ca_file: "${file('ca.pem', authority.certificate)}", verify: ${verify} }`;
  };
  const [plain, mutual] = await Promise.all([startNats({ config: tls(false) }), startNats({ config: tls(true) })]);
  ends.push(() => plain.stop(), () => mutual.stop());
  const caBundle = Buffer.from(authority.certificate).toString('base64');
  const lookupAll = async () => ['127.0.0.1'];
  const probe = async (to: string, spec: OpenNatsOptions['spec'], options: Parameters<typeof openNats>[1] = {}) => (await openNats(to, { lookupAll, ...options, ...(spec && { spec }) })).sink.probe(signal);
  for (const scheme of ['tls', 'nats']) t.match((await probe(`${scheme}://nats.example.com:${plain.port}`, { tls: { caBundle } })).message, /with JetStream, TLS/, scheme);
  t.match((await probe(`tls://other.example.com:${plain.port}`, { tls: { insecureSkipVerify: true } })).message, /TLS/);
  const config = { code: 'KOL_SINK_CONFIG', class: 'terminal' };
  t.match(await failure(probe(`tls://other.example.com:${plain.port}`, { tls: { caBundle } })), { ...config, message: /is for another host/ });
  for (const scheme of ['tls', 'nats']) t.match(await failure(probe(`${scheme}://nats.example.com:${plain.port}`, undefined)), { ...config, message: /not trusted/ });
  t.match(await failure(probe(`tls://nats.example.com:${server.port}`, { tls: { caBundle } }, { secret: { username: 'kollect', password: canary } })), { ...config, message: /offers no TLS/ });
  const client = { caBundle, clientCertificateSecretRef: { name: 'client' } };
  const secret = { 'tls.crt': own.certificate, 'tls.key': own.key, username: 'x', password: 'x' };
  t.match((await probe(`tls://nats.example.com:${mutual.port}`, { tls: client }, { secret })).message, /TLS/);
  t.match(await failure(probe(`tls://nats.example.com:${mutual.port}`, { tls: { caBundle } })), { class: /terminal|transient/, message: /asks for a client certificate.*: correct spec\.tls\.clientCertificateSecretRef|connection/ });
});

t.test('only addresses that were checked are dialled, and none that a server tells of', async (t) => {
  const policy = { allowPrivate: true, allowLoopback: false };
  const refused = { code: 'KOL_SINK_ADDRESS', class: 'terminal' };
  const probe = async (to: string, options: OpenNatsOptions) => (await openNats(to, options)).sink.probe(signal);
  t.match(await failure(probe(url, { policy })), refused);
  for (const address of ['127.0.0.1', '169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254']) {
    const lookupAll = async () => ['10.0.0.1', address];
    t.match(await failure(probe('nats://nats.example.com:4222', { policy, lookupAll })), refused, address);
    if (address !== '127.0.0.1') t.match(await failure(probe('nats://nats.example.com:4222', { lookupAll })), refused, address);
  }
  const dialled: number[] = [];
  const port = await listening(
    createServer((socket) => {
      dialled.push(1);
      socket.destroy();
    }),
  );
  const at = await place();
  at.proxy.filter = (bytes) => Buffer.from(bytes.toString('latin1').replace(/^INFO \{/, `INFO {"connect_urls":["127.0.0.1:${port}"],`), 'latin1');
  const sink = await at.open();
  await sink.write(whole(rows(1)), signal);
  at.proxy.refuses = true;
  at.proxy.cut();
  await eventually(async () => (await failure(sink.write(whole(rows(2)), signal))).code === 'KOL_SINK_UNAVAILABLE', { what: 'the loss of the connection' });
  t.strictSame(dialled, []);
  at.proxy.refuses = false;
  await sink.write(whole(rows(2)), signal);
  await sink.close();

  const several = await openNats(`nats://127.0.0.1:1,127.0.0.1:${server.port}`, { secret: { username: 'kollect', password: canary } });
  t.match((await several.sink.probe(signal)).message, /login succeeded/, 'of several servers one is enough');
  await several.sink.close();
});
