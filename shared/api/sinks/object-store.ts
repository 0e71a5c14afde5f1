import { z } from 'zod';
import { bounds, text } from '../text.ts';

/** Settings of the types s3, gcs and azureblob. */
export const ObjectStoreSettings = z.object({
  format: z.enum(['json', 'parquet']).optional().meta({ description: 'Older name of serialization.format, which wins.' }),
  hotAttributes: z
    .array(text)
    .max(bounds.list)
    .optional()
    .meta({ description: 'Attributes that become columns of Parquet files; image and version when unset.', 'x-kubernetes-list-type': 'atomic' }),
});
export type ObjectStoreSettings = z.infer<typeof ObjectStoreSettings>;

export const s3Options = ['region', 'storageClass', 'forcePathStyle', 'sse', 'sseKmsKeyId'] as const;
export const gcsOptions = ['storageClass', 'kmsKeyName', 'userProject'] as const;
export const azureblobOptions = ['accessTier', 'encryptionScope'] as const;
