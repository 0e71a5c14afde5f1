import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const PostgresSettings = z.object({
  databaseRef: SecretReference.meta({ description: 'Secret with the connection string under dsn, url, connectionString or DATABASE_URL.' }),
  schema: z.string().optional().meta({ description: 'Schema of the table; public when unset.' }),
  table: z.string().meta({ description: 'Table that the rows are written to.' }),
});
export type PostgresSettings = z.infer<typeof PostgresSettings>;

export const postgresOptions = ['statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'application_name'] as const;
