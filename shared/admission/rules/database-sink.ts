import type { KollectDatabaseSinkSpec } from '../../api/kollect-database-sink.ts';
import { bigqueryOptions } from '../../api/sinks/bigquery.ts';
import { mongodbOptions } from '../../api/sinks/mongodb.ts';
import { postgresOptions } from '../../api/sinks/postgres.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { secretReference } from './names.ts';
import { sink, typeBlocks } from './sink.ts';
import type { SinkTypeFacts } from './sink.ts';

type Input = RuleInput<KollectDatabaseSinkSpec>;

export const databaseSinkRules: readonly Rule<KollectDatabaseSinkSpec>[] = [
  { id: 'sink', field: 'spec.*', asks: 'Must keep to what sinks of all families share.', check: ({ spec }, report) => sink(spec, spec.type === undefined ? undefined : facts[spec.type], report) },
  { id: 'type-block', field: 'spec.<type>', asks: 'The block of the type must be there, and no other.', check: blocks },
  { id: 'endpoint', field: 'spec.endpoint', asks: 'Has no effect: the address of a database is in its Secret.', check: endpoint },
  { id: 'postgres', field: 'spec.postgres', asks: 'Must name a Secret, a schema and a table that PostgreSQL can have.', check: postgres },
  { id: 'postgres-timeouts', field: 'spec.options', asks: 'Timeouts of PostgreSQL must be milliseconds without a unit.', check: postgresTimeouts },
  { id: 'mongodb', field: 'spec.mongodb', asks: 'Must name a Secret, a database and a collection that MongoDB can have.', check: mongodb },
  { id: 'bigquery', field: 'spec.bigquery', asks: 'Must name a project, a dataset and a table that BigQuery can have.', check: bigquery },
];

const facts: Readonly<Record<KollectDatabaseSinkSpec['type'], SinkTypeFacts>> = {
  postgres: { formats: ['json'], options: postgresOptions, hasLayout: false },
  mongodb: { formats: ['json'], options: mongodbOptions, hasLayout: false },
  bigquery: { formats: ['json'], options: bigqueryOptions, hasLayout: false },
};

function blocks({ spec }: Input, report: Report): void {
  if (spec.type !== undefined) typeBlocks(spec.type, { postgres: spec.postgres, mongodb: spec.mongodb, bigquery: spec.bigquery }, report);
}

function endpoint({ spec }: Input, report: Report): void {
  if (spec.endpoint !== undefined && spec.endpoint !== '') report(warning('spec.endpoint', 'has no effect: the address of a database is in its Secret'));
}

function postgres({ spec }: Input, report: Report): void {
  if (spec.postgres === undefined) return;
  const { databaseRef, schema, table } = spec.postgres;
  secretReference('spec.postgres.databaseRef', databaseRef, report);
  if (schema !== undefined && schema !== '') postgresIdentifier('spec.postgres.schema', schema, report);
  if (table?.trim() === '') report(required('spec.postgres.table', 'write the name of a table'));
  else if (table?.includes('.')) report(invalid('spec.postgres.table', table, 'write only the name of the table; its schema goes into spec.postgres.schema'));
  else if (table !== undefined) postgresIdentifier('spec.postgres.table', table, report);
}

/** A value that PostgreSQL refuses would refuse every login. */
function postgresTimeouts({ spec }: Input, report: Report): void {
  if (spec.type !== 'postgres') return;
  for (const name of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) {
    const value = spec.options?.[name];
    if (value !== undefined && !/^\d{1,10}$/.test(value)) report(invalid(`spec.options[${name}]`, value, 'must be milliseconds without a unit, such as "30000"'));
  }
}

/** PostgreSQL cuts longer names off, silently: NAMEDATALEN - 1. */
const maxPostgresIdentifierBytes = 63;

function postgresIdentifier(field: string, name: string, report: Report): void {
  if (name.includes('\0')) report(invalid(field, name, 'must not contain a null character'));
  else if (Buffer.byteLength(name) > maxPostgresIdentifierBytes) report(invalid(field, name, `must have at most ${maxPostgresIdentifierBytes} bytes`));
}

function mongodb({ spec }: Input, report: Report): void {
  if (spec.mongodb === undefined) return;
  const { databaseRef, database, collection } = spec.mongodb;
  secretReference('spec.mongodb.databaseRef', databaseRef, report);
  if (database?.trim() === '') report(required('spec.mongodb.database', 'write the name of a database'));
  else if (database !== undefined && !/^[^/\\. "$*<>:|?\0]{1,63}$/.test(database)) report(invalid('spec.mongodb.database', database, 'must have at most 63 characters, without blanks and without / \\ . " $ * < > : | ?'));
  if (collection?.trim() === '') report(required('spec.mongodb.collection', 'write the name of a collection'));
  else if (collection !== undefined && (/[$\0]/.test(collection) || collection.startsWith('system.'))) {
    report(invalid('spec.mongodb.collection', collection, 'must not contain "$" nor begin with "system."'));
  }
}

function bigquery({ spec }: Input, report: Report): void {
  if (spec.bigquery === undefined) return;
  const { project, dataset, table, secretRef } = spec.bigquery;
  bigqueryName('spec.bigquery.project', project, /^[a-z0-9.:-]{1,100}$/, 'must be a project ID: lower-case letters, digits and "-"', report);
  bigqueryName('spec.bigquery.dataset', dataset, /^\w{1,1024}$/, 'must have letters, digits and "_" only', report);
  bigqueryName('spec.bigquery.table', table, /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd} ]{1,1024}$/u, 'must have letters, digits, "_" and "-" only', report);
  secretReference('spec.bigquery.secretRef', secretRef, report);
}

function bigqueryName(field: string, name: string | undefined, pattern: RegExp, rule: string, report: Report): void {
  if (name === undefined) return;
  if (name.trim() === '') report(required(field, 'must not be blank'));
  else if (!pattern.test(name)) report(invalid(field, name, rule));
}
