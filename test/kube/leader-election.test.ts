import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { KollectError } from '../../shared/errors.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection, type KubeConnection } from '../../shared/kube/config.ts';
import { EventRecorder } from '../../shared/kube/events.ts';
import { LeaderElection, type LeaseTimes } from '../../shared/kube/leader-election.ts';
import type { Lease } from '../../shared/kube/lease.ts';
import { createLogger } from '../../shared/log.ts';
import { WatchProxy } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

const cluster = await startCluster({ users: [{ name: 'nobody' }] });
t.teardown(() => cluster.stop());
const connection = await loadConnection({ kubeconfig: cluster.kubeconfig });
const admin = new KubeClient(connection);
t.teardown(() => admin.close());
const logger = createLogger({ level: 'error', format: 'text', name: 'test', write: () => undefined });

/** Long enough for a slow machine; who waits for their end takes shorter ones. */
const times: LeaseTimes = { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 300 };
const leases = '/apis/coordination.k8s.io/v1/namespaces/default/leases';
let count = 0;

/** A Lease that no other test has, and those who want it. */
function lease(t: Test) {
  const name = `lease-${++count}`;
  const path = `${leases}/${name}`;
  const join = (identity: string, { through = connection, ...more }: Partial<LeaseTimes> & { through?: KubeConnection } = {}) => {
    const client = new KubeClient(through, { answerTimeoutMs: 1_000 });
    const events = new EventRecorder({ client, component: 'kollect-controller', instance: identity, logger });
    const election = new LeaderElection({ client, namespace: 'default', name, identity, times: { ...times, ...more }, events, logger });
    const leaving = new AbortController();
    t.teardown(async () => {
      leaving.abort();
      await election.release();
      await client.close();
    });
    return { election, acquire: () => election.acquire(leaving.signal), leave: () => leaving.abort() };
  };
  const read = async () => (await admin.get<Lease>(path)).spec ?? {};
  const hold = (spec: object) => admin.create(leases, { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name }, spec });
  return { name, path, join, read, hold };
}

/** An API server that stops answering on demand: requests reach it no more. */
async function outage(t: Test) {
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const server = await proxy.start();
  t.teardown(() => proxy.stop());
  const through: KubeConnection = { server, ca: undefined, insecureSkipTlsVerify: false, clientCertificate: undefined, token: connection.token, namespace: 'default' };
  return { proxy, through, begin: () => proxy.break({ match: () => true, times: Infinity, before: () => new Promise(() => undefined) }) };
}

t.test('a lease that is free is taken at once, renewed, and told of in events', async (t) => {
  const { name, join, read } = lease(t);
  const { election, acquire } = join('one');
  t.equal(election.isLeading, false);
  t.throws(() => election.assertLeads(), { code: 'KOL_LEADER_LOST' });
  const began = performance.now();
  t.same(await acquire(), { inherited: false });
  t.ok(performance.now() - began < times.durationMs, 'without waiting for a lease to run out');
  t.equal(election.isLeading, true);
  t.doesNotThrow(() => election.assertLeads(1_000));
  const first = await read();
  t.match(first, { holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 0, acquireTime: /\.\d{6}Z$/, renewTime: /\.\d{6}Z$/ });
  await eventually(async () => (await read()).renewTime !== first.renewTime, { what: 'a renewal' });
  t.equal((await read()).acquireTime, first.acquireTime, 'a renewal is no change of leaders');
  await election.release();
  t.throws(() => election.assertLeads(), { code: 'KOL_LEADER_LOST' });
  t.match(await read(), { holderIdentity: '', leaseTransitions: 0 });
  const told = await eventually(async () => {
    const { items } = await admin.get<{ items: { reason: string; message: string; involvedObject: { kind: string; name: string } }[] }>('/api/v1/namespaces/default/events');
    const found = items.filter(({ involvedObject }) => involvedObject.kind === 'Lease' && involvedObject.name === name);
    return found.length === 2 && found;
  });
  t.strictSame(new Set(told.map(({ reason, message }) => `${reason}: ${message}`)), new Set(['LeaderElection: one became leader', 'LeaderElection: one stopped leading']));
});

t.test('a lease that is given back is taken by whoever waits, long before it would have run out', async (t) => {
  const { join, read } = lease(t);
  const one = join('one', { durationMs: 600_000 });
  await one.acquire();
  const two = join('two');
  const waiting = two.acquire();
  // Long enough for renewals to be seen.
  t.equal(await Promise.race([waiting.then(() => 'leads'), sleep(1_500, 'waits')]), 'waits');
  const began = performance.now();
  await one.election.release();
  t.same(await waiting, { inherited: false });
  t.ok(performance.now() - began < 60_000);
  t.match(await read(), { holderIdentity: 'two', leaseTransitions: 1 });
  t.equal(two.election.epoch, 1);
});

t.test('a leader that is gone is followed when nobody was seen to renew for the time of its lease, whatever its clock said', async (t) => {
  for (const renewTime of ['2000-01-01T00:00:00.000000Z', '2999-01-01T00:00:00.000000Z']) {
    const { join, hold, read } = lease(t);
    await hold({ holderIdentity: 'gone', leaseDurationSeconds: 2, renewTime, acquireTime: renewTime, leaseTransitions: 7 });
    const began = performance.now();
    const { election, acquire } = join('heir');
    t.same(await acquire(), { inherited: true });
    const waited = performance.now() - began;
    t.ok(waited >= 2_000, `not before (${waited} ms)`);
    t.equal(election.epoch, 8);
    t.match(await read(), { holderIdentity: 'heir', leaseTransitions: 8 });
  }
});

t.test('whoever waits gives the holder of a Lease that is deleted its time', async (t) => {
  const there = lease(t);
  const one = there.join('one', { retryMs: 3_000 });
  await one.acquire();
  const two = there.join('two');
  const waiting = two.acquire();
  await eventually(() => two.election.trouble === undefined, { what: 'a look at the Lease' });
  const { renewTime } = await there.read();
  await eventually(async () => (await there.read()).renewTime !== renewTime, { what: 'a renewal' });
  await admin.delete(there.path);
  await eventually(async () => (await there.read().catch(() => ({ holderIdentity: '' }))).holderIdentity !== '', { what: 'the Lease again' });
  t.match(await there.read(), { holderIdentity: 'one', leaseTransitions: 0 });
  t.strictSame([one, two].map(({ election }) => election.isLeading), [true, false]);
  await one.election.release();
  t.same(await waiting, { inherited: false });

  const { join, hold, path } = lease(t);
  const began = performance.now();
  await hold({ holderIdentity: 'gone', leaseDurationSeconds: 4, leaseTransitions: 7 });
  const heir = join('heir');
  const inheriting = heir.acquire();
  await eventually(() => heir.election.trouble === undefined, { what: 'a look at the Lease' });
  await admin.delete(path);
  t.same(await inheriting, { inherited: true });
  const waited = performance.now() - began;
  t.ok(waited >= 4_000, `not before (${waited} ms)`);
  t.equal(heir.election.epoch, 8, 'and goes on counting');
});

t.test('whoever comes back under the name of the holder goes on at once, as a leader of its own', async (t) => {
  const { join, hold } = lease(t);
  await hold({ holderIdentity: 'pod', leaseDurationSeconds: 600, renewTime: '2026-01-01T00:00:00.000000Z', acquireTime: '2026-01-01T00:00:00.000000Z', leaseTransitions: 3 });
  const { election, acquire } = join('pod');
  t.same(await acquire(), { inherited: true });
  t.equal(election.epoch, 4);
});

t.test('without an API server the leader stops before anybody else begins', async (t) => {
  const { join } = lease(t);
  const { begin, through } = await outage(t);
  const one = join('one', { through, durationMs: 6_000, renewDeadlineMs: 4_000 });
  await one.acquire();
  const two = join('two');
  const waiting = two.acquire();
  begin();
  const lost = new Promise<void>((resolve) => one.election.lost.addEventListener('abort', () => resolve()));
  await eventually(() => {
    try {
      one.election.assertLeads(4_000);
      return false;
    } catch {
      return true;
    }
  }, { what: 'a lease that is too short for what takes long' });
  t.equal(one.election.isLeading, true, 'short work may still be done');
  t.equal(await Promise.race([lost.then(() => 'one stops'), waiting.then(() => 'two leads')]), 'one stops');
  t.equal(two.election.isLeading, false);
  t.throws(() => one.election.assertLeads(), { code: 'KOL_LEADER_LOST' });
  t.match(one.election.lost.reason, { code: 'KOL_LEADER_LOST', message: /could not be renewed in time/ });
  t.same(await waiting, { inherited: true });
});

t.test('a short outage, a connection that stalls and an answer that is lost cost no leadership', async (t) => {
  const { join, read } = lease(t);
  const { proxy, through } = await outage(t);
  const { election, acquire } = join('one', { through, renewDeadlineMs: 8_000 });
  await acquire();
  proxy.break({ match: () => true, times: 2, fault: { kind: 'status', code: 500 } });
  proxy.break({ match: () => true, before: () => new Promise(() => undefined) });
  proxy.break({ match: () => true, fault: { kind: 'silence', after: 0 } });
  const before = proxy.requests.length;
  await eventually(() => proxy.requests.length > before + 6, { what: 'attempts after them' });
  const { renewTime } = await read();
  await eventually(async () => (await read()).renewTime !== renewTime, { what: 'a renewal' });
  t.equal(election.isLeading, true);
});

t.test('a process that was stopped knows at the first look that its time is over, before any timer tells it', async (t) => {
  const { join } = lease(t);
  const { election, acquire } = join('one', { renewDeadlineMs: 2_000 });
  await acquire();
  t.doesNotThrow(() => election.assertLeads());
  // The whole thread stands still, as after SIGSTOP.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2_100);
  t.throws(() => election.assertLeads(), { code: 'KOL_LEADER_LOST' });
  t.equal(election.lost.aborted, true);
});

t.test('edits of the Lease by others', async (t) => {
  const { name, path, join, read } = lease(t);
  const one = join('one');
  await one.acquire();
  await admin.patch(path, { type: 'merge', body: { metadata: { annotations: { note: 'mine' } } } });
  const { renewTime } = await read();
  await eventually(async () => (await read()).renewTime !== renewTime, { what: 'a renewal in spite of another version' });
  t.match(await admin.get<Lease>(path), { metadata: { annotations: { note: 'mine' } } }, 'the edit stays');
  await admin.delete(path);
  await eventually(async () => (await read().catch(() => ({ holderIdentity: '' }))).holderIdentity === 'one', { what: 'the Lease again' });
  t.equal(one.election.isLeading, true, `${name} was deleted, and nobody else wanted it`);
  await admin.patch(path, { type: 'merge', body: { spec: { holderIdentity: 'usurper' } } });
  await eventually(() => one.election.lost.aborted, { what: 'the loss' });
  t.match(one.election.lost.reason, { code: 'KOL_LEADER_LOST', message: /usurper/ });
  await one.election.release();
  t.match(await read(), { holderIdentity: 'usurper' }, 'what is not ours is not given back');
});

t.test('of many only one leads, one after the other', async (t) => {
  const { join, read } = lease(t);
  const all = ['a', 'b', 'c', 'd', 'e'].map((name) => join(name));
  const turns = all.map(async ({ election, acquire }) => {
    await acquire();
    t.equal(all.filter((other) => other.election.isLeading).length, 1);
    await sleep(50);
    t.equal(all.filter((other) => other.election.isLeading).length, 1);
    await election.release();
    return election.epoch;
  });
  t.strictSame((await Promise.all(turns)).toSorted(), [0, 1, 2, 3, 4], 'each with an epoch of its own');
  t.match(await read(), { holderIdentity: '', leaseTransitions: 4 });
});

t.test('a leader rises above an epoch that was met', async (t) => {
  const { join, read } = lease(t);
  const { election, acquire } = join('one', { retryMs: 1_500 });
  await acquire();
  election.outrank(41);
  await eventually(() => election.epoch === 42, { what: 'a higher epoch' });
  t.match(await read(), { holderIdentity: 'one', leaseTransitions: 42 });
  election.outrank(7);
  await sleep(200);
  t.equal(election.epoch, 42);
});

t.test('whoever may not read the lease says so, and goes on asking', async (t) => {
  const { join } = lease(t);
  const { election, acquire } = join('one', { through: await loadConnection({ kubeconfig: cluster.kubeconfigOf('nobody') }) });
  const waiting = acquire();
  await eventually(() => /leases.*forbidden/.test(election.trouble ?? ''), { what: 'the trouble' });
  await admin.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
    metadata: { name: 'nobody' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
    subjects: [{ kind: 'User', name: 'nobody' }],
  });
  await waiting;
  t.equal(election.trouble, undefined);
});

t.test('whoever leaves while it waits asks no more', async (t) => {
  const { join, hold } = lease(t);
  await hold({ holderIdentity: 'other', leaseDurationSeconds: 1 });
  const { acquire, leave, election } = join('one');
  const waiting = acquire();
  leave();
  await t.rejects(waiting, { name: 'AbortError' });
  await sleep(1_500);
  t.equal(election.isLeading, false);
});

t.test('a client asks before each write, and before no read', async (t) => {
  const guarded = new KubeClient(connection, {
    beforeWrite: () => {
      throw new KollectError('KOL_LEADER_LOST', 'not any more');
    },
  });
  t.teardown(() => guarded.close());
  const path = '/api/v1/namespaces/default/configmaps';
  const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'late' } };
  const writes: (() => Promise<unknown>)[] = [
    () => guarded.create(path, body),
    () => guarded.replace(`${path}/late`, body),
    () => guarded.patch(`${path}/late`, { type: 'merge', body }),
    () => guarded.delete(`${path}/late`),
  ];
  for (const write of writes) await t.rejects(write(), { code: 'KOL_LEADER_LOST' });
  await t.rejects(guarded.get(`${path}/late`), { code: undefined, message: /not found/ }, 'nothing was written');
});
