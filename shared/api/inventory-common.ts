import { z } from 'zod';
import { Duration } from './duration.ts';
import { conditionColumn, ageColumn, type Column } from './kind.ts';
import { conditionList } from './meta.ts';
import { sinkRefList } from './sink-ref.ts';

export const inventoryCommonFields = {
  snapshotSinkRefs: sinkRefList('snapshot'),
  databaseSinkRefs: sinkRefList('database'),
  eventSinkRefs: sinkRefList('event'),
  exportMinInterval: Duration.optional().meta({
    description: 'Time between checks of an unchanged destination; 30s when unset, 0s for never. Changes never wait for it.',
  }),
  suspend: z.boolean().optional().meta({ description: 'Stop exporting; sinks keep what they hold.' }),
  deletionPolicy: z.enum(['Delete', 'Retain']).optional().meta({ description: 'Delete removes what was exported with the inventory, Retain keeps it. Delete when unset.' }),
};

const SinkExport = z.object({
  name: z.string().meta({ description: 'Family and name of the sink, such as database/warehouse.' }),
  namespace: z.string().meta({ description: 'Namespace of the sink.' }),
  phase: z.enum(['Active', 'Removing']).optional().meta({ description: 'Removing: the reference is gone and its data is being removed.' }),
  dirty: z.boolean().optional().meta({ description: 'Writes may have happened that lastChecksum does not cover.' }),
  fingerprint: z.string().optional().meta({ description: 'Identifies the destination, without credentials.' }),
  lastChecksum: z.string().optional().meta({ description: 'Snapshot digest of what the sink holds: the sum of the SHA-256 of its rows modulo 2^256.' }),
  lastExportTime: z.string().optional().meta({ description: 'When the sink last confirmed a write.', format: 'date-time' }),
  rows: z.number().int().optional().meta({ description: 'Rows that the sink holds.', format: 'int64' }),
  lagRows: z.number().int().optional().meta({ description: 'Changed rows that the sink lacks.', format: 'int64' }),
  lagSeconds: z.number().int().optional().meta({ description: 'Age of the oldest of them.', format: 'int64' }),
  pacing: z.string().optional().meta({ description: 'Why exports are slowed down, when they are.' }),
  rejectedRows: z.number().int().optional().meta({ description: 'Rows that the sink refused.', format: 'int64' }),
  lastError: z.string().optional().meta({ description: 'Why the last export failed.' }),
  conditions: conditionList,
});

export const inventoryStatusFields = {
  conditions: conditionList,
  observedGeneration: z.number().int().optional().meta({ description: 'Generation of the spec that was judged.', format: 'int64' }),
  itemCount: z.number().int().optional().meta({ description: 'Rows of the inventory.', format: 'int64' }),
  lastExportTime: z.string().optional().meta({ description: 'When a sink last confirmed a write.', format: 'date-time' }),
  sinkExports: z
    .array(SinkExport)
    .max(64)
    .optional()
    .meta({ description: 'State of each sink.', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['namespace', 'name'] }),
};

export const inventoryColumns: readonly Column[] = [
  { name: 'Items', type: 'integer', jsonPath: '.status.itemCount' },
  conditionColumn('Synced', 'Synced'),
  conditionColumn('Ready', 'Ready'),
  { name: 'Last export', type: 'date', jsonPath: '.status.lastExportTime' },
  ageColumn,
];
