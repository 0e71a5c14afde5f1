import t, { type Test } from 'tap';
import type { Controller } from '../../controller/controller.ts';
import { proxiedKubeconfig } from '../faults/proxied-kubeconfig.ts';
import { isList, WatchProxy } from '../faults/watch-proxy.ts';
import { controllerProcess } from '../kollect/installation.ts';
import { configMap, kollectObject, startController } from './collecting.ts';
import { startKollect, type KubernetesObject } from './harness.ts';
import { deployment, pipeline } from './objects.ts';

const kollect = await startKollect({ webhook: false, startController: false, cluster: { controllerManager: false } });
t.teardown(() => kollect.stop());
const { cluster, eventually } = kollect;

interface Target extends KubernetesObject {
  status?: {
    conditions?: { type: string; status: string; reason: string; message: string }[];
    collectedCount?: number;
    initialList?: { startedAt?: string; crashes?: number; reconcile?: string };
  };
}

const targetOf = (namespace: string): Promise<Target | undefined> => kollect.get<Target>('kollecttarget', 'web', namespace);
const readyOf = (target: Target | undefined): string => target?.status?.conditions?.filter(({ type }) => type === 'Ready').map(({ status, reason }) => `${status} ${reason}`).join() ?? '';
const rowsOf = async (namespace: string): Promise<string> => {
  const rows = await kollect.psql<{ name: string }>(`SELECT payload->>'name' AS name FROM inventory_items WHERE inventory_namespace = $1 ORDER BY 1`, [namespace]);
  return rows.map(({ name }) => name).join(' ');
};
const isListOfConfigMaps = (url: URL): boolean => isList(url) && url.pathname === '/api/v1/configmaps';
const isStatus = (url: URL): boolean => url.pathname.endsWith('/status') && url.pathname.includes('/kollecttargets/');

async function behindProxy(t: Test): Promise<{ proxy: WatchProxy; kubeconfig: string; hold: () => void }> {
  const proxy = new WatchProxy({ url: cluster.url, ca: cluster.caPem });
  const kubeconfig = proxiedKubeconfig(cluster, await proxy.start(), { token: cluster.adminToken });
  t.teardown(() => proxy.stop());
  const hold = (): void => proxy.break({ match: isListOfConfigMaps, times: Infinity, before: () => new Promise(() => undefined) });
  return { proxy, kubeconfig, hold };
}

t.test('a target whose first list ends the controller three times is left alone until somebody acts', { timeout: 300_000 }, async (t) => {
  const { proxy, kubeconfig, hold } = await behindProxy(t);
  const [bad, good] = [await kollect.namespace(), await kollect.namespace()];
  await kollect.apply([configMap(bad, 'one'), configMap(bad, 'two')]);
  await kollect.apply(pipeline({ namespace: bad, dsn: kollect.dsn, targetGVK: { group: '', version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] }));
  await kollect.apply(`${deployment(good, 'a')}---\n${pipeline({ namespace: good, dsn: kollect.dsn })}`);
  const controller = await controllerProcess(cluster.keeper, { kubeconfig, flags: ['--allow-loopback-sinks'] });
  t.teardown(async () => {
    if (!t.passing()) t.comment(controller.logs().split('\n').slice(-20).join('\n'));
    await controller.kill().catch(() => undefined);
  });
  const stored = (namespace: string, wanted: string): Promise<unknown> =>
    eventually(async () => {
      const found = await rowsOf(namespace);
      if (found !== wanted) throw new Error(`"${found}" instead of "${wanted}", ${readyOf(await targetOf(namespace))}`);
      return true;
    }, { intervalMs: 200 });
  const becomes = (namespace: string, wanted: string): Promise<Target> =>
    eventually(async () => {
      const target = await targetOf(namespace);
      if (readyOf(target) !== wanted) throw new Error(`${readyOf(target)} instead of ${wanted}`);
      return target;
    }, { intervalMs: 200 });
  /** Waits until the list of the bad target is under way, with all others done. */
  const isListing = async (crashes: number): Promise<void> => {
    await eventually(async () => {
      const list = (await targetOf(bad))?.status?.initialList;
      if (list?.startedAt === undefined || list.crashes !== crashes) throw new Error(`${JSON.stringify(list)} instead of ${crashes} crashes`);
      return proxy.requests.some(({ url, open }) => open && isListOfConfigMaps(url));
    }, { intervalMs: 200 });
    await eventually(async () => {
      const target = await targetOf(good);
      return readyOf(target) === 'True Collecting' && target?.status?.initialList === undefined;
    }, { intervalMs: 200, what: 'the other target collects' });
  };
  /** Ends while nothing but the first list of the bad target is under way, and starts again. */
  const die = async (signal?: 'SIGTERM'): Promise<void> => {
    await controller.kill(signal);
    proxy.cut();
    proxy.requests.length = 0;
    await controller.start();
  };

  await controller.start();
  await stored(bad, 'one two');
  await stored(good, 'a');
  t.notOk((await becomes(bad, 'True Collecting')).status?.initialList, 'nothing is kept of a list that is complete');
  hold();
  await die();
  await isListing(0);
  await die();
  await isListing(1);
  await die('SIGTERM');
  await isListing(1);
  t.pass('who was told to stop did not crash');
  await die();
  await isListing(2);
  await die();

  const suspended = await becomes(bad, 'False CrashLoop');
  t.match(suspended.status, { collectedCount: 2, initialList: { crashes: 3, startedAt: undefined } });
  t.match(suspended.status?.conditions?.find(({ type }) => type === 'Degraded'), { status: 'True', reason: 'CrashLoop', message: /ended 3 times in a row .* change the spec or give the annotation kollect.dev\/reconcile a new value/ });
  await eventually(async () => {
    const { stdout } = await kollect.kubectl(['get', 'events', '-n', bad, '--field-selector=involvedObject.name=web,reason=CrashLoop', '-o', 'jsonpath={.items[*].type}']);
    return stdout === 'Warning';
  }, { what: 'an event' });
  await kollect.apply(deployment(good, 'b'));
  await stored(good, 'a b');
  await die();
  await becomes(good, 'True Collecting');
  t.equal(readyOf(await becomes(bad, 'False CrashLoop')), 'False CrashLoop', 'after another start, too');
  t.notOk(proxy.requests.some(({ url }) => isListOfConfigMaps(url)), 'it is not listed');
  t.equal(await rowsOf(bad), 'one two', 'its rows stay');

  // Also while nobody is there to see it.
  await controller.kill();
  await kollect.kubectl(['annotate', 'kollecttarget', 'web', '-n', bad, 'kollect.dev/reconcile=first']);
  await controller.start();
  await isListing(0);
  await controller.kill();
  // As after two more crashes.
  await kollect.kubectl(['patch', 'kollecttarget', 'web', '-n', bad, '--subresource=status', '--type=merge', '-p', '{"status":{"initialList":{"crashes":2}}}']);
  await controller.start();
  t.equal((await becomes(bad, 'False CrashLoop')).status?.initialList?.reconcile, 'first', 'a request is answered once');
  await kollect.apply(configMap(bad, 'three'));
  proxy.heal();
  proxy.cut();
  await kollect.kubectl(['patch', 'kollecttarget', 'web', '-n', bad, '--type=merge', '-p', '{"spec":{"limits":{"maxRows":100}}}']);
  t.notOk((await becomes(bad, 'True Collecting')).status?.initialList);
  await stored(bad, 'one three two');
});

t.test('many targets at a start: marks before the list, one list, and no waiting for an API server that takes none', { timeout: 300_000 }, async (t) => {
  const { proxy, kubeconfig } = await behindProxy(t);
  const namespace = await kollect.namespace();
  const names = Array.from({ length: 40 }, (_, index) => `t-${index}`);
  await kollect.apply([
    configMap(namespace, 'one'),
    kollectObject('KollectProfile', namespace, 'profile', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'size', path: '$.data.size' }] }),
    ...names.map((name) => kollectObject('KollectTarget', namespace, name, { profileRef: 'profile' })),
  ]);
  const states = async (): Promise<Target[]> => (JSON.parse((await kollect.kubectl(['get', 'kollecttargets', '-n', namespace, '-o', 'json'])).stdout) as { items: Target[] }).items;
  let isStarted = false;
  const start = async (more: Parameters<typeof startController>[2] = {}): Promise<Controller> => {
    proxy.requests.length = 0;
    isStarted = false;
    const controller = await startController(t, cluster, { kubeconfig, watchNamespaces: [namespace], ...more });
    isStarted = true;
    return controller;
  };
  const listed = (controller: Controller): Promise<unknown> => eventually(() => names.every((name) => controller.rows.get(namespace, name)?.count === 1), { what: 'every row' });
  const collecting = (): Promise<unknown> => eventually(async () => (await states()).every((target) => readyOf(target) === 'True Collecting' && target.status?.initialList === undefined), { what: 'every target collects' });
  const writes = (): number => proxy.requests.filter(({ url }) => isStatus(url)).length;

  const first = await start();
  await listed(first);
  await collecting();
  await first.stop();

  const isFirstPage = (url: URL): boolean => isList(url) && url.pathname.endsWith('/configmaps') && url.searchParams.has('limit');
  const lists = (): number => proxy.requests.filter(({ url }) => isFirstPage(url)).length;
  let early: number | undefined;
  proxy.break({ match: isStatus, before: async () => {
    const heldUntil = performance.now() + 2_500;
    // Who starts without this mark lists in any case.
    while (lists() === 0 && (isStarted || performance.now() < heldUntil)) await new Promise((resolve) => setTimeout(resolve, 20));
    early = lists();
  } });
  const second = await start({ pace: { longestMarkMs: 120_000 } });
  await listed(second);
  await collecting();
  t.equal(early, 0, 'no list begins before the last mark is there');
  t.ok(writes() <= 3 * names.length, `${writes()} writes: what begins and what is complete, and one between them where that takes long`);
  t.equal(lists(), 1, 'one list for all');
  await second.stop();

  proxy.heal();
  proxy.break({ match: isStatus, times: Infinity, fault: { kind: 'status', code: 500 } });
  const third = await start();
  await listed(third);
  t.ok((await states()).every((target) => readyOf(target) === 'True Collecting'), 'status is as old as it was');
  proxy.heal();
  await third.stop();
});
