import { validationsOf, type CelCheck, type CrdValidation } from '../crd-validation.ts';
import { durationSyntax, interval, pathTemplate, secretReference } from './common.ts';

/** Fields that sinks of all families share. Options are judged by a policy: CRD rules cannot afford maps of any size. */
const shared: readonly CelCheck[] = [
  { at: 'spec.endpoint', expression: String.raw`!self.matches(r'://[^\s/@:]*:[^\s/]*@')`, message: 'the URL holds a password; put it into a Secret and name that in secretRef', reason: 'FieldValueForbidden' },
  ...secretReference('spec.secretRef'),
  { at: 'spec.tls', expression: '!(has(self.caBundle) && has(self.caSecretRef))', message: 'trust comes from one place: keep one of the two' },
  ...secretReference('spec.tls.caSecretRef'),
  ...secretReference('spec.tls.clientCertificateSecretRef'),
  ...pathTemplate('spec.pathTemplate'),
  ...interval('spec.exportMinInterval'),
  ...pathTemplate('spec.provisioning.naming.template'),
];

const gitTypes = ['git', 'gitlab'];

const layout = (types: readonly string[]): CelCheck => ({
  at: 'spec',
  expression: `!has(self.layout)${types.length > 0 ? ` || ${oneOf(types)}` : ''}`,
  message: 'only sinks of the types git and gitlab have a layout',
  messageExpression: `'only sinks of the types git and gitlab have a layout, not ' + self.type`,
  fieldPath: '.layout',
  reason: 'FieldValueForbidden',
});

/** The formats that each type can write beside `json`, which all can. */
const format = (formats: Readonly<Record<string, readonly string[]>>): CelCheck => ({
  at: 'spec',
  expression: `!has(self.serialization) || !has(self.serialization.format) || self.serialization.format == 'json' || self.serialization.format in (${formatsByType(formats)})`,
  message: 'the type of the sink cannot write this format',
  messageExpression: `'a sink of the type ' + self.type + ' cannot write ' + self.serialization.format`,
  fieldPath: '.serialization.format',
});

function formatsByType(formats: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(formats).reduceRight((rest, [type, list]) => `self.type == '${type}' ? ${JSON.stringify(list).replaceAll('"', "'")} : ${rest}`, "['json']");
}

/**
 * The block of a type is there, and those of others are not.
 *
 * @param types types that a block is for
 * @param isRequired whether those types need it
 */
function block(name: string, types: readonly string[], isRequired: boolean): CelCheck[] {
  const needed: CelCheck = {
    at: 'spec',
    expression: `!(${oneOf(types)}) || has(self.${name})`,
    message: `a sink of the type ${types.join(' or ')} needs this block`,
    fieldPath: `.${name}`,
    reason: 'FieldValueRequired',
  };
  const foreign: CelCheck = {
    at: 'spec',
    expression: `${oneOf(types)} || !has(self.${name})`,
    message: `the block is for the type ${types.join(', ')}`,
    messageExpression: `'the type of this sink is ' + self.type + '; remove the block, or set the type to ${types.join(', ')}'`,
    fieldPath: `.${name}`,
    reason: 'FieldValueForbidden',
  };
  return isRequired ? [needed, foreign] : [foreign];
}

function oneOf(types: readonly string[]): string {
  return types.length === 1 ? `self.type == '${types[0]}'` : `self.type in [${types.map((type) => `'${type}'`).join(', ')}]`;
}

export const sinkValidations: readonly CrdValidation[] = [
  ...validationsOf('KollectSnapshotSink', {
    schema: durationSyntax('spec.exportMinInterval'),
    sink: [...shared, layout(gitTypes), format({ git: ['yaml', 'ndjson'], gitlab: ['yaml', 'ndjson'], s3: ['parquet', 'csv'], gcs: ['parquet', 'csv'], azureblob: ['parquet', 'csv'], http: ['ndjson'] })],
    'type-block': [...block('git', ['git'], false), ...block('gitlab', ['gitlab'], false), ...block('objectStore', ['s3', 'gcs', 'azureblob'], false), ...block('http', ['http'], true)],
  }),
  ...validationsOf('KollectDatabaseSink', {
    schema: durationSyntax('spec.exportMinInterval'),
    sink: [...shared, layout([]), format({})],
    'type-block': [...block('postgres', ['postgres'], true), ...block('mongodb', ['mongodb'], true), ...block('bigquery', ['bigquery'], true)],
    postgres: [
      ...secretReference('spec.postgres.databaseRef'),
      { at: 'spec.postgres.table', expression: `self.trim() != ''`, message: 'write the name of a table', reason: 'FieldValueRequired' },
      { at: 'spec.postgres.table', expression: `!self.contains('.')`, message: 'write only the name of the table; its schema goes into spec.postgres.schema' },
      { at: 'spec.postgres.table', expression: 'size(bytes(self)) <= 63', message: 'must have at most 63 bytes' },
      { at: 'spec.postgres.schema', expression: 'size(bytes(self)) <= 63', message: 'must have at most 63 bytes' },
    ],
    mongodb: [
      ...secretReference('spec.mongodb.databaseRef'),
      { at: 'spec.mongodb.database', expression: `self.trim() != ''`, message: 'write the name of a database', reason: 'FieldValueRequired' },
      { at: 'spec.mongodb.collection', expression: `self.trim() != ''`, message: 'write the name of a collection', reason: 'FieldValueRequired' },
      { at: 'spec.mongodb.collection', expression: `!self.contains('$') && !self.startsWith('system.')`, message: 'must not contain "$" nor begin with "system."' },
    ],
    bigquery: [...['project', 'dataset', 'table'].map((field): CelCheck => ({ at: `spec.bigquery.${field}`, expression: `self.trim() != ''`, message: 'must not be blank', reason: 'FieldValueRequired' })), ...secretReference('spec.bigquery.secretRef')],
  }),
  ...validationsOf('KollectEventSink', {
    schema: durationSyntax('spec.exportMinInterval'),
    sink: [...shared, layout([]), format({})],
    'type-block': [...block('kafka', ['kafka'], true), ...block('nats', ['nats'], true)],
  }),
];
