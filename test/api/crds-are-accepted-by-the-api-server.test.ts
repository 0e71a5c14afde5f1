import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kinds } from '../../shared/api/kinds.ts';
import { policies } from '../../shared/crd/policies.ts';
import { startCluster } from '../servers/cluster.ts';
import { eventually } from '../servers/eventually.ts';
import { untilEstablished } from '../servers/kubernetes/established.ts';

const manifests = join(import.meta.dirname, '..', '..', 'config');
const samples = readdirSync(join(manifests, 'samples')).filter((name) => name.startsWith('kollect_')).map((name) => join(manifests, 'samples', name));
// The controller manager checks the types in policies.
const cluster = await startCluster({ controllerManager: true });
t.teardown(() => cluster.stop());

async function kubectl(args: readonly string[], stdin?: object): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return cluster.kubectl([...args], stdin === undefined ? {} : { stdin: JSON.stringify(stdin) });
}

const object = (kind: string, spec: object, namespace?: string): object => ({
  apiVersion: 'kollect.dev/v1alpha1',
  kind,
  metadata: { name: 'x', ...(namespace === undefined ? {} : { namespace }) },
  spec,
});

t.test('the CRDs are applied without a warning, established and structural', async (t) => {
  const applied = await kubectl(['apply', '-k', join(manifests, 'crds')]);
  t.equal(applied.code, 0, applied.stderr);
  t.equal(applied.stderr, '', 'no warning');
  await untilEstablished(cluster.kubectl);

  interface Crd {
    metadata: { name: string };
    status: { conditions: { type: string; status: string; message: string }[] };
  }
  const { items } = JSON.parse((await kubectl(['get', 'crd', '-o', 'json'])).stdout) as { items: Crd[] };
  t.equal(items.length, kinds.length);
  for (const { metadata, status } of items) {
    t.same(status.conditions.map(({ type, status }) => `${type}=${status}`).sort(), ['Established=True', 'NamesAccepted=True'], metadata.name);
  }

  // Discovery may come a moment after Established.
  await eventually(async () => {
    const { stdout } = await kubectl(['api-resources', '--api-group=kollect.dev', '--cached=false', '-o', 'name']);
    return stdout.trim().split('\n').length === kinds.length;
  });

  const again = await kubectl(['apply', '--server-side', '--force-conflicts', '-k', join(manifests, 'crds')]);
  t.equal(again.code, 0, again.stderr);
  t.equal(again.stderr, '', 'no warning by server-side apply');
});

t.test('every sample is accepted by both kinds of apply', async (t) => {
  for (const namespace of ['kollect-system', 'team-a']) await kubectl(['create', 'namespace', namespace]);
  for (const flags of [[], ['--server-side'], ['--validate=strict']]) {
    const { code, stdout, stderr } = await kubectl(['apply', '--dry-run=server', ...flags, ...samples.map((path) => `--filename=${path}`)]);
    t.equal(code, 0, stderr);
    t.equal(stderr, '', 'no warning');
    t.equal(stdout.trim().split('\n').length, samples.length, stdout);
  }
});

t.test('the walkthrough is applied as a whole, and its string reference is stored', async (t) => {
  for (const flags of [[], ['--server-side', '--force-conflicts']]) {
    const { code, stdout, stderr } = await kubectl(['apply', ...flags, '-k', join(manifests, 'samples')]);
    t.equal(code, 0, stderr);
    t.equal(stdout.trim().split('\n').length, 5, stdout);
  }
  const { stdout } = await kubectl(['get', 'kinv,kdb,ktgt,kprof,kconntest', '-n', 'default', '-o', 'json']);
  const { items } = JSON.parse(stdout) as { items: { kind: string; spec: Record<string, unknown> }[] };
  const specOf = (kind: string): Record<string, unknown> | undefined => items.find((item) => item.kind === kind)?.spec;
  t.same(specOf('KollectInventory'), { databaseSinkRefs: ['postgres-inventory-demo'] }, 'without a default interval');
  t.equal(specOf('KollectConnectionTest')?.['ttlSecondsAfterFinished'], 300);
  t.equal(specOf('KollectTarget')?.['watchMode'], 'All');

  const listed = await kubectl(['get', 'kollect', '-n', 'default', '-o', 'name']);
  t.equal(listed.stdout.trim().split('\n').length, 5, 'one name lists all kinds');
  const table = await kubectl(['get', 'kconntest', 'postgres-sink-probe', '-n', 'default']);
  t.match(table.stdout, /NAME +SINK +PHASE +VERIFIED +AGE\npostgres-sink-probe +postgres-inventory-demo +Pending /);
});

t.test('references may be strings, objects, or both', async (t) => {
  const mixed = object('KollectInventory', { databaseSinkRefs: ['pg', { name: 'warehouse', exportMinInterval: '5m' }] }, 'default');
  for (const flags of [[], ['--server-side', '--force-conflicts']]) {
    const { code, stderr } = await kubectl(['apply', ...flags, '-f', '-'], mixed);
    t.equal(code, 0, stderr);
  }
  const { stdout } = await kubectl(['get', 'kinv', 'x', '-n', 'default', '-o', 'jsonpath={.spec.databaseSinkRefs}']);
  t.same(JSON.parse(stdout), ['pg', { name: 'warehouse', exportMinInterval: '5m' }]);
});

t.test('the API server alone refuses, in words', async (t) => {
  const postgres = { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 't' } };
  const cases: { what: string; document: object; says: RegExp }[] = [
    {
      what: 'a bad namespace',
      document: object('KollectClusterInventory', { namespaces: ['team-a', 'Team_B'] }),
      says: /spec\.namespaces\[1\]: Invalid value: "Team_B": must be the name of a namespace: .*such as team-a/,
    },
    { what: 'a namespace twice', document: object('KollectClusterInventory', { namespaces: ['a', 'a'] }), says: /spec\.namespaces\[1\]: Duplicate value: "a"/ },
    {
      what: 'a duration without a unit',
      document: object('KollectInventory', { exportMinInterval: '5' }, 'default'),
      says: /spec\.exportMinInterval: Invalid value: "5": must be numbers with a unit .*such as 30s/,
    },
    {
      what: 'an endless list of references',
      document: object('KollectInventory', { databaseSinkRefs: Array.from({ length: 65 }, (_, index) => `s${index}`) }, 'default'),
      says: /spec\.databaseSinkRefs: Too many: 65: must have at most 64 items/,
    },
    { what: 'an unknown type', document: object('KollectDatabaseSink', { ...postgres, type: 'oracle' }, 'default'), says: /spec\.type: Unsupported value: "oracle"/ },
    { what: 'a sink without a type', document: object('KollectDatabaseSink', {}, 'default'), says: /spec\.type: Required value/ },
    { what: 'an attribute twice', document: object('KollectProfile', { targetGVK: { version: 'v1', kind: 'Pod' }, attributes: [{ name: 'a', path: '$.a' }, { name: 'a', path: '$.b' }] }, 'default'), says: /spec\.attributes\[1\]: Duplicate value/ },
    { what: 'a profile that is not named', document: object('KollectTarget', { profileRef: '' }, 'default'), says: /spec\.profileRef/ },
    { what: 'a field that does not exist', document: object('KollectTarget', { profileRef: 'p', profile: 'q' }, 'default'), says: /unknown field "spec\.profile"/ },
  ];
  for (const { what, document, says } of cases) {
    const { code, stderr } = await kubectl(['apply', '--dry-run=server', '-f', '-'], document);
    t.not(code, 0, what);
    t.match(stderr, says, what);
  }
});

t.test('every duration that Go reads is taken', async (t) => {
  for (const text of ['0', '1h30m', '.5s', '250µs', '+5m']) {
    const { code, stderr } = await kubectl(['apply', '--dry-run=server', '-f', '-'], object('KollectInventory', { exportMinInterval: text }, 'default'));
    t.equal(code, 0, `${text} ${stderr}`);
  }
});

t.test('kubectl explain describes fields', async (t) => {
  await eventually(async () => {
    const { stdout, stderr } = await kubectl(['explain', 'kollectdatabasesink.spec.postgres']);
    if (!/databaseRef\s+<Object> -required-\s+Secret with the connection string/.test(stdout)) throw new Error(stdout + stderr);
    return true;
  });
  t.pass('published');
});

t.test('the policies are applied without a warning, and their types are right', async (t) => {
  interface List {
    items: { metadata: { name: string; generation: number }; status?: { observedGeneration?: number; typeChecking?: { expressionWarnings?: unknown[] }; conditions?: unknown[] } }[];
  }
  for (const folder of ['admission-policy', 'admission-policy/tenant']) {
    const { code, stderr } = await kubectl(['apply', '--server-side', '-k', join(manifests, folder)]);
    t.equal(code, 0, stderr);
    t.equal(stderr, '', 'no warning');
  }
  const checked = await eventually(async () => {
    const { items } = JSON.parse((await kubectl(['get', 'validatingadmissionpolicies', '-o', 'json'])).stdout) as List;
    return items.every(({ metadata, status }) => status?.observedGeneration === metadata.generation && status.typeChecking !== undefined) && items;
  });
  t.strictSame(checked.map(({ metadata, status }) => [metadata.name, status?.typeChecking?.expressionWarnings, status?.conditions]), policies.map(({ name }) => [name, undefined, undefined]));
});
