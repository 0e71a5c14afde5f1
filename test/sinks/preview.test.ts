import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { previewSample } from '../../controller/probe/preview-sample.ts';
import { renderPreview } from '../../controller/probe/sink-preview.ts';
import { git } from '../../controller/sinks/git/backend.ts';
import { local } from '../../controller/sinks/local/backend.ts';
import { nats } from '../../controller/sinks/nats/backend.ts';
import { postgres } from '../../controller/sinks/postgres/backend.ts';
import { backendTypes, loadBackend } from '../../controller/sinks/registry.ts';
import type { PreviewSample, SinkChange } from '../../controller/sinks/contract.ts';
import type { KollectDatabaseSinkSpec } from '../../shared/api/kollect-database-sink.ts';
import type { KollectEventSinkSpec } from '../../shared/api/kollect-event-sink.ts';
import type { KollectSnapshotSinkSpec } from '../../shared/api/kollect-snapshot-sink.ts';
import { SinkPreview } from '../../shared/api/sink-preview.ts';
import { startGit } from '../servers/git/index.ts';
import { startNats } from '../servers/nats/index.ts';
import { startPostgres } from '../servers/postgres/index.ts';
import { canary, signal } from './conformance.ts';
import { filesOf, openGit } from './git-place.ts';
import { natsPlace } from './nats-place.ts';
import { open, postgresPlace, sinkObject } from './postgres-place.ts';

// What a preview shows is held against what an export of the same rows does at real servers.

const [database, repositories, stream] = await Promise.all([startPostgres(), startGit(), startNats({ config: () => `authorization { user: kollect, password: "${canary}" }` })]);
const ends: (() => Promise<void> | void)[] = [() => database.stop(), () => repositories.stop(), () => stream.stop()];
t.teardown(async () => {
  for (const end of ends.toReversed()) await end();
});

/** All of the sample is these rows. */
function exported(sink: string, spec: { cluster?: string | undefined; layout?: KollectSnapshotSinkSpec['layout'] }, count = 4): { sample: PreviewSample; change: SinkChange } {
  const made = previewSample(sink, spec);
  const rows = made.rows.slice(0, count);
  const sample = { ...made, rows, after: { ...made.after, rows: count } };
  const targets = ['deployments'];
  return { sample, change: { identity: sample.identity, upserts: [rows], upsertCount: count, deletes: [], completeTargets: targets, keep: [], knownTargets: targets, after: sample.after } };
}

t.test('postgres: the statements are those that run', async (t) => {
  const place = await postgresPlace(database, (end) => ends.push(end));
  await place.sql(`CREATE SCHEMA kept; CREATE TABLE kept.statements (at serial, text text);
    CREATE FUNCTION kept.keep() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN INSERT INTO kept.statements (text) VALUES (current_query()); END $$;
    CREATE EVENT TRIGGER keep ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION kept.keep()`);
  const spec = sinkObject({ postgres: { databaseRef: { name: 'dsn' }, table: 'it"s odd' } }).spec as KollectDatabaseSinkSpec;
  const { sample, change } = exported('team-a/pg', spec);
  const { sink } = await open({ dsn: place.dsn, spec, installation: 'ours' });
  await sink.write(change, signal);
  await sink.close();
  const ran = (await place.sql<{ text: string }>('SELECT text FROM kept.statements ORDER BY at')).map(({ text }) => text).filter((text) => !text.includes('TEMP'));
  const { postgres: shown } = await postgres.preview(spec, sample);
  t.strictSame([shown?.expectedDDL, shown?.expectedStateDDL], ran);
  t.strictSame(await postgres.preview({ ...spec, provisioning: { mode: 'existing' } }, sample), { postgres: { expectedDDL: ran[0] } }, 'for somebody else to run');
});

const layouts: [string, Partial<KollectSnapshotSinkSpec>][] = [
  ['nothing said', {}],
  ['a document', { cluster: 'prod-west', layout: { mode: 'document' }, serialization: { format: 'ndjson', compression: 'gzip' } }],
  ['a tree', { cluster: 'prod-west', layout: { mode: 'perResource' } }],
  ['a tree of manifests', { layout: { content: 'manifest' } }],
  ['a tree with an index and paths of its own', { layout: { mode: 'split', content: 'attributes', pathTemplate: 'x/{uid}/{sourceName}.txt' }, git: { commitMessage: 'of {cluster}: {itemCount}', commitBody: '{path} by {sink}', commitTrailers: ['Reviewed-by: {name}'] } }],
  ['a tree with room for one row', { layout: { mode: 'perResource', pathTemplate: '{namespace}/{name}' } }],
];

t.test('git: paths and commit are those of the first export', async (t) => {
  for (const [what, rest] of layouts) {
    const spec = { type: 'git', connectionTest: true, ...rest } as KollectSnapshotSinkSpec;
    const { sample, change } = exported('team-a/git', spec);
    const repository = await repositories.createRepository();
    const { sink } = await openGit(repositories, repository, 'http', { spec: rest });
    const { rejected } = await sink.write(change, signal);
    await sink.close();
    const { layout, objectPath, git: commit, warnings } = await git.preview(spec, sample);
    const files = Object.keys(await filesOf(repository));
    for (const path of layout?.samplePaths ?? []) t.ok(files.includes(path), `${what}: ${path}`);
    t.equal(layout?.samplePaths?.length, layout?.mode === 'document' ? 1 : Math.min(3, 4 - rejected.length), what);
    if (layout?.mode === 'document') t.strictSame(files, [objectPath], what);
    // A commit names rows that were written.
    if (rejected.length === 0) t.equal(`${commit?.sampleCommitSubject}\n\n${commit?.sampleCommitBody}`, (await repository.git('log', '-1', '--format=%B', 'main')).trim(), what);
    t.strictSame(warnings?.filter((text) => !text.includes('spec.layout.mode')).length, rejected.length, what);
    t.equal(warnings?.some((text) => text.includes('spec.layout.mode is not set')), rest.layout?.mode === undefined, what);
  }
});

t.test('local: paths are those of the first export', async (t) => {
  const spec = { type: 'local', endpoint: mkdtempSync(join(tmpdir(), 'kollect-test-preview-')), cluster: 'west', layout: { mode: 'perResource' } } as const;
  ends.push(() => rmSync(spec.endpoint, { recursive: true }));
  const { sample, change } = exported('local', spec);
  const sink = await local.open({ spec, installation: undefined, fence: () => undefined } as unknown as Parameters<typeof local.open>[0]);
  await sink.write(change, signal);
  const files = readdirSync(spec.endpoint, { recursive: true }).map(String);
  const { layout } = await local.preview(spec, sample);
  t.equal(layout?.samplePaths?.length, 3);
  for (const path of layout?.samplePaths ?? []) t.ok(files.includes(path), path);
});

t.test('nats: message and stream are those of an export', async (t) => {
  for (const mode of ['aggregate', 'perItem'] as const) {
    const place = await natsPlace(stream, mode, (end) => ends.push(end));
    const own = { events: { mode }, cluster: 'west', options: { maxAge: '72h', storage: 'memory' } };
    const spec = { type: 'nats', connectionTest: true, ...own, nats: { url: place.url, subject: place.subject, stream: place.stream } } as KollectEventSinkSpec;
    const { sample, change } = exported('team-a/events', spec, 1);
    const { sink } = await place.opened({ spec: own });
    await sink.write(change, signal);
    await sink.close();
    const sent = (await place.messages()).find((message) => message.string().includes('registry.example.com'))!;
    const { nats: shown } = await nats.preview(spec, sample);
    const timeless = (text = ''): string => text.replace(/"timestamp":"[^"]*"/, '');
    t.equal(timeless(shown?.sampleBody), timeless(sent.string()), mode);
    // Of single rows it is that of their pass.
    const headers = sent.headers?.keys().map((name) => `${name}: ${sent.headers?.get(name)}`) ?? [];
    const comparable = (lines: readonly string[] = []): string[] => lines.filter((line) => mode === 'aggregate' || !line.startsWith('Nats-Msg-Id')).toSorted();
    t.strictSame(comparable(shown?.sampleHeaders), comparable(headers), mode);
    t.match(shown, { subject: place.subject, stream: place.stream });
    t.match((await place.manager.streams.info(place.stream)).config, JSON.parse(shown?.expectedStream ?? '') as object, mode);
    t.equal((await nats.preview({ ...spec, provisioning: { mode: 'existing' } }, sample)).nats?.expectedStream, undefined, 'nothing is created');
  }
});

t.test('a preview is of the spec alone, says what it cannot show, and is bounded', async (t) => {
  const rendered = (kind: string, spec: object, load = loadBackend) => renderPreview(kind, { apiVersion: 'kollect.dev/v1alpha1', kind, metadata: { name: 'x', namespace: 'team-a' }, spec }, { policy: { allowPrivate: true, allowLoopback: false }, load });
  const specs: [string, { type: string }][] = [
    ['KollectDatabaseSink', sinkObject().spec],
    ['KollectSnapshotSink', { type: 'git', endpoint: 'https://git.example.com/x.git', cluster: 'prod-west', layout: { mode: 'perResource' } } as { type: string }],
    ['KollectSnapshotSink', { type: 's3', endpoint: 's3://inventory/kubernetes' } as { type: string }],
    ['KollectDatabaseSink', { type: 'mongodb', mongodb: { databaseRef: { name: 'uri' }, database: 'd', collection: 'c' } } as { type: string }],
    ['KollectEventSink', { type: 'kafka', kafka: { brokers: ['kafka.example.com'], topic: 't' } } as { type: string }],
    ['KollectSnapshotSink', { type: 'azureblob', endpoint: 'https://account.blob.core.windows.net/inventory/kubernetes' } as { type: string }],
    ['KollectSnapshotSink', { type: 'http', endpoint: 'https://portal.example.com/hooks', http: {} } as { type: string }],
    ['KollectSnapshotSink', { type: 'gcs', endpoint: 'gs://inventory/kubernetes' } as { type: string }],
    ['KollectEventSink', { type: 'nats', nats: { url: 'nats://nats.example.com', subject: 's' } } as { type: string }],
    ['KollectDatabaseSink', { type: 'bigquery', bigquery: { project: 'example-project', dataset: 'inventory', table: 'items' } } as { type: string }],
  ];
  t.strictSame(specs.map(([, { type }]) => type).toSorted(), backendTypes.toSorted(), 'each type with a backend has one');
  for (const [kind, spec] of specs) {
    const one = await rendered(kind, spec);
    t.strictSame(one, await rendered(kind, spec), 'the same each time');
    const whole = { renderedAt: new Date().toISOString(), ...one };
    t.strictSame(SinkPreview.parse(whole), whole, 'the API server keeps all of it');
    t.match(one, { inputSampleSource: 'synthetic', provisioningMode: 'ensure' });
    t.match(await rendered(kind, { ...spec, provisioning: { mode: 'existing' } }), { provisioningMode: 'existing', warnings: [/creates nothing/] });
  }
  t.match(await rendered(...specs[1]!), {
    serializationFormat: 'yaml',
    objectPath: 'inventory/team-a/api.yaml',
    layout: { mode: 'perResource', content: 'item', prune: true, samplePaths: ['prod-west/team-a/deployment/api.yaml', 'prod-west/team-a/deployment/web.yaml', 'prod-west/team-a/deployment/cache.yaml'] },
    git: { sampleCommitSubject: 'chore(prod-west/team-a/api): export 42 items @ a1b2c3d4e5f6' },
  });
  const unbuilt = await rendered('KollectDatabaseSink', sinkObject().spec, () => loadBackend('none'));
  t.strictSame(unbuilt, { inputSampleSource: 'synthetic', provisioningMode: 'ensure', serializationFormat: 'json', warnings: [`sinks of type "none" are not implemented in this version, which has ${backendTypes.join(', ')}`] });
  t.strictSame(await rendered('KollectEventSink', { type: 'kafka' }), { inputSampleSource: 'synthetic', warnings: ['spec.kafka: Required value: a sink of the type kafka needs this block'] });
  const long = await rendered('KollectSnapshotSink', { ...specs[1]![1], git: { commitBody: '{checksum}'.repeat(400) } });
  t.equal(long.git?.sampleCommitBody?.length, 4_096);
  t.ok(long.git?.sampleCommitBody?.endsWith('…'));
});
