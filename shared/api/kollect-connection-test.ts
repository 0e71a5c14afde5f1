import { z } from 'zod';
import { ageColumn, conditionColumn, conditionMessageColumn, conditionReasonColumn, objectOf, type KindDefinition } from './kind.ts';
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
  profileRef: nameText.optional().meta({ description: 'A KollectProfile of the namespace to test as well: whether its kind is served, and may be listed and watched.' }),
  ownerSink: z.boolean().optional().meta({ description: 'Delete the test together with the sink; true when unset.' }),
  ttlSecondsAfterFinished: z
    .number()
    .int()
    .min(0)
    .default(300)
    .meta({ description: 'Seconds after its end in which the test is kept; 0 deletes it at once. A change of the spec tests anew.', format: 'int32' }),
});
export type KollectConnectionTestSpec = z.infer<typeof KollectConnectionTestSpec>;

export const testPhases = ['Pending', 'Running', 'Succeeded', 'Failed'] as const;

export const KollectConnectionTestStatus = z.object({
  phase: z.enum(testPhases).optional().meta({ description: 'How far the test is: Pending, Running, Succeeded or Failed.' }),
  conditions: conditionList,
  observedGeneration,
  attempts: count('How often it was begun: more than once when the controller was restarted meanwhile.'),
  latencyMs: count('How long the sink took to answer, or to fail, in milliseconds. The look-up of its Secrets is not part of it.'),
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
  // Whoever waits for one of many sees that it was not forgotten, and nobody has to write that.
  status: KollectConnectionTestStatus.default({ phase: 'Pending' }),
  columns: [
    // The reference has one field only, whichever it is.
    { name: 'Sink', type: 'string', jsonPath: '.spec.sinkRef.*', description: 'Sink that is tested' },
    { name: 'Phase', type: 'string', jsonPath: '.status.phase', description: 'How far the test is' },
    conditionColumn('Verified', 'ConnectionVerified'),
    ageColumn,
    conditionReasonColumn('Ready'),
    { name: 'Latency (ms)', type: 'integer', jsonPath: '.status.latencyMs', description: 'Milliseconds that the sink took to answer', priority: 1 },
    conditionMessageColumn('Ready'),
  ],
};
