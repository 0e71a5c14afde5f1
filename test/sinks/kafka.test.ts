import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createServer, type AddressInfo } from 'node:net';
import kafkajs from 'kafkajs';
import t from 'tap';
import { previewSample } from '../../controller/probe/preview-sample.ts';
import { kafka } from '../../controller/sinks/kafka/backend.ts';
import { Connection, type KafkaClient } from '../../controller/sinks/kafka/connection.ts';
import { groupsOf, topicMessage } from '../../controller/sinks/kafka/publish.ts';
import type { KollectEventSinkSpec } from '../../shared/api/kollect-event-sink.ts';
import { eventually } from '../servers/eventually.ts';
import { startKafka } from '../servers/kafka/index.ts';
import { canary, change, failure, identity, row, rows, signal, whole } from './conformance.ts';
import { kafkaPlace, openKafka, readerOf, type KafkaPlace, type OpenKafkaOptions, type StoredMessage } from './kafka-place.ts';

const users = ['kollect', 'reader', 'elsewhere', 'maker'];
const server = await startKafka({
  user: { name: 'kollect', password: canary },
  properties: {
    'message.max.bytes': 65_536,
    'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'listener.name.client.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required ${users.map((user) => `user_${user}="${canary}"`).join(' ')};`,
    'listener.name.client.oauthbearer.sasl.jaas.config': 'org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";',
    'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users': 'User:ANONYMOUS;User:kollect',
    // A broker that was killed is let back in when its session is over.
    'broker.session.timeout.ms': 6_000,
    'broker.heartbeat.interval.ms': 1_000,
  },
});
const reader = await readerOf(server);
const ends: (() => Promise<void> | void)[] = [() => server.stop(), () => reader.close()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const place = (mode: 'aggregate' | 'perItem' = 'aggregate', extra: OpenKafkaOptions['spec'] = {}) => kafkaPlace(server, reader, mode, (end) => ends.push(end), extra);
const broker = `127.0.0.1:${server.port}`;

interface Envelope {
  timestamp: string;
  cluster: string;
  payload: { uid: string; attributes: { v: unknown } }[];
}

const bodyOf = (message: StoredMessage | undefined) => JSON.parse(message?.text ?? 'null') as Envelope;
const values = (message: StoredMessage | undefined) => bodyOf(message).payload.map(({ uid, attributes }) => `${uid}=${JSON.stringify(attributes.v)}`);
const keys = (messages: readonly StoredMessage[]) => messages.map(({ key, value }) => `${String(key)}${value ? '' : ' is gone'}`);
const login = (username: string) => ({ username, password: canary });

t.test('an export is one message, and none when nothing changed', async (t) => {
  const at = await place();
  const { sink } = await at.opened({ epoch: { current: () => 7, outrank: () => undefined } });
  const prod = { identity: identity('shop', 'prod-west') };
  t.match(await sink.write(whole([row('b', { v: 1 }), row('a', { v: 1 })], { ...prod, after: { rows: 2, digest: 'd' } }), signal), { confirmed: 2, written: 2, deleted: 0, rejected: [] });
  const [message] = await at.messages();
  const { text, header, timestamp } = message!;
  t.match(text, /^\{"schemaVersion":"kollect\.dev\/v1alpha1","timestamp":"[^"]+Z","cluster":"prod-west","namespace":"team-a","payload":\[\{"targetNamespace"/);
  t.strictSame(values(message), ['a=1', 'b=1'], 'in canonical order');
  t.equal(String(message!.key), 'prod-west/team-a/shop');
  t.equal(new Date(Number(timestamp)).toISOString(), bodyOf(message).timestamp);
  const payload = text.slice(text.indexOf('"payload":') + 10, -1);
  t.strictSame(['Cluster', 'Namespace', 'Inventory', 'Generation', 'Part', 'Checksum', 'Digest', 'Epoch'].map((name) => header(`Kollect-${name}`)), ['prod-west', 'team-a', 'shop', '1', '1/1', createHash('sha256').update(payload).digest('hex'), 'd', '7']);
  t.match(await sink.write(whole([row('a', { v: 1 }), row('b', { v: 1 })], prod), signal), { confirmed: 2, written: 0 });
  t.match(await sink.write(whole([row('a', { v: 2 })], prod), signal), { confirmed: 1, written: 1, deleted: 1 });
  t.match(await sink.write(whole([], prod), signal), { confirmed: 0, deleted: 1 });
  t.strictSame((await at.messages()).map(values), [['a=1', 'b=1'], ['a=2'], []], 'an inventory without rows is a message, too');
  await sink.write(whole(rows(2)), signal);
  t.strictSame(await sink.remove(identity(), true, signal), { deleted: 2 });
  const [, last] = (await at.messages()).slice(-2);
  t.strictSame([String(last?.key), values(last)], ['/team-a/shop', []], 'without a cluster the key begins with the slash, and removal is a last, empty message');
  t.strictSame(await sink.remove(identity('other'), false, signal), { deleted: 0 });
  await sink.close();
});

t.test('an inventory that is larger than a message goes in parts, and a topic that is compacted forgets those that are left over', async (t) => {
  for (const compression of ['none', 'gzip', 'zstd']) {
    const at = await place('aggregate', { options: { compression, cleanupPolicy: 'compact', partitions: '3' } });
    const sink = await at.open();
    const some = rows(300, { text: 'x'.repeat(1_000) });
    const large = row('large', { v: 'x'.repeat(66_000) });
    t.match(await sink.write(whole([...some, large]), signal), { confirmed: 300, written: 300, rejected: [{ key: { uid: 'large' }, code: 'PayloadTooLarge' }] }, compression);
    const first = await at.messages();
    const total = first.length;
    t.ok(total >= 5 && total <= 8, `${total} parts`);
    t.strictSame(first.map(({ header }) => header('Kollect-Part')), first.map((_message, index) => `${index + 1}/${total}`));
    t.strictSame(keys(first), first.map((_message, index) => `/team-a/shop/${index + 1}`));
    t.equal(new Set(first.map((message) => bodyOf(message).timestamp)).size, 1);
    t.equal(new Set(first.map(({ partition }) => partition)).size, 1, 'in one partition, where they keep their order');
    t.equal((await at.contents()).length, 300, 'the consumer of the documentation puts them together');
    if (compression !== 'none') continue;
    await sink.write(whole(some.slice(0, 100)), signal);
    t.strictSame(keys((await at.messages()).slice(total)), ['/team-a/shop/1', '/team-a/shop/2', ...first.slice(2).map((_message, index) => `/team-a/shop/${index + 3} is gone`)]);
    await sink.write(whole(some.slice(0, 1)), signal);
    t.strictSame(keys((await at.messages()).slice(-3)), ['/team-a/shop', '/team-a/shop/1 is gone', '/team-a/shop/2 is gone']);
    await sink.write(whole(some.slice(0, 100)), signal);
    t.strictSame(keys((await at.messages()).slice(-3)), ['/team-a/shop/1', '/team-a/shop/2', '/team-a/shop is gone']);
    t.equal((await at.contents()).length, 100);
    await sink.close();
  }
});

t.test('parts that are left over are forgotten also when word of that is lost', async (t) => {
  const at = await place('aggregate', { options: { cleanupPolicy: 'compact' } });
  const sink = await at.open();
  const some = rows(300, { text: 'x'.repeat(1_000) });
  await sink.write(whole(some), signal);
  const total = (await at.messages()).length;
  at.proxy.refuses = true;
  at.proxy.cut();
  t.match(await failure(sink.write(whole(some.slice(0, 1)), signal)), { class: 'transient' });
  at.proxy.refuses = false;
  at.proxy.heal();
  await sink.write(whole(some.slice(0, 2)), signal);
  t.strictSame(keys((await at.messages()).slice(-total)), Array.from({ length: total }, (_, index) => `/team-a/shop/${index + 1} is gone`));
  await sink.close();
});

t.test('a group of messages is as large as it was counted, whatever names they have', async (t) => {
  const { RecordBatch } = createRequire(import.meta.url)('kafkajs/src/protocol/recordBatch/v0/index.js') as { RecordBatch: (batch: object) => Promise<{ size(): number }> };
  const Record = createRequire(import.meta.url)('kafkajs/src/protocol/recordBatch/record/v0/index.js') as (record: object) => unknown;
  const timestamp = new Date();
  for (const length of [1, 253]) {
    const of = { cluster: 'c'.repeat(length), namespace: 'n'.repeat(length), name: 'i'.repeat(length), generation: 1 };
    const headers = { 'Kollect-Cluster': of.cluster, 'Kollect-Namespace': of.namespace, 'Kollect-Inventory': of.name, 'Kollect-Generation': '1', 'Kollect-Event': 'upsert' };
    const messages = Array.from({ length: 500 }, (_, index) => topicMessage(of, { body: Buffer.alloc(1_000), key: ['web', `u${index}`], id: '', headers }, timestamp));
    const groups = [...groupsOf(messages, { messages: 2_000, bytes: 65_536 })];
    t.equal(groups.flat().length, 500);
    for (const group of groups) {
      const records = group.map((message, offsetDelta) => Record({ offsetDelta, timestampDelta: 0, ...message }));
      const bytes = (await RecordBatch({ firstTimestamp: timestamp.getTime(), maxTimestamp: timestamp.getTime(), records })).size();
      t.ok(bytes <= 65_536 && (group === groups.at(-1) || bytes > 60_000), `${bytes} bytes with names of ${length}`);
    }
  }
});

t.test('who gives up disturbs nobody who uses the same connection, and ends it if there is none', async (t) => {
  const names = { title: 'kafka', topic: 'any', login: { mechanism: 'none' } } as const;
  const settings = { ...names, brokers: [{ host: '127.0.0.1', port: server.plainPort, user: undefined }], tls: undefined, clientName: 'kollect test', acks: 'all' } as const;
  const connection = new Connection(settings, { resolve: async (host, port) => ({ host, others: [], port, servername: host }) });
  const given = new AbortController();
  const started = Promise.withResolvers<KafkaClient>();
  const other = connection.use(signal, names, async (client) => {
    await once(given.signal, 'abort');
    return await client.admin.listTopics();
  });
  const first = failure(connection.use(given.signal, names, async (client) => {
    started.resolve(client);
    return await new Promise<never>(() => undefined);
  }));
  const former = await started.promise;
  given.abort();
  t.match(await first, { code: 'KOL_SINK_UNAVAILABLE', message: /cancelled/ });
  t.type(await other, Array);
  await t.rejects(former.admin.listTopics(), 'nobody uses it any more');
  t.not(await connection.use(signal, names, async (client) => client), former);
  await connection.close();
});

t.test('rows that are gone are tombstones where a topic is compacted, and messages of their own elsewhere', async (t) => {
  for (const cleanupPolicy of ['compact', 'delete']) {
    const at = await place('perItem', { cluster: 'prod', options: { cleanupPolicy, partitions: '4' } });
    const sink = await at.open();
    const prod = { identity: identity('shop', 'prod') };
    await sink.write(whole(rows(3, { v: 1 }), prod), signal);
    await sink.write(change([row('u000000', { v: 2 })], { ...prod, deletes: ['u000001'] }), signal);
    const messages = await at.messages();
    t.strictSame(keys(messages.slice(-2)), ['prod/team-a/shop/web/u000000', `prod/team-a/shop/web/u000001${cleanupPolicy === 'compact' ? ' is gone' : ''}`]);
    t.strictSame(messages.slice(0, -2).map(({ header }) => header('Kollect-Event')), ['snapshotBegin', 'upsert', 'upsert', 'upsert', 'snapshotEnd']);
    t.equal(new Set(messages.map(({ partition }) => partition)).size, 1);
    t.equal(new Set(keys(messages.slice(0, 5))).size, 5, 'none of them replaces another one');
    t.strictSame((await at.contents()).map(({ uid }) => uid), ['u000000', 'u000002']);
    const second = await at.open();
    await second.write(whole([row('u000002', { v: 1 })], { ...prod, keep: ['u000000'] }), signal);
    t.strictSame((await at.contents()).map(({ uid }) => uid), ['u000000', 'u000002']);
    t.same(keys(await at.messages()).slice(-2, -1), ['prod/team-a/shop/keep/web/u000000'], 'a row that is kept is not replaced by word of that');
    await Promise.all([sink.close(), second.close()]);
  }
});

t.test('a topic that was deleted, or made anew, is filled anew', async (t) => {
  for (const mode of ['aggregate', 'perItem'] as const) {
    const at = await place(mode);
    const sink = await at.open();
    t.match(await sink.check(identity(), signal), { rows: 0, digest: undefined });
    await sink.write(whole(rows(3, { v: 1 })), signal);
    t.match(await sink.check(identity(), signal), { rows: undefined, isLog: true, isTouched: false });
    const lost = { code: 'KOL_SINK_DESTINATION_LOST', class: 'transient' };
    await reader.admin.deleteTopics({ topics: [at.topic] });
    t.match(await failure(sink.check(identity(), signal)), lost);
    await sink.write(whole(rows(3, { v: 1 })), signal);
    t.ok((await at.messages()).length > 0, 'the same rows are told to a new topic');
    await reader.admin.deleteTopics({ topics: [at.topic] });
    await reader.admin.createTopics({ topics: [{ topic: at.topic }], waitForLeaders: false });
    await eventually(async () => (await reader.admin.fetchTopicOffsets(at.topic)).length > 0, { what: 'the new topic' });
    t.match(await (await at.open()).check(identity(), signal), { isTouched: true }, 'a topic that never had a message had none of ours');
    t.match(await failure(sink.write(mode === 'perItem' ? change(rows(1, { v: 2 })) : whole(rows(1, { v: 2 })), signal)), lost, 'it is noticed by the next message, too');
    t.match(await sink.write(whole(rows(3, { v: 2 })), signal), { confirmed: 3 });
    await sink.close();
  }
});

t.test('a topic is made as it is asked for, or must be there, and a probe makes none', async (t) => {
  const at = await place('aggregate', { options: { partitions: '3', cleanupPolicy: 'compact' } });
  const existing = (await at.opened({ spec: { provisioning: { mode: 'existing' } } })).sink;
  const missing = { code: 'KOL_SINK_SCHEMA', class: 'terminal', message: /does not exist: create it/ };
  for (const attempt of [() => existing.write(whole(rows(1)), signal), () => existing.probe(signal), () => existing.check(identity(), signal)]) t.match(await failure(attempt()), missing);
  const sink = await at.open();
  t.match(await sink.probe(signal), { message: /login with SCRAM-SHA-256 succeeded: the first export will create topic/, isPassing: true });
  t.notOk(await at.touched());
  await sink.write(whole(rows(1)), signal);
  t.match(await existing.probe(signal), { message: /has 3 partitions, is compacted and takes 65536 bytes at a time/, isPassing: false });
  t.equal((await at.messages()).length, 1);
  const tooMany = (await (await place('aggregate', { options: { replicas: '3' } })).opened()).sink;
  for (const attempt of [() => tooMany.probe(signal), () => tooMany.write(whole(rows(1)), signal)]) t.match(await failure(attempt()), { code: 'KOL_SINK_CONFIG', class: 'terminal', message: /correct spec\.options\.replicas/ });
  for (const options of [{ compression: 'lz4' }, { compression: 'snappy' }, { acks: '0' }, { partitions: '0' }, { cleanupPolicy: 'keep' }]) t.match(await failure(at.opened({ spec: { options } })), { code: 'KOL_SINK_CONFIG', class: 'terminal' });
  const leader = (await at.opened({ spec: { options: { acks: '1' } } })).sink;
  t.match(await leader.write(whole(rows(2)), signal), { written: 2 });
  await Promise.all([existing.close(), sink.close(), leader.close()]);
});

t.test('a preview shows the message and the topic of an export', async (t) => {
  for (const mode of ['aggregate', 'perItem'] as const) {
    const options = { partitions: '2', cleanupPolicy: 'compact' };
    const at = await place(mode, { cluster: 'west', options });
    const spec = { type: 'kafka', connectionTest: true, cluster: 'west', events: { mode }, options, kafka: { brokers: [broker], topic: at.topic } } as KollectEventSinkSpec;
    const sample = previewSample('team-a/events', spec);
    const upserts = sample.rows.slice(0, 1);
    const { kafka: shown } = await kafka.preview(spec, { ...sample, rows: upserts });
    const sink = await at.open();
    await sink.write({ identity: sample.identity, upserts: [upserts], upsertCount: 1, deletes: [], completeTargets: ['deployments'], keep: [], knownTargets: ['deployments'], after: sample.after }, signal);
    const sent = (await at.messages()).find(({ text }) => text.includes('registry.example.com'))!;
    const timeless = (text = ''): string => text.replace(/"timestamp":"[^"]*"/, '');
    t.equal(timeless(shown?.sampleBody), timeless(sent.text), mode);
    t.strictSame([shown?.topic, shown?.sampleKey], [at.topic, String(sent.key)]);
    t.strictSame(shown?.sampleHeaders, Object.entries(sent.headers ?? {}).map(([name, value]) => `${name}: ${String(value)}`));
    t.match(JSON.parse(shown?.expectedTopic ?? ''), { topic: at.topic, numPartitions: 2 });
    t.equal((await kafka.preview({ ...spec, provisioning: { mode: 'existing' } }, sample)).kafka?.expectedTopic, undefined, 'nothing is created');
    await sink.close();
  }
});

t.test('what the user may not do is named', async (t) => {
  const [at, other] = [await place(), await place()];
  for (const { open } of [at, other]) await (await open()).write(whole(rows(1)), signal);
  const missing = (await place()).topic;
  const { AclOperationTypes: may, AclResourceTypes: of } = kafkajs;
  const allow = (user: string, operation: number, resourceName: string) => ({ principal: `User:${user}`, host: '*', operation, permissionType: kafkajs.AclPermissionTypes.ALLOW, resourceType: of.TOPIC, resourceName, resourcePatternType: kafkajs.ResourcePatternTypes.LITERAL });
  await reader.admin.createAcls({ acl: [allow('reader', may.DESCRIBE, at.topic), allow('elsewhere', may.WRITE, other.topic), allow('elsewhere', may.DESCRIBE, at.topic), allow('maker', may.CREATE, missing), allow('maker', may.WRITE, missing), allow('maker', may.DESCRIBE, missing)] });
  const as = async (user: string, topic = at.topic) => (await openKafka(broker, { spec: { kafka: { topic, sasl: { mechanism: 'PLAIN' } } }, secret: login(user) })).sink;
  const refused = { code: 'KOL_SINK_AUTH', class: 'terminal' };
  t.match(await failure((await as('reader')).probe(signal)), { ...refused, message: /allow Write on topic/ }, 'who may write nowhere gets no producer');
  const elsewhere = await as('elsewhere');
  t.match(await elsewhere.probe(signal), { message: /the user may not read that .*whether the user may write to it is known to the first export$/ });
  t.match(await failure(elsewhere.write(whole(rows(2)), signal)), { ...refused, message: new RegExp(`"${at.topic}": allow the operations`) });
  t.match(await failure((await as('elsewhere', missing)).probe(signal)), { ...refused, message: /Create/ });
  const maker = await as('maker', missing);
  t.match(await maker.probe(signal), { isPassing: true });
  t.match(await maker.write(whole(rows(1)), signal), { written: 1 });
  t.equal((await at.messages()).length, 1);
});

t.test('people log in with what their Secret holds', async (t) => {
  const at = await place();
  await (await at.open()).write(whole(rows(1)), signal);
  const jwt = (subject: string, secondsLeft: number) => {
    const now = Math.floor(Date.now() / 1_000);
    return [{ alg: 'none' }, { sub: subject, iat: now, exp: now + secondsLeft }].map((part) => `${Buffer.from(JSON.stringify(part)).toString('base64url')}.`).join('');
  };
  const tries: [mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER' | undefined, right: Record<string, string>, wrong: Record<string, string>][] = [
    [undefined, login('kollect'), { username: 'kollect', password: `${canary}-wrong` }],
    ['PLAIN', { username: 'kollect', token: canary, password: 'other' }, { username: 'nobody', password: `${canary}-wrong` }],
    ['SCRAM-SHA-512', login('kollect'), { username: 'kollect', password: `${canary}-wrong` }],
    ['OAUTHBEARER', { token: jwt('kollect', 600) }, { token: jwt('kollect', -600) }],
  ];
  for (const [mechanism, right, wrong] of tries) {
    const spec = { kafka: { topic: at.topic, ...(mechanism && { sasl: { mechanism } }) } };
    const { sink } = await openKafka(broker, { spec, secret: right });
    t.match((await sink.probe(signal)).message, new RegExp(`login with ${mechanism ?? 'SCRAM-SHA-256'} succeeded`));
    t.match(await sink.write(whole(rows(1)), signal), { written: 1 });
    await sink.close();
    const refused = await openKafka(broker, { spec, secret: wrong });
    const error = await failure(refused.sink.probe(signal));
    t.match(error, { code: 'KOL_SINK_AUTH', class: 'terminal', message: /refused the login/ }, String(mechanism));
    for (const secret of Object.values(wrong)) t.notOk(secret.length > 8 && JSON.stringify([error, error.stack]).includes(secret));
    await refused.sink.close();
  }
  const plain = await openKafka(`127.0.0.1:${server.plainPort}`, { secret: login('kollect') });
  t.match(await failure(plain.sink.probe(signal)), { class: 'terminal', code: 'KOL_SINK_CONFIG', message: /login/ }, 'a listener without logins');
  t.match(await failure((await openKafka(broker)).sink.probe(signal)), { class: 'transient', message: /asks for TLS or for a login/ }, 'nobody is let in without');
  for (const [secret, sasl] of [[{ username: 'kollect' }, 'PLAIN'], [{ other: canary }, 'OAUTHBEARER']] as const) t.match(await failure(openKafka(broker, { secret, spec: { kafka: { sasl: { mechanism: sasl } } } })), { code: 'KOL_SINK_SECRET_KEY' });
  t.match(await failure(openKafka(broker, { spec: { kafka: { sasl: { mechanism: 'PLAIN' } } } })), { code: 'KOL_SINK_CONFIG', message: /name the Secret/ });
});

t.test('only addresses that were checked are dialled, those that brokers tell of among them', async (t) => {
  const strict = { allowPrivate: true, allowLoopback: false };
  const refused = { code: 'KOL_SINK_ADDRESS', class: 'terminal' };
  const probe = async (options: OpenKafkaOptions, to = 'kafka.example.com:9092') => (await openKafka(to, options)).sink.probe(signal);
  t.match(await failure(probe({ policy: strict }, broker)), refused);
  for (const address of ['127.0.0.1', '169.254.169.254', '::ffff:169.254.169.254', 'fd00:ec2::254']) {
    const lookupAll = async () => ['10.0.0.1', address];
    t.match(await failure(probe({ policy: strict, lookupAll })), refused, address);
  }
  t.match(await failure(probe({ lookupAll: async () => [] })), { code: 'KOL_SINK_UNAVAILABLE', message: /cannot be resolved/ });
  // The same number of characters as 127.0.0.1, at which the broker wants to be dialled.
  for (const advertised of ['localhost', 'fe80::1:1']) {
    const at = await place();
    at.proxy.filter = (bytes) => Buffer.from(bytes.toString('latin1').replaceAll('127.0.0.1', advertised), 'latin1');
    const { sink } = await at.opened({ policy: strict });
    for (const attempt of [() => sink.probe(signal), () => sink.write(whole(rows(1)), signal)]) t.match(await failure(attempt()), refused, advertised);
    await sink.close();
  }
  const several = await openKafka(broker, { spec: { kafka: { brokers: ['127.0.0.1:1', broker] } }, secret: login('kollect') });
  t.match((await several.sink.probe(signal)).message, /succeeded/, 'of several brokers one is enough');
  await several.sink.close();
});

t.test('a server that is not there, or says nothing, is told', async (t) => {
  t.match(await failure((await openKafka('127.0.0.1:1')).sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient', message: /nothing listens there/ });
  let open = 0;
  const silent = createServer((socket) => {
    open++;
    socket.on('error', () => undefined).on('close', () => open--).resume();
  });
  silent.listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { sink } = await openKafka(`127.0.0.1:${(silent.address() as AddressInfo).port}`, { budgets: { probe: 500 } });
  t.match(await failure(sink.probe(signal)), { code: 'KOL_SINK_UNAVAILABLE' });
  await sink.close();
  silent.close();
  await eventually(async () => open === 0, { what: 'the end of its connections' });
});

t.test('a server that restarts is written to again', async (t) => {
  const places: KafkaPlace[] = [await place(), await place('perItem')];
  const sinks = await Promise.all(places.map(({ open }) => open()));
  for (const sink of sinks) await sink.write(whole(rows(3, { v: 1 })), signal);
  const writing = sinks.map((sink) => failure(sink.write(whole(rows(3, { v: 2 })), signal)).catch(() => undefined));
  await server.kill();
  await Promise.all(writing);
  for (const sink of sinks) t.match(await failure(sink.write(whole(rows(3, { v: 3 })), signal)), { code: 'KOL_SINK_UNAVAILABLE', class: 'transient' });
  await server.start();
  for (const [at, sink] of sinks.entries()) {
    let result;
    for (let attempt = 0; result === undefined && attempt < 60; attempt++) {
      result = await sink.write(whole(rows(3, { v: 3 })), signal).catch(async (error: { class?: string }) => {
        t.equal(error.class, 'transient');
        await new Promise((resolve) => setTimeout(resolve, 500));
        return undefined;
      });
    }
    t.match(result, { confirmed: 3 });
    t.ok((await places[at]!.messages()).length > 1, 'with what it had');
    await sink.close();
  }
});
