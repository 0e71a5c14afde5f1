import t from 'tap';
import { startKollect } from '../behaviour/harness.ts';
import { pipeline } from '../behaviour/objects.ts';
import { kollectProcess } from '../kollect/process.ts';
import { freePort } from '../servers/free-port.ts';
import { eventually } from '../servers/eventually.ts';

/** Of the heap of the controller. At rest it fills a fifth of that. */
const heapMb = 96;
/** What lives is known after a full collection only, and nobody knows when there is one: so there are many. That those which come by themselves are enough shows limits.test.ts. */
const collections = '--expose-gc --import=data:text/javascript,setInterval(gc,500).unref()';
const value = 'x'.repeat(200_000);
const profileOf = { targetGVK: { group: '', version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'value', path: '$.data.value' }] };

interface Target {
  status?: { collectedCount?: number; conditions?: { type: string; status: string; reason: string; message: string }[] };
}

t.test('a target without end takes neither memory nor changes from the one beside it', { timeout: 600_000 }, async (t) => {
  const kollect = await startKollect({ test: t, webhook: false, startController: false, cluster: { controllerManager: false } });
  const { cluster, apply, psql } = kollect;
  // The first in every list.
  const [runaway, calm] = ['a-runaway', 'b-calm'] as const;
  const configMap = (namespace: string, name: string, text: string): object => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace }, data: { value: text } });
  const reasonOf = async (namespace: string): Promise<string> => {
    const target = await kollect.get<Target>('kollecttarget', 'web', namespace);
    return target?.status?.conditions?.find(({ type }) => type === 'Ready')?.reason ?? '';
  };
  const becomes = (namespace: string, reason: string): Promise<unknown> => eventually(async () => (await reasonOf(namespace)) === reason, { what: `${namespace} to be ${reason}` });
  // What comes in a moment without room for anything is brought back half a minute later.
  const rowsBecome = (expected: Record<string, string>): Promise<unknown> =>
    eventually(async () => {
      const rows = await psql<{ name: string; value: string }>(`SELECT payload->>'name' AS name, payload->'attributes'->>'value' AS value FROM inventory_items WHERE inventory_namespace = $1`, [calm]);
      const found = Object.fromEntries(rows.map((row) => [row.name, row.value] as const).sort());
      if (JSON.stringify(found) !== JSON.stringify(expected)) throw new Error(`${JSON.stringify(found)} instead of ${JSON.stringify(expected)}; the controller ${JSON.stringify(controller.exit()) ?? 'runs'}: ${controller.logs().slice(-3_000)}`);
      return true;
    }, { timeoutMs: 180_000 });
  for (const name of [runaway, calm]) await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  await apply([configMap(calm, 'one', '1'), configMap(calm, 'two', '2')]);
  for (const namespace of [runaway, calm]) await apply(pipeline({ namespace, dsn: kollect.dsn, ...profileOf, ...(namespace === runaway ? { inventorySpec: 'suspend: true' } : {}) }));

  const healthPort = await freePort();
  const flags = [`--kubeconfig=${cluster.kubeconfig}`, '--metrics-bind-address=0', '--allow-loopback-sinks'];
  const controller = kollectProcess(cluster.keeper, { name: 'controller', flags, healthPort, environment: { NODE_OPTIONS: `--max-old-space-size=${heapMb} ${collections}` } });
  await controller.start();
  await rowsBecome({ one: '1', two: '2' });

  let created = 0;
  const create = async (count: number): Promise<void> => {
    await apply({ apiVersion: 'v1', kind: 'List', items: Array.from({ length: count }, () => configMap(runaway, `object-${created++}`, value)) }, { flags: ['--server-side'] });
  };
  while ((await reasonOf(runaway)) !== 'QuotaExceeded' && controller.exit() === undefined && created < 2_000) await create(25);
  t.comment(`${created} objects of ${value.length} bytes`);
  await becomes(runaway, 'QuotaExceeded');
  await create(25);
  await create(25);
  await apply([configMap(calm, 'two', 'changed'), configMap(calm, 'three', '3')]);
  await rowsBecome({ one: '1', three: '3', two: 'changed' });
  await becomes(calm, 'Collecting');
  t.equal(controller.exit(), undefined, 'it runs on');

  await controller.kill();
  await apply(configMap(calm, 'one', 'while it was down'));
  await controller.start();
  await rowsBecome({ one: 'while it was down', three: '3', two: 'changed' });
  await becomes(runaway, 'QuotaExceeded');
  await apply(configMap(calm, 'four', '4'));
  await rowsBecome({ four: '4', one: 'while it was down', three: '3', two: 'changed' });
  t.equal(controller.exit(), undefined, 'a list of all of them does not end it either');
});
