import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { AccessReviews } from '../../controller/collect/access-reviews.ts';
import { CompiledProfiles } from '../../controller/collect/compiled-profiles.ts';
import { ConnectionTestReconciler } from '../../controller/probe/connection-test-reconciler.ts';
import type { ProbeResult } from '../../controller/sinks/contract.ts';
import { enabledBackends, loadBackend } from '../../controller/sinks/registry.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import type { KollectConnectionTestStatus } from '../../shared/api/kollect-connection-test.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { Discovery } from '../../shared/kube/discovery.ts';
import { EventRecorder } from '../../shared/kube/events.ts';
import { ObjectCache } from '../../shared/kube/object-cache.ts';
import { createLogger } from '../../shared/log.ts';
import { installCrds } from '../kollect/installation.ts';
import { untilGranted } from '../kollect/service-account.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { canary } from './conformance.ts';
import { memoryBackend, MemoryPlace, MemorySink } from './memory.ts';
import { loopback } from './postgres-place.ts';

// Sinks of type postgres answer as each test says; the others are those of the product.

const cluster = await startCluster({ controllerManager: true, users: [{ name: 'collector' }] });
const ends: (() => Promise<void> | void)[] = [() => cluster.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});
await installCrds(cluster.kubectl, ['kollectconnectiontests', 'kollectdatabasesinks', 'kollecteventsinks', 'kollectsnapshotsinks', 'kollectprofiles'].map((plural) => `${plural}.kollect.dev`));

async function clientOf(kubeconfig: string): Promise<KubeClient> {
  const client = new KubeClient(await loadConnection({ kubeconfig }));
  ends.push(() => client.close());
  return client;
}
const client = await clientOf(cluster.kubeconfig);
const reviews = new AccessReviews(await clientOf(cluster.kubeconfigOf('collector')));

const lines: string[] = [];
const logger = createLogger({ level: 'info', format: 'text', name: 'test', write: (line) => lines.push(line) });
const events = new EventRecorder({ client, component: 'kollect-controller', instance: 'test', logger });
const counted: string[] = [];

/** Answers of the sink `<namespace>/<name>`; one that is not here is fine. */
const answers = new Map<string, (signal: AbortSignal) => Promise<ProbeResult>>();
let running = 0;
let most = 0;
const asked: string[] = [];
const memory = memoryBackend(new MemoryPlace());
const scripted = {
  ...memory,
  open: async (...[context]: Parameters<typeof memory.open>) =>
    Object.assign(new MemorySink(new MemoryPlace()), {
      probe: async (signal: AbortSignal): Promise<ProbeResult> => {
        asked.push(context.name);
        most = Math.max(most, ++running);
        try {
          return await (answers.get(context.name)?.(signal) ?? { message: `${context.name} is there` });
        } finally {
          running--;
        }
      },
    }),
};
/** Kafka has no backend here, and NATS is switched off. */
const enabled = enabledBackends(['kafka']);
const load = async (type: string) => (type === 'postgres' ? scripted : await (type === 'kafka' ? loadBackend('none') : enabled(type)));

const readSecret = async (namespace: string, name: string) => {
  try {
    return await client.get<{ data?: Record<string, string> }>(`/api/v1/namespaces/${namespace}/secrets/${name}`);
  } catch (error) {
    if (error instanceof KubeApiError && error.status === 404) return undefined;
    throw error;
  }
};

/** A cache whose watch tells of everything, what we wrote included, a moment after it was written. */
function late(cache: ObjectCache<KubeObject>): Pick<ObjectCache<KubeObject>, 'get' | 'list' | 'onChange'> {
  const known = new Map([...cache.list()].map((object) => [`${object.metadata.namespace}/${object.metadata.name}`, object]));
  const listeners = new Set<(key: string, object: KubeObject | undefined) => void>();
  cache.onChange((key, object) => {
    setTimeout(() => {
      if (object) known.set(key, object);
      else known.delete(key);
      for (const listener of listeners) listener(key, object);
    }, 100);
  });
  return {
    get: (key) => known.get(key),
    list: function* () {
      yield* known.values();
    },
    onChange: (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** A controller of its own; `stop` leaves everything as it is at that moment. */
async function startReconciler(): Promise<{ stop(): Promise<void> }> {
  const tests = new ObjectCache({ client, path: `/apis/${API_VERSION}/kollectconnectiontests`, name: 'kollectconnectiontests', logger });
  tests.start();
  await tests.synced;
  const reconciler = new ConnectionTestReconciler({
    client,
    tests: late(tests),
    probe: { readSecret, policy: loopback, load },
    profiles: { client, compiled: new CompiledProfiles(), discovery: new Discovery(client), reviews },
    events,
    logger,
    observer: { probed: (type, result, latencyMs) => counted.push(`${type} ${result} ${typeof latencyMs}`) },
    sinkGraceMs: 5_000,
  });
  reconciler.start();
  return {
    stop: async () => {
      await reconciler.stop();
      await tests.stop();
    },
  };
}
let controller = await startReconciler();
ends.push(() => controller.stop());

let namespaces = 0;
async function newNamespace(): Promise<string> {
  const name = `tests-${++namespaces}`;
  await client.create('/api/v1/namespaces', { metadata: { name } });
  return name;
}

const kollect = (namespace: string, plural: string, name = '') => `/apis/${API_VERSION}/namespaces/${namespace}/${plural}${name && `/${name}`}`;
const create = (namespace: string, plural: string, kind: string, name: string, spec: object, metadata: object = {}) =>
  client.create<KubeObject>(kollect(namespace, plural), { apiVersion: API_VERSION, kind, metadata: { name, ...metadata }, spec });
const createSink = (namespace: string, name = 'pg', spec: object = {}) => create(namespace, 'kollectdatabasesinks', 'KollectDatabaseSink', name, { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 't' }, ...spec });
const createTest = (namespace: string, spec: object = {}, name = 'probe', metadata: object = {}) => create(namespace, 'kollectconnectiontests', 'KollectConnectionTest', name, { sinkRef: { databaseSinkRef: 'pg' }, ...spec }, metadata);
const patchTest = (namespace: string, spec: object) => client.patch(kollect(namespace, 'kollectconnectiontests', 'probe'), { type: 'merge', body: { spec } });

type Test = KubeObject & { status?: KollectConnectionTestStatus };
const read = (namespace: string, name = 'probe') => client.get<Test>(kollect(namespace, 'kollectconnectiontests', name));
const isGone = async (namespace: string) => await read(namespace).then(() => false, (error: unknown) => error instanceof KubeApiError && error.status === 404);

async function untilPhase(namespace: string, phase: string, generation = 1): Promise<Test> {
  return await eventually(async () => {
    const test = await read(namespace);
    if (test.status?.phase !== phase || test.status.observedGeneration !== generation) throw new Error(JSON.stringify(test.status));
    return test;
  }, { what: phase });
}
const conditions = ({ status }: Test): string[] => (status?.conditions ?? []).map(({ type, status: holds, reason }) => `${type}=${holds} ${reason}`);
const kubectl = async (...args: string[]) => {
  const { code, stdout, stderr } = await cluster.kubectl(args);
  if (code !== 0) throw new Error(stderr);
  return stdout;
};

/** A sink that answers when it is told to. */
function held(name: string): { answer(): void; heard: Promise<AbortSignal> } {
  const told = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<AbortSignal>();
  answers.set(name, async (signal) => {
    heard.resolve(signal);
    await Promise.race([told.promise, new Promise((resolve) => signal.addEventListener('abort', resolve))]);
    return { message: 'at last' };
  });
  return { answer: told.resolve, heard: heard.promise };
}

t.test('a test is pending, runs, ends once, and says what it found', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  const { answer, heard } = held(`${namespace}/pg`);
  t.match(await createTest(namespace), { status: { phase: 'Pending' }, spec: { ttlSecondsAfterFinished: 300 } });
  await heard;
  const under = await untilPhase(namespace, 'Running');
  t.strictSame(conditions(under), ['ConnectionVerified=Unknown Progressing', 'Ready=Unknown Progressing']);
  t.match(under.status, { attempts: 1, conditions: [{ message: 'KollectDatabaseSink "pg" is being tested' }] });
  counted.length = asked.length = 0;
  answer();
  t.match(await kubectl('wait', '--for=condition=ConnectionVerified', 'kollectconnectiontest/probe', '-n', namespace, '--timeout=60s'), /condition met/);
  const test = await untilPhase(namespace, 'Succeeded');
  t.strictSame(conditions(test), ['ConnectionVerified=True ConnectionOK', 'Ready=True ProbeSucceeded']);
  t.match(test.status, { completed: true, completedAt: /^\d{4}-.*Z$/, observedGeneration: 1, attempts: 1, conditions: [{ message: 'at last', observedGeneration: 1 }, { message: 'at last' }] });
  t.ok(Number(test.status?.latencyMs) >= 0);
  t.match(await kubectl('get', 'kconntest', 'probe', '-n', namespace), /^NAME +SINK +PHASE +VERIFIED +AGE\nprobe +pg +Succeeded +True +\S+\n$/);
  t.match(await kubectl('get', 'kconntest', 'probe', '-n', namespace, '-o', 'wide'), /AGE +REASON +LATENCY \(MS\) +MESSAGE\n.* ProbeSucceeded +\d+ +at last\n$/);
  await events.flush();
  t.match(await kubectl('describe', 'kconntest', 'probe', '-n', namespace), /Normal +ConnectionVerified .* at last/);
  await patchTestLabel(namespace);
  t.strictSame(asked, [], 'neither its own status nor a label runs it again');
  t.strictSame(counted, ['postgres success number']);
});

/** Returns when a change that is none of the spec has been seen, as far as it can be known. */
async function patchTestLabel(namespace: string): Promise<void> {
  await client.patch(kollect(namespace, 'kollectconnectiontests', 'probe'), { type: 'merge', body: { metadata: { labels: { team: 'a' } } } });
  await pause(500);
}

t.test('each failure has its reason, and says what to do', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace, 'refused');
  answers.set(`${namespace}/refused`, async () => Promise.reject(new KollectError('KOL_SINK_AUTH', 'the login was refused: correct the Secret')));
  await createSink(namespace, 'unread', { secretRef: { name: 'missing' } });
  await createSink(namespace, 'told', { secretRef: { name: 'told' } });
  await client.create(`/api/v1/namespaces/${namespace}/secrets`, { metadata: { name: 'told' }, stringData: { password: canary } });
  answers.set(`${namespace}/told`, async () => Promise.reject(new Error(`unexpected ${canary}`)));
  await createSink(namespace, 'ruleless', { options: { password: 'x' } });
  await create(namespace, 'kollecteventsinks', 'KollectEventSink', 'kafka', { type: 'kafka', kafka: { brokers: ['kafka.example:9092'], topic: 'kollect' } });
  await create(namespace, 'kollecteventsinks', 'KollectEventSink', 'nats', { type: 'nats', nats: { url: 'nats://nats.example:4222', subject: 'a', stream: 's' } });
  const cases: [name: string, sinkRef: object, reason: string, message: RegExp][] = [
    ['refused', { databaseSinkRef: 'refused' }, 'ConnectionTestFailed', /the login was refused/],
    ['unread', { databaseSinkRef: 'unread' }, 'SecretResolveFailed', /secret "missing" in namespace "tests-\d+" not found: create it/],
    ['told', { databaseSinkRef: 'told' }, 'ConnectionTestFailed', /unexpected \*\*\*/],
    ['ruleless', { databaseSinkRef: 'ruleless' }, 'InvalidSpec', /spec\.options/],
    ['nowhere', { snapshotSinkRef: 'nowhere' }, 'SinkNotFound', /no KollectSnapshotSink "nowhere" in namespace "tests-\d+": create it, or correct spec\.sinkRef, then run the test again/],
    ['unbuilt', { eventSinkRef: 'kafka' }, 'ConnectionTestFailed', /"none" are not implemented/],
    ['disabled', { eventSinkRef: 'nats' }, 'ExportUnavailable', /"nats" are switched off here/],
  ];
  for (const [name, sinkRef] of cases) await createTest(namespace, { sinkRef }, name);
  await events.flush();
  for (const [name, , reason, message] of cases) {
    const test = await eventually(async () => {
      const one = await read(namespace, name);
      return one.status?.completed === true && one;
    }, { what: name });
    t.strictSame(conditions(test), [`ConnectionVerified=False ${reason}`, `Ready=False ${reason}`], name);
    t.match(test.status, { phase: 'Failed', conditions: [{ message }, { message }] }, name);
  }
  await eventually(async () => {
    await events.flush();
    const found = await kubectl('get', 'events', '-n', namespace);
    for (const [name, , reason] of cases) if (!new RegExp(`Warning +${reason} +kollectconnectiontest/${name}\\b`).test(found)) throw new Error(found);
    return true;
  });
  t.notMatch(await kubectl('get', 'kconntest,events', '-n', namespace, '-o', 'json'), canary);
});

t.test('a sink that is applied a moment after its test is waited for', async (t) => {
  const namespace = await newNamespace();
  await createTest(namespace);
  await pause(400);
  t.match((await read(namespace)).status, { phase: 'Pending' });
  await createSink(namespace);
  t.match((await untilPhase(namespace, 'Succeeded')).status, { attempts: 1 });
});

t.test('an edit runs it again, and what ran before says nothing any more', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  await createSink(namespace, 'other');
  const first = held(`${namespace}/pg`);
  await createTest(namespace);
  const signal = await first.heard;
  await untilPhase(namespace, 'Running');
  await patchTest(namespace, { sinkRef: { databaseSinkRef: 'other' } });
  const after = await untilPhase(namespace, 'Succeeded', 2);
  t.ok(signal.aborted, 'what nobody asks any more is cancelled');
  t.match(after.status?.conditions?.[0], { message: `${namespace}/other is there`, observedGeneration: 2 });
  t.match(after.metadata.ownerReferences, [{ kind: 'KollectDatabaseSink', name: 'other' }]);
  t.equal(after.metadata.ownerReferences?.length, 1, 'the sink that it named before owns it no more');
  first.answer();
  await patchTestLabel(namespace);
  t.match((await read(namespace)).status, { observedGeneration: 2, conditions: [{ message: `${namespace}/other is there` }] });
  await patchTest(namespace, { ttlSecondsAfterFinished: 200 });
  const again = await untilPhase(namespace, 'Succeeded', 3);
  t.ok(Date.parse(again.status?.completedAt ?? '') > Date.parse(after.status?.completedAt ?? ''), 'its time to live begins anew');
});

t.test('a sink that was edited is tested as it is now', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  await createTest(namespace, { sinkRef: { databaseSinkRef: 'pg' } }, 'before');
  await client.patch(kollect(namespace, 'kollectdatabasesinks', 'pg'), { type: 'merge', body: { spec: { secretRef: { name: 'missing' } } } });
  await createTest(namespace);
  t.match((await untilPhase(namespace, 'Failed')).status, { conditions: [{ reason: 'SecretResolveFailed' }] });
});

t.test('what a controller leaves behind half done, the next one does again', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  const { heard } = held(`${namespace}/pg`);
  await createTest(namespace);
  const signal = await heard;
  const before = await untilPhase(namespace, 'Running');
  await controller.stop();
  t.ok(signal.aborted);
  t.equal((await read(namespace)).metadata.resourceVersion, before.metadata.resourceVersion, 'nothing is written of a test that was cut off');
  answers.delete(`${namespace}/pg`);
  controller = await startReconciler();
  t.match((await untilPhase(namespace, 'Succeeded')).status, { attempts: 2, completed: true });
});

t.test('a test that is deleted while it runs is cancelled', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  const { heard } = held(`${namespace}/pg`);
  await createTest(namespace);
  const signal = await heard;
  const before = lines.length;
  await client.delete(kollect(namespace, 'kollectconnectiontests', 'probe'));
  await eventually(() => signal.aborted);
  await pause(300);
  t.strictSame(lines.slice(before), []);
});

t.test('it is deleted when its time is over, counted from its end', async (t) => {
  const [atOnce, soon, late, over, recent] = (await Promise.all(Array.from({ length: 5 }, newNamespace))) as [string, string, string, string, string];
  for (const namespace of [atOnce, soon, late]) await createSink(namespace);
  const warnings: Error[] = [];
  const collect = (warning: Error) => warnings.push(warning);
  process.on('warning', collect);
  t.teardown(() => process.off('warning', collect));
  await createTest(late, { ttlSecondsAfterFinished: 2_147_483_647 });
  await createTest(atOnce, { ttlSecondsAfterFinished: 0 });
  const begun = Date.now();
  await createTest(soon, { ttlSecondsAfterFinished: 1 });
  for (const namespace of [atOnce, soon]) await eventually(() => isGone(namespace));
  t.ok(Date.now() - begun >= 1_000);

  await controller.stop();
  for (const [namespace, ageMs] of [[over, 120_000], [recent, 0]] as const) {
    await createTest(namespace, { ttlSecondsAfterFinished: 60 });
    const status = { phase: 'Succeeded', completed: true, completedAt: new Date(Date.now() - ageMs).toISOString(), observedGeneration: 1 };
    await client.patch(`${kollect(namespace, 'kollectconnectiontests', 'probe')}/status`, { type: 'merge', body: { status } });
  }
  controller = await startReconciler();
  await eventually(() => isGone(over), { what: 'the end of what ended before the controller began' });
  for (const namespace of [recent, late]) await patchTestLabel(namespace);
  for (const namespace of [recent, late]) t.notOk(await isGone(namespace));
  t.match(await read(recent), { status: { attempts: undefined } }, 'what has ended is not run again');
  await untilPhase(late, 'Succeeded');
  t.strictSame(warnings, [], 'seventy years are more than a timer takes');
});

t.test('with its sink a test is deleted, unless it should not', async (t) => {
  const namespace = await newNamespace();
  const sink = await createSink(namespace);
  const owner = { apiVersion: 'v1', kind: 'ConfigMap', name: 'pipeline', uid: (await client.create(`/api/v1/namespaces/${namespace}/configmaps`, { metadata: { name: 'pipeline' } })).metadata.uid, controller: true };
  await createTest(namespace);
  await createTest(namespace, { ownerSink: false }, 'free');
  await createTest(namespace, {}, 'owned', { ownerReferences: [owner] });
  const done = (name: string) => eventually(async () => {
    const test = await read(namespace, name);
    return test.status?.completed === true && test;
  });
  t.strictSame((await done('probe')).metadata.ownerReferences, [{ apiVersion: API_VERSION, kind: 'KollectDatabaseSink', name: 'pg', uid: sink.metadata.uid, controller: true }]);
  t.equal((await done('free')).metadata.ownerReferences, undefined);
  t.strictSame((await done('owned')).metadata.ownerReferences, [owner, { apiVersion: API_VERSION, kind: 'KollectDatabaseSink', name: 'pg', uid: sink.metadata.uid }]);
  await client.delete(kollect(namespace, 'kollectdatabasesinks', 'pg'));
  await eventually(() => isGone(namespace));
  t.match([await done('free'), await done('owned')], [{}, {}]);
});

t.test('a profile that is named is tested as well', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  const profile = (name: string, targetGVK: object) => create(namespace, 'kollectprofiles', 'KollectProfile', name, { targetGVK, attributes: [{ name: 'name', path: '$.metadata.name' }] });
  await profile('deployments', { group: 'apps', version: 'v1', kind: 'Deployment' });
  await profile('widgets', { group: 'example.com', version: 'v1', kind: 'Widget' });
  await createTest(namespace, { profileRef: 'deployments' });
  const denied = await untilPhase(namespace, 'Failed');
  t.strictSame(conditions(denied), ['ConnectionVerified=True ConnectionOK', 'ProfileVerified=False InformerRegistrationFailed', 'Ready=False InformerRegistrationFailed']);
  t.match(denied.status?.conditions?.[1], { message: 'KollectProfile "deployments": the controller may not list deployments.apps: add list and watch of them to its rights, then run the test again' });
  const bind = (kind: string, path: string) =>
    client.create(path, { metadata: { name: 'collector' }, subjects: [{ kind: 'User', name: 'collector' }], roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'collector' }, kind });
  await client.create('/apis/rbac.authorization.k8s.io/v1/clusterroles', { metadata: { name: 'collector' }, rules: [{ apiGroups: ['apps'], resources: ['deployments'], verbs: ['list', 'watch'] }] });
  await bind('RoleBinding', `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}/rolebindings`);
  await untilGranted(cluster, cluster.kubeconfigOf('collector'), { verb: 'watch', resource: 'deployments.apps', namespace });
  await patchTest(namespace, { ttlSecondsAfterFinished: 301 });
  t.match((await untilPhase(namespace, 'Succeeded', 2)).status?.conditions?.[1], { reason: 'ProfileOK', message: `KollectProfile "deployments": the controller may list and watch deployments.apps in namespace "${namespace}", but not in all` });
  await bind('ClusterRoleBinding', '/apis/rbac.authorization.k8s.io/v1/clusterrolebindings');
  await untilGranted(cluster, cluster.kubeconfigOf('collector'), { verb: 'watch', resource: 'deployments.apps' });
  await patchTest(namespace, { ttlSecondsAfterFinished: 302 });
  t.match((await untilPhase(namespace, 'Succeeded', 3)).status?.conditions?.[2], { reason: 'ProbeSucceeded', message: /is there; KollectProfile "deployments": .* in all namespaces$/ });
  for (const [generation, [profileRef, reason]] of Object.entries([['widgets', 'InformerRegistrationFailed'], ['nothing', 'ProfileNotFound']] as const)) {
    await patchTest(namespace, { profileRef });
    t.match((await untilPhase(namespace, 'Failed', Number(generation) + 4)).status?.conditions, [{ status: 'True' }, { type: 'ProfileVerified', status: 'False', reason }, { reason }]);
  }
});

t.test('of many tests a few run at a time, and all come to their end', async (t) => {
  const namespace = await newNamespace();
  await createSink(namespace);
  const { answer, heard } = held(`${namespace}/pg`);
  most = 0;
  await Promise.all(Array.from({ length: 50 }, (_, index) => createTest(namespace, {}, `probe-${index}`)));
  await heard;
  await eventually(() => running === 8);
  const phases = async () => (await kubectl('get', 'kconntest', '-n', namespace, '-o', 'jsonpath={.items[*].status.phase}')).split(' ');
  await eventually(async () => (await phases()).filter((phase) => phase === 'Running').length === 8);
  t.equal((await phases()).filter((phase) => phase === 'Pending').length, 42);
  answer();
  await eventually(async () => (await phases()).every((phase) => phase === 'Succeeded'));
  t.equal(most, 8);
});

t.test('no credential was shown anywhere', async (t) => {
  t.ok(lines.length > 0);
  t.notMatch(lines.join(''), canary);
});
