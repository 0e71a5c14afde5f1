import type { CelCheck } from '../crd-validation.ts';
import { notBlank, secretReference } from './common.ts';

/** PostgreSQL cuts longer names off, silently. */
const identifier = (at: string): CelCheck[] => [
  { at, expression: String.raw`!self.matches(r'[\p{Cc}\p{Cf}]')`, message: 'must not contain control or invisible characters' },
  { at, expression: 'self == self.trim()', message: 'must not begin or end with a blank' },
  { at, expression: `!self.contains('"')`, message: 'is quoted by Kollect; write it without quotes' },
  { at, expression: 'size(bytes(self)) <= 63', message: 'must have at most 63 bytes' },
];

const bigqueryName = (field: string, pattern: string, message: string): CelCheck[] => {
  const at = `spec.bigquery.${field}`;
  return [notBlank(at, 'must not be blank'), { at, expression: `self.trim() == '' || (size(self) <= 1024 && self.matches(r'${pattern}') && self == self.trim())`, message }];
};

/** Settings of databases. */
export const databaseBackends: Readonly<Record<string, readonly CelCheck[]>> = {
  'postgres-database-ref': secretReference('spec.postgres.databaseRef'),
  'postgres-schema': [
    { at: 'spec.postgres.schema', expression: `!self.startsWith('pg_') && self != 'information_schema'`, message: 'belongs to PostgreSQL itself; write the schema of your table, such as public' },
    ...identifier('spec.postgres.schema'),
  ],
  'postgres-table': [
    notBlank('spec.postgres.table', 'write the name of a table'),
    { at: 'spec.postgres.table', expression: `!self.contains('.')`, message: 'write only the name of the table; its schema goes into spec.postgres.schema' },
    ...identifier('spec.postgres.table'),
  ],
  'postgres-timeouts': ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout'].map((name) => ({
    at: 'spec',
    expression: `self.type != 'postgres' || !has(self.options) || !('${name}' in self.options) || self.options['${name}'].matches(r'^[0-9]{1,10}$')`,
    message: `${name} must be milliseconds without a unit, such as "30000"`,
    fieldPath: '.options',
  })),
  'mongodb-database-ref': secretReference('spec.mongodb.databaseRef'),
  'mongodb-database': [
    notBlank('spec.mongodb.database', 'write the name of a database'),
    { at: 'spec.mongodb.database', expression: String.raw`self.trim() == '' || !self.matches(r'[/\\. "$*<>:|?\p{Cc}]')`, message: String.raw`must not contain blanks, nor / \ . " $ * < > : | ?` },
    { at: 'spec.mongodb.database', expression: 'size(bytes(self)) <= 63', message: 'must have at most 63 bytes' },
    { at: 'spec.mongodb.database', expression: `!(self.lowerAscii() in ['local', 'config'])`, message: 'belongs to MongoDB itself; write a database of your own, such as inventory' },
  ],
  'mongodb-collection': [
    notBlank('spec.mongodb.collection', 'write the name of a collection'),
    { at: 'spec.mongodb.collection', expression: String.raw`!self.matches(r'[$\p{Cc}]') && !self.startsWith('system.')`, message: 'must not contain "$" or control characters, nor begin with "system."' },
    { at: 'spec.mongodb.collection', expression: String.raw`!self.matches(r'^[.]|[.]$|[.][.]')`, message: 'must have no "." at its ends, and none twice in a row' },
    { at: 'spec.mongodb', expression: 'size(bytes(self.database)) + 1 + size(bytes(self.collection)) <= 255', message: 'must have, with the name of the database, at most 255 bytes', fieldPath: '.collection' },
  ],
  'bigquery-project': bigqueryName('project', '^([a-z0-9.-]{1,253}:)?[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$', 'must be a project ID: lower-case letters, digits and "-", such as my-project'),
  'bigquery-dataset': bigqueryName('dataset', '^[A-Za-z0-9_]+$', 'must have letters, digits and "_" only; the project goes into spec.bigquery.project'),
  'bigquery-table': bigqueryName('table', String.raw`^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd}\p{Zs}]+$`, 'must have letters, digits, "_" and "-" only; the dataset goes into spec.bigquery.dataset'),
  'bigquery-location': [{ at: 'spec.bigquery.location', expression: `self == '' || self.matches(r'^[A-Za-z0-9-]{1,63}$')`, message: 'must be a location of Google Cloud, such as EU or europe-west4' }],
  'bigquery-secret-ref': secretReference('spec.bigquery.secretRef'),
};
