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

/** Keys of a Secret, the first that is not blank counts. */
type Keys = readonly string[];

/** Without any of these keys the identity of the workload is used, as for the other object stores. */
export const s3SecretKeys = {
  accessKeyId: ['accessKeyID', 'AWS_ACCESS_KEY_ID'],
  secretAccessKey: ['secretAccessKey', 'AWS_SECRET_ACCESS_KEY'],
  sessionToken: ['sessionToken', 'AWS_SESSION_TOKEN'],
} as const satisfies Record<string, Keys>;

/** The key of a service account speaks the JSON API; HMAC keys speak the one that is compatible with S3. */
export const gcsSecretKeys = {
  serviceAccount: ['credentials.json'],
  accessKeyId: s3SecretKeys.accessKeyId,
  secretAccessKey: s3SecretKeys.secretAccessKey,
} as const satisfies Record<string, Keys>;

/** A connection string, else a shared access signature, else account and key, else the client secret of an application. */
export const azureblobSecretKeys = {
  connectionString: ['connectionString', 'AZURE_STORAGE_CONNECTION_STRING'],
  sasToken: ['sasToken', 'AZURE_STORAGE_SAS_TOKEN'],
  accountName: ['accountName', 'AZURE_STORAGE_ACCOUNT'],
  accountKey: ['accountKey', 'AZURE_STORAGE_KEY'],
  tenantId: ['tenantID', 'AZURE_TENANT_ID'],
  clientId: ['clientID', 'AZURE_CLIENT_ID'],
  clientSecret: ['clientSecret', 'AZURE_CLIENT_SECRET'],
} as const satisfies Record<string, Keys>;

export const s3Options = ['region', 'storageClass', 'forcePathStyle', 'sse', 'sseKmsKeyId'] as const;
export const gcsOptions = ['storageClass', 'kmsKeyName', 'userProject'] as const;
export const azureblobOptions = ['accessTier', 'encryptionScope'] as const;
