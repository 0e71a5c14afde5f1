import t from 'tap';
import { startKollect, type KubernetesObject } from './harness.ts';

// A table that the earlier implementation of Kollect created and filled: its columns, its key of four fields, its payloads, and what it left behind.

const kollect = await startKollect({ test: t, controllerFlags: ['--verify-interval=3s'] });
const { psql } = kollect;

const statement = `CREATE TABLE IF NOT EXISTS "public"."inventory_items" (
  inventory_namespace TEXT NOT NULL, inventory_name TEXT NOT NULL, target_name TEXT NOT NULL, source_uid TEXT NOT NULL,
  cluster TEXT NOT NULL DEFAULT '', resource_namespace TEXT NOT NULL DEFAULT '', payload JSONB NOT NULL, exported_at TIMESTAMPTZ NOT NULL,
  PRIMARY KEY (inventory_namespace, inventory_name, target_name, source_uid))`;

interface OldRow {
  namespace: string;
  inventory?: string;
  cluster?: string;
  uid: string;
  name: string;
  value?: string;
}

async function insert({ namespace, inventory = 'inventory', cluster = 'east', uid, name, value = 'x' }: OldRow): Promise<void> {
  const payload = { targetNamespace: namespace, targetName: 'configmaps', namespace, name, version: 'v1', kind: 'ConfigMap', uid, attributes: { mode: value } };
  const values = [namespace, inventory, 'configmaps', uid, cluster, namespace, JSON.stringify(payload).replaceAll('<', '\\u003c'), '2026-01-15T12:00:00Z'];
  await psql(`INSERT INTO inventory_items VALUES ($1, $2, $3, $4, $5, $6, $7::jsonb, $8)`, values);
}

interface TableRow {
  inventory: string;
  cluster: string;
  name: string;
  value: string;
  /** It is as the earlier implementation wrote it. */
  untouched: boolean;
}

const table = (namespace: string): Promise<TableRow[]> =>
  psql<TableRow>(
    `SELECT inventory_name AS inventory, cluster, payload->>'name' AS name, payload->'attributes'->>'mode' AS value, exported_at = '2026-01-15T12:00:00Z' AS untouched
     FROM inventory_items WHERE inventory_namespace = $1 ORDER BY 2, 1, 3`,
    [namespace],
  );
const line = ({ inventory, cluster, name, value, untouched }: TableRow): string => `${cluster}/${inventory}/${name}=${value}${untouched ? '' : ', written'}`;

const configMap = (name: string, mode: string) => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels: { collected: 'yes' } }, data: { mode } });

function pipeline(mode: 'ensure' | 'existing'): object[] {
  const of = (kind: string, name: string, spec: object): object => ({ apiVersion: 'kollect.dev/v1alpha1', kind, metadata: { name }, spec });
  return [
    { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn' }, stringData: { dsn: kollect.dsn } },
    of('KollectProfile', 'configmaps', { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'mode', path: '$.data.mode', type: 'string' }] }),
    of('KollectTarget', 'configmaps', { profileRef: 'configmaps', labelSelector: { matchLabels: { collected: 'yes' } } }),
    of('KollectDatabaseSink', 'pg', { type: 'postgres', cluster: 'east', provisioning: { mode }, postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } }),
    of('KollectInventory', 'inventory', { databaseSinkRefs: ['pg'], exportMinInterval: '1s' }),
  ];
}

interface Condition {
  type: string;
  status: string;
  reason: string;
  message: string;
}

async function degraded(namespace: string): Promise<Condition | undefined> {
  const inventory = await kollect.get('kinv', 'inventory', namespace);
  return ((inventory?.status?.['conditions'] ?? []) as Condition[]).find(({ type, status }) => type === 'Degraded' && status === 'True');
}

for (const mode of ['ensure', 'existing'] as const) {
  t.test(`under ${mode}, what was written stays where it is right, is mended where it is not, and goes with consent only`, async (t) => {
    await psql(statement);
    const namespace = await kollect.namespace();
    const objects = [configMap('same', 'a<b'), configMap('changed', 'new'), configMap('unknown', 'x')];
    await kollect.apply(objects, { flags: ['-n', namespace] });
    const uid = async (name: string): Promise<string> => (await kollect.get<KubernetesObject>('configmap', name, namespace))!.metadata.uid;
    await insert({ namespace, uid: await uid('same'), name: 'same', value: 'a<b' });
    await insert({ namespace, uid: await uid('changed'), name: 'changed', value: 'old' });
    await insert({ namespace, uid: 'gone-1', name: 'stale' });
    const others: OldRow[] = [
      { namespace, uid: 'west-1', name: 'elsewhere', cluster: 'west' },
      { namespace, uid: 'other-1', name: 'other', inventory: 'another' },
      { namespace, uid: 'other-2', name: 'other', inventory: 'inventory.part-of-the-name' },
    ];
    for (const row of others) await insert(row);
    for (const part of ['inventory.part-0001-of-0002', 'inventory.part-0002-of-0002']) await insert({ namespace, inventory: part, uid: 'part', name: 'portion' });

    await kollect.apply(pipeline(mode), { flags: ['-n', namespace] });
    const kept = ['east/another/other=x', 'east/inventory.part-of-the-name/other=x'];
    const ours = ['east/inventory/changed=new, written', 'east/inventory/same=a<b'];
    // Only with a table of its own can Kollect tell portions from inventories of other people.
    const portions = mode === 'ensure' ? ['east/inventory.part-0001-of-0002/portion=x', 'east/inventory.part-0002-of-0002/portion=x'] : [];
    const expect = (...rows: string[]) => [...rows].sort().join('\n');
    const lines = async () => (await table(namespace)).map(line).filter((text) => mode === 'ensure' || !text.includes('/portion=')).sort().join('\n');
    const held = expect(...kept, ...ours, ...portions, 'east/inventory/stale=x', 'east/inventory/unknown=x, written', 'west/inventory/elsewhere=x');
    await kollect.eventually(async () => (await lines()) === held, { what: 'rows taken over' }).catch(async () => t.equal(await lines(), held));
    const { message } = (await kollect.eventually(() => degraded(namespace), { what: 'DeletionHeld' })) ?? {};
    t.match(message, new RegExp(`database/pg holds ${mode === 'ensure' ? 3 : 1} row\\(s\\) of \\d+ that would be deleted, which somebody else wrote: .*kollect\\.dev/allow-deletes`));

    await kollect.controller.kill();
    await kollect.controller.start();
    await kollect.apply(configMap('later', 'y'), { flags: ['-n', namespace] });
    await kollect.eventually(async () => (await lines()).includes('later=y'), { what: 'a row after the restart' });
    t.match(await kollect.eventually(() => degraded(namespace), { what: 'DeletionHeld again' }), { reason: 'DeletionHeld' }, 'a new process does not take silence for consent');
    t.equal((await lines()).includes('stale=x'), true);
    if (mode === 'ensure') t.strictSame(await psql(`SELECT FROM kollect_state WHERE inventory_namespace = $1`, [namespace]), [], 'and calls nothing its own');
    const waiting = await lines();
    await kollect.kubectl(['delete', 'kinv/inventory', '-n', namespace, '--timeout=60s']);
    t.equal(await lines(), waiting, 'nor the end of the inventory');
    await kollect.apply(pipeline(mode), { flags: ['-n', namespace] });
    await kollect.eventually(() => degraded(namespace), { what: 'DeletionHeld of the next inventory' });
    await kollect.kubectl(['annotate', 'kinv/inventory', '-n', namespace, 'kollect.dev/allow-deletes=true']);
    const after = expect(...kept, ...ours, 'east/inventory/unknown=x, written', 'east/inventory/later=y, written', 'west/inventory/elsewhere=x');
    await kollect.eventually(async () => (await lines()) === after, { what: 'consent' }).catch(async () => t.equal(await lines(), after));
    await kollect.eventually(async () => (await degraded(namespace)) === undefined, { what: 'the end of the trouble' });
    if (mode === 'ensure') {
      t.strictSame(await psql(`SELECT inventory_name AS name, cluster, row_count::int AS rows FROM kollect_state WHERE inventory_namespace = $1`, [namespace]), [{ name: 'inventory', cluster: 'east', rows: 4 }]);
    }
    const [key] = await psql<{ text: string }>(`SELECT pg_get_constraintdef(oid) AS text FROM pg_constraint WHERE conrelid = 'inventory_items'::regclass AND contype = 'p'`);
    t.equal(key?.text, 'PRIMARY KEY (inventory_namespace, inventory_name, target_name, source_uid)', 'the key is used as it is');

    await psql(`UPDATE inventory_items SET payload = jsonb_set(payload, '{attributes,mode}', '"edited"') WHERE inventory_namespace = $1 AND payload->>'name' = 'later'`, [namespace]);
    await kollect.eventually(async () => !(await lines()).includes('edited'), { what: 'the row as it was' });

    await kollect.kubectl(['delete', 'kinv/inventory', '-n', namespace, '--timeout=60s']);
    const left = expect(...kept, 'west/inventory/elsewhere=x');
    await kollect.eventually(async () => (await lines()) === left, { what: 'the rows of others alone' }).catch(async () => t.equal(await lines(), left));
    await psql('DROP TABLE inventory_items');
  });
}

t.test('where the key has no cluster, neither a second sink nor an edit moves rows to another cluster', async (t) => {
  await psql(statement);
  const namespace = await kollect.namespace();
  const apply = (...objects: object[]) => kollect.apply(objects, { flags: ['-n', namespace] });
  const sink = (name: string, cluster: string) => ({
    apiVersion: 'kollect.dev/v1alpha1',
    kind: 'KollectDatabaseSink',
    metadata: { name },
    spec: { type: 'postgres', cluster, provisioning: { mode: 'existing' }, postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } },
  });
  const refer = async (...names: string[]): Promise<void> => {
    await kollect.kubectl(['patch', 'kinv/inventory', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec: { databaseSinkRefs: names } })]);
  };
  const clusters = async () => (await table(namespace)).map(({ cluster, name, value }) => `${cluster}/${name}=${value}`).join();
  const untilClusters = (wanted: string, what: string) => kollect.eventually(async () => (await clusters()) === wanted, { what }).catch(async () => t.equal(await clusters(), wanted, what));
  const untilHealthy = () => kollect.eventually(async () => ((await kollect.get('kinv', 'inventory', namespace))?.status?.['conditions'] as Condition[] | undefined)?.some(({ type, status }) => type === 'Ready' && status === 'True'), { what: 'Ready' });
  const refused = (sinkName: string, cluster: string) =>
    kollect.eventually(async () => {
      const trouble = await degraded(namespace);
      const wanted = new RegExp(`database/${sinkName}: table .* holds row configmaps/[0-9a-f-]{36} of inventory ${namespace}/inventory for cluster "east", and its key has no cluster, .* cluster "${cluster}": add cluster to the key`);
      return trouble?.reason === 'ExportTerminal' && wanted.test(trouble.message);
    }, { what: `the refusal of ${cluster}` });
  const moves = async (): Promise<string[]> => {
    const { stdout } = await kollect.kubectl(['get', 'events', '-n', namespace, '--field-selector=reason=DestinationChanged', '--output=json']);
    return (JSON.parse(stdout) as { items: { message: string }[] }).items.map(({ message }) => message);
  };

  await apply(configMap('a', '1'), configMap('b', '1'), ...pipeline('existing'));
  await untilClusters('east/a=1,east/b=1', 'the rows of the first sink');
  await apply(sink('north', 'north'));
  await refer('pg', 'north');
  await refused('north', 'north');
  await apply(configMap('a', '2'));
  await untilClusters('east/a=2,east/b=1', 'the first sink goes on');
  await refer('pg');
  await untilHealthy();
  t.equal(await clusters(), 'east/a=2,east/b=1', 'the second removes nothing');

  await apply(sink('pg', 'west'));
  await refused('pg', 'west');
  t.equal(await clusters(), 'east/a=2,east/b=1');
  t.strictSame(await moves(), []);
  await apply(sink('pg', 'east'));
  await untilHealthy();
  await psql('ALTER TABLE inventory_items DROP CONSTRAINT inventory_items_pkey, ADD PRIMARY KEY (inventory_namespace, inventory_name, cluster, target_name, source_uid)');
  await apply(sink('pg', 'west'));
  await untilClusters('east/a=2,east/b=1,west/a=2,west/b=1', 'both, once there is room');
  const place = (cluster: string) => `table "public"."inventory_items" as cluster "${cluster}"`;
  const moved = (to: string, from: string) => `database/pg exports to ${place(to)} now; of the 2 row(s) that it exported to ${from} none was removed, because an edit removes nothing`;
  await kollect.eventually(async () => (await moves()).includes(moved('west', place('east'))), { what: 'the event' }).catch(async () => t.match(await moves(), [moved('west', place('east'))]));

  const movedAfterRestart = moved('south', 'its former destination');
  await kollect.controller.kill();
  await apply(sink('pg', 'south'));
  await kollect.controller.start();
  await kollect.eventually(async () => (await moves()).includes(movedAfterRestart), { what: 'the event after a restart' }).catch(async () => t.match(await moves(), [movedAfterRestart]));
  await kollect.kubectl(['delete', 'kinv/inventory', '-n', namespace, '--timeout=60s']);
  await untilClusters('east/a=2,east/b=1,west/a=2,west/b=1', 'the rows of the cluster that it had last are gone');
  await psql('DROP TABLE inventory_items');
});
