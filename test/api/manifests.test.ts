import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import { z } from 'zod';
import { conditions, conditionTypes, reasons, type ConditionReasons } from '../../shared/api/conditions.ts';
import { kindByName, kinds } from '../../shared/api/kinds.ts';
import { customResourceDefinition, type CustomResourceVersion } from '../../shared/crd/custom-resource-definition.ts';
import { structuralSchema, type StructuralSchema } from '../../shared/crd/structural-schema.ts';
import { validate } from '../../shared/admission/validate.ts';
import { errorCatalogue } from '../../shared/errors.ts';
import { drift, generatedFiles } from '../../tools/manifests.ts';

const root = join(import.meta.dirname, '..', '..');
const samplesFolder = join(root, 'config', 'samples');
const samples = readdirSync(samplesFolder).filter((name) => name.startsWith('kollect_v1alpha1_')).sort();

interface SampleObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string };
  spec: Record<string, unknown>;
}

const sample = (name: string): SampleObject => parse(readFileSync(join(samplesFolder, `kollect_v1alpha1_${name}.yaml`), 'utf8')) as SampleObject;

function version(kind: string): CustomResourceVersion {
  const definition = kindByName(kind);
  const [only] = definition === undefined ? [] : customResourceDefinition(definition).spec.versions;
  if (only === undefined) throw new Error(`no kind ${kind}`);
  return only;
}

/** The schema at a path such as `spec.attributes[].name`. */
function field(kind: string, path: string): StructuralSchema | undefined {
  let node: StructuralSchema | undefined = version(kind).schema.openAPIV3Schema;
  for (const step of path.replaceAll('[]', '.[]').split('.')) node = step === '[]' ? node?.items : node?.properties?.[step];
  return node;
}

/** Calls back with every node of every CRD below spec and status. */
function walk(visit: (path: string, node: StructuralSchema, isField: boolean) => void): void {
  const into = (path: string, node: StructuralSchema, isField: boolean): void => {
    visit(path, node, isField);
    for (const [name, child] of Object.entries(node.properties ?? {})) into(`${path}.${name}`, child, true);
    if (node.items) into(`${path}[]`, node.items, false);
    if (node.additionalProperties) into(`${path}{}`, node.additionalProperties, false);
  };
  for (const { kind } of kinds) {
    for (const part of ['spec', 'status']) {
      const node = field(kind, part);
      if (node) into(`${kind}.${part}`, node, true);
    }
  }
}

t.test('generated files are what their sources say', async (t) => {
  t.same(drift(), [], 'run `npm run manifests`');
  t.equal([...generatedFiles().keys()].filter((path) => path.startsWith('manifests/crds/kollect.dev_')).length, 11);
});

t.test('each kind has the names by which people call it', async (t) => {
  const names = kinds.map((definition) => {
    const { spec } = customResourceDefinition(definition);
    return [spec.names.kind, spec.names.plural, ...spec.names.shortNames, spec.scope, definition.status === undefined ? 'no status' : 'status'].join(' ');
  });
  t.same(names, [
    'KollectClusterInventory kollectclusterinventories kcinv Cluster status',
    'KollectClusterScope kollectclusterscopes kcscope Cluster no status',
    'KollectClusterTarget kollectclustertargets kctgt Cluster status',
    'KollectConnectionTest kollectconnectiontests kconntest Namespaced status',
    'KollectDatabaseSink kollectdatabasesinks kdb Namespaced status',
    'KollectEventSink kollecteventsinks kevt Namespaced status',
    'KollectInventory kollectinventories kinv Namespaced status',
    'KollectProfile kollectprofiles kprof Namespaced status',
    'KollectScope kollectscopes kscope Namespaced no status',
    'KollectSnapshotSink kollectsnapshotsinks ksnap Namespaced status',
    'KollectTarget kollecttargets ktgt Namespaced status',
  ]);
  for (const definition of kinds) {
    const { names, versions } = customResourceDefinition(definition).spec;
    t.same([names.listKind, names.singular, names.categories], [`${definition.kind}List`, definition.kind.toLowerCase(), ['kollect']], definition.kind);
    t.same(versions.map(({ name, served, storage, subresources }) => [name, served, storage, subresources]), [
      ['v1alpha1', true, true, definition.status === undefined ? undefined : { status: {} }],
    ]);
  }
});

t.test('kubectl get shows what matters', async (t) => {
  const columns = (kind: string): string[] => version(kind).additionalPrinterColumns.filter(({ priority = 0 }) => priority === 0).map(({ name }) => name);
  const inventory = ['Items', 'Synced', 'Ready', 'Last export', 'Age'];
  const target = ['Ready', 'Collected', 'Updated', 'Age'];
  const sink = ['Type', 'Verified', 'Reason', 'Tested', 'Age'];
  t.same(
    Object.fromEntries(kinds.map(({ kind }) => [kind, columns(kind)])),
    {
      KollectClusterInventory: inventory,
      KollectClusterScope: ['Age'],
      KollectClusterTarget: target,
      KollectConnectionTest: ['Sink', 'Phase', 'Verified', 'Age'],
      KollectDatabaseSink: sink,
      KollectEventSink: sink,
      KollectInventory: inventory,
      KollectProfile: ['Kind', 'Age'],
      KollectScope: ['Age'],
      KollectSnapshotSink: sink,
      KollectTarget: target,
    },
  );
});

t.test('the API server stores these defaults and no others', async (t) => {
  const defaults: Record<string, unknown> = {};
  walk((path, node) => {
    if ('default' in node) defaults[path] = node['default'];
  });
  t.same(defaults, {
    'KollectClusterInventory.spec.sinkNamespace': 'kollect-system',
    'KollectClusterInventory.spec.dedupe': 'keepAll',
    'KollectConnectionTest.spec.ttlSecondsAfterFinished': 300,
    'KollectConnectionTest.status': { phase: 'Pending' },
    'KollectDatabaseSink.spec.connectionTest': true,
    'KollectEventSink.spec.connectionTest': true,
    'KollectProfile.spec.export.mode': 'Attributes',
    'KollectProfile.spec.export.as': 'resource',
    'KollectProfile.spec.export.include': 'SpecAndStatus',
    'KollectSnapshotSink.spec.connectionTest': true,
    'KollectTarget.spec.watchMode': 'All',
  });
});

t.test('required is what nothing works without', async (t) => {
  const required: Record<string, string[]> = Object.fromEntries(kinds.map(({ kind }) => [kind, field(kind, 'spec')?.required ?? []]));
  t.same(required, {
    KollectClusterInventory: [],
    KollectClusterScope: [],
    KollectClusterTarget: ['profileRef'],
    KollectConnectionTest: ['sinkRef'],
    KollectDatabaseSink: ['type'],
    KollectEventSink: ['type'],
    KollectInventory: [],
    KollectProfile: ['targetGVK'],
    KollectScope: [],
    KollectSnapshotSink: ['type'],
    KollectTarget: ['profileRef'],
  });
  for (const { kind } of kinds) t.same(version(kind).schema.openAPIV3Schema.required, ['spec'], kind);
  t.same(field('KollectDatabaseSink', 'spec.postgres')?.required, ['databaseRef', 'table']);
  t.same(field('KollectDatabaseSink', 'spec.mongodb')?.required, ['databaseRef', 'database', 'collection']);
  t.same(field('KollectDatabaseSink', 'spec.bigquery')?.required, ['project', 'dataset', 'table']);
  t.same(field('KollectEventSink', 'spec.kafka')?.required, ['brokers', 'topic']);
  t.same(field('KollectEventSink', 'spec.nats')?.required, ['subject']);
  t.equal(field('KollectSnapshotSink', 'spec.git')?.required, undefined, 'type git needs no block');
});

t.test('every type of sink is admitted', async (t) => {
  t.same(field('KollectSnapshotSink', 'spec.type')?.['enum'], ['azureblob', 'gcs', 'git', 'gitlab', 'http', 's3']);
  t.same(field('KollectDatabaseSink', 'spec.type')?.['enum'], ['bigquery', 'mongodb', 'postgres']);
  t.same(field('KollectEventSink', 'spec.type')?.['enum'], ['kafka', 'nats']);
});

t.test('items of sink references are open: a string or an object', async (t) => {
  for (const kind of ['KollectInventory', 'KollectClusterInventory']) {
    for (const list of ['snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs']) {
      const { type, maxItems, items, 'x-kubernetes-list-type': listType } = field(kind, `spec.${list}`) ?? {};
      t.same({ type, maxItems, items, listType }, { type: 'array', maxItems: 64, items: { 'x-kubernetes-preserve-unknown-fields': true }, listType: 'atomic' }, `${kind} ${list}`);
    }
  }
});

t.test('status keeps one entry for each sink', async (t) => {
  for (const kind of ['KollectInventory', 'KollectClusterInventory']) {
    const list = field(kind, 'status.sinkExports');
    t.equal(list?.['maxItems'], 64);
    t.same([list?.['x-kubernetes-list-type'], list?.['x-kubernetes-list-map-keys'], list?.items?.required], ['map', ['namespace', 'name'], ['name', 'namespace']]);
    t.same(Object.keys(list?.items?.properties ?? {}).sort(), [
      'conditions', 'dirty', 'fingerprint', 'lagRows', 'lagSeconds', 'lastChecksum', 'lastError', 'lastExportTime', 'name', 'namespace', 'pacing', 'phase', 'rejectedRows', 'rows',
    ]);
  }
  t.equal(field('KollectTarget', 'status.collectedCount')?.['nullable'], true, 'a count may be unknown');
});

t.test('kubectl explain has a sentence for every field', async (t) => {
  const silent: string[] = [];
  walk((path, node, isField) => {
    if (isField && !/[.]$/.test(node.description ?? '')) silent.push(path);
  });
  t.same(silent, []);
  for (const { kind, description } of kinds) t.match(description, /[.]$/, kind);
});

t.test('the schemas are structural', async (t) => {
  const wrong: string[] = [];
  walk((path, node) => {
    const open = node['x-kubernetes-preserve-unknown-fields'] === true;
    if (node.type === undefined && !open) wrong.push(`${path} has no type`);
    for (const keyword of ['$ref', 'anyOf', 'oneOf', 'allOf', 'propertyNames', 'const']) if (keyword in node) wrong.push(`${path} has ${keyword}`);
    if (node.additionalProperties !== undefined && typeof node.additionalProperties !== 'object') wrong.push(`${path} forbids unknown fields`);
    if (node.type === 'array' && node['x-kubernetes-list-type'] === undefined) wrong.push(`${path} has no list type`);
    if (node.type === 'integer' && !['int32', 'int64'].includes(String(node['format']))) wrong.push(`${path} has no size`);
  });
  t.same(wrong, []);
});

t.test('what a structural schema cannot say is found when it is generated', async (t) => {
  t.throws(() => structuralSchema(z.object({ ref: z.union([z.string(), z.number()]) })), /\.ref is a union/);
  t.same(structuralSchema(z.object({ n: z.number().int().min(1).nullish().meta({ format: 'int64' }), m: z.record(z.string(), z.string()) })), {
    type: 'object',
    required: ['m'],
    properties: { n: { type: 'integer', format: 'int64', nullable: true, minimum: 1 }, m: { type: 'object', additionalProperties: { type: 'string' } } },
  });
});

t.test('each sample follows its schema and the rules', async (t) => {
  t.ok(samples.length >= 15, `${samples.length} samples`);
  for (const name of samples) {
    const object = sample(name.slice('kollect_v1alpha1_'.length, -'.yaml'.length));
    const definition = kindByName(object.kind);
    t.equal(object.apiVersion, 'kollect.dev/v1alpha1', name);
    t.equal(definition?.spec.safeParse(object.spec).error, undefined, `${name} has the shape of a ${object.kind}`);
    t.same(validate(object.kind, object).filter(({ severity }) => severity === 'error'), [], `${name} is accepted`);
    t.match(name, `_${object.kind.toLowerCase()}`, 'the name of the file says the kind');
  }
  t.equal(realpathSync(join(root, 'config')), realpathSync(join(root, 'manifests')), 'config leads to manifests');
});

t.test('the samples are the ones that the documentation speaks of', async (t) => {
  t.same(sample('kollectdatabasesink').spec['provisioning'], { mode: 'ensure' });
  t.equal(sample('kollectdatabasesink').metadata.namespace, undefined, 'it is applied to several namespaces');
  t.same(sample('kollectdatabasesink_existing').spec['provisioning'], { mode: 'existing' });
  t.same(sample('kollectinventory').spec, { databaseSinkRefs: ['postgres-inventory-demo'] }, 'a reference may be a plain string');
  t.same(sample('kollectconnectiontest').spec, { sinkRef: { databaseSinkRef: 'postgres-inventory-demo' }, ownerSink: true });
  const names = ['kollectdatabasesink', 'kollectsnapshotsink', 'kollecteventsink_kafka', 'kollecteventsink_nats', 'kollectconnectiontest', 'kollectclusterinventory', 'kollectclustertarget', 'kollectprofile_platform-argo-summary', 'kollectscope_team-a'];
  t.same(
    names.map((name) => [sample(name).metadata.namespace, sample(name).metadata.name].filter(Boolean).join('/')),
    [
      'postgres-inventory-demo',
      'default/git-inventory-demo',
      'default/kafka-inventory-demo',
      'default/nats-inventory-demo',
      'postgres-sink-probe',
      'platform-rollup',
      'platform-argo-applications',
      'kollect-system/platform-argo-summary',
      'team-a/team-a',
    ],
  );
});

t.test('conditions and errors use the reasons that are declared', async (t) => {
  for (const [name, value] of Object.entries(reasons)) t.equal(name, value);
  for (const [name, value] of Object.entries(conditionTypes)) t.equal(name, value);
  t.same(Object.keys(reasons), Object.keys(reasons).toSorted(), 'sorted');

  // Flags, and what a command reads, end the process before there is an object to write a condition to, and admission answers the request.
  const ofErrors = Object.entries(errorCatalogue).filter(([code]) => !/^KOL_(CONFIG_|ADMISSION_|EXPORT_INPUT$)/.test(code)).map(([, { reason }]) => reason);
  t.same(ofErrors.filter((reason) => !Object.hasOwn(reasons, reason)), [], 'reasons of errors');

  const used = new Set(Object.values(conditions).flatMap((set) => Object.values(set).flatMap(({ True = [], False = [], Unknown = [] }: ConditionReasons) => [...True, ...False, ...Unknown])));
  t.same(Object.keys(reasons).filter((reason) => !used.has(reason as never)), [], 'every reason belongs to a condition');
  for (const kind of ['KollectTarget', 'KollectClusterTarget', 'KollectInventory', 'KollectClusterInventory'] as const) {
    const { Ready, Degraded } = conditions[kind];
    const notReady: readonly string[] = Ready.False;
    t.same(Degraded.True.filter((reason) => !notReady.includes(reason)), [], `${kind} is not ready whenever it is degraded`);
  }
});
