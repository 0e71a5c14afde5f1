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
  const consented = objectOf('KollectProfile', secrets, { annotations: { 'kollect.dev/allow-secret-extraction': 'true' } });
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
