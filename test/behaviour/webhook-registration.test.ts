import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { kinds } from '../../shared/api/kinds.ts';
import { startKollect } from './harness.ts';

const folder = join(import.meta.dirname, '..', '..', 'manifests', 'webhook');
const mutated = ['KollectInventory', 'KollectClusterInventory', 'KollectSnapshotSink', 'KollectDatabaseSink', 'KollectEventSink'];

function registered(file: string): unknown {
  const { webhooks } = parse(readFileSync(join(folder, file), 'utf8')) as { webhooks: { name: string; clientConfig: { service: { path: string } }; rules: { resources: string[] }[] }[] };
  return webhooks.map(({ name, clientConfig, rules }) => [name, clientConfig.service.path, rules[0]?.resources]);
}

function expected(letter: 'm' | 'v', verb: 'mutate' | 'validate', wanted: (kind: string) => boolean): unknown[] {
  const chosen = kinds.filter(({ kind }) => wanted(kind));
  return chosen.map(({ singular, plural }) => [`${letter}${singular}.kb.io`, `/${verb}-kollect-dev-v1alpha1-${singular}`, [plural]]);
}

t.test('every kind is validated, and those with something to fill in are mutated', async (t) => {
  t.has(registered('validating.yaml'), { length: kinds.length });
  t.same(new Set(registered('validating.yaml') as unknown[]), new Set(expected('v', 'validate', () => true)));
  t.same(registered('early-validation.yaml'), (registered('validating.yaml') as [string, ...unknown[]][]).map(([name, ...rest]) => [`e${name.slice(1)}`, ...rest]));
  t.same(new Set(registered('mutating.yaml') as unknown[]), new Set(expected('m', 'mutate', (kind) => mutated.includes(kind))));
});

t.test('while the webhook is away nothing can be changed, but what is being deleted still loses its finalizer', async (t) => {
  const kollect = await startKollect({ test: t, startController: false });
  const namespace = await kollect.namespace();
  const inventory = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectInventory', metadata: { name: 'held', namespace, finalizers: ['kollect.dev/inventory-cleanup'] }, spec: { databaseSinkRefs: ['pg'] } };
  await kollect.apply(inventory);
  const stored = await kollect.get('kollectinventories', 'held', namespace);
  t.match(stored?.spec, { databaseSinkRefs: [{ name: 'pg' }] }, 'the mutating webhook was called');

  await kollect.webhook.kill();
  const patch = (value: object) => kollect.kubectl(['patch', 'kollectinventory', 'held', '-n', namespace, '--type=merge', '-p', JSON.stringify(value)]);
  t.match(await patch({ spec: { exportMinInterval: '1m' } }), { code: 1, stderr: /failed calling webhook "mkollectinventory\.kb\.io"/ });
  t.match(await kollect.kubectl(['delete', 'kollectinventory', 'held', '-n', namespace, '--wait=false']), { code: 0 });
  t.ok(await kollect.get('kollectinventories', 'held', namespace), 'the finalizer holds it');
  t.match(await patch({ metadata: { finalizers: null } }), { code: 0 });
  t.equal(await kollect.get('kollectinventories', 'held', namespace), undefined);

  // Who cannot wait for it lets the API server judge alone.
  for (const configuration of ['mutatingwebhookconfiguration/kollect-mutating-webhook-configuration', 'validatingwebhookconfiguration/kollect-validating-webhook-configuration']) {
    const stored = await kollect.kubectl(['get', configuration, '-o', 'json']);
    const { webhooks } = JSON.parse(stored.stdout) as { webhooks: object[] };
    const body = webhooks.map((_, index) => ({ op: 'replace', path: `/webhooks/${index}/failurePolicy`, value: 'Ignore' }));
    t.match(await kollect.kubectl(['patch', configuration, '--type=json', '-p', JSON.stringify(body)]), { code: 0 });
  }
  const create = (name: string, spec: object) => kollect.kubectl(['create', '-f', '-'], { stdin: JSON.stringify({ ...inventory, metadata: { name, namespace }, spec }) });
  await kollect.eventually(async () => (await create('alone', { databaseSinkRefs: ['pg'] })).code === 0);
  t.match(await create('bad-interval', { exportMinInterval: '25h' }), { code: 1, stderr: /spec\.exportMinInterval: Invalid value: "25h": must be at most 24h/ });
  t.match(await create('bad-refs', { databaseSinkRefs: ['a/b', 'c', 'c'] }), { code: 1, stderr: /kollect-sink-references.*spec\.databaseSinkRefs\[a\/b\]: write only a name.*; spec\.databaseSinkRefs\[c\]: each sink can be named once/ });

  await kollect.webhook.start();
  t.match(await kollect.kubectl(['create', '-f', '-'], { stdin: JSON.stringify({ ...inventory, metadata: { name: 'back', namespace } }) }), { code: 0 });
});
