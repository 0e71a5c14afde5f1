import { z } from 'zod';
import { ageColumn, conditionColumn, conditionReasonColumn, objectOf, type KindDefinition } from './kind.ts';
import { conditionList, count, observedGeneration, timestamp } from './meta.ts';
import { nameText } from './text.ts';

const sinkName = (kind: string) => nameText.optional().meta({ description: `Name of a ${kind} in the namespace of the test.` });

export const KollectConnectionTestSpec = z.object({
  sinkRef: z
    .object({
      snapshotSinkRef: sinkName('KollectSnapshotSink'),
      databaseSinkRef: sinkName('KollectDatabaseSink'),
      eventSinkRef: sinkName('KollectEventSink'),
    })
    .meta({ description: 'The sink to test: exactly one of the fields.' }),
  profileRef: nameText.optional().meta({ description: 'Reserved; has no effect yet.' }),
  ownerSink: z.boolean().optional().meta({ description: 'Delete the test together with the sink; true when unset.' }),
  ttlSecondsAfterFinished: z
    .number()
    .int()
    .min(0)
    .default(300)
    .meta({ description: 'Seconds after its end in which the test is kept; 0 deletes it at once. A change of the spec tests anew.', format: 'int32' }),
});
export type KollectConnectionTestSpec = z.infer<typeof KollectConnectionTestSpec>;

export const KollectConnectionTestStatus = z.object({
  conditions: conditionList,
  observedGeneration,
  latencyMs: count('How long the test took, in milliseconds.'),
  completed: z.boolean().optional().meta({ description: 'The test has ended, well or not.' }),
  completedAt: timestamp('When it ended.'),
});
export type KollectConnectionTestStatus = z.infer<typeof KollectConnectionTestStatus>;

export const KollectConnectionTest = objectOf('KollectConnectionTest', KollectConnectionTestSpec, KollectConnectionTestStatus);
export type KollectConnectionTest = z.infer<typeof KollectConnectionTest>;

export const kollectConnectionTest: KindDefinition = {
  kind: 'KollectConnectionTest',
  plural: 'kollectconnectiontests',
  singular: 'kollectconnectiontest',
  shortNames: ['kconntest'],
  scope: 'Namespaced',
  description: 'Tests the connection of a sink once, and keeps the result for a while.',
  spec: KollectConnectionTestSpec,
  status: KollectConnectionTestStatus,
  columns: [
    // The reference has one field only, whichever it is.
    { name: 'Sink', type: 'string', jsonPath: '.spec.sinkRef.*', description: 'Sink that is tested' },
    conditionColumn('Verified', 'ConnectionVerified'),
    { name: 'Completed', type: 'boolean', jsonPath: '.status.completed', description: 'Whether the test has ended' },
    ageColumn,
    conditionReasonColumn('ConnectionVerified'),
    { name: 'Latency', type: 'integer', jsonPath: '.status.latencyMs', description: 'Milliseconds that the test took', priority: 1 },
  ],
};
