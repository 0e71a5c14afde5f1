import { MongoClient } from 'mongodb';
import t from 'tap';
import { previewSample } from '../../controller/probe/preview-sample.ts';
import { createAuthority, issueCertificate } from '../../certs/x509.ts';
import { mongodb } from '../../controller/sinks/mongodb/backend.ts';
import { payloadOf, type RowDocument } from '../../controller/sinks/mongodb/documents.ts';
import { parseUri } from '../../controller/sinks/mongodb/uri.ts';
import type { KollectDatabaseSinkSpec } from '../../shared/api/kollect-database-sink.ts';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startMongo } from '../servers/mongodb/index.ts';
import { canary, change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { mongoPlace, openMongo, type OpenMongoOptions } from './mongodb-place.ts';

const server = await startMongo({ password: canary });
const admin = await MongoClient.connect(server.uri);
const ends: (() => Promise<void> | void)[] = [() => server.stop(), () => admin.close()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const place = () => mongoPlace(server, admin, (end) => ends.push(end));
/** Opens it for one question. */
const probed = async (to: string, options?: OpenMongoOptions) => {
  const { sink } = await openMongo(to, options);
  try {
    return await sink.probe(signal);
  } finally {
    await sink.close();
  }
};
const stored = (database: string) => admin.db(database).collection<RowDocument>('items').find({}, { sort: { source_uid: 1 } }).toArray();

t.test('a row is a document, with its four fields as the key', async (t) => {
  const at = await place();
  const sink = await at.open({ installation: 'ours' });
  const given = [row('a', '{"v":1,"wide":9007199254740993,"wider":123456789012345678901234567890,"deep":{"list":[1,2.5,null,true]}}'), { ...row('b'), namespace: '' }];
  await sink.write(whole(given, { identity: identity('shop', 'prod'), after: { rows: 2, digest: 'd' } }), signal);
  const [first, second] = await stored(at.database);
  t.match(first, { inventory_namespace: 'team-a', inventory_name: 'shop', target_name: 'web', source_uid: 'a', cluster: 'prod', resource_namespace: 'ns', payload: { targetNamespace: 'team-a', kind: 'Pod', uid: 'a', attributes: { v: 1, deep: { list: [1, 2.5, null, true] } } } });
  t.equal(String((first!.payload['attributes'] as { wide: unknown }).wide), '9007199254740993', 'integers are as wide as they can be');
  t.equal((first!.payload['attributes'] as { wider: unknown }).wider, '123456789012345678901234567890', 'and text when they are wider');
  t.ok(first!.exported_at instanceof Date);
  t.equal(second!.resource_namespace, 'team-a', 'what has no namespace has that of the inventory');
  const indexes = await admin.db(at.database).collection('items').indexes();
  t.match(indexes.find(({ unique }) => unique)?.key, { inventory_namespace: 1, inventory_name: 1, target_name: 1, source_uid: 1 });
  t.strictSame((await mongodb.preview({ type: 'mongodb', mongodb: { databaseRef: { name: 'x' }, database: 'd', collection: 'c' } } as KollectDatabaseSinkSpec, previewSample('a/b', {}))).mongodb?.expectedIndexKeys, Object.keys(indexes.find(({ unique }) => unique)!.key));

  const other = await at.opened({ installation: 'ours', spec: { cluster: 'renamed' } });
  t.match(await other.sink.write(whole(given, { identity: identity('shop', 'renamed') }), signal), { written: 2 });
  t.strictSame((await stored(at.database)).map(({ cluster, _id }) => [cluster, String(_id)]), [first, second].map((document) => ['renamed', String(document!._id)]), 'a cluster with another name takes its documents along');
  await Promise.all([sink.close(), other.sink.close()]);
  t.equal(payloadOf('{"v":12345678901234567.5}')['v'], 12345678901234568, 'a fraction is what it is');
});

t.test('documents that the collection refuses do not hold up the others', async (t) => {
  const at = await place();
  const sink = await at.open();
  await sink.write(whole(rows(3, { v: 1 })), signal);
  // The server takes no names with dots, unlike others.
  const bad = (uid: string) => row(uid, { 'a.b': 1 });
  const mixed = [row('u000000', { v: 2 }), row('u000002', { v: 2 }), bad('new'), row('zero', '{"a\\u0000b":1}')];
  for (const write of [change(mixed), whole(mixed, { keep: ['u000001'] })]) {
    const { confirmed, rejected } = await sink.write(write, signal);
    t.equal(confirmed, 2);
    t.strictSame(rejected.map(({ key, code, hash }) => [key.uid, code, hash]).toSorted(), [['new', '2', bad('new').hash], ['zero', 'InvalidFieldName', mixed[3]!.hash]]);
    t.strictSame((await stored(at.database)).map(({ source_uid, payload }) => [source_uid, (payload['attributes'] as { v: number }).v]), [['u000000', 2], ['u000001', 1], ['u000002', 2]]);
  }
  t.match(await failure(sink.write(whole(Array.from({ length: 60 }, (_, index) => bad(`x${index}`)), { identity: identity('other') }), signal)), { code: 'KOL_SINK_SCHEMA', message: /refuses every row/ });
  await sink.close();
});

t.test('a collection is made, or must be there with its index, and a probe makes none', async (t) => {
  const at = await place();
  const existing = (await at.opened({ spec: { provisioning: { mode: 'existing' } }, installation: 'ours' })).sink;
  for (const attempt of [() => existing.write(whole(rows(1)), signal), () => existing.probe(signal)]) t.match(await failure(attempt()), { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: /does not exist: create it/ });
  await admin.db(at.database).createCollection('items');
  for (const attempt of [() => existing.write(whole(rows(1)), signal), () => existing.probe(signal)]) t.match(await failure(attempt()), { code: 'KOL_SINK_SCHEMA', message: /no unique index on inventory_namespace, inventory_name, target_name, source_uid: create it/ });
  const sink = await at.open({ installation: 'ours' });
  t.match(await sink.probe(signal), { message: /login succeeded: the first export will create the unique index/, isPassing: true });
  await sink.write(whole(rows(2), { after: { rows: 2, digest: 'd' } }), signal);
  t.notMatch(await sink.probe(signal), { isPassing: true });
  t.notMatch(await existing.probe(signal), { isPassing: true });
  t.match(await existing.write(whole(rows(3)), signal), { written: 1 });
  t.strictSame((await admin.db(at.database).listCollections({}, { nameOnly: true }).toArray()).map(({ name }) => name).toSorted(), ['items', 'kollect_state']);
  await Promise.all([existing.close(), sink.close()]);
});

t.test('a collection that was dropped is filled anew by a complete pass, and by no other', async (t) => {
  const at = await place();
  const sink = await at.open();
  await sink.write(whole(rows(3)), signal);
  await admin.db(at.database).dropCollection('items');
  const lost = { code: 'KOL_SINK_DESTINATION_LOST', class: 'transient' };
  t.match(await failure(sink.write(change(rows(1, { v: 2 })), signal)), lost);
  const another = await at.open();
  t.match(await failure(another.write(change(rows(1)), signal)), lost);
  await another.close();
  t.match(await sink.write(whole(rows(3)), signal), { written: 3 });
  await sink.close();
});

t.test('a leader that was followed by another one writes no more', async (t) => {
  const at = await place();
  const outranked: number[] = [];
  const leader = async (number: number) => (await at.opened({ installation: 'ours', epoch: { current: () => number, outrank: (epoch) => void outranked.push(epoch) } })).sink;
  const [former, later] = [await leader(3), await leader(4)];
  await former.write(whole(rows(2, { v: 1 }), { after: { rows: 2, digest: 'a' } }), signal);
  await later.write(whole(rows(2, { v: 2 }), { after: { rows: 2, digest: 'b' } }), signal);
  for (const write of [whole(rows(2, { v: 3 })), change(rows(1, { v: 3 }))]) t.match(await failure(former.write(write, signal)), { code: 'KOL_LEADER_LOST' });
  t.strictSame(outranked, [4, 4]);
  t.match(await later.check(identity(), signal), { digest: 'b', rows: 2 });
  await Promise.all([former.close(), later.close()]);
});

t.test('who is not let in, and what is no connection string, is told', async (t) => {
  const uri = (user: string, password: string, more = '') => `mongodb://${user}:${password}@127.0.0.1:${server.port}/${more}`;
  const probe = probed;
  t.match(await probe(uri('kollect', canary, '?authMechanism=SCRAM-SHA-256&authSource=admin')), { message: /login succeeded/ });
  t.match(await probe(`mongodb://kollect:${canary}@127.0.0.1:1,127.0.0.1:${server.port}/`), { message: /login succeeded/ }, 'of several servers one is enough');
  t.match(await failure(probe(uri('kollect', `${canary}-wrong`))), { code: 'KOL_SINK_AUTH', class: 'terminal', message: /refused the login/ });
  t.match(await failure(probe(`mongodb://kollect:${canary}@127.0.0.1:1/`)), { code: 'KOL_SINK_UNAVAILABLE', message: /nothing listens there/ });
  t.match(await failure(probe(uri('kollect', canary, '?tls=true'))), { class: /terminal|transient/, message: /TLS|connection/ });
  for (const key of ['uri', 'url', 'connectionString', 'MONGODB_URI']) t.match(await probe('', { secret: { [key]: ` ${server.uri}\n` } }), { message: /login succeeded/ });
  t.match(await failure(openMongo('', { secret: { dsn: canary } })), { code: 'KOL_SINK_SECRET_KEY', message: /uri, url, connectionString, MONGODB_URI/ });
  const bad = ['mongodb+srv://u:canary@h/d', 'postgres://u:canary@h/d', 'mongodb://u:canary@', 'mongodb://u:%canary@h', 'mongodb://u:canary@h:99999', 'mongodb://u:canary@%2Ftmp%2Fmongo.sock', 'mongodb://u:canary@h/?tlsCAFile=/canary', 'mongodb://u:canary@h/?tlsInsecure=true', 'mongodb://u:canary@h/?authMechanism=MONGODB-AWS', 'mongodb://u:canary@h/?tls=canary'];
  for (const text of bad) {
    const error = await failure(openMongo(text));
    t.match(error, { code: 'KOL_SINK_CONFIG', class: 'terminal', message: /connection string in the Secret/ }, text);
    t.notMatch(error.message, /canary/);
  }
  t.strictSame(parseUri('mongodb://us%40er:p%3Aw@[2001:db8::1]:27018,b.example/app?replicaSet=rs0&tls=true&w=2'), { hosts: [{ host: '2001:db8::1', port: 27_018 }, { host: 'b.example', port: 27_017 }], user: 'us@er', password: 'p:w', authSource: 'app', authMechanism: undefined, tls: true, w: '2' });
  for (const options of [{ w: '0' }, { maxPoolSize: 'many' }, { wtimeoutMS: '-1' }]) t.match(await failure(openMongo(server.uri, { spec: { options } })), { code: 'KOL_SINK_CONFIG' });
});

t.test('only addresses that were checked are dialled, those that a server names as its primary among them', async (t) => {
  const strict = { allowPrivate: true, allowLoopback: false };
  const refused = { code: 'KOL_SINK_ADDRESS', class: 'terminal' };
  const probe = probed;
  t.match(await failure(probe(server.uri, { policy: strict })), refused);
  for (const address of ['127.0.0.1', '169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254']) t.match(await failure(probe('mongodb://db.example.com/', { policy: strict, lookupAll: async () => ['10.0.0.1', address] })), refused, address);
  const at = await place();
  // A field of the same length, in place of the one that says that the server takes writes.
  at.proxy.filter = (bytes) => Buffer.from(bytes.toString('latin1').replaceAll('isWritablePrimary\0\u0001', 'isWritablePrimary\0\0'), 'latin1');
  const { sink } = await at.opened();
  t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE', message: /takes writes at the moment/ });
  await sink.close();
});

t.test('a server that restarts is written to again', async (t) => {
  const own = await startMongo({ password: canary });
  const direct = new MongoClient(own.uri);
  t.teardown(async () => {
    await direct.close();
    await own.stop();
  });
  const at = await mongoPlace(own, direct, (end) => t.teardown(end));
  const sink = await at.open();
  await sink.write(whole(rows(30, { v: 1 })), signal);
  const writing = sink.write(whole(rows(30, { v: 2 })), signal).catch(() => undefined);
  await own.kill();
  await writing;
  t.match(await failure(sink.write(whole(rows(30, { v: 3 })), signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient' });
  await own.start();
  t.match(await sink.write(whole(rows(30, { v: 3 })), signal), { confirmed: 30 });
  t.equal((await sink.check(identity(), signal)).rows, 30);
  await sink.close();
});

t.test('TLS verifies the name that the sink knows', async (t) => {
  const authority = createAuthority('mongo test');
  const host = issueCertificate(authority, { hosts: ['db.example.com'] });
  const own = issueCertificate(authority, { hosts: ['kollect'], usage: 'client' });
  const folder = t.testdir();
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const encrypted = await startMongo({ password: canary, tls: { cert: file('cert.pem', host.certificate), key: file('key.pem', host.key), ca: file('ca.pem', authority.certificate) } });
  t.teardown(() => encrypted.stop());
  const caBundle = Buffer.from(authority.certificate).toString('base64');
  const client = { clientCertificateSecretRef: { name: 'client' } };
  const probe = async (name: string, tls: NonNullable<OpenMongoOptions['spec']>['tls']) =>
    probed('', { lookupAll: async () => ['127.0.0.1'], spec: { ...(tls && { tls }) }, secret: { uri: `mongodb://kollect:${canary}@${name}.example.com:${encrypted.port}/?tls=true`, 'tls.crt': own.certificate, 'tls.key': own.key } });
  t.match(await probe('db', { caBundle, ...client }), { message: /MongoDB, TLS, login succeeded/ });
  t.match(await probe('other', { insecureSkipVerify: true, ...client }), { message: /TLS/ });
  const config = { code: 'KOL_SINK_CONFIG', class: 'terminal' };
  t.match(await failure(probe('other', { caBundle, ...client })), { ...config, message: /is for another host/ });
  t.match(await failure(probe('db', client)), { ...config, message: /not trusted/ });
});
