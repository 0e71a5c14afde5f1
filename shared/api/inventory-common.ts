import { z } from 'zod';
import { Duration } from './duration.ts';
import { ageColumn, conditionColumn, conditionReasonColumn, type Column } from './kind.ts';
import { conditionList, count, observedGeneration, timestamp } from './meta.ts';
import { sinkRefList } from './sink-ref.ts';

export const inventoryCommonFields = {
  snapshotSinkRefs: sinkRefList('snapshot'),
  databaseSinkRefs: sinkRefList('database'),
  eventSinkRefs: sinkRefList('event'),
  exportMinInterval: Duration.optional().meta({
    description: 'Time between looks at an unchanged destination, from 0s to 24h, for references and sinks without one of their own; 30s when unset. A change never waits for it; 0s exports changes only.',
  }),
  suspend: z.boolean().optional().meta({ description: 'Stop exporting; sinks keep what they hold.' }),
  deletionPolicy: z
    .enum(['Delete', 'Retain'])
    .optional()
    .meta({ description: 'What becomes of exported data when the inventory, or a reference to its sink, is deleted: Delete removes it, Retain leaves it. Delete when unset.' }),
};

const SinkExport = z.object({
  name: z.string().meta({ description: 'Family and name of the sink, such as database/warehouse.' }),
  namespace: z.string().meta({ description: 'Namespace of the sink.' }),
  phase: z.enum(['Active', 'Removing']).optional().meta({ description: 'Active, or Removing: the reference is gone, and what it exported is being removed.' }),
  dirty: z.boolean().optional().meta({ description: 'There may be writes that lastChecksum does not cover; after a restart the destination is compared.' }),
  fingerprint: z.string().optional().meta({ description: 'Identifies the destination, such as host, database and table, without credentials.' }),
  lastChecksum: z.string().optional().meta({ description: 'Digest of what the sink holds: the sum of the SHA-256 of its rows modulo 2^256. It detects changes; it proves nothing.' }),
  lastExportTime: timestamp('When the sink last confirmed a write.'),
  rows: count('Rows that the sink holds of this inventory.'),
  lagRows: count('Changed rows that the sink does not have yet.'),
  lagSeconds: count('Age of the oldest of them, in seconds.'),
  pacing: z.string().optional().meta({ description: 'What slows exports down, such as the quota of the backend; absent when nothing does.' }),
  rejectedRows: count('Rows that the sink refused because of their content.'),
  lastError: z.string().optional().meta({ description: 'Why the last export failed; absent after a success.' }),
  conditions: conditionList,
});
export type SinkExport = z.infer<typeof SinkExport>;

/** References that were dropped stay listed until their data is removed, so that there may be more than references. */
export const maxSinkExports = 64;

export const inventoryStatusFields = {
  conditions: conditionList,
  observedGeneration,
  lastHandledReconcile: z.string().optional().meta({ description: 'Value of the annotation kollect.dev/reconcile that was last carried out.' }),
  itemCount: count('Rows of the inventory.'),
  lastExportTime: timestamp('When a sink last confirmed a write.'),
  sinkExports: z
    .array(SinkExport)
    .max(maxSinkExports)
    .optional()
    .meta({ description: 'State of the export to each sink.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['namespace', 'name'] }),
};

export const inventoryColumns: readonly Column[] = [
  { name: 'Items', type: 'integer', jsonPath: '.status.itemCount', description: 'Rows of the inventory' },
  conditionColumn('Synced', 'Synced'),
  conditionColumn('Ready', 'Ready'),
  { name: 'Last export', type: 'date', jsonPath: '.status.lastExportTime', description: 'When a sink last confirmed a write' },
  ageColumn,
  conditionReasonColumn('Ready'),
];
