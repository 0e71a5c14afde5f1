import t from 'tap';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { startKafka } from '../servers/kafka/index.ts';
import { failure, rows, signal, whole } from './conformance.ts';
import { openKafka, type OpenKafkaOptions } from './kafka-place.ts';

const authority = createAuthority('kafka test');
// The broker is found by its name, and wants to be dialled at its address from then on.
const host = issueCertificate(authority, { hosts: ['kafka.example.com', '127.0.0.1'] });
const own = issueCertificate(authority, { hosts: ['kollect'], usage: 'client' });
const server = await startKafka({ tls: { cert: host.certificate, key: host.key, clientCa: authority.certificate } });
t.teardown(() => server.stop());

const caBundle = Buffer.from(authority.certificate).toString('base64');
const secret = { 'tls.crt': own.certificate, 'tls.key': own.key };
const client = { clientCertificateSecretRef: { name: 'client' } };
const lookupAll = async () => ['127.0.0.1'];

const opened = async (name: string, spec: OpenKafkaOptions['spec'], port = server.port) => {
  const { sink } = await openKafka(`${name}.example.com:${port}`, { lookupAll, spec: { ...spec, kafka: { topic: 'encrypted', ...spec?.kafka } }, secret: { ...secret, username: 'x', password: 'x' } });
  return sink;
};
/** Nobody logs in here. */
const probe = async (name: string, tls: NonNullable<OpenKafkaOptions['spec']>['tls'], port?: number) => {
  const sink = await plainOpened(name, tls, port);
  try {
    return await sink.probe(signal);
  } finally {
    await sink.close();
  }
};
const plainOpened = async (name: string, tls: NonNullable<OpenKafkaOptions['spec']>['tls'], port = server.port) => {
  const { sink } = await openKafka(`${name}.example.com:${port}`, { lookupAll, spec: { ...(tls && { tls }), kafka: { topic: 'encrypted' }, secretRef: undefined }, secret });
  return sink;
};

t.test('TLS verifies the name that the sink knows, and shows who we are', async (t) => {
  const sink = await plainOpened('kafka', { caBundle, ...client });
  t.match(await sink.probe(signal), { message: /Kafka, TLS, without a login/ });
  t.match(await sink.write(whole(rows(3)), signal), { written: 3 });
  await sink.close();
  t.match(await probe('other', { insecureSkipVerify: true, ...client }), { message: /TLS/ });
  const config = { code: 'KOL_SINK_CONFIG', class: 'terminal' };
  t.match(await failure(probe('other', { caBundle, ...client })), { ...config, message: /is for another host/ });
  t.match(await failure(probe('kafka', client)), { ...config, message: /not trusted/ });
  t.match(await failure(probe('kafka', { caBundle })), { ...config, message: /client certificate/ });
  t.match(await failure(probe('kafka', { caBundle, ...client }, server.plainPort)), { message: /no TLS|closed the connection|reset/ });
  t.match(await failure(probe('kafka', undefined)), { class: 'transient', message: /asks for TLS|reset/ });
  const login = await opened('kafka', { tls: { caBundle, ...client }, kafka: { sasl: { mechanism: 'PLAIN' } } });
  t.match(await failure(login.probe(signal)), { ...config, message: /login/ });
  await login.close();
});
