import { createHash } from 'node:crypto';
import type { KollectSnapshotSinkSpec } from '../../../shared/api/kollect-snapshot-sink.ts';
import type { azureblob } from '../../../shared/api/sinks/object-store.ts';
import type { ObjectStoreEndpoint } from '../../../shared/api/sinks/object-store-endpoint.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext, SecretValues } from '../contract.ts';
import { readEndpoint, type BucketSettings } from '../objects/bucket-settings.ts';

type Option = (typeof azureblob.options)[number];

/** How to log in. */
export type AzureLogin =
  | { kind: 'key'; account: string; key: string }
  /** Without a question mark. */
  | { kind: 'sas'; token: string }
  | { kind: 'client'; tenant: string; client: string; secret: string }
  | { kind: 'workload' };

export interface AzureSinkSettings extends BucketSettings {
  /** Of the account, without a slash at the end. */
  url: string;
  login: AzureLogin;
  accessTier: string | undefined;
  encryptionScope: string | undefined;
}

/** Names of the Secret's keys, ours and those of the environment of Azure. */
const keyNames = {
  connectionString: ['connectionString', 'AZURE_STORAGE_CONNECTION_STRING'],
  sas: ['sasToken', 'AZURE_STORAGE_SAS_TOKEN'],
  account: ['accountName', 'AZURE_STORAGE_ACCOUNT'],
  key: ['accountKey', 'AZURE_STORAGE_KEY'],
  tenant: ['tenantID', 'AZURE_TENANT_ID'],
  client: ['clientID', 'AZURE_CLIENT_ID'],
  secret: ['clientSecret', 'AZURE_CLIENT_SECRET'],
} as const;

const accessTiers = ['Hot', 'Cool', 'Cold', 'Archive'];
const hostsOfAzure = /\.(?:core\.windows\.net|core\.usgovcloudapi\.net|core\.chinacloudapi\.cn|storage\.azure\.net)$/i;

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG`, `KOL_SINK_AUTH` for credentials that cannot be used, and `KOL_SINK_SECRET_KEY`. */
export function readSettings(context: OpenContext<KollectSnapshotSinkSpec>): AzureSinkSettings {
  const { spec, secrets } = context;
  const { endpoint: given, tls } = readEndpoint('azureblob', context);
  const { login, account, blobEndpoint } = spec.secretRef ? readLogin(secrets) : { login: { kind: 'workload' } as const };
  const { url, endpoint } = placeOf(given, account, blobEndpoint);
  const { protocol, hostname } = new URL(url);
  if ((login.kind === 'workload' || login.kind === 'client') && (protocol !== 'https:' || !hostsOfAzure.test(hostname))) {
    throw new KollectError('KOL_SINK_CONFIG', `tokens are sent to hosts of Azure over https only, and ${JSON.stringify(hostname)} is none: correct spec.endpoint, or put accountName and accountKey into the Secret`);
  }
  const option = (name: Option): string | undefined => spec.options?.[name]?.trim() || undefined;
  const tier = option('accessTier');
  const accessTier = accessTiers.find((known) => known.toLowerCase() === tier?.toLowerCase());
  if (tier !== undefined && accessTier === undefined) throw new KollectError('KOL_SINK_CONFIG', `spec.options.accessTier cannot be ${JSON.stringify(tier)}: write one of ${accessTiers.join(', ')}`);
  return { endpoint, title: `container ${url}/${endpoint.bucket}`, tls, url, login, accessTier, encryptionScope: option('encryptionScope') };
}

/** Who writes with equal settings shares one client. A digest, since it covers credentials. */
export function settingsKey(settings: AzureSinkSettings): string {
  return `azureblob ${createHash('sha256').update(JSON.stringify(settings)).digest('hex')}`;
}

/** An emulator, and a server of one's own, has the account in the path. */
function placeOf(endpoint: ObjectStoreEndpoint, account: string | undefined, blobEndpoint: string | undefined): { url: string; endpoint: ObjectStoreEndpoint } {
  const { host, port, scheme, bucket, prefix } = endpoint;
  if (host === undefined) {
    const url = blobEndpoint ?? (account === undefined ? undefined : `https://${account}.blob.core.windows.net`);
    if (url === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.endpoint names no account: write https://<account>.blob.core.windows.net/<container>/<prefix>');
    return { url, endpoint: { ...endpoint, scheme: url.startsWith('http:') ? 'http' : 'https' } };
  }
  const url = `${scheme}://${host.toLowerCase()}${port === undefined ? '' : `:${port}`}`;
  const [container = '', ...rest] = prefix.split('/');
  if (bucket !== account || hostsOfAzure.test(host) || container === '') return { url, endpoint };
  return { url: `${url}/${account}`, endpoint: { ...endpoint, bucket: container, prefix: rest.join('/') } };
}

function readLogin(secrets: SecretValues): { login: AzureLogin; account?: string | undefined; blobEndpoint?: string | undefined } {
  const text = secrets.first(...keyNames.connectionString);
  if (text !== undefined) return readConnectionString(text);
  const token = secrets.first(...keyNames.sas);
  const account = secrets.first(...keyNames.account);
  if (token !== undefined) return { login: { kind: 'sas', token: token.replace(/^\?/, '') }, account };
  const key = secrets.first(...keyNames.key);
  if (key !== undefined || (account !== undefined && secrets.first(...keyNames.secret) === undefined)) {
    return { login: { kind: 'key', account: secrets.require(...keyNames.account), key: secrets.require(...keyNames.key) }, account };
  }
  if (secrets.first(...keyNames.secret) === undefined) secrets.require(...keyNames.connectionString, ...keyNames.sas, ...keyNames.key, ...keyNames.secret);
  return { login: { kind: 'client', tenant: secrets.require(...keyNames.tenant), client: secrets.require(...keyNames.client), secret: secrets.require(...keyNames.secret) }, account };
}

function readConnectionString(text: string): ReturnType<typeof readLogin> {
  const parts = new Map(text.split(';').flatMap((part) => {
    const at = part.indexOf('=');
    return at < 0 ? [] : [[part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()] as const];
  }));
  const [account, key, token] = [parts.get('accountname'), parts.get('accountkey'), parts.get('sharedaccesssignature')];
  const suffix = parts.get('endpointsuffix') ?? 'core.windows.net';
  const blobEndpoint = parts.get('blobendpoint')?.replace(/\/+$/, '') ?? (account === undefined ? undefined : `${parts.get('defaultendpointsprotocol') ?? 'https'}://${account}.blob.${suffix}`);
  if (blobEndpoint === undefined || !/^https?:\/\/[^/?#@\s]+(?:\/[^/?#\s]+)?$/i.test(blobEndpoint)) throw new KollectError('KOL_SINK_AUTH', 'connectionString of the Secret names no account that can be reached: copy it from the access keys of the storage account');
  if (token !== undefined) return { login: { kind: 'sas', token: token.replace(/^\?/, '') }, account, blobEndpoint };
  if (account === undefined || key === undefined) throw new KollectError('KOL_SINK_AUTH', 'connectionString of the Secret has neither an AccountKey nor a SharedAccessSignature: copy it from the access keys of the storage account');
  return { login: { kind: 'key', account, key }, account, blobEndpoint };
}
