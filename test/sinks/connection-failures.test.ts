import t from 'tap';
import { probeSink } from '../../controller/probe/sink-prober.ts';
import { signal } from './conformance.ts';
import { end, failsWell, flood, floodBytes, listening } from './connection-failures.ts';
import { gitFailures } from './git-failures.ts';
import { kafkaFailures } from './kafka-failures.ts';
import { natsFailures } from './nats-failures.ts';
import { s3Failures } from './object-failures.ts';
import { postgresFailures } from './postgres-failures.ts';

const ends: (() => Promise<void> | void)[] = [];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
const onEnd = (end: () => Promise<void> | void): void => void ends.push(end);
const places = await Promise.all([postgresFailures(onEnd), natsFailures(onEnd), gitFailures(onEnd), kafkaFailures(onEnd), s3Failures(onEnd)]);
// All at once: much of it is waiting.
t.jobs = places.length + 1;
for (const place of places.flat()) failsWell(place);

const text = (of: string): Buffer => Buffer.from(of, 'latin1');
const loggedIn = 'R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I';
const mongoHeader = (bytes: number, operation: number): Buffer => Buffer.from(new Int32Array([bytes, 1, 1, operation]).buffer);
/** What servers may say at the first word that they hear, in the clear: cut off, of no length or a negative one, of something else. */
const words: readonly [name: string, kind: string, spec: (port: number) => object, says: readonly Buffer[]][] = [
  [
    'postgres',
    'KollectDatabaseSink',
    () => ({ type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, schema: 'public', table: 'items' } }),
    ['R\0\0\0\x04', 'R\0\0\0\x05a', 'K\0\0\0\x04', 'A\0\0\0\x04', 'E\0\0\0\x04', 'N\0\0\0\x08Sab\0', `${loggedIn}D\0\0\0\x04`, `${loggedIn}T\0\0\0\x06\x7f\xff`].map(text),
  ],
  ['kafka', 'KollectEventSink', (port) => ({ type: 'kafka', kafka: { brokers: [`127.0.0.1:${port}`], topic: 'items' } }), [Buffer.alloc(4), Buffer.alloc(64, 0xff), text('\0\0\0\x03abc'), text('HTTP/1.1 400 Bad Request\r\n\r\n')]],
  [
    'mongodb',
    'KollectDatabaseSink',
    () => ({ type: 'mongodb', mongodb: { databaseRef: { name: 'dsn' }, database: 'items', collection: 'items' } }),
    [Buffer.alloc(16), Buffer.alloc(64, 0xff), Buffer.concat([mongoHeader(26, 2013), Buffer.alloc(5), Buffer.alloc(4, 0xff), Buffer.alloc(1)]), Buffer.concat([mongoHeader(36, 1), Buffer.alloc(16), text('\xff\xff\xff\x7f')])],
  ],
];

t.test('nothing that a server says ends the process, or fills its memory', async (t) => {
  for (const [name, kind, spec, says] of words) {
    const probe = async (port: number) => {
      const data = { dsn: `postgres://kollect:password@127.0.0.1:${port}/items?sslmode=disable`, uri: `mongodb://127.0.0.1:${port}/?tls=false` };
      const sink = { kind, metadata: { name: 'sink', namespace: 'team-a' }, spec: spec(port) as { type: string } };
      const readSecret = async () => ({ metadata: { resourceVersion: '1' }, data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value).toString('base64')])) });
      return await probeSink({ sink, readSecret, policy: { allowPrivate: true, allowLoopback: true }, timeoutMs: 2_000, signal });
    };
    await Promise.all(
      says.map(async (bytes, index) => {
        const server = await listening((socket) => void socket.once('data', () => socket.write(bytes)));
        t.match((await probe(server.port)).error, { code: 'KOL_SINK_UNAVAILABLE' }, `${name} ${index}`);
        end(server);
      }),
    );
    const torrent = await flood('');
    t.match((await probe(torrent.port)).error, { code: 'KOL_SINK_UNAVAILABLE' }, `${name}: a flood`);
    t.ok(torrent.taken() < floodBytes, `${name}: of which ${torrent.taken()} bytes are taken`);
    end(torrent);
  }
});
