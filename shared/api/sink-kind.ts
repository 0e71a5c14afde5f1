import { ageColumn, conditionColumn, type Column } from './kind.ts';

/** Columns of the three sink kinds. */
export const sinkColumns: readonly Column[] = [
  { name: 'Type', type: 'string', jsonPath: '.spec.type' },
  conditionColumn('Verified', 'ConnectionVerified'),
  { name: 'Reason', type: 'string', jsonPath: '.status.conditions[?(@.type=="ConnectionVerified")].reason', priority: 1 },
  ageColumn,
];
