import { z } from 'zod';
import { SecretReference } from '../meta.ts';

export const BigQuerySettings = z.object({
  project: z.string().meta({ description: 'Google Cloud project.' }),
  dataset: z.string().meta({ description: 'Dataset; it must exist.' }),
  table: z.string().meta({ description: 'Table that the rows are written to.' }),
  location: z.string().optional().meta({ description: 'Location of the jobs, such as EU.' }),
  secretRef: SecretReference.optional().meta({ description: 'Secret with the service account under credentials.json; ambient credentials when unset.' }),
});

export const bigqueryOptions = ['maximumBytesBilled', 'labels'] as const;
