import { createHash, createPrivateKey } from 'node:crypto';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import type { gcs } from '../../../shared/api/sinks/object-store.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext, SecretValues } from '../contract.ts';
import { readEndpoint, type BucketSettings } from '../objects/bucket-settings.ts';

type Option = (typeof gcs.options)[number];

/** How to log in. */
export type GcsLogin =
  | { kind: 'key'; email: string; privateKey: string }
  /** The S3 protocol, which Google speaks too. */
  | { kind: 'hmac'; accessKeyId: string; secretAccessKey: string }
  | { kind: 'workload' }
  /** A server that is not Google's, which no token of Google is told to. */
  | { kind: 'nobody' };

export interface GcsSinkSettings extends BucketSettings {
  /** Of the server, without a slash at the end. */
  url: string;
  login: GcsLogin;
  storageClass: string | undefined;
  kmsKeyName: string | undefined;
  userProject: string | undefined;
}

const storageClasses = ['STANDARD', 'NEARLINE', 'COLDLINE', 'ARCHIVE'];
const ofGoogle = 'storage.googleapis.com';

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG`, `KOL_SINK_AUTH` for a key that cannot be one, and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectSnapshotSinkSpec>): GcsSinkSettings {
  const { spec, secrets } = context;
  const bucket = readEndpoint('gcs', context);
  const { host = ofGoogle, port, scheme } = bucket.endpoint;
  const option = (name: Option): string | undefined => spec.options?.[name]?.trim() || undefined;
  const isGoogle = scheme === 'https' && /(?:^|\.)googleapis\.com$/i.test(host);
  const login = spec.secretRef ? readLogin(secrets) : ({ kind: 'workload' } as const);
  if (login.kind === 'key' && !isGoogle) throw new KollectError('KOL_SINK_CONFIG', `tokens are sent to hosts of Google over https only, and ${JSON.stringify(host)} is none: correct spec.endpoint, or leave out spec.secretRef`);
  const storageClass = option('storageClass')?.toUpperCase();
  if (storageClass !== undefined && !storageClasses.includes(storageClass)) throw new KollectError('KOL_SINK_CONFIG', `spec.options.storageClass cannot be ${JSON.stringify(storageClass)}: write one of ${storageClasses.join(', ')}`);
  const [kmsKeyName, userProject] = [option('kmsKeyName'), option('userProject')];
  if (login.kind === 'hmac' && (kmsKeyName ?? userProject) !== undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.options.kmsKeyName and userProject have no meaning with HMAC keys: put the key of a service account under credentials.json into the Secret');
  return {
    ...bucket,
    url: `${scheme}://${host}${port === undefined ? '' : `:${port}`}`,
    login: !isGoogle && login.kind === 'workload' ? { kind: 'nobody' } : login,
    storageClass,
    kmsKeyName,
    userProject,
  };
}

/** Who writes with equal settings shares one client. A digest, since it covers credentials. */
export function settingsKey(settings: GcsSinkSettings): string {
  return `gcs ${createHash('sha256').update(JSON.stringify(settings)).digest('hex')}`;
}

function readLogin(secrets: SecretValues): GcsLogin {
  const hmacId = ['accessKeyID', 'AWS_ACCESS_KEY_ID'];
  if (secrets.first('credentials.json') === undefined && secrets.first(...hmacId) !== undefined) {
    return { kind: 'hmac', accessKeyId: secrets.require(...hmacId), secretAccessKey: secrets.require('secretAccessKey', 'AWS_SECRET_ACCESS_KEY') };
  }
  const wrong = (what: string): KollectError => new KollectError('KOL_SINK_AUTH', `credentials.json of the Secret ${what}: put the JSON key of a service account there`);
  let key: { type?: unknown; client_email?: unknown; private_key?: unknown } | null;
  try {
    key = JSON.parse(secrets.require('credentials.json')) as typeof key;
  } catch (error) {
    if (error instanceof KollectError) throw error;
    throw wrong('is no JSON');
  }
  // Others name programs and addresses of their own, which are not to be used.
  if (key?.type !== 'service_account' || typeof key.client_email !== 'string' || typeof key.private_key !== 'string') throw wrong('is no key of a service account');
  try {
    createPrivateKey(key.private_key);
  } catch {
    throw wrong('holds a private key that cannot be read');
  }
  return { kind: 'key', email: key.client_email, privateKey: key.private_key };
}
