import type { KollectDatabaseSinkSpec } from '../../api/kollect-database-sink.ts';
import type { Rule } from '../rule.ts';
import { bigqueryRules } from './bigquery.ts';
import { mongodbRules } from './mongodb.ts';
import { postgresRules } from './postgres.ts';
import { effectless, sinkRules } from './sink.ts';

export const databaseSinkRules: readonly Rule<KollectDatabaseSinkSpec>[] = [
  ...sinkRules,
  effectless('endpoint-effect', 'spec.endpoint', 'Has no effect: the address of a database is in its Secret.', ({ spec }) => (spec.endpoint ? 'the address of a database is in its Secret' : undefined)),
  effectless('secret-ref-effect', 'spec.secretRef', 'Has no effect: each database names its Secret in its own block.', ({ spec: { type, secretRef } }) => (type === undefined || secretRef === undefined ? undefined : `the Secret of a database is named in spec.${type}.${type === 'bigquery' ? 'secretRef' : 'databaseRef'}`)),
  effectless('path-template-effect', 'spec.pathTemplate', 'Has no effect on databases.', ({ spec }) => (spec.pathTemplate ? 'rows have no paths' : undefined)),
  ...postgresRules,
  ...mongodbRules,
  ...bigqueryRules,
];
