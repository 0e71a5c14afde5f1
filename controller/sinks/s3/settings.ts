import { createHash } from 'node:crypto';
import type { ServerSideEncryption } from '@aws-sdk/client-s3';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { s3Encryptions, s3StorageClasses, type s3 } from '../../../shared/api/sinks/object-store.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';
import { readEndpoint, type BucketSettings } from '../objects/bucket-settings.ts';

type Option = (typeof s3.options)[number];

export interface S3SinkSettings extends BucketSettings {
  /** Of a store of one's own; undefined: AWS. */
  url: string | undefined;
  region: string;
  forcePathStyle: boolean;
  /** Undefined: the identity of the workload. */
  credentials: { accessKeyId: string; secretAccessKey: string; sessionToken?: string } | undefined;
  storageClass: string | undefined;
  encryption: { algorithm: ServerSideEncryption; keyId: string | undefined } | undefined;
  /** Writes may say which version of an object they replace. */
  hasConditions: boolean;
}

/** Names of the Secret's keys, ours and those of the environment of AWS. */
export const keyNames = {
  id: ['accessKeyID', 'AWS_ACCESS_KEY_ID'],
  secret: ['secretAccessKey', 'AWS_SECRET_ACCESS_KEY'],
  token: ['sessionToken', 'AWS_SESSION_TOKEN'],
} as const;

/** Of S3 alone: other names below these are given to whoever rents a machine there. */
const hostsOfAws = /(?:^|\.)s3(?:-[a-z0-9-]+)?\.(?:dualstack\.)?(?:[a-z]{2}(?:-[a-z]+)+-\d+\.)?(?:vpce\.)?amazonaws\.(?:com|com\.cn|eu)$/i;

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG` and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectSnapshotSinkSpec>): S3SinkSettings {
  const { spec, secrets } = context;
  const bucket = readEndpoint('s3', context);
  const { host, port, scheme } = bucket.endpoint;
  const option = (name: Option): string | undefined => spec.options?.[name]?.trim() || undefined;
  const url = host === undefined ? undefined : `${scheme}://${host}${port === undefined ? '' : `:${port}`}`;
  if (!spec.secretRef && host !== undefined && (scheme !== 'https' || !hostsOfAws.test(host))) {
    throw new KollectError('KOL_SINK_CONFIG', `the identity of the workload is shown to hosts of AWS over https only, and ${JSON.stringify(host)} is none: put accessKeyID and secretAccessKey into a Secret, and name it in spec.secretRef`);
  }
  const id = spec.secretRef && secrets.require(...keyNames.id);
  const sessionToken = secrets.first(...keyNames.token);
  const keyId = option('sseKmsKeyId');
  const algorithm = oneOf('sse', s3Encryptions, option('sse') ?? (keyId === undefined ? undefined : 'aws:kms'));
  if (keyId !== undefined && algorithm?.startsWith('aws:kms') !== true) throw new KollectError('KOL_SINK_CONFIG', `spec.options.sseKmsKeyId has no meaning with sse ${algorithm}: set sse to aws:kms`);
  const isPathStyle = oneOf('forcePathStyle', ['true', 'false'] as const, option('forcePathStyle')?.toLowerCase());
  return {
    ...bucket,
    url,
    region: option('region') ?? process.env['AWS_REGION'] ?? process.env['AWS_DEFAULT_REGION'] ?? 'us-east-1',
    forcePathStyle: isPathStyle === undefined ? host !== undefined : isPathStyle === 'true',
    credentials: id === undefined ? undefined : { accessKeyId: id, secretAccessKey: secrets.require(...keyNames.secret), ...(sessionToken !== undefined && { sessionToken }) },
    storageClass: oneOf('storageClass', s3StorageClasses, option('storageClass')),
    encryption: algorithm && { algorithm, keyId },
    hasConditions: true,
  };
}

/** Who writes with equal settings shares one client. A digest, since it covers credentials. */
export function settingsKey(settings: S3SinkSettings): string {
  return `s3 ${createHash('sha256').update(JSON.stringify(settings)).digest('hex')}`;
}

function oneOf<T extends string>(name: Option, values: readonly T[], value: string | undefined): T | undefined {
  if (value === undefined) return undefined;
  const found = values.find((known) => known === value);
  if (found === undefined) throw new KollectError('KOL_SINK_CONFIG', `spec.options.${name} cannot be ${JSON.stringify(value)}: write one of ${values.join(', ')}`);
  return found;
}
