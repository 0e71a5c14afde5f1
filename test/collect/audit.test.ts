import t, { type Test } from 'tap';
import type { Drift } from '../../controller/collect/audit.ts';
import type { CollectorOptions } from '../../controller/collect/collector.ts';
import { KubeClient } from '../../shared/kube/client.ts';
import { loadConnection } from '../../shared/kube/config.ts';
import { isWatch } from '../faults/watch-proxy.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { collectAs } from './collecting.ts';

const cluster = await startCluster();
t.teardown(() => cluster.stop());
const admin = new KubeClient(await loadConnection({ kubeconfig: cluster.kubeconfig }));
t.teardown(() => admin.close());

/** A collector that audits again and again, and what it found. */
async function auditing(t: Test, options: Partial<CollectorOptions> = {}) {
  const results: string[] = [];
  const drift: Partial<Record<Drift, number>> = {};
  const waiting: (() => void)[] = [];
  const run = await collectAs(t, { cluster, admin, user: 'admin' }, {
    auditIntervalMs: 200,
    observeAudits: {
      audited: (_resource, result) => {
        results.push(result);
        for (const work of waiting.splice(0)) work();
      },
      drifted: (_resource, found, count) => (drift[found] = (drift[found] ?? 0) + count),
    },
    ...options,
  });
  const rowsOf = (name: string) => run.store.get(run.north, name)!.resource('/v1/configmap');
  const rowOf = (name: string, object: string) => [...rowsOf(name).unconfirmed(Infinity)].find((row) => row?.name === object)!;
  const agrees = async (): Promise<void> => {
    const from = results.length;
    await eventually(() => results.slice(from).includes('agreed'), { what: 'an audit that agrees' });
  };
  /** An audit under way would see a part of the work, and mend the rest without a word. */
  const betweenAudits = (work: () => void): Promise<void> =>
    new Promise((resolve) => {
      waiting.push(() => {
        work();
        resolve();
      });
    });
  return { ...run, results, drift, betweenAudits, rowsOf, rowOf, agrees };
}

t.jobs = 4;

t.test('what agrees is not listed again, whatever changes meanwhile', { buffered: true }, async (t) => {
  const run = await auditing(t);
  for (let index = 0; index < 20; index++) await run.write(run.north, `a${index}`, '1');
  await admin.create(`/api/v1/namespaces/${run.north}/configmaps`, { metadata: { name: 'other' }, data: { value: '1' } });
  await run.collect('web', { includedNamespaces: [run.north, run.south] });
  await run.collect('rules', { includedNamespaces: [run.north], resourceRules: [{ gvk: { version: 'v1', kind: 'ConfigMap' }, matchPolicy: "object.data.value == '1'" }] });
  await run.collect('limited', { includedNamespaces: [run.north], limits: { maxRows: 5 } });
  for (const name of ['web', 'rules', 'limited']) await run.synced(name);
  const lists = (): number => run.proxy.requests.filter(({ url, headers }) => !isWatch(url) && /configmaps/.test(url.pathname) && headers.accept === 'application/json').length;
  const before = lists();
  const rowsOfLimited = (): string => [...run.store.get(run.north, 'limited')!.rows()].map(({ name }) => name).join(' ');
  const limited = rowsOfLimited();
  // The first by name have the rows of the limited target: one that goes would leave room, which is a reason to list.
  for (let round = 0; round < 7; round++) {
    for (let index = 0; index < 10; index++) await run.write(run.north, `a${index}`, `${round}`);
    await admin.delete(`/api/v1/namespaces/${run.north}/configmaps/a${19 - round}`);
    await run.write(run.south, `b${round}`, '1');
  }
  await run.agrees();
  await run.agrees();
  t.strictSame(run.drift, {});
  t.equal(rowsOfLimited(), limited);
  t.equal(lists(), before, 'audits ask for metadata only, and nothing is listed again');
  t.ok(run.proxy.requests.some(({ headers }) => /PartialObjectMetadataList/.test(headers.accept ?? '')));
});

t.test('rows that are lost, outdated or left over are counted and mended', { buffered: true }, async (t) => {
  const run = await auditing(t);
  for (const name of ['a', 'b', 'c']) await run.write(run.north, name, '1');
  await run.collect('web', {});
  await run.synced('web');
  await run.shows('web', 'north/a=1 north/b=1 north/c=1');
  const a = run.rowOf('web', 'a');
  const b = run.rowOf('web', 'b');
  await run.betweenAudits(() => {
    run.rowsOf('web').remove(run.north, a.uid);
    run.rowsOf('web').upsert({ ...b, resourceVersion: '1', payload: b.payload.replace('"1"', '"0"'), failures: 0 });
    run.rowsOf('web').upsert({ ...a, name: 'd', uid: 'd', failures: 0 });
  });
  let writes = 0;
  await eventually(async () => {
    // Moves the watch past the list, as a bookmark does every minute.
    await run.write(run.south, 'later', `${writes++}`);
    return run.drift.gone === 1;
  });
  await run.shows('web', 'north/a=1 north/b=1 north/c=1');
  await run.agrees();
  t.strictSame(run.drift, { missing: 1, stale: 1, gone: 1 });
  t.ok(run.results.includes('drifted'));
});

t.test('what the watch has not told of yet is no drift', { buffered: true }, async (t) => {
  const run = await auditing(t);
  await run.write(run.north, 'a', '1');
  run.proxy.break({ match: (url) => isWatch(url) && /configmaps/.test(url.pathname), fault: { kind: 'silence', after: 0 } });
  await run.collect('web', {});
  await run.synced('web');
  await run.write(run.north, 'a', '2');
  await run.write(run.north, 'b', '1');
  const audits = (): number => run.proxy.requests.filter(({ headers }) => /PartialObjectMetadataList/.test(headers.accept ?? '')).length;
  await eventually(() => audits() > 0);
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  t.equal(run.rows('web'), 'north/a=1', 'the watch is silent');
  run.proxy.cut();
  await run.shows('web', 'north/a=2 north/b=1');
  await run.agrees();
  t.strictSame(run.drift, {});
});
