import { z } from 'zod';
import { bounds, text } from '../text.ts';
import { oneOf, type OptionForm } from './option-form.ts';
import type { SinkTypeFacts } from '../sink-types.ts';

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

const objectStore = {
  family: 'snapshot',
  block: 'objectStore',
  settings: ObjectStoreSettings,
  about: 'Settings of the types s3, gcs and azureblob. Their Secret in spec.secretRef has, or the identity of the workload is used: for s3 accessKeyID, secretAccessKey and sessionToken (or the names of the AWS environment); for gcs credentials.json, or the first two of s3; for azureblob connectionString, else sasToken, else accountName and accountKey, else tenantID, clientID and clientSecret (or the names of the Azure environment).',
  isBlockRequired: false,
  formats: ['json', 'parquet', 'csv'],
  compressions: ['none', 'gzip', 'zstd', 'snappy'],
  hasLayout: false,
  isBuilt: false,
} as const;

export const s3 = { ...objectStore, isBuilt: true, options: ['region', 'storageClass', 'forcePathStyle', 'sse', 'sseKmsKeyId'] } as const satisfies SinkTypeFacts;
export const gcs = { ...objectStore, isBuilt: true, options: ['storageClass', 'kmsKeyName', 'userProject'] } as const satisfies SinkTypeFacts;
export const azureblob = { ...objectStore, isBuilt: true, options: ['accessTier', 'encryptionScope'] } as const satisfies SinkTypeFacts;

export const s3StorageClasses = ['DEEP_ARCHIVE', 'EXPRESS_ONEZONE', 'FSX_ONTAP', 'FSX_OPENZFS', 'GLACIER', 'GLACIER_IR', 'INTELLIGENT_TIERING', 'ONEZONE_IA', 'OUTPOSTS', 'REDUCED_REDUNDANCY', 'SNOW', 'STANDARD', 'STANDARD_IA', 'AWS_BACKUP_LOW_COST_WARM', 'AWS_BACKUP_WARM'] as const;
export const s3Encryptions = ['AES256', 'aws:kms', 'aws:kms:dsse', 'aws:fsx', 'aws:backup'] as const;

/** Forms of the options that have one, by type. Stores of one's own take some of those of AWS. */
export const objectStoreOptionForms: Readonly<Record<'s3' | 'gcs' | 'azureblob', Readonly<Record<string, OptionForm>>>> = {
  s3: {
    storageClass: oneOf(s3StorageClasses),
    sse: oneOf(s3Encryptions),
    forcePathStyle: oneOf(['true', 'false'], { inAnyCase: true }),
  },
  gcs: { storageClass: oneOf(['STANDARD', 'NEARLINE', 'COLDLINE', 'ARCHIVE'], { inAnyCase: true }) },
  azureblob: { accessTier: oneOf(['Hot', 'Cool', 'Cold', 'Archive'], { inAnyCase: true }) },
};
