import t, { type Test } from 'tap';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KubeApiError, KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { listPages } from '../../shared/kube/list.ts';
import type { ObjectReader } from '../../shared/kube/pages.ts';
import { listOnce, Reflector, type ReflectorHandler, type ReflectorState } from '../../shared/kube/reflector.ts';
import { createLogger } from '../../shared/log.ts';
import { isList, isWatch, WatchProxy, type Fault, type Rule } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const direct = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => direct.close());
const logger = createLogger({ level: 'error', format: 'text', name: 'test', write: () => undefined });
let namespaces = 0;

/** Follows ConfigMaps as a row store would: by uid, with a sweep after each complete list. */
class Follower implements ReflectorHandler {
  readonly objects = new Map<string, { name: string; value: string; epoch: number }>();
  readonly states: ReflectorState['phase'][] = [];
  epoch = 0;
  lists = 0;

  listStarted(epoch: number): void {
    this.epoch = epoch;
    this.lists++;
  }

  listed(object: KubeObject): void {
    this.changed(object);
  }

  listCompleted(): void {
    for (const [uid, { epoch }] of this.objects) if (epoch !== this.epoch) this.objects.delete(uid);
  }

  changed(object: KubeObject): void {
    const { data } = object as KubeObject & { data?: { value?: string } };
    this.objects.set(object.metadata.uid ?? '', { name: object.metadata.name, value: data?.value ?? '', epoch: this.epoch });
  }

  deleted(object: KubeObject): void {
    this.objects.delete(object.metadata.uid ?? '');
  }

  stateChanged(state: ReflectorState): void {
    this.states.push(state.phase);
  }

  get seen(): string {
    return [...this.objects.values()].map(({ name, value }) => `${name}=${value}`).sort().join(' ');
  }
}

async function follow(t: Test, rules: Rule[] = [], options: { idleMs?: number; pageSize?: number; labelSelector?: string } = {}) {
  const namespace = `reflector-${namespaces++}`;
  await direct.create('/api/v1/namespaces', { metadata: { name: namespace } });
  const path = `/api/v1/namespaces/${namespace}/configmaps`;
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  for (const rule of rules) proxy.break(rule);
  const client = new KubeClient({ ...direct.connection, server: await proxy.start() });
  const handler = new Follower();
  const events: string[] = [];
  const reflector = new Reflector({ client, path, name: 'configmaps', handler, logger, observe: (event) => events.push(event), ...options });
  t.teardown(async () => {
    await reflector.stop();
    await client.close();
    await proxy.stop();
  });
  const write = (name: string, value: string): Promise<unknown> =>
    direct.patch(`${path}/${name}`, { type: 'apply', query: { fieldManager: 'test', force: true }, body: { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { value } } });
  /** Objects `c0` and so on, enough for several pages of ten. */
  const fill = (count: number, value = '1'): Promise<unknown> =>
    Promise.all(Array.from({ length: count }, (_, index) => direct.create(path, { metadata: { name: `c${index}` }, data: { value } })));
  const remove = (name: string): Promise<void> => direct.delete(`${path}/${name}`);
  const equal = (): Promise<unknown> =>
    eventually(async () => {
      const { items } = await direct.page(path, {});
      const truth = items.map((item) => `${item.metadata.name}=${(item as unknown as { data: { value: string } }).data.value}`).sort().join(' ');
      if (handler.seen !== truth) throw new Error(`seen ${handler.seen}, true ${truth}`);
      return true;
    });
  return { proxy, client, path, handler, events, reflector, write, fill, remove, equal };
}

t.test('lists, then follows', async (t) => {
  const { reflector, handler, write, remove, equal, events } = await follow(t);
  await write('a', '1');
  await write('b', '1');
  reflector.start();
  await equal();
  await write('a', '2');
  await write('c', '1');
  await remove('b');
  await equal();
  // Deleted and created again under its name: another object.
  await remove('a');
  await write('a', 'new');
  await equal();
  t.equal(handler.lists, 1, 'one list is enough');
  t.strictSame(handler.states, ['Syncing', 'Synced']);
  t.strictSame(events, ['list', 'watch', 'watching']);
});

const expired = JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 410, reason: 'Expired', message: 'too old resource version' } });
const internal = JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 500, reason: 'InternalError', message: 'etcd hiccup' } });
const tooLarge = JSON.stringify({ type: 'ERROR', object: { kind: 'Status', code: 504, reason: 'Timeout', message: 'Too large resource version: 99999999, current: 7' } });

/** What a watch may go through; `lists` says how many lists it may cost. */
const faults: { name: string; rule: Rule; event: string; lists: number }[] = [
  { name: '410 when the watch is opened', rule: { match: isWatch, fault: { kind: 'status', code: 410 } }, event: 'expired', lists: 2 },
  { name: '410 in the stream', rule: { match: isWatch, fault: { kind: 'line', after: 1, line: expired } }, event: 'expired', lists: 2 },
  { name: 'ERROR 500 in the stream', rule: { match: isWatch, fault: { kind: 'line', after: 1, line: internal } }, event: 'error', lists: 1 },
  { name: '500 when the watch is opened', rule: { match: isWatch, fault: { kind: 'status', code: 500 }, times: 2 }, event: 'error', lists: 1 },
  { name: 'a line that is cut', rule: { match: isWatch, fault: { kind: 'truncate', after: 1 } }, event: 'broken-line', lists: 1 },
  { name: 'a version from the future', rule: { match: isWatch, fault: { kind: 'line', after: 1, line: tooLarge } }, event: 'expired', lists: 2 },
  { name: 'a line that is JSON and no event', rule: { match: isWatch, fault: { kind: 'line', after: 1, line: '{"type":"MODIFIED","object":{}}' } }, event: 'broken-line', lists: 1 },
  { name: 'events that come again later', rule: { match: isWatch, fault: { kind: 'replay', after: 3 } }, event: 'stale-event', lists: 1 },
  { name: 'events that change places', rule: { match: isWatch, fault: { kind: 'swap', after: 0 } }, event: 'stale-event', lists: 2 },
  { name: 'the server asking for patience with a watch', rule: { match: isWatch, fault: { kind: 'status', code: 429, headers: { 'retry-after': '1' } } }, event: 'error', lists: 1 },
  { name: 'a line that is no JSON', rule: { match: isWatch, fault: { kind: 'line', after: 1, line: '{"type":"MODIFIED","obj' } }, event: 'broken-line', lists: 1 },
  { name: 'a connection that is reset', rule: { match: isWatch, fault: { kind: 'reset', after: 1 } }, event: 'error', lists: 1 },
  { name: 'events that come twice', rule: { match: isWatch, fault: { kind: 'duplicate' } }, event: 'watch', lists: 1 },
  { name: 'a slow drip', rule: { match: () => true, fault: { kind: 'drip' }, times: 3 }, event: 'watch', lists: 1 },
  { name: 'the server asking for patience', rule: { match: isList, fault: { kind: 'status', code: 429, headers: { 'retry-after': '1' } } }, event: 'list', lists: 1 },
  { name: 'a half-open connection', rule: { match: isWatch, fault: { kind: 'silence', after: 1 } }, event: 'idle', lists: 1 },
];

// Mostly waiting, each in a namespace of its own.
t.jobs = 6;
for (const { name, rule, event, lists } of faults) {
  t.test(`survives ${name}`, { buffered: true }, async (t) => {
    const { reflector, handler, events, write, remove, equal } = await follow(t, [rule], { idleMs: 2_000 });
    await write('a', '1');
    await write('b', '1');
    reflector.start();
    await eventually(() => handler.states.includes('Synced'));
    await write('a', '2');
    await write('c', '1');
    await remove('b');
    await write('a', '3');
    await equal();
    await eventually(() => events.includes(event));
    await write('d', '1');
    await equal();
    t.equal(handler.lists, lists, 'resumes where it can, lists where it must');
  });
}

const pageSize = 10;
/** The first page after the first one, of which there may be several attempts. */
const secondPage = (url: URL): boolean => isList(url) && url.searchParams.has('continue');

t.test('a list that fails on a later page sweeps nothing and is repeated', async (t) => {
  let pages = 0;
  const thirdPage = (url: URL): boolean => secondPage(url) && pages++ === 1;
  const { reflector, handler, fill, equal } = await follow(t, [{ match: thirdPage, fault: { kind: 'status', code: 500 } }], { pageSize });
  await fill(35);
  let completed = 0;
  const complete = handler.listCompleted.bind(handler);
  handler.listCompleted = () => {
    completed++;
    complete();
  };
  reflector.start();
  await equal();
  t.equal(handler.lists, 2);
  t.equal(completed, 1, 'the broken list was never called complete');
  t.strictSame(handler.states, ['Syncing', 'Failed', 'Syncing', 'Synced']);
});

t.test('a list whose version is forgotten in the middle begins anew, and what was deleted meanwhile is gone', async (t) => {
  const lost: Fault = { kind: 'status', code: 410 };
  const { reflector, handler, events, fill, remove, proxy, equal } = await follow(t, [{ match: secondPage, fault: lost, before: () => remove('c0') }], { pageSize });
  await fill(25);
  reflector.start();
  await eventually(() => reflector.state.phase === 'Synced');
  t.equal(handler.objects.size, 24, 'c0 was on the first page of the first attempt');
  await equal();
  t.equal(handler.lists, 2);
  await eventually(() => events.includes('watching'));
  t.strictSame(events, ['list', 'list-restart', 'watch', 'watching']);
  t.strictSame(handler.states, ['Syncing', 'Synced']);
  t.ok(proxy.requests.filter(({ url }) => isList(url)).every(({ url }) => url.searchParams.get('limit') === '10'));
});

for (const refuse of [false, true]) {
  t.test(`a list that is lost twice comes ${refuse ? 'in one piece where the server cannot stream' : 'as a stream'}`, async (t) => {
    const streams = (url: URL): boolean => url.searchParams.has('sendInitialEvents');
    const rules: Rule[] = [{ match: secondPage, fault: { kind: 'status', code: 410 }, times: 2 }];
    if (refuse) rules.push({ match: streams, fault: { kind: 'status', code: 422 } });
    const { reflector, handler, fill, write, proxy, events, equal } = await follow(t, rules, { pageSize });
    await fill(25);
    reflector.start();
    await eventually(() => reflector.state.phase === 'Synced');
    t.equal(handler.objects.size, 25);
    await write('c0', '2');
    await equal();
    t.strictSame(events, ['list', 'list-restart', 'list-restart', 'watch', 'watching']);
    const whole = proxy.requests.filter(({ url }) => isList(url) && !url.searchParams.has('limit'));
    t.equal(whole.length, refuse ? 1 : 0);
  });
}

t.test('pages of large objects hold fewer of them', async (t) => {
  const { reflector, fill, proxy, equal } = await follow(t, [], { pageSize: 15 });
  await fill(30, 'x'.repeat(700_000));
  reflector.start();
  await equal();
  const limits = proxy.requests.filter(({ url }) => isList(url)).map(({ url }) => Number(url.searchParams.get('limit')));
  // The last list, because a slow server may fail some before.
  t.strictSame(limits.slice(-3), [15, 10, 10]);
});

t.test('a watch that is forbidden is a state, costs no lists, and passes', async (t) => {
  const { reflector, handler, proxy, events, write, equal } = await follow(t, [{ match: isWatch, fault: { kind: 'status', code: 403 }, times: 1_000 }]);
  await write('a', '1');
  reflector.start();
  await eventually(() => reflector.state.phase === 'Failed');
  t.match(reflector.state, { reason: 'Forbidden', message: 'injected 403' });
  t.equal(handler.seen, 'a=1', 'nothing is taken for gone');
  await eventually(() => events.filter((event) => event === 'error').length >= 3);
  t.equal(handler.lists, 1);
  proxy.heal();
  await write('a', '2');
  await equal();
  t.strictSame(handler.states, ['Syncing', 'Synced', 'Failed', 'Syncing', 'Synced']);
  t.equal(handler.lists, 2, 'who was told of the failure gets a list');
  t.equal(proxy.requests.filter(({ url }) => isList(url)).length, 2);
});

t.test('a server that closes watches at once is not asked in a loop', async (t) => {
  const { reflector, proxy, write, equal } = await follow(t, [{ match: isWatch, fault: { kind: 'close' }, times: 1_000 }]);
  reflector.start();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  // Without a backoff there would be hundreds.
  t.ok(proxy.requests.length < 30, `${proxy.requests.length} requests`);
  proxy.heal();
  await write('a', '1');
  await equal();
});

t.test('stop and start again goes on from where it was', async (t) => {
  const { reflector, handler, write, equal } = await follow(t);
  await write('a', '1');
  reflector.start();
  await equal();
  const stopped = reflector.stop();
  reflector.start();
  await stopped;
  await write('a', '2');
  await equal();
  t.equal(handler.lists, 1);
});

t.test('an object whose handler throws is handed over again, though nothing else happens to it', async (t) => {
  const { reflector, handler, write, remove, equal } = await follow(t, [], { labelSelector: '!unwanted' });
  await write('a', '1');
  await write('b', '1');
  reflector.start();
  await equal();
  const { changed, deleted } = handler;
  let failures = 0;
  const failTwice = <T extends unknown[]>(method: (...parameters: T) => void) =>
    function (this: Follower, ...parameters: T): void {
      if (failures++ < 2) throw new Error('a bug');
      method.apply(this, parameters);
    };
  handler.changed = failTwice(changed);
  await write('a', '2');
  await equal();
  t.equal(failures, 3);
  failures = 0;
  handler.deleted = failTwice(deleted);
  await remove('b');
  await equal();
  t.equal(failures, 3);
});

t.test('what a list names and the handler does not take is spared in the sweep', async (t) => {
  const { reflector, handler, write, equal } = await follow(t);
  await write('a', '1');
  let untaken: string[] = [];
  handler.listCompleted = (_epoch?: number, _version?: string, uids?: ReadonlySet<string>) => void (untaken = [...(uids ?? [])]);
  const { listed } = handler;
  handler.listed = () => {
    handler.listed = listed;
    throw new Error('a bug');
  };
  reflector.start();
  await equal();
  t.strictSame(untaken, [...handler.objects.keys()]);
});

t.test('a handler that refuses many is served by a list', async (t) => {
  const { reflector, handler, fill, equal } = await follow(t);
  reflector.start();
  await eventually(() => reflector.state.phase === 'Synced');
  handler.listed = handler.changed.bind(handler);
  handler.changed = () => {
    throw new Error('a bug');
  };
  await fill(120);
  await equal();
  t.equal(handler.lists, 2);
});

t.test('lost permission is a state, and passes', async (t) => {
  const { reflector, handler, write, equal } = await follow(t, [{ match: isList, fault: { kind: 'status', code: 403 } }]);
  await write('a', '1');
  reflector.start();
  await equal();
  await eventually(() => reflector.state.phase === 'Synced');
  t.match(handler.states.join(), /Failed.*Synced/);
});

t.test('a refused token is read again', async (t) => {
  let reads = 0;
  const client = new KubeClient({ ...direct.connection, token: async () => (reads++ === 0 ? 'expired' : cluster.adminToken) });
  t.teardown(() => client.close());
  const { items } = await client.page('/api/v1/namespaces', {});
  t.ok(items.length > 0);
  t.equal(reads, 2);
  await client.page('/api/v1/namespaces', {});
  t.equal(reads, 2, 'and kept for the next requests');
});

t.test('after stop nobody is called', async (t) => {
  const { reflector, handler, write, equal } = await follow(t);
  await write('a', '1');
  reflector.start();
  await equal();
  await reflector.stop();
  const before = handler.seen;
  await write('a', '2');
  await new Promise((resolve) => setTimeout(resolve, 300));
  t.equal(handler.seen, before);
});

t.test('large objects that come as a stream are handed over a few at a time', async (t) => {
  const data = { large: 'x'.repeat(1_000_000) };
  const line = (type: string, metadata: object): Buffer => Buffer.from(`${JSON.stringify({ type, object: { metadata, data } })}\n`);
  async function* stream() {
    for (let index = 0; index < 20; index++) yield line('ADDED', { name: `o${index}`, resourceVersion: '7' });
    yield line('BOOKMARK', { resourceVersion: '7', annotations: { 'k8s.io/initial-events-end': 'true' } });
  }
  async function* list() {
    yield { items: [], resourceVersion: '5', continue: 'more', bytes: 2 };
    throw new KubeApiError(410, 'Expired', 'too old');
  }
  const reader: ObjectReader = { list, watch: async () => stream(), page: () => Promise.reject(new Error('not in one piece')) };
  const sizes: number[] = [];
  for await (const { items } of listPages(reader, '/objects', { signal: new AbortController().signal, restarted: () => void (sizes.length = 0) })) sizes.push(items.length);
  t.equal(sizes.reduce((sum, size) => sum + size, 0), 20);
  t.ok(Math.max(...sizes) <= 5, `${sizes.join()} objects`);
});

t.test('a handler that throws does not stop the stream', async (t) => {
  const { reflector, handler, events, write, equal } = await follow(t);
  await write('a', '1');
  reflector.start();
  await equal();
  const changed = handler.changed.bind(handler);
  handler.changed = () => {
    handler.changed = changed;
    throw new Error('a bug');
  };
  await write('a', '2');
  await write('a', '3');
  await equal();
  t.ok(events.includes('handler-error'));
});

t.test('a list beside the watch tells when it could not be completed', async (t) => {
  const { client, path, write } = await follow(t, [{ match: isList, fault: { kind: 'status', code: 500 } }]);
  await write('a', '1');
  const seen: string[] = [];
  const list = (): Promise<void> => listOnce(client, path, { signal: new AbortController().signal }, (object) => seen.push(object.metadata.name));
  await t.rejects(list(), /injected 500/);
  await list();
  t.strictSame(seen, ['a']);
});
