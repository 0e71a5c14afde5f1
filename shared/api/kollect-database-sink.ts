import { z } from 'zod';
import { objectOf, type KindDefinition } from './kind.ts';
import { sinkCommonFields, SinkStatus } from './sink-common.ts';
import { sinkColumns } from './sink-kind.ts';
import { blocksOf, typesOf } from './sink-types.ts';

export const KollectDatabaseSinkSpec = z.object({
  type: z.enum(typesOf('database')).meta({ description: 'Backend of the sink; the block of the same name holds its settings.' }),
  ...sinkCommonFields,
  ...blocksOf('database'),
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
