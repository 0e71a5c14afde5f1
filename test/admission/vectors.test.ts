import t from 'tap';
import { renderFinding } from '../../shared/admission/finding.ts';
import type { AdmissionContext } from '../../shared/admission/validate.ts';
import { validate } from '../../shared/admission/validate.ts';
import { judgeVector } from './judge-vector.ts';
import { objectOf, postgresSpec, profileSpec, secretGvk } from './objects.ts';
import { allVectors } from './vectors/all.ts';

t.test('every vector has a name of its own', async (t) => {
  const names = allVectors.map(({ name }) => name);
  t.same(names.filter((name, index) => names.indexOf(name) !== index), []);
});

for (const [kind, vectors] of Map.groupBy(allVectors, (vector) => vector.kind)) {
  t.test(`${kind}: what the rules say`, async (t) => {
    for (const vector of vectors) {
      const { findings, refusal, stored } = judgeVector(vector);
      const rendered = [...findings.map(renderFinding), ...(refusal === undefined ? [] : [refusal])].join('\n');
      const fields = (severity: string) => findings.filter((finding) => finding.severity === severity).map(({ field }) => field);
      t.same(fields('error'), vector.errors ?? [], `${vector.name}: errors\n${rendered}`);
      t.same(fields('warning'), vector.warnings ?? [], `${vector.name}: warnings\n${rendered}`);
      t.ok(findings.every(({ rule }) => rule !== undefined), `${vector.name}: each finding names its rule`);
      for (const text of vector.says ?? []) t.match(rendered, text, `${vector.name}: says ${String(text)}`);
      const errors = findings.filter(({ severity }) => severity === 'error');
      if (refusal !== undefined || errors.length > 0) t.equal(errors.every(({ policy }) => policy) ? 403 : 422, vector.code ?? 422, `${vector.name}: code`);
      if (vector.stored !== undefined) t.has(stored['spec'], vector.stored, `${vector.name}: stored`);
    }
  });
}

/** Fields that have errors, fields that have warnings, and texts that must be among what is said. */
interface Expectation {
  errors?: string[];
  warnings?: string[];
  says?: (string | RegExp)[];
}

type Row = [what: string, spec: unknown, expected?: Expectation, metadata?: Record<string, unknown>, context?: AdmissionContext];

function table(kind: string, rows: Row[]) {
  t.test(kind, async (t) => {
    for (const [what, spec, expected = {}, metadata, context] of rows) {
      const findings = validate(kind, objectOf(kind, spec, metadata), context);
      const rendered = findings.map(renderFinding);
      const fields = (severity: string) => findings.filter((finding) => finding.severity === severity).map(({ field }) => field);
      t.same(fields('error'), expected.errors ?? [], `${what}: errors\n${rendered.join('\n')}`);
      t.same(fields('warning'), expected.warnings ?? [], `${what}: warnings`);
      for (const text of expected.says ?? []) t.match(rendered.join('\n'), text, `${what}: says ${String(text)}`);
    }
  });
}

const errors = (...fields: string[]): Expectation => ({ errors: fields });
const warnings = (...fields: string[]): Expectation => ({ warnings: fields });

const onSecret = (paths: string[], more: Record<string, unknown> = {}) => profileSpec(paths, { targetGVK: secretGvk, ...more });
const firstPath = 'spec.attributes[0].path';
const allowExtraction = (value: string) => ({ annotations: { 'kollect.dev/allow-secret-extraction': value } });
const allowResource = (value: string) => ({ annotations: { 'kollect.dev/allow-full-resource-export': value } });

table('KollectProfile', [
  ['every language of paths', profileSpec(['{.metadata.name}', '$.spec.x[0].image', '$.a[*].b', 'cel:1 + 1', "$['metadata']['name']", "$.items[?(@.a=='b')].n"])],
  ['a Helm path on something else than Secrets', profileSpec(['helm:release.chartVersion']), warnings(firstPath)],
  ['text that is no path', profileSpec(['metadata.name']), { errors: [firstPath], says: ['write "$.metadata.name"'] }],
  ['an open brace', profileSpec(['{.metadata.name']), errors(firstPath)],
  ['CEL that ends early', profileSpec(['cel:1 +']), errors(firstPath)],
  ['CEL with two dots', profileSpec(['cel:object..x']), errors(firstPath)],
  ['blank CEL', profileSpec(['cel:  ']), errors(firstPath)],
  ['CEL without its prefix', profileSpec(['object.metadata.name']), { errors: [firstPath], says: ['cel:'] }],
  ['CEL without its prefix, with brackets', profileSpec(["object['x']"]), { errors: [firstPath], says: ['cel:'] }],
  ['CEL over an unknown variable', profileSpec(['cel:obj.metadata.name']), errors(firstPath)],
  ['a Helm field that is not exportable', profileSpec(['helm:release.manifest']), errors(firstPath)],
  ['below a Helm field that is not exportable', profileSpec(['helm:release.chart.templates.x']), errors(firstPath)],
  ['the whole object', profileSpec(['$']), errors(firstPath)],
  ['an empty path', profileSpec(['']), { errors: [firstPath], says: ['Required value'] }],
  ['a blank path', profileSpec([' ']), errors(firstPath)],
  ['all mistakes at once, in order', profileSpec(['nope', '$.ok', ...Array.from({ length: 8 }, () => '$.ok'), 'cel:']), errors(firstPath, 'spec.attributes[10].path')],
  ['a type that does not exist', profileSpec([], { attributes: [{ name: 'a', path: '$.a', type: 'strng' }, { name: 'b', path: '$.a', type: 'int' }] }), { errors: ['spec.attributes[0].type'], says: ['did you mean "string"?'] }],
  ['an attribute without a name', profileSpec([], { attributes: [{ name: '', path: '$.a' }] }), { errors: ['spec.attributes[0].name'], says: ['Required value'] }],
  ['an attribute name twice', profileSpec([], { attributes: [{ name: 'a', path: '$.a' }, { name: 'a', path: '$.b' }] }), { errors: ['spec.attributes[1].name'], says: ['Duplicate value: "a"'] }],
  ['no version and no kind', { targetGVK: { group: 'apps', version: '', kind: '' }, attributes: [{ name: 'a', path: '$.a' }] }, { errors: ['spec.targetGVK.kind', 'spec.targetGVK.version'], says: ['Required value'] }],
  ['the group in the version', profileSpec(['$.a'], { targetGVK: { version: 'apps/v1', kind: 'Deployment' } }), { errors: ['spec.targetGVK.version'], says: ['group'] }],
  ['no target at all', { attributes: [{ name: 'a', path: '$.a' }] }, { errors: ['spec.targetGVK'], says: ['Required value'] }],
  ['a mistake in the schema does not hide one in a rule', { targetGVK: 7, attributes: [{ name: 'a', path: 'nope' }] }, errors(firstPath, 'spec.targetGVK')],

  ['Secret: metadata', onSecret(['$.metadata.name'])],
  ['Secret: data', onSecret(['$.data.release']), { errors: [firstPath], says: ['Forbidden', 'kollect.dev/allow-secret-extraction'] }],
  ['Secret: data by CEL', onSecret(['cel:object.data.release']), errors(firstPath)],
  ['Secret: data by CEL in brackets', onSecret(['cel:object["data"]']), errors(firstPath)],
  ['Secret: data in brackets', onSecret(["{['data']['x']}"]), errors(firstPath)],
  ['Secret: anything below', onSecret(['$..data']), errors(firstPath)],
  ['Secret: wildcard', onSecret(['$.*']), errors(firstPath)],
  ['Secret: the whole object', onSecret(['cel:object']), errors(firstPath)],
  ['Secret: the applied configuration', onSecret(["$.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']"]), errors(firstPath)],
  ['Secret: values of a release', onSecret(['helm:release.config']), { errors: [firstPath] }],
  ['Secret: version of a release', onSecret(['helm:release.chartVersion'])],
  ['Secret: data with consent', onSecret(['$.data.release']), {}, allowExtraction('true')],
  ['Secret: consent that says no', onSecret(['$.data.release']), errors(firstPath), allowExtraction('false')],
  ['the data of a kind of another group named Secret', profileSpec(['$.data.x'], { targetGVK: { group: 'example.com', version: 'v1', kind: 'Secret' } })],

  ['Resource mode needs no attributes', profileSpec([], { export: { mode: 'Resource' } })],
  ['Attributes mode needs some', profileSpec([], { export: { mode: 'Attributes' } }), { errors: ['spec.attributes'], says: ['Required value'] }],
  ['an empty export is Attributes mode', profileSpec([], { export: {} }), errors('spec.attributes')],
  ['neither attributes nor export', profileSpec([]), warnings('spec.attributes')],
  ['a mode that does not exist', profileSpec(['$.a'], { export: { mode: 'resource' } }), { errors: ['spec.export.mode'], says: ['supported values: "Attributes", "Resource"', 'did you mean "Resource"?'] }],
  ['Resource under the name of an attribute', profileSpec([], { attributes: [{ name: 'resource', path: '$.a' }], export: { mode: 'Resource' } }), errors('spec.export.as')],
  ['pointers that are none', profileSpec(['$.a'], { export: { prune: { jsonPointers: ['metadata/name', '/a~2b', '', '/metadata/annotations/x~1y'] } } }), errors('spec.export.prune.jsonPointers[0]', 'spec.export.prune.jsonPointers[1]', 'spec.export.prune.jsonPointers[2]')],
  ['Resource on Secrets', onSecret([], { export: { mode: 'Resource' } }), { errors: ['spec.export.mode'], says: ['kollect.dev/allow-full-resource-export'] }],
  ['Resource on Secrets with consent', onSecret([], { export: { mode: 'Resource' } }), {}, allowResource('true')],
  ['what prunes nothing', profileSpec(['$.a'], { export: { prune: { cel: ['x'], jsonPaths: ['$.a[*]', 'a.b', "$.a[?(@.b=='c')]"] } } }), warnings('spec.export.prune.cel[0]')],
  ['a path that cannot be pruned', profileSpec(['$.a'], { export: { prune: { jsonPaths: ['$.a', '$.a['] } } }), errors('spec.export.prune.jsonPaths[1]')],

  ['a metric of an attribute', profileSpec(['$.a', '$.b'], { metrics: [{ name: 'm', path: 'a0', labels: ['a1'] }] })],
  ['a metric of nothing', profileSpec(['$.a'], { metrics: [{ name: 'm', path: 'nope' }] }), errors('spec.metrics[0].path')],
  ['six labels', profileSpec(['$.a', '$.a', '$.a', '$.a', '$.a', '$.a'], { metrics: [{ name: 'm', path: 'a0', labels: ['a0', 'a1', 'a2', 'a3', 'a4', 'a5'] }] }), { errors: ['spec.metrics[0].labels'], says: ['Too many: 6: must have at most 5 items'] }],
  ['an empty label', profileSpec(['$.a'], { metrics: [{ name: 'm', path: 'a0', labels: [''] }] }), errors('spec.metrics[0].labels[0]')],
  ['a metric name twice', profileSpec(['$.a'], { metrics: [{ name: 'm', path: 'a0' }, { name: 'm', path: 'a0' }] }), errors('spec.metrics[1].name')],
]);

table('KollectTarget', [
  ['a profile of its namespace', { profileRef: 'p' }],
  ['a profile of another namespace', { profileRef: 'other/p' }, { errors: ['spec.profileRef'], says: ['such as "p"'] }],
  ['a blank profile', { profileRef: ' ' }, { errors: ['spec.profileRef'], says: ['Required value'] }],
  ['no profile', {}, { errors: ['spec.profileRef'], says: ['Required value'] }],
  ['a profile name that no object can have', { profileRef: 'My_Profile' }, { errors: ['spec.profileRef'], says: ['DNS-1123'] }],
  ['a watch mode that does not exist', { profileRef: 'p', watchMode: 'Maybe' }, { errors: ['spec.watchMode'], says: ['supported values: "All", "OptIn"'] }],
  ['a namespace twice', { profileRef: 'p', includedNamespaces: ['apps', 'apps'] }, { errors: ['spec.includedNamespaces[1]'], says: ['Duplicate value'] }],
  ['an empty namespace', { profileRef: 'p', excludedNamespaces: [''] }, errors('spec.excludedNamespaces[0]')],
  ['a bad namespace', { profileRef: 'p', includedNamespaces: ['Team_A'] }, { errors: ['spec.includedNamespaces[0]'], says: ['DNS-1123 label'] }],
  ['a namespace in and out', { profileRef: 'p', includedNamespaces: ['a'], excludedNamespaces: ['a'] }, warnings('spec.excludedNamespaces[0]')],
  ['a rule without a kind', { profileRef: 'p', resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: '' } }] }, errors('spec.resourceRules[0].gvk.kind')],
  ['a policy that does not compile', { profileRef: 'p', resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: 'Deployment' }, matchPolicy: 'metadata.labels[' }] }, errors('spec.resourceRules[0].matchPolicy')],
  ['a policy', { profileRef: 'p', resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: 'Deployment' }, matchPolicy: 'object.metadata.name == "x"' }] }],
  ['a policy that is a number', { profileRef: 'p', resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: 'Deployment' }, matchPolicy: '1 + 1' }] }, { errors: ['spec.resourceRules[0].matchPolicy'], says: ['gives int'] }],
  ['a policy with the prefix of paths', { profileRef: 'p', resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: 'Deployment' }, matchPolicy: 'cel:true' }] }, { errors: ['spec.resourceRules[0].matchPolicy'], says: ['without the prefix'] }],
  ['selectors that match nothing', { profileRef: 'p', labelSelector: { matchLabels: { 'a b': 'x' }, matchExpressions: [{ key: 'team', operator: 'in', values: ['a'] }] }, namespaceSelector: { matchExpressions: [{ key: 'team', operator: 'In' }] } }, { errors: ['spec.labelSelector.matchExpressions[0].operator', 'spec.labelSelector.matchLabels', 'spec.namespaceSelector.matchExpressions[0].values'], says: ['did you mean "In"?'] }],
  ['selection beside rules', { profileRef: 'p', names: ['a'], labelSelector: { matchLabels: { a: 'b' } }, resourceRules: [{ gvk: { version: 'v1', kind: 'Pod' } }] }, warnings('spec.labelSelector', 'spec.names')],
  ['names', { profileRef: 'p', names: ['a', '', 'a'] }, errors('spec.names[1]', 'spec.names[2]')],
]);

const refs = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => ({ name: `${prefix}${index}` }));

table('KollectInventory', [
  ['nothing but collection', {}],
  ['strings and objects', { databaseSinkRefs: ['a', { name: 'b', exportMinInterval: '1h' }] }],
  ['a sink of another namespace, by its name', { databaseSinkRefs: [{ name: 'other/sink' }] }, { errors: ['spec.databaseSinkRefs[0].name'], says: ['such as "sink"'] }],
  ['the same as a string', { databaseSinkRefs: ['other/sink'] }, errors('spec.databaseSinkRefs[0]')],
  ['a sink of another namespace, by its field', { snapshotSinkRefs: [{ name: 'g', namespace: 'team-a' }] }, { errors: ['spec.snapshotSinkRefs[0].namespace'], says: ['Forbidden'] }],
  ['a sink twice', { snapshotSinkRefs: [{ name: 'g' }, 'g'] }, { errors: ['spec.snapshotSinkRefs[1]'], says: ['Duplicate value: "g"'] }],
  ['one name in two families', { snapshotSinkRefs: ['g'], databaseSinkRefs: ['g'] }],
  ['no name', { eventSinkRefs: [{ exportMinInterval: '1s' }] }, { errors: ['spec.eventSinkRefs[0].name'], says: ['Required value'] }],
  ['a blank name', { eventSinkRefs: [{ name: ' ' }] }, { errors: ['spec.eventSinkRefs[0].name'], says: ['Required value'] }],
  ['an item of another shape', { eventSinkRefs: [7, { name: 'ok' }, ['x']] }, errors('spec.eventSinkRefs[0]', 'spec.eventSinkRefs[2]')],
  ['an unknown field in an item', { eventSinkRefs: [{ name: 'ok', interval: '1s' }] }, { errors: ['spec.eventSinkRefs[0].interval'], says: ['not a known field'] }],
  ['21 sinks', { snapshotSinkRefs: refs(7, 's'), databaseSinkRefs: refs(7, 'd'), eventSinkRefs: refs(7, 'e') }, { errors: ['spec'], says: ['Too many: 21: must have at most 20'] }],
  ['20 sinks', { snapshotSinkRefs: refs(7, 's'), databaseSinkRefs: refs(7, 'd'), eventSinkRefs: refs(6, 'e') }],
  ['no bytes', { maxExportBytes: 0 }, { errors: ['spec.maxExportBytes'], says: ['at least 1'] }],
  ['more bytes than the installation takes', { maxExportBytes: 1001, databaseSinkRefs: [{ name: 'a', maxExportBytes: 1002 }] }, { errors: ['spec.databaseSinkRefs[0].maxExportBytes', 'spec.maxExportBytes'], says: ['at most 1000'] }, {}, { maxExportBytes: 1000 }],
  ['a sink may take more than its inventory', { maxExportBytes: 10, databaseSinkRefs: [{ name: 'a', maxExportBytes: 20 }] }],
  ['any size when the installation sets no limit', { maxExportBytes: 1_572_865_000 }],
  ['intervals', { exportMinInterval: '0s', databaseSinkRefs: [{ name: 'a', exportMinInterval: '500ms' }, { name: 'b', exportMinInterval: '24h' }, { name: 'c', exportMinInterval: '1h30m' }] }],
  ['a negative interval', { exportMinInterval: '-1s' }, { errors: ['spec.exportMinInterval'], says: ['must not be negative'] }],
  ['more than a day', { exportMinInterval: '24h0m1s' }, { errors: ['spec.exportMinInterval'], says: ['at most 24h'] }],
  ['more than a duration can hold', { exportMinInterval: '99999999999999h' }, errors('spec.exportMinInterval')],
  ['days', { exportMinInterval: '1d' }, errors('spec.exportMinInterval')],
  ['a number without a unit', { databaseSinkRefs: [{ name: 'a', exportMinInterval: '30' }] }, errors('spec.databaseSinkRefs[0].exportMinInterval')],
  ['an endpoint that nobody serves yet', { httpEndpoint: { enabled: true, port: 8082 } }, warnings('spec.httpEndpoint')],
  ['the namespace that stands for cluster inventories', {}, errors('metadata.namespace'), { namespace: 'cluster' }],
  ['the namespace of the request counts', {}, errors('metadata.namespace'), { namespace: 'team-a' }, { namespace: 'cluster' }],
]);

const rollup = { targetRefs: ['platform-argo-applications'], namespaces: ['team-a', 'team-b'], namespaceSelector: { matchLabels: { 'kollect.dev/tenant': 'platform' } }, sinkNamespace: 'kollect-system', databaseSinkRefs: [{ name: 'postgres' }], snapshotSinkRefs: [{ name: 'team-git', namespace: 'team-a' }] };

table('KollectClusterInventory', [
  ['the documented example', rollup],
  ['no scope', { targetRefs: ['a'] }, warnings('spec.namespaceSelector')],
  ['an empty selector is no scope', { targetRefs: ['a'], namespaceSelector: {} }, warnings('spec.namespaceSelector')],
  ['a target with a namespace', { ...rollup, targetRefs: ['ns/target'] }, { errors: ['spec.targetRefs[0]'], says: ['such as "target"', 'no namespace'] }],
  ['a blank target', { ...rollup, targetRefs: ['  '] }, { errors: ['spec.targetRefs[0]'], says: ['Required value'] }],
  ['a namespace twice', { ...rollup, namespaces: ['team-a', 'team-a'] }, { errors: ['spec.namespaces[1]'], says: ['Duplicate value'] }],
  ['a namespace with blanks around it', { ...rollup, namespaces: [' a'] }, errors('spec.namespaces[0]')],
  ['a bad namespace', { ...rollup, namespaces: ['Team_B'] }, errors('spec.namespaces[0]')],
  ['an empty namespace', { ...rollup, namespaces: [''] }, { errors: ['spec.namespaces[0]'] }],
  ['a namespace of 64 characters', { ...rollup, namespaces: ['a'.repeat(64)] }, errors('spec.namespaces[0]')],
  ['a bad sink namespace', { ...rollup, sinkNamespace: 'a/b' }, errors('spec.sinkNamespace')],
  ['another bad sink namespace', { ...rollup, sinkNamespace: 'Bad_NS' }, errors('spec.sinkNamespace')],
  ['a profile without a namespace', { ...rollup, profileRef: { name: 'p' } }, { errors: ['spec.profileRef.namespace'], says: ['Required value'] }],
  ['a way to dedupe that does not exist', { ...rollup, dedupe: 'collapseAll' }, { errors: ['spec.dedupe'], says: ['"byResourceUID"'] }],
  ['a sink in a namespace that cannot be', { ...rollup, snapshotSinkRefs: [{ name: 'g', namespace: 'NOT_VALID' }] }, errors('spec.snapshotSinkRefs[0].namespace')],
  ['one name in two namespaces', { ...rollup, snapshotSinkRefs: [{ name: 'g', namespace: 'a' }, { name: 'g', namespace: 'b' }, 'g'] }],
  ['one sink by two spellings', { ...rollup, snapshotSinkRefs: ['g', { name: 'g', namespace: 'kollect-system' }] }, { errors: ['spec.snapshotSinkRefs[1].name'], says: ['Duplicate value: "kollect-system/g"'] }],
  ['a selector beside names', { ...rollup, targetSelector: { matchLabels: { a: 'b' } } }, warnings('spec.targetSelector')],
]);

const database = (type: string, block: unknown, more: Record<string, unknown> = {}) => ({ type, [type]: block, ...more });
const bigquery = { project: 'p', dataset: 'd', table: 't' };
const mongodb = { databaseRef: { name: 'm' }, database: 'i', collection: 'c' };
const pem = Buffer.from('-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n').toString('base64');

table('KollectDatabaseSink', [
  ['PostgreSQL, its Secret in another namespace', postgresSpec()],
  ['a table that is there already', postgresSpec({ provisioning: { mode: 'existing' } }), warnings('spec.provisioning.mode')],
  ['no block', { type: 'postgres' }, { errors: ['spec.postgres'], says: ['Required value'] }],
  ['two blocks', postgresSpec({ bigquery }), { errors: ['spec.bigquery'], says: ['Forbidden'] }],
  ['a type that does not exist', postgresSpec({ type: 'postgress' }), { errors: ['spec.type'], says: ['Unsupported value: "postgress"', 'did you mean "postgres"?'] }],
  ['no type', { type: '' }, { errors: ['spec.type'], says: ['Required value'] }],
  ['BigQuery', database('bigquery', bigquery)],
  ['a blank project', database('bigquery', { ...bigquery, project: '   ' }), { errors: ['spec.bigquery.project'], says: ['Required value'] }],
  ['a Secret without a name', database('bigquery', { ...bigquery, secretRef: { name: '' } }), { errors: ['spec.bigquery.secretRef.name'], says: ['Required value'] }],
  ['MongoDB', database('mongodb', mongodb)],
  ['MongoDB and PostgreSQL', database('mongodb', mongodb, { postgres: postgresSpec().postgres }), errors('spec.postgres')],
  ['blank names', database('mongodb', { databaseRef: { name: ' ' }, database: ' ', collection: ' ' }), errors('spec.mongodb.collection', 'spec.mongodb.database', 'spec.mongodb.databaseRef.name')],
  ['a blank table', postgresSpec({ postgres: { databaseRef: { name: 'd' }, table: ' ' } }), { errors: ['spec.postgres.table'], says: ['Required value'] }],
  ['a table with its schema', postgresSpec({ postgres: { databaseRef: { name: 'd' }, table: 'public.items' } }), { errors: ['spec.postgres.table'], says: ['spec.postgres.schema'] }],
  ['a table name that PostgreSQL would cut', postgresSpec({ postgres: { databaseRef: { name: 'd' }, table: 'ü'.repeat(32) } }), { errors: ['spec.postgres.table'], says: ['63 bytes'] }],
  ['a Secret with its namespace in the name', postgresSpec({ postgres: { databaseRef: { name: 'kollect-system/d' }, table: 't' } }), { errors: ['spec.postgres.databaseRef.name'], says: ['the field "namespace"'] }],
  ['a format that databases do not have', postgresSpec({ serialization: { format: 'ndjson' } }), { errors: ['spec.serialization.format'], says: ['supported values: "json"'] }],
  ['a format that does not exist', postgresSpec({ serialization: { format: 'avro' } }), errors('spec.serialization.format')],
  ['a compression that does not exist', postgresSpec({ serialization: { format: 'json', compression: 'lz4' } }), errors('spec.serialization.compression')],
  ['a layout', postgresSpec({ layout: {} }), { errors: ['spec.layout'], says: ['Forbidden'] }],
  ['a provisioning that does not exist', postgresSpec({ provisioning: { mode: 'auto' } }), errors('spec.provisioning.mode')],
  ['a name template', postgresSpec({ provisioning: { naming: { template: '{cluster}/{unsupported}/{name}' } } }), { errors: ['spec.provisioning.naming.template', 'spec.provisioning.naming.template'], says: ['{unsupported}', '{namespace}'] }],
  ['path templates', postgresSpec({ pathTemplate: '{namespace}/{name}.json' })],
  ['a path template without a namespace', postgresSpec({ pathTemplate: '{cluster}/{name}.json' }), { errors: ['spec.pathTemplate'], says: ['{namespace}'] }],
  ['an absolute path template', postgresSpec({ pathTemplate: '/abs/{namespace}/{name}' }), errors('spec.pathTemplate')],
  ['a path template that climbs', postgresSpec({ pathTemplate: '../{namespace}/{name}' }), errors('spec.pathTemplate')],
  ['a path template with a placeholder of other templates', postgresSpec({ pathTemplate: '{sourceName}/{namespace}/{name}' }), { errors: ['spec.pathTemplate'], says: ['{sourceName}'] }],
  ['intervals', postgresSpec({ exportMinInterval: '500ms' })],
  ['a negative interval', postgresSpec({ exportMinInterval: '-1s' }), errors('spec.exportMinInterval')],
  ['a known option', postgresSpec({ options: { statement_timeout: '30000' } })],
  ['an option with a slip', postgresSpec({ options: { statement_timout: '30000' } }), { warnings: ['spec.options[statement_timout]'], says: ['did you mean statement_timeout?'] }],
  ['a timeout that PostgreSQL would refuse', postgresSpec({ options: { statement_timeout: '30 seconds' } }), errors('spec.options[statement_timeout]')],
  ['a password', postgresSpec({ options: { password: 'canary' } }), { errors: ['spec.options[password]'], says: ['Forbidden', 'Secret'] }],
  ['a key with other letters and separators', postgresSpec({ options: { Access_Key: 'x', 'private-key': 'x', 'sasl.token': 'x', passphrase: 'x', pwd: 'x', sslpassword: 'x' } }), errors('spec.options[Access_Key]', 'spec.options[passphrase]', 'spec.options[private-key]', 'spec.options[pwd]', 'spec.options[sasl.token]', 'spec.options[sslpassword]')],
  ['words that only begin like a secret', postgresSpec({ options: { authMechanism: 'x', passive: 'x', sasMode: 'x' } }), warnings('spec.options[authMechanism]', 'spec.options[passive]', 'spec.options[sasMode]')],
  ['a credential in a value', postgresSpec({ options: { proxy: 'http://user:canary@proxy', ca: '-----BEGIN PRIVATE KEY-----' } }), errors('spec.options[ca]', 'spec.options[proxy]')],
  ['two sources of trust', postgresSpec({ tls: { caBundle: pem, caSecretRef: { name: 'c' } } }), errors('spec.tls')],
  ['a bundle that is no PEM', postgresSpec({ tls: { caBundle: Buffer.from('hello').toString('base64') } }), errors('spec.tls.caBundle')],
  ['a bundle of more than 64 KiB', postgresSpec({ tls: { caBundle: 'A'.repeat(90_000) } }), { errors: ['spec.tls.caBundle'], says: ['64 KiB'] }],
  ['no verification', postgresSpec({ tls: { insecureSkipVerify: true } }), warnings('spec.tls.insecureSkipVerify')],
  ['an endpoint with a password', postgresSpec({ endpoint: 'postgres://u:canary@db/x' }), { errors: ['spec.endpoint'], warnings: ['spec.endpoint'] }],
]);

t.test('no finding shows a credential', async (t) => {
  const specs = [
    postgresSpec({ options: { password: 'canary', proxy: 'http://u:canary@h' }, endpoint: 'postgres://u:canary@db/x', serialization: { format: 'x://u:canary@h' } }),
    postgresSpec({ type: 'postgres://u:canary@h', pathTemplate: 'https://u:canary@h/{x}', exportMinInterval: 'password=canary' }),
    postgresSpec({ postgres: { databaseRef: { name: 'postgres://u:canary@h/db' }, table: 'token: canary.x' } }),
  ];
  for (const spec of specs) {
    const rendered = validate('KollectDatabaseSink', objectOf('KollectDatabaseSink', spec)).map(renderFinding).join('\n');
    t.not(rendered, '');
    t.notMatch(rendered, /canary/);
  }
});

t.test('an unchanged spec is not refused for a rule that came later', async (t) => {
  const old = objectOf('KollectInventory', { databaseSinkRefs: ['a/b'] });
  const stored = objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/b' }], exportMinInterval: '30s' }, { annotations: { 'kollect.dev/reconcile': '1' } });
  const tolerated = validate('KollectInventory', stored, { old });
  t.match(tolerated, [{ severity: 'warning', field: 'spec.databaseSinkRefs[0].name' }]);
  t.match(tolerated.map(renderFinding).join(), 'spec.databaseSinkRefs[0].name: Invalid value: "a/b"');
  t.match(validate('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: [{ name: 'a/c' }] }), { old }), [{ severity: 'error' }], 'a changed one is');

  const secrets = profileSpec(['$.data.x'], { targetGVK: secretGvk });
  const consented = objectOf('KollectProfile', secrets, allowExtraction('true'));
  t.match(validate('KollectProfile', objectOf('KollectProfile', secrets), { old: consented }), [{ severity: 'error' }], 'nor may consent be taken back');
});

t.test('values of any shape give findings, never exceptions', async (t) => {
  for (const object of [null, undefined, 1, 'x', [], {}, { spec: null }, { spec: [] }, { spec: 'x', metadata: 7 }]) {
    for (const kind of ['KollectProfile', 'KollectInventory', 'KollectDatabaseSink', 'KollectScope', 'Unknown']) {
      t.ok(validate(kind, object).some(({ severity }) => severity === 'error'), `${kind} ${JSON.stringify(object)}`);
    }
  }
  const deep = JSON.parse(`${'['.repeat(50_000)}${']'.repeat(50_000)}`) as unknown;
  t.match(validate('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: deep })), [{ field: 'spec', type: 'TooMany' }]);
  t.match(validate('KollectInventory', objectOf('KollectInventory', { databaseSinkRefs: Array.from({ length: 100_000 }, () => 0) })), [{ field: 'spec', type: 'TooMany' }]);
});
