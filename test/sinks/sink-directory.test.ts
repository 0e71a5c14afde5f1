import t from 'tap';
import { installationUid } from '../../controller/installation.ts';
import { CachedSinkDirectory } from '../../controller/sink-directory.ts';
import { SecretPoll } from '../../controller/sinks/runtime/secret-poll.ts';
import type { SecretObject } from '../../controller/sinks/runtime/secrets.ts';
import { KollectError } from '../../shared/errors.ts';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import { eventually } from '../servers/eventually.ts';
import { failure, identity, signal, change, row } from './conformance.ts';
import { memoryBackend, MemoryPlace } from './memory.ts';
import { loopback, sinkObject } from './postgres-place.ts';

function setUp() {
  const place = new MemoryPlace();
  const objects = new Map([['team-a/pg', { apiVersion: 'kollect.dev/v1alpha1', ...sinkObject({ secretRef: { name: 'token' } }) } as unknown as KubeObject]]);
  const secrets = new Map<string, SecretObject>([['team-a/token', { metadata: { resourceVersion: '1' }, data: {} }]]);
  const reads: string[] = [];
  const readSecret = async (namespace: string, name: string) => {
    reads.push(`${namespace}/${name}`);
    return secrets.get(`${namespace}/${name}`);
  };
  const poll = new SecretPoll(readSecret, 20);
  const cache = { get: (key: string) => objects.get(key), onChange: () => undefined, synced: Promise.resolve() } as unknown as ObjectCache<KubeObject>;
  const directory = new CachedSinkDirectory(
    { snapshot: cache, database: cache, event: cache },
    { readSecret, poll, policy: loopback, installation: async () => undefined, load: async () => memoryBackend(place) },
  );
  return { place, objects, secrets, reads, poll, open: (rotated?: () => void) => directory.open('database', 'team-a', 'pg', rotated), openFormer: () => directory.openFormer('database', 'team-a', 'pg') };
}

t.test('sinks of one server have one queue, for as long as somebody needs it', async (t) => {
  const { open } = setUp();
  const [first, second] = [await open(), await open()];
  t.equal(first.queue, second.queue);
  const { queue } = first;
  await first.sink.close();
  await first.sink.close();
  const third = await open();
  t.equal(third.queue, queue, 'the second is still open');
  const refused = new KollectError('KOL_SINK_AUTH', 'refused');
  await failure(queue.pass({ inventory: 'shop', binding: 'shop pg', mode: 'full', signal }, () => Promise.reject(refused)));
  await second.sink.close();
  await third.sink.close();
  const fourth = await open();
  t.equal(fourth.queue, queue, 'a failure holds somebody back');
  queue.forget('shop pg');
  await fourth.sink.close();
  const fifth = await open();
  t.not(fifth.queue, queue, 'nobody needed it any more');
  await fifth.sink.close();
});

t.test('a sink that is gone can be opened once more as it was', async (t) => {
  const { place, objects, secrets, open, openFormer } = setUp();
  t.equal(await openFormer(), undefined);
  const { sink } = await open();
  await sink.write(change([row('a')]), signal);
  objects.clear();
  secrets.clear();
  await sink.close();
  t.match(await failure(open()), { code: 'KOL_SINK_NOT_FOUND' });
  const former = (await openFormer())!;
  t.strictSame(await former.sink.remove(identity(), true, signal), { deleted: 1 });
  t.equal(place.rows.size, 0);
  await former.sink.close();
});

t.test('who uses a sink hears of edits, and of tests that have another result', async (t) => {
  const sinkAt = (generation: number, status?: string) => ({ metadata: { name: 'pg', namespace: 'team-a', uid: 'u', generation }, ...(status && { status: { conditions: [{ type: 'ConnectionVerified', status }] } }) }) as unknown as KubeObject;
  let changed: (key: string, object: KubeObject | undefined) => void = () => undefined;
  const cache = { list: () => [sinkAt(1, 'False')], onChange: (listener: typeof changed) => (changed = listener), synced: Promise.resolve() } as unknown as ObjectCache<KubeObject>;
  const silent = { ...cache, onChange: () => undefined } as unknown as ObjectCache<KubeObject>;
  const readSecret = async () => undefined;
  const directory = new CachedSinkDirectory({ snapshot: silent, database: cache, event: silent }, { readSecret, poll: new SecretPoll(readSecret), policy: loopback, installation: async () => undefined });
  const heard: string[] = [];
  directory.onChange((...told) => heard.push(told.join(' ')));
  for (const object of [sinkAt(1, 'False'), sinkAt(1, 'True'), sinkAt(1, 'True'), sinkAt(2, 'True'), sinkAt(2, 'False'), undefined]) changed('team-a/pg', object);
  t.strictSame(heard, ['verified', 'edited', 'unverified', 'edited'].map((change) => `database team-a pg ${change}`));
});

t.test('each Secret in use is read once a round, and who uses another one than there is hears of it', async (t) => {
  const { secrets, reads, poll, open } = setUp();
  const heard: number[] = [];
  const opened = await Promise.all([1, 2, 3].map((who) => open(() => heard.push(who))));
  reads.length = 0;
  poll.start();
  t.teardown(() => poll.stop());
  await eventually(() => reads.length >= 3, { intervalMs: 5 });
  t.strictSame(heard, []);
  t.equal(await opened[0]!.isCurrent(), true);

  secrets.delete('team-a/token');
  const readsBefore = reads.length;
  await eventually(() => reads.length >= readsBefore + 3, { intervalMs: 5 });
  t.strictSame(heard, [], 'a Secret that is gone ends no connection');
  t.equal(await opened[0]!.isCurrent(), true);

  await opened[2]!.sink.close();
  secrets.set('team-a/token', { metadata: { resourceVersion: '2' }, data: {} });
  await eventually(() => heard.length > 0, { intervalMs: 5 });
  t.equal(await opened[0]!.isCurrent(), false);
  const readsAfter = reads.length;
  await eventually(() => reads.length >= readsAfter + 3, { intervalMs: 5 });
  t.strictSame(heard, [1, 2], 'once, and nobody who has closed');

  for (const { sink } of opened) await sink.close();
  const readsLast = reads.length;
  await poll.stop();
  t.ok(reads.length <= readsLast + 1);
});

t.test('which installation it is, is asked until it is known, and once by all who ask together', async (t) => {
  const answers = [new KubeApiError(403, 'Forbidden', 'forbidden'), new KubeApiError(0, 'Unreachable', 'no answer'), { metadata: { uid: 'ours' } }];
  let asked = 0;
  const installation = installationUid({
    get: async () => {
      const answer = answers[asked++];
      if (answer instanceof Error) throw answer;
      return answer;
    },
  } as unknown as KubeClient);
  t.strictSame(await Promise.all([installation(), installation()]), [undefined, undefined], 'an API server that starts forbids everything');
  t.equal(asked, 1);
  await t.rejects(installation(), { message: 'no answer' });
  t.strictSame(await Promise.all([installation(), installation(), installation()]), ['ours', 'ours', 'ours']);
  t.equal(await installation(), 'ours');
  t.equal(asked, 3);
});
