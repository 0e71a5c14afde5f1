import { z } from 'zod';
import { objectOf, type KindDefinition } from './kind.ts';
import { sinkCommonFields, SinkStatus } from './sink-common.ts';
import { sinkColumns } from './sink-kind.ts';
import { BigQuerySettings } from './sinks/bigquery.ts';
import { MongoDbSettings } from './sinks/mongodb.ts';
import { PostgresSettings } from './sinks/postgres.ts';

export const databaseSinkTypes = ['postgres', 'bigquery', 'mongodb'] as const;

export const KollectDatabaseSinkSpec = z.object({
  type: z.enum(databaseSinkTypes).meta({ description: 'Backend of the sink; the block of the same name holds its settings.' }),
  ...sinkCommonFields,
  postgres: PostgresSettings.optional().meta({ description: 'Settings of type postgres.' }),
  bigquery: BigQuerySettings.optional().meta({ description: 'Settings of type bigquery.' }),
  mongodb: MongoDbSettings.optional().meta({ description: 'Settings of type mongodb.' }),
});
export type KollectDatabaseSinkSpec = z.infer<typeof KollectDatabaseSinkSpec>;

export const KollectDatabaseSink = objectOf('KollectDatabaseSink', KollectDatabaseSinkSpec, SinkStatus);
export type KollectDatabaseSink = z.infer<typeof KollectDatabaseSink>;

export const kollectDatabaseSink: KindDefinition = {
  kind: 'KollectDatabaseSink',
  plural: 'kollectdatabasesinks',
  singular: 'kollectdatabasesink',
  shortNames: ['kdb'],
  scope: 'Namespaced',
  description: 'A table or collection that holds one row for each collected object.',
  spec: KollectDatabaseSinkSpec,
  status: SinkStatus,
  columns: sinkColumns,
};
