import type { KollectDatabaseSinkSpec } from '../../api/kollect-database-sink.ts';
import { bigqueryOptions } from '../../api/sinks/bigquery.ts';
import { mongodbOptions } from '../../api/sinks/mongodb.ts';
import { postgresOptions } from '../../api/sinks/postgres.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { secretReference } from './names.ts';
import { sink, typeBlocks } from './sink.ts';
import type { SinkTypeFacts } from './sink.ts';

type Input = RuleInput<KollectDatabaseSinkSpec>;

export const databaseSinkRules: readonly Rule<KollectDatabaseSinkSpec>[] = [
  ({ spec }) => sink(spec, spec.type === undefined ? undefined : facts[spec.type]),
  blocks,
  endpoint,
  postgres,
  postgresTimeouts,
  mongodb,
  bigquery,
];

const facts: Readonly<Record<KollectDatabaseSinkSpec['type'], SinkTypeFacts>> = {
  postgres: { formats: ['json'], options: postgresOptions, hasLayout: false },
  mongodb: { formats: ['json'], options: mongodbOptions, hasLayout: false },
  bigquery: { formats: ['json'], options: bigqueryOptions, hasLayout: false },
};

function* blocks({ spec }: Input): Generator<Finding> {
  if (spec.type === undefined) return;
  yield* typeBlocks(spec.type, { postgres: spec.postgres, mongodb: spec.mongodb, bigquery: spec.bigquery }, (field) =>
    required(field, `a sink of the type ${spec.type} needs this block`),
  );
}

function* endpoint({ spec }: Input): Generator<Finding> {
  if (spec.endpoint !== undefined && spec.endpoint !== '') yield warning('spec.endpoint', 'has no effect: the address of a database is in its Secret');
}

function* postgres({ spec }: Input): Generator<Finding> {
  if (spec.postgres === undefined) return;
  const { databaseRef, schema, table } = spec.postgres;
  yield* secretReference('spec.postgres.databaseRef', databaseRef);
  if (schema !== undefined && schema !== '') yield* postgresIdentifier('spec.postgres.schema', schema);
  if (table?.trim() === '') yield required('spec.postgres.table', 'write the name of a table');
  else if (table?.includes('.')) yield invalid('spec.postgres.table', table, 'write only the name of the table; its schema goes into spec.postgres.schema');
  else if (table !== undefined) yield* postgresIdentifier('spec.postgres.table', table);
}

/** A value that PostgreSQL refuses would refuse every login. */
function* postgresTimeouts({ spec }: Input): Generator<Finding> {
  if (spec.type !== 'postgres') return;
  for (const name of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) {
    const value = spec.options?.[name];
    if (value !== undefined && !/^\d{1,10}(ms|s|min|h|d)?$/.test(value)) yield invalid(`spec.options[${name}]`, value, 'must be milliseconds such as "30000", or a number with ms, s, min, h or d');
  }
}

/** PostgreSQL cuts longer names off, silently: NAMEDATALEN - 1. */
const maxPostgresIdentifierBytes = 63;

function* postgresIdentifier(field: string, name: string): Generator<Finding> {
  if (name.includes('\0')) yield invalid(field, name, 'must not contain a null character');
  else if (Buffer.byteLength(name) > maxPostgresIdentifierBytes) yield invalid(field, name, `must have at most ${maxPostgresIdentifierBytes} bytes`);
}

function* mongodb({ spec }: Input): Generator<Finding> {
  if (spec.mongodb === undefined) return;
  const { databaseRef, database, collection } = spec.mongodb;
  yield* secretReference('spec.mongodb.databaseRef', databaseRef);
  if (database?.trim() === '') yield required('spec.mongodb.database', 'write the name of a database');
  else if (database !== undefined && !/^[^/\\. "$*<>:|?\0]{1,63}$/.test(database)) yield invalid('spec.mongodb.database', database, 'must have at most 63 characters, without blanks and without / \\ . " $ * < > : | ?');
  if (collection?.trim() === '') yield required('spec.mongodb.collection', 'write the name of a collection');
  else if (collection !== undefined && (/[$\0]/.test(collection) || collection.startsWith('system.'))) {
    yield invalid('spec.mongodb.collection', collection, 'must not contain "$" nor begin with "system."');
  }
}

function* bigquery({ spec }: Input): Generator<Finding> {
  if (spec.bigquery === undefined) return;
  const { project, dataset, table, secretRef } = spec.bigquery;
  yield* bigqueryName('spec.bigquery.project', project, /^[a-z0-9.:-]{1,100}$/, 'must be a project ID: lower-case letters, digits and "-"');
  yield* bigqueryName('spec.bigquery.dataset', dataset, /^\w{1,1024}$/, 'must have letters, digits and "_" only');
  yield* bigqueryName('spec.bigquery.table', table, /^[\p{L}\p{M}\p{N}\p{Pc}\p{Pd} ]{1,1024}$/u, 'must have letters, digits, "_" and "-" only');
  yield* secretReference('spec.bigquery.secretRef', secretRef);
}

function* bigqueryName(field: string, name: string | undefined, pattern: RegExp, rule: string): Generator<Finding> {
  if (name === undefined) return;
  if (name.trim() === '') yield required(field, 'must not be blank');
  else if (!pattern.test(name)) yield invalid(field, name, rule);
}
