import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { nonEmpty, text } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

/** Keys of the Secret that hold the connection string; the first that is not blank counts. */
export const postgresSecretKeys = ['dsn', 'url', 'connectionString', 'DATABASE_URL'] as const;

/** Settings of the type postgres. */
export const PostgresSettings = z.object({
  databaseRef: SecretReference.meta({ description: `Secret with the connection string, such as postgres://user:password@host:5432/database, under ${postgresSecretKeys.join(', ')}; the first that is not blank counts.` }),
  schema: text.optional().meta({ description: 'Schema of the table; it must exist. public when unset.' }),
  table: nonEmpty.meta({ description: 'Table that the rows are written to, without its schema.' }),
});
export type PostgresSettings = z.infer<typeof PostgresSettings>;

/** Session settings that `options` passes through; the timeouts are in milliseconds. */
export const postgresOptions = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name'] as const;

export const postgres = {
  family: 'database',
  block: 'postgres',
  settings: PostgresSettings,
  about: 'Settings of type postgres.',
  isBlockRequired: true,
  formats: ['json'],
  compressions: ['none'],
  options: postgresOptions,
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
