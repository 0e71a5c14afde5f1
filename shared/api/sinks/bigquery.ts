import { z } from 'zod';
import { SecretReference } from '../meta.ts';
import { nonEmpty, text } from '../text.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

/** Key of the Secret with the key file of a service account. */
export const bigqueryKeyFile = 'credentials.json';

/** Keys of `options` that are read. */
export const bigqueryOptions = ['maximumBytesBilled', 'labels'] as const;

/** Settings of the type bigquery. */
export const BigQuerySettings = z.object({
  project: nonEmpty.meta({ description: 'Google Cloud project.' }),
  dataset: nonEmpty.meta({ description: 'Dataset of the table; it must exist.' }),
  table: nonEmpty.meta({ description: 'Table that the rows are written to.' }),
  location: text.optional().meta({ description: 'Location of the jobs, such as EU; that of the dataset when unset.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with the key of a service account under credentials.json; the identity of the workload when unset.' }),
});
export type BigQuerySettings = z.infer<typeof BigQuerySettings>;

export const bigquery = {
  family: 'database',
  block: 'bigquery',
  settings: BigQuerySettings,
  about: 'Settings of type bigquery.',
  isBlockRequired: true,
  formats: ['json'],
  compressions: ['none'],
  options: bigqueryOptions,
  hasLayout: false,
  isBuilt: true,
} as const satisfies SinkTypeFacts;
