import type { KollectDatabaseSinkSpec } from '../../api/kollect-database-sink.ts';
import { invalid, required, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { secretReference } from './names.ts';

type Input = RuleInput<KollectDatabaseSinkSpec>;

export const postgresRules: readonly Rule<KollectDatabaseSinkSpec>[] = [
  { id: 'postgres-database-ref', field: 'spec.postgres.databaseRef', asks: 'Must name the Secret with the connection string.', check: ({ spec }, report) => secretReference('spec.postgres.databaseRef', spec.postgres?.databaseRef, report) },
  { id: 'postgres-schema', field: 'spec.postgres.schema', asks: 'Must be the name of a schema that users of PostgreSQL can have.', check: schema },
  { id: 'postgres-table', field: 'spec.postgres.table', asks: 'Must be the name of a table that PostgreSQL can have, without its schema.', check: table },
  { id: 'postgres-plain-names', field: 'spec.postgres', asks: 'Schema and table should be of lower-case letters, digits and `_`; other names have to be quoted in every query.', advises: true, check: plainNames },
  { id: 'postgres-timeouts', field: 'spec.options', asks: 'Timeouts of PostgreSQL must be milliseconds without a unit.', check: timeouts },
];

function schema({ spec }: Input, report: Report): void {
  const name = spec.postgres?.schema;
  if (name === undefined || name === '') return;
  const field = 'spec.postgres.schema';
  if (name.startsWith('pg_') || name === 'information_schema') report(invalid(field, name, 'belongs to PostgreSQL itself; write the schema of your table, such as public'));
  else identifier(field, name, report);
}

function table({ spec }: Input, report: Report): void {
  const name = spec.postgres?.table;
  if (name === undefined) return;
  const field = 'spec.postgres.table';
  if (name.trim() === '') report(required(field, 'write the name of a table'));
  else if (name.includes('.')) report(invalid(field, name, 'write only the name of the table; its schema goes into spec.postgres.schema'));
  else identifier(field, name, report);
}

/** PostgreSQL cuts longer names off, silently: NAMEDATALEN - 1. */
const maxIdentifierBytes = 63;

/** Names are quoted, so that all that can be seen can stand in them. */
function identifier(field: string, name: string, report: Report): void {
  if (/[\p{Cc}\p{Cf}]/u.test(name)) report(invalid(field, name, 'must not contain control or invisible characters'));
  else if (name.trim() !== name) report(invalid(field, name, 'must not begin or end with a blank'));
  else if (name.includes('"')) report(invalid(field, name, `must not contain quotes, which Kollect adds itself${unquoted(name)}`));
  else if (Buffer.byteLength(name) > maxIdentifierBytes) report(invalid(field, name, `must have at most ${maxIdentifierBytes} bytes`));
}

/** For a name that somebody has put in quotes. */
function unquoted(name: string): string {
  const [, plain = ''] = /^"([A-Za-z_][\w$]*)"$/.exec(name) ?? [];
  return plain === '' ? '; write only letters, digits and "_", such as inventory_items' : `; write ${plain}, without quotes`;
}

function plainNames(input: Input, report: Report): void {
  for (const [part, check] of [['schema', schema], ['table', table]] as const) {
    const name = input.spec.postgres?.[part] ?? '';
    let isRefused = false;
    check(input, () => (isRefused = true));
    if (name !== '' && !isRefused && !/^[a-z_][a-z0-9_$]*$/.test(name)) report(warning(`spec.postgres.${part}`, 'has to be quoted in every query; a name of lower-case letters, digits and "_" does not'));
  }
}

/** A value that PostgreSQL refuses would refuse every login. */
function timeouts({ spec }: Input, report: Report): void {
  if (spec.type !== 'postgres') return;
  for (const name of ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout']) {
    const value = spec.options?.[name];
    if (value !== undefined && !/^\d{1,10}$/.test(value)) report(invalid(`spec.options[${name}]`, value, 'must be milliseconds without a unit, such as "30000"'));
  }
}
