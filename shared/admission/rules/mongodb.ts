import type { KollectDatabaseSinkSpec } from '../../api/kollect-database-sink.ts';
import { invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { secretReference } from './names.ts';

type Input = RuleInput<KollectDatabaseSinkSpec>;

export const mongodbRules: readonly Rule<KollectDatabaseSinkSpec>[] = [
  { id: 'mongodb-database-ref', field: 'spec.mongodb.databaseRef', asks: 'Must name the Secret with the connection string.', check: ({ spec }, report) => secretReference('spec.mongodb.databaseRef', spec.mongodb?.databaseRef, report) },
  { id: 'mongodb-database', field: 'spec.mongodb.database', asks: 'Must be the name of a database that users of MongoDB can have.', check: database },
  { id: 'mongodb-collection', field: 'spec.mongodb.collection', asks: 'Must be the name of a collection that users of MongoDB can have.', check: collection },
];

/** Limits of the server: a database in bytes, and the database, a dot and the collection together. */
const maxDatabaseBytes = 63;
const maxNamespaceBytes = 255;

function database({ spec }: Input, report: Report): void {
  const name = spec.mongodb?.database;
  if (name === undefined) return;
  const field = 'spec.mongodb.database';
  if (name.trim() === '') report(required(field, 'write the name of a database'));
  else if (/[/\\. "$*<>:|?\p{Cc}]/u.test(name)) report(invalid(field, name, 'must not contain blanks, nor / \\ . " $ * < > : | ?'));
  else if (Buffer.byteLength(name) > maxDatabaseBytes) report(invalid(field, name, `must have at most ${maxDatabaseBytes} bytes`));
  else if (['local', 'config'].includes(name.toLowerCase())) report(invalid(field, name, 'belongs to MongoDB itself; write a database of your own, such as inventory'));
}

function collection({ spec }: Input, report: Report): void {
  const name = spec.mongodb?.collection;
  if (name === undefined) return;
  const field = 'spec.mongodb.collection';
  if (name.trim() === '') report(required(field, 'write the name of a collection'));
  else if (/[$\p{Cc}]/u.test(name) || name.startsWith('system.')) report(invalid(field, name, 'must not contain "$" or control characters, nor begin with "system."'));
  else if (name.split('.').includes('')) report(invalid(field, name, 'must have no "." at its ends, and none twice in a row'));
  else if (Buffer.byteLength(`${spec.mongodb?.database ?? ''}.${name}`) > maxNamespaceBytes) report(invalid(field, name, `must have, with the name of the database, at most ${maxNamespaceBytes} bytes`));
}
