import { ageColumn, conditionColumn, conditionReasonColumn, type Column } from './kind.ts';

/** Columns of both target kinds. */
export const targetColumns: readonly Column[] = [
  conditionColumn('Ready', 'Ready'),
  { name: 'Collected', type: 'integer', jsonPath: '.status.collectedCount', description: 'Rows of the target' },
  { name: 'Updated', type: 'date', jsonPath: '.status.collectedCountUpdatedAt', description: 'When their number last changed' },
  ageColumn,
  conditionReasonColumn('Ready'),
];
