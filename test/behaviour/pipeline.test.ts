import t from 'tap';
import { startKollect } from './harness.ts';
import { deployment, pipeline, type PipelineOptions } from './objects.ts';

/** Stands in every DSN and must never be seen anywhere else. */
const password = 'canary-7f3a9';
const kollect = await startKollect({ databasePassword: password, controllerFlags: ['--collect-metrics-sample-interval=0s'] });
t.teardown(() => kollect.stop());
// Most of the time is spent waiting.
t.jobs = 4;
/** Of tests that stop the controller, and of those that look at what all have left. */
const alone = { buffered: false };

interface StoredRow {
  name: string;
  replicas: number | null;
  uid: string;
  exported_at: string;
  /** Transaction that wrote the row: differs when the row was rewritten. */
  xmin: string;
}

function stored(namespace: string): Promise<StoredRow[]> {
  return kollect.psql<StoredRow>(
    `SELECT payload->>'name' AS name, (payload->'attributes'->>'replicas')::int AS replicas, source_uid AS uid,
            exported_at::text AS exported_at, xmin::text AS xmin
       FROM inventory_items WHERE inventory_namespace = '${namespace}' ORDER BY 1`,
  );
}

const names = async (namespace: string): Promise<string[]> => (await stored(namespace)).map((row) => row.name);

/** A namespace with the whole pipeline and three Deployments, exported. */
async function exported(options: Partial<PipelineOptions> = {}): Promise<string> {
  const namespace = await kollect.namespace();
  await kollect.apply(pipeline({ namespace, dsn: kollect.dsn, ...options }));
  await kollect.apply(['api', 'jobs', 'web'].map((name) => deployment(namespace, name)).join('---\n'));
  await kollect.eventually(async () => same(await names(namespace), ['api', 'jobs', 'web']));
  return namespace;
}

/** For `eventually`: true, or an error that shows the difference. */
function same(found: unknown, wanted: unknown): true {
  if (JSON.stringify(found) !== JSON.stringify(wanted)) throw new Error(`found ${JSON.stringify(found)}, wanted ${JSON.stringify(wanted)}`);
  return true;
}

async function condition(namespace: string, object: string, type: string): Promise<string> {
  const { stdout } = await kollect.kubectl(['get', object, '-n', namespace, '-o', 'json']);
  const found = (JSON.parse(stdout).status?.conditions ?? []).find((entry: { type: string }) => entry.type === type);
  return found ? `${type}=${found.status} ${found.reason}: ${found.message}` : `${type} absent`;
}

const eventually = (namespace: string, object: string, type: string, wanted: RegExp): Promise<string> =>
  kollect.eventually(async () => {
    const line = await condition(namespace, object, type);
    if (!wanted.test(line)) throw new Error(`${line} does not match ${wanted}`);
    return line;
  });

t.test('rows follow the cluster: one change is one row', async (t) => {
  const namespace = await exported();
  const before = await stored(namespace);

  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=5']);
  await kollect.eventually(async () => same((await stored(namespace)).find((row) => row.name === 'web')?.replicas, 5));
  const scaled = await stored(namespace);
  t.strictSame(
    scaled.filter((row, index) => row.xmin !== before[index]!.xmin).map((row) => row.name),
    ['web'],
    'no other row was written',
  );

  await kollect.kubectl(['delete', 'deployment', 'jobs', '-n', namespace]);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'web']));
  const rest = await stored(namespace);
  t.strictSame(rest, scaled.filter((row) => row.name !== 'jobs'), 'exactly one row went');

  const status = JSON.parse((await kollect.kubectl(['get', 'kinv/inventory', '-n', namespace, '-o', 'json'])).stdout).status;
  t.match(status, { observedGeneration: 1, sinkExports: [{ name: 'database/pg', namespace, phase: 'Active' }] });
  t.match(await eventually(namespace, 'kinv/inventory', 'Ready', /True/), /^Ready=True Exported/);
  t.match(await condition(namespace, 'ktgt/web', 'Ready'), /^Ready=True Collecting: collecting deployments.apps from 1 namespace/);
});

t.test('a target selects by labels, names and namespaces, and an edit takes effect', async (t) => {
  const namespace = await exported({ targetSpec: 'labelSelector: {matchExpressions: [{key: app, operator: In, values: [api, web, jobs]}]}' });
  await kollect.apply(deployment(namespace, 'other'));
  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', '{"spec":{"names":["api"]}}']);
  await kollect.eventually(async () => same(await names(namespace), ['api']));

  const neighbour = await kollect.namespace();
  await kollect.apply(deployment(neighbour, 'api'));
  const spec = { includedNamespaces: [namespace, neighbour], namespaceSelector: {} };
  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'api']));

  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', '{"spec":{"names":null,"labelSelector":null,"includedNamespaces":null,"namespaceSelector":null}}']);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'jobs', 'other', 'web']));
  t.pass();
});

t.test('an edited profile reaches every row', async (t) => {
  const namespace = await exported();
  const attributes = [{ name: 'replicas', path: 'cel:object.spec.replicas + 100' }];
  await kollect.kubectl(['patch', 'kprof/deployments', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec: { attributes } })]);
  await kollect.eventually(async () => same((await stored(namespace)).map((row) => row.replicas), [101, 101, 101]));
  t.pass();
});

t.test('an attribute that is missing exports the row with null and says so', async (t) => {
  const namespace = await exported({ attributes: [{ name: 'replicas', path: 'cel:object.spec.replicas' }, { name: 'tier', path: '$.metadata.labels.tier' }] });
  const rows = await kollect.psql<{ tier: unknown }>(`SELECT payload->'attributes'->'tier' AS tier FROM inventory_items WHERE inventory_namespace = '${namespace}'`);
  t.strictSame(rows.map((row) => row.tier), [null, null, null]);
  t.match(await eventually(namespace, 'ktgt/web', 'Synced', /PartialExtraction/), /True PartialExtraction/);
  // Counts follow within ten seconds.
  const status = await kollect.eventually(async () => {
    const target = await kollect.get<{ status: { extractionFailures: number; lastExtractionError: string } }>('ktgt', 'web', namespace);
    return target?.status.extractionFailures === 3 && target.status;
  });
  t.match(status.lastExtractionError, /tier/);
});

t.test('a suspended target freezes its rows and no others, and the inventory says so', async (t) => {
  const namespace = await exported();
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectTarget', metadata: { name: 'second', namespace }, spec: { profileRef: 'deployments' } });
  await kollect.eventually(async () => same(await names(namespace), ['api', 'api', 'jobs', 'jobs', 'web', 'web']));
  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', '{"spec":{"suspend":true}}']);
  t.match(await eventually(namespace, 'ktgt/web', 'Degraded', /Suspended/), /True Suspended/);
  t.match(await eventually(namespace, 'kinv/inventory', 'Degraded', /True/), /True TargetDegraded: target\(s\) web \(Suspended\) are not ready/);
  await kollect.kubectl(['delete', 'deployment', 'jobs', '-n', namespace]);
  await kollect.apply(deployment(namespace, 'late'));
  await kollect.eventually(async () => same(await names(namespace), ['api', 'api', 'jobs', 'late', 'web', 'web']));
  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', '{"spec":{"suspend":false}}']);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'api', 'late', 'late', 'web', 'web']));
  await eventually(namespace, 'kinv/inventory', 'Ready', /True Exported/);
});

t.test('consent that is withdrawn or given on the namespace takes effect', async (t) => {
  const namespace = await exported();
  await kollect.kubectl(['label', 'namespace', namespace, 'kollect.dev/watch=disabled']);
  await kollect.eventually(async () => same(await names(namespace), []));
  await kollect.kubectl(['label', 'namespace', namespace, 'kollect.dev/watch-']);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'jobs', 'web']));
  t.pass();
});

t.test('metrics that a profile asks for follow the rows', async (t) => {
  const namespace = await exported();
  const spec = { attributes: [{ name: 'app', path: '$.metadata.labels.app' }, { name: 'replicas', path: '$.spec.replicas' }], metrics: [{ name: 'by_app', path: 'replicas', labels: ['app'] }] };
  await kollect.kubectl(['patch', 'kprof/deployments', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
  const series = async (): Promise<string[]> => {
    const text = await (await fetch(kollect.controller.metricsUrl)).text();
    return text.split('\n').filter((line) => line.startsWith('kollect_custom_resource_') && line.includes(`"${namespace}"`)).map((line) => line.replace(/\{.*app="(\w+)".*\}/, ' $1').replace(/\{.*series="(\w+)"\}/, ' $1').replace('kollect_custom_resource_', ''));
  };
  await kollect.eventually(async () => same(await series(), ['series object_count 3', 'labeled_series api 1', 'labeled_series jobs 1', 'labeled_series web 1']));
  await kollect.kubectl(['delete', 'deployment', 'jobs', '-n', namespace]);
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=4']);
  await kollect.eventually(async () => same(await series(), ['series object_count 2', 'labeled_series api 1', 'labeled_series web 4']));
  await kollect.kubectl(['delete', 'ktgt', 'web', '-n', namespace]);
  await kollect.eventually(async () => same(await series(), []));
  t.pass();
});

t.test('what a scope denies leaves the sink, also after a restart; what is suspended stays', alone, async (t) => {
  const namespace = await exported();
  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', '{"spec":{"suspend":true}}']);
  await eventually(namespace, 'ktgt/web', 'Ready', /^Ready=False Suspended/);
  t.strictSame(await names(namespace), ['api', 'jobs', 'web']);

  await kollect.controller.kill('SIGKILL');
  await kollect.apply({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectScope', metadata: { name: 'team', namespace }, spec: { allowedGVKs: [{ version: 'v1', kind: 'Pod' }] } });
  await kollect.controller.start();
  await eventually(namespace, 'ktgt/web', 'Degraded', /^Degraded=True ScopeGVKDenied/);
  await kollect.eventually(async () => same(await names(namespace), []));

  await kollect.kubectl(['delete', 'kollectscope/team', '-n', namespace]);
  await kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', '{"spec":{"suspend":false}}']);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'jobs', 'web']));
});

t.test('a killed controller loses and removes nothing', alone, async (t) => {
  const namespace = await exported();
  const before = await stored(namespace);

  await kollect.controller.kill('SIGKILL');
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=3']);
  await kollect.kubectl(['delete', 'deployment', 'jobs', '-n', namespace]);
  await kollect.apply(deployment(namespace, 'late'));
  t.strictSame(await stored(namespace), before, 'while it is down nothing moves');
  await kollect.controller.start();
  await kollect.eventually(async () => same(await names(namespace), ['api', 'late', 'web']));
  const after = await stored(namespace);
  t.equal(after.find((row) => row.name === 'web')?.replicas, 3, 'what changed meanwhile is caught up');
  t.strictSame(after.find((row) => row.name === 'api'), before.find((row) => row.name === 'api'), 'what did not change was not written');

  await kollect.controller.kill('SIGKILL');
  await kollect.kubectl(['delete', 'ktgt', 'web', '-n', namespace, '--wait=false']);
  await kollect.controller.start();
  await kollect.eventually(async () => same(await names(namespace), []));
});

t.test('a controller that starts after a quiet while finds its rows, and writes nothing', alone, async (t) => {
  const namespace = await exported();
  const sinkExport = async () => (await kollect.get<{ status: { sinkExports: { dirty: boolean; rows: number }[] } }>('kinv', 'inventory', namespace))!.status.sinkExports[0];
  const state = () => kollect.psql(`SELECT digest, changed_at FROM kollect_state WHERE inventory_namespace = '${namespace}'`);
  await kollect.eventually(async () => (await sinkExport())?.dirty === false);
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=3']);
  await kollect.eventually(async () => (await stored(namespace)).find((row) => row.name === 'web')?.replicas === 3);
  t.equal((await sinkExport())?.dirty, true, 'status tells of a write before it begins');
  await kollect.eventually(async () => (await sinkExport())?.dirty === false);
  const before = await state();
  t.equal(before.length, 1);

  await kollect.controller.kill('SIGKILL');
  await kollect.controller.start();
  const found = () => kollect.controller.logs().split('\n').some((line) => line.includes('nothing changed since the last export') && line.includes(namespace));
  await kollect.eventually(found);
  await eventually(namespace, 'kinv/inventory', 'Ready', /True Exported/);
  t.strictSame(await state(), before);
  await kollect.kubectl(['delete', 'deployment', 'jobs', '-n', namespace]);
  await kollect.eventually(async () => same(await names(namespace), ['api', 'web']));
});

t.test('an inventory whose target has not listed yet never touches the table', alone, async (t) => {
  const namespace = await exported();
  const before = await stored(namespace);
  await kollect.controller.kill('SIGKILL');
  // The kind does not exist, so the list of the target can never be complete.
  const spec = { targetGVK: { group: 'nowhere.example', version: 'v1', kind: 'Deployment' } };
  await kollect.kubectl(['patch', 'kprof/deployments', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec })]);
  await kollect.controller.start();
  t.match(await eventually(namespace, 'kinv/inventory', 'Degraded', /TargetDegraded/), /True TargetDegraded: target\(s\) web \(InformerRegistrationFailed\)/);
  t.match(await eventually(namespace, 'ktgt/web', 'Degraded', /True/), /InformerRegistrationFailed: the API server knows no Deployment in nowhere.example\/v1/);
  t.strictSame(await stored(namespace), before);
  const again = { targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' } };
  await kollect.kubectl(['patch', 'kprof/deployments', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec: again })]);
  await eventually(namespace, 'kinv/inventory', 'Ready', /True Exported/);
  t.strictSame(await stored(namespace), before);
});

t.test('a limit leaves out new objects, deletes nothing, and what was left out comes when it is raised', alone, async (t) => {
  const namespace = await exported();
  const limit = (maxRows: number) => kollect.kubectl(['patch', 'ktgt/web', '-n', namespace, '--type=merge', '-p', JSON.stringify({ spec: { limits: { maxRows } } })]);
  await limit(2);
  await kollect.apply(deployment(namespace, 'late'));
  t.match(await eventually(namespace, 'ktgt/web', 'Degraded', /QuotaExceeded/), /3 of at most 2 rows, and 1 object\(s\) are left out/);
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=4']);
  await kollect.eventually(async () => same((await stored(namespace)).map((row) => [row.name, row.replicas]), [['api', 1], ['jobs', 1], ['web', 4]]));

  await kollect.controller.kill('SIGKILL');
  await kollect.controller.start();
  await eventually(namespace, 'ktgt/web', 'Degraded', /2 of at most 2 rows, and 2 object/);
  t.match(await eventually(namespace, 'kinv/inventory', 'Degraded', /TargetDegraded/), /target\(s\) web (\(QuotaExceeded\)|leave out objects)/);
  t.strictSame(await names(namespace), ['api', 'jobs', 'web'], 'a process that may keep two rows does not delete the third');
  // The one has a row, the other is left out now and was exported before.
  await kollect.kubectl(['delete', 'deployment', 'api', 'web', '-n', namespace]);
  await kollect.eventually(async () => {
    const left = await names(namespace);
    return same(left.filter((name) => name !== 'late'), ['jobs']);
  });

  await limit(10);
  await kollect.eventually(async () => same(await names(namespace), ['jobs', 'late']));
  t.match(await eventually(namespace, 'kinv/inventory', 'Ready', /Ready=True/), /Exported/);
});

t.test('rows that are gone after a restart stay until somebody says that this is right, and pausing keeps all of them', alone, async (t) => {
  const namespace = await exported();
  const many = Array.from({ length: 110 }, (_, index) => deployment(namespace, `many-${index}`, 0));
  await kollect.apply(many.join('---\n'));
  await kollect.eventually(async () => (await stored(namespace)).length === 113, { timeoutMs: 120_000 });
  await kollect.controller.kill('SIGKILL');
  await kollect.kubectl(['delete', 'deployment', '--wait=false', '-n', namespace, ...many.map((_, index) => `many-${index}`)]);
  await kollect.controller.start();
  t.match(await eventually(namespace, 'kinv/inventory', 'Degraded', /DeletionHeld/), /database\/pg holds 110 row\(s\) of 113 that would be deleted/);
  const held = await kollect.get<{ status: { sinkExports: { rows: number }[] } }>('kinv', 'inventory', namespace);
  t.equal(held?.status.sinkExports[0]?.rows, 113, 'status tells the rows of the sink');
  await kollect.kubectl(['scale', 'deployment/web', '-n', namespace, '--replicas=2']);
  await kollect.eventually(async () => (await stored(namespace)).find((row) => row.name === 'web')?.replicas === 2);
  t.equal((await stored(namespace)).length, 113);

  const annotate = (...texts: string[]) => kollect.kubectl(['annotate', 'kinv', 'inventory', '-n', namespace, '--overwrite', ...texts]);
  await annotate('kollect.dev/allow-deletes=true');
  await kollect.eventually(async () => same(await names(namespace), ['api', 'jobs', 'web']));
  await kollect.eventually(async () => {
    const inventory = await kollect.get('kinv', 'inventory', namespace);
    return inventory?.metadata.annotations?.['kollect.dev/allow-deletes'] === undefined;
  });
  await eventually(namespace, 'kinv/inventory', 'Ready', /True Exported/);

  await annotate('kollect.dev/pause-deletes=true', 'kollect.dev/reconcile=paused');
  await kollect.eventually(async () => (await kollect.get('kinv', 'inventory', namespace))?.status?.['lastHandledReconcile'] === 'paused');
  await kollect.kubectl(['delete', 'deployment', 'jobs', '-n', namespace]);
  await kollect.apply(deployment(namespace, 'late'));
  t.match(await eventually(namespace, 'kinv/inventory', 'Synced', /DeletionHeld/), /holds 1 row.* as long as the annotation/);
  t.strictSame(await names(namespace), ['api', 'jobs', 'late', 'web']);
  await annotate('kollect.dev/pause-deletes-');
  await kollect.eventually(async () => same(await names(namespace), ['api', 'late', 'web']));
  await eventually(namespace, 'kinv/inventory', 'Synced', /True Exported/);
});

t.test('no password was shown anywhere', alone, async (t) => {
  const { stdout: objects } = await kollect.kubectl(['get', 'kprof,ktgt,kinv,kdb,events', '-A', '-o', 'yaml']);
  t.notMatch(objects, password);
  t.notMatch(kollect.controller.logs(), password);
  t.notMatch(kollect.webhook.logs(), password);
});
