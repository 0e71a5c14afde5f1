import { z } from 'zod';

export const ObjectStoreSettings = z.object({
  format: z.enum(['json', 'parquet']).optional().meta({ description: 'Older twin of serialization.format, which wins.' }),
  hotAttributes: z.array(z.string()).optional().meta({ description: 'Attributes that become columns of Parquet files.', 'x-kubernetes-list-type': 'atomic' }),
});

export const s3Options = ['region', 'storageClass', 'forcePathStyle', 'sse', 'sseKmsKeyId'] as const;
