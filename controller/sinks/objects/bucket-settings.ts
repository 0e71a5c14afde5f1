import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import { parseObjectStoreEndpoint, type ObjectStoreEndpoint, type ObjectStoreType } from '../../../shared/api/sinks/object-store-endpoint.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';
import type { AgentTls } from '../runtime/guarded-agent.ts';

/** What the settings of all stores have in common. */
export interface BucketSettings {
  endpoint: ObjectStoreEndpoint;
  /** Store and bucket without users and prefix, for messages and fingerprints. */
  title: string;
  tls: AgentTls;
}

const nouns: Readonly<Record<ObjectStoreType, string>> = { s3: 'bucket s3://', gcs: 'bucket gs://', azureblob: 'container azblob://' };

/** Throws `KOL_SINK_CONFIG`. */
export function readEndpoint(type: ObjectStoreType, { spec, ca, clientCertificate }: OpenContext<KollectSnapshotSinkSpec>): BucketSettings {
  const text = spec.endpoint?.trim() ?? '';
  if (text === '') throw new KollectError('KOL_SINK_CONFIG', 'spec.endpoint is empty: write where the objects are to be kept');
  let endpoint: ObjectStoreEndpoint;
  try {
    endpoint = parseObjectStoreEndpoint(type, text);
  } catch (error) {
    throw new KollectError('KOL_SINK_CONFIG', `spec.endpoint ${error instanceof Error ? error.message : String(error)}`);
  }
  const { host, port, scheme, bucket } = endpoint;
  const title = host === undefined ? `${nouns[type]}${bucket}` : `${nouns[type].split(' ')[0]} ${scheme}://${host.toLowerCase()}${port === undefined ? '' : `:${port}`}/${bucket}`;
  return { endpoint, title, tls: { ca, verifies: spec.tls?.insecureSkipVerify !== true, client: clientCertificate } };
}
