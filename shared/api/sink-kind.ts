import { ageColumn, conditionColumn, conditionMessageColumn, conditionReasonColumn, type Column } from './kind.ts';

/** Columns of the three sink kinds. */
export const sinkColumns: readonly Column[] = [
  { name: 'Type', type: 'string', jsonPath: '.spec.type', description: 'Backend' },
  conditionColumn('Verified', 'ConnectionVerified'),
  conditionReasonColumn('ConnectionVerified', 0),
  { name: 'Tested', type: 'date', jsonPath: '.status.lastProbeTime', description: 'When the connection was last tested' },
  ageColumn,
  { name: 'Cluster', type: 'string', jsonPath: '.spec.cluster', description: 'Name of this cluster in what is exported', priority: 1 },
  conditionMessageColumn('ConnectionVerified'),
];
