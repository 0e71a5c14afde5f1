import { join } from 'node:path';
import t from 'tap';
import { startKollect } from './harness.ts';

const kollect = await startKollect({ startController: false });
t.teardown(() => kollect.stop());

const samples = join(import.meta.dirname, '..', '..', 'config', 'samples');
const kollectObject = (kind: string, spec: object): object => ({ apiVersion: 'kollect.dev/v1alpha1', kind, metadata: { name: 'x', namespace: 'default' }, spec });
const clusterInventory = (spec: object): object => ({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectClusterInventory', metadata: { name: 'x' }, spec });
const postgres = { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 't' } };
const deployments = { group: 'apps', version: 'v1', kind: 'Deployment' };

/** What a user may get wrong, and the words that must help him. */
const refusals: { name: string; object: object; field: string; words: RegExp }[] = [
  {
    name: 'a password in options',
    object: kollectObject('KollectDatabaseSink', { ...postgres, options: { password: 'hunter2' } }),
    field: 'spec.options[password]',
    words: /Secret/,
  },
  { name: 'a slash in targetRefs', object: clusterInventory({ targetRefs: ['team-a/web'] }), field: 'spec.targetRefs[0]', words: /name/ },
  {
    name: '21 references',
    object: kollectObject('KollectInventory', {
      snapshotSinkRefs: Array.from({ length: 11 }, (_, index) => `s${index}`),
      databaseSinkRefs: Array.from({ length: 10 }, (_, index) => `d${index}`),
    }),
    field: 'spec',
    words: /21.*20/,
  },
  { name: 'a bad namespace', object: clusterInventory({ sinkNamespace: 'Bad_NS' }), field: 'spec.sinkNamespace', words: /Bad_NS.*lower/i },
  {
    name: 'a typo in CEL',
    object: kollectObject('KollectProfile', { targetGVK: deployments, attributes: [{ name: 'a', path: 'cel:object.spec.replicas +' }] }),
    field: 'spec.attributes[0].path',
    words: /CEL expression is not complete.*character 23/,
  },
  {
    name: 'CEL without its prefix',
    object: kollectObject('KollectProfile', { targetGVK: deployments, attributes: [{ name: 'a', path: 'object.metadata.name' }] }),
    field: 'spec.attributes[0].path',
    words: /cel:/,
  },
  { name: 'a duration in days', object: kollectObject('KollectInventory', { exportMinInterval: '1d' }), field: 'spec.exportMinInterval', words: /1d/ },
  {
    name: 'a reference into another namespace',
    object: kollectObject('KollectInventory', { databaseSinkRefs: [{ name: 'pg', namespace: 'other' }] }),
    field: 'spec.databaseSinkRefs[0].namespace',
    words: /namespace/,
  },
];

for (const { name, object, field, words } of refusals) {
  t.test(`kubectl refuses ${name}`, async (t) => {
    for (const flags of [[], ['--dry-run=server'], ['--server-side']]) {
      const { code, stderr } = await kollect.kubectl(['apply', ...flags, '-f', '-'], { stdin: JSON.stringify(object) });
      const how = flags[0] ?? 'apply';
      t.not(code, 0, `${how} fails`);
      t.ok(stderr.includes(field), `${how} names the field: ${stderr}`);
      t.match(stderr, words, `${how} says what to do`);
      t.notMatch(stderr, 'hunter2', `${how} does not repeat what may be a credential`);
    }
  });
}

t.test('everything that is wrong with an object is said at once, as causes', async (t) => {
  const object = kollectObject('KollectDatabaseSink', { ...postgres, options: { token: 'x' }, exportMinInterval: '25h', bigquery: { project: 'p', dataset: 'd', table: 't' } });
  const { stderr } = await kollect.kubectl(['apply', '-f', '-', '-v=8'], { stdin: JSON.stringify(object) });
  for (const field of ['spec.options[token]', 'spec.exportMinInterval', 'spec.bigquery']) t.ok(stderr.includes(field), field);
  t.match(stderr, /\\"causes\\":\[/);
  t.match(stderr, /The KollectDatabaseSink "x" is invalid: \n\* spec\.bigquery/);
});

t.test('the samples are accepted, with references as plain strings', async (t) => {
  for (const flags of [['--dry-run=server'], ['--server-side', '--dry-run=server'], [], ['--server-side', '--force-conflicts']]) {
    const { code, stderr } = await kollect.kubectl(['apply', ...flags, '-k', samples]);
    t.equal(code, 0, `${flags.join(' ') || 'apply'}: ${stderr}`);
  }
  const inventory = await kollect.get('kinv', 'deployments', 'default');
  t.match(inventory?.spec, { databaseSinkRefs: [{ name: 'postgres-inventory-demo' }], exportMinInterval: '30s' }, 'stored as objects, with the default');
});

t.test('an accepted object may carry warnings', async (t) => {
  const object = kollectObject('KollectDatabaseSink', { ...postgres, tls: { insecureSkipVerify: true } });
  const { code, stderr } = await kollect.kubectl(['apply', '--dry-run=server', '-f', '-'], { stdin: JSON.stringify(object) });
  t.equal(code, 0, stderr);
  t.match(stderr, /Warning: .*insecureSkipVerify/);
});
