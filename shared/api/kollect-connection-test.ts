import { z } from 'zod';
import { ageColumn, conditionColumn, objectOf, type KindDefinition } from './kind.ts';
import { conditionList } from './meta.ts';

export const KollectConnectionTestSpec = z.object({
  sinkRef: z
    .object({
      snapshotSinkRef: z.string().optional().meta({ description: 'KollectSnapshotSink in the same namespace.' }),
      databaseSinkRef: z.string().optional().meta({ description: 'KollectDatabaseSink in the same namespace.' }),
      eventSinkRef: z.string().optional().meta({ description: 'KollectEventSink in the same namespace.' }),
    })
    .meta({ description: 'Exactly one sink.' }),
  profileRef: z.string().optional().meta({ description: 'Reserved.' }),
  ownerSink: z.boolean().optional().meta({ description: 'Delete the test together with the sink; true when unset.' }),
  ttlSecondsAfterFinished: z.number().int().min(0).default(300).meta({ description: 'Seconds after which a finished test is deleted.', format: 'int32' }),
});
export type KollectConnectionTestSpec = z.infer<typeof KollectConnectionTestSpec>;

export const KollectConnectionTestStatus = z.object({
  conditions: conditionList,
  observedGeneration: z.number().int().optional().meta({ description: 'Generation of the spec that was tested.', format: 'int64' }),
  latencyMs: z.number().int().optional().meta({ description: 'Duration of the test in milliseconds.', format: 'int64' }),
  completed: z.boolean().optional().meta({ description: 'The test has ended, well or not.' }),
  completedAt: z.string().optional().meta({ description: 'When it ended.', format: 'date-time' }),
});

export const KollectConnectionTest = objectOf('KollectConnectionTest', KollectConnectionTestSpec, KollectConnectionTestStatus);
export type KollectConnectionTest = z.infer<typeof KollectConnectionTest>;

export const kollectConnectionTest: KindDefinition = {
  kind: 'KollectConnectionTest',
  plural: 'kollectconnectiontests',
  singular: 'kollectconnectiontest',
  shortNames: ['kconntest'],
  scope: 'Namespaced',
  description: 'Tests the connection of a sink once and keeps the result for a while.',
  spec: KollectConnectionTestSpec,
  status: KollectConnectionTestStatus,
  columns: [
    { name: 'Database', type: 'string', jsonPath: '.spec.sinkRef.databaseSinkRef' },
    { name: 'Snapshot', type: 'string', jsonPath: '.spec.sinkRef.snapshotSinkRef', priority: 1 },
    { name: 'Event', type: 'string', jsonPath: '.spec.sinkRef.eventSinkRef', priority: 1 },
    conditionColumn('Verified', 'ConnectionVerified'),
    { name: 'Completed', type: 'boolean', jsonPath: '.status.completed' },
    ageColumn,
  ],
};
