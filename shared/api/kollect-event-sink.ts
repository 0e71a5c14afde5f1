import { z } from 'zod';
import { objectOf, type KindDefinition } from './kind.ts';
import { sinkCommonFields, SinkStatus } from './sink-common.ts';
import { sinkColumns } from './sink-kind.ts';
import { blocksOf, typesOf } from './sink-types.ts';

export const KollectEventSinkSpec = z.object({
  type: z.enum(typesOf('event')).meta({ description: 'Backend of the sink; the block of the same name holds its settings.' }),
  ...sinkCommonFields,
  events: z
    .object({ mode: z.enum(['aggregate', 'perItem']).optional().meta({ description: 'aggregate publishes one message for each export, perItem one for each changed row. aggregate when unset.' }) })
    .optional()
    .meta({ description: 'What a message holds.' }),
  ...blocksOf('event'),
});
export type KollectEventSinkSpec = z.infer<typeof KollectEventSinkSpec>;

export const KollectEventSink = objectOf('KollectEventSink', KollectEventSinkSpec, SinkStatus);
export type KollectEventSink = z.infer<typeof KollectEventSink>;

export const kollectEventSink: KindDefinition = {
  kind: 'KollectEventSink',
  plural: 'kollecteventsinks',
  singular: 'kollecteventsink',
  shortNames: ['kevt'],
  scope: 'Namespaced',
  description: 'A topic or subject where the changes of inventories are published.',
  spec: KollectEventSinkSpec,
  status: SinkStatus,
  columns: sinkColumns,
};
