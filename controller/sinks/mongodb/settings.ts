import { createHash } from 'node:crypto';
import type { KollectDatabaseSinkSpec } from '../../../shared/api/kollect-database-sink.ts';
import type { mongodbOptions } from '../../../shared/api/sinks/mongodb.ts';
import { KollectError } from '../../../shared/errors.ts';
import type { OpenContext } from '../contract.ts';
import { parseUri, type MongoUri } from './uri.ts';

/** Where rows go. */
export interface CollectionSettings {
  database: string;
  collection: string;
  /** For people. */
  title: string;
  /** The collection and its index must be there. */
  mustExist: boolean;
}

export interface MongoSinkSettings extends CollectionSettings {
  uri: MongoUri;
  /** The servers, for fingerprints. */
  servers: string;
  /** Undefined: no encryption. */
  tls: { ca: string | undefined; verifies: boolean; client: { cert: string; key: string } | undefined } | undefined;
  maxPoolSize: number;
  /** Servers that confirm a write: a number, or `majority`. */
  w: number | 'majority';
  wtimeoutMs: number | undefined;
  /** What the server shows of us to its people. */
  clientName: string;
}

/** Passes at one server that wait for nothing else. */
export const concurrency = 2;

const defaultPoolSize = concurrency + 2;

/** Reads spec, Secret and CA. Throws `KOL_SINK_CONFIG` and `KOL_SINK_SECRET_KEY`. */
export function readSettings({ spec, secrets, ca, clientCertificate, name }: OpenContext<KollectDatabaseSinkSpec>): MongoSinkSettings {
  const place = readCollection(spec);
  const uri = parseUri(secrets.require('uri', 'url', 'connectionString', 'MONGODB_URI'));
  const option = (key: (typeof mongodbOptions)[number]): string | undefined => spec.options?.[key]?.trim() || undefined;
  const count = (key: 'maxPoolSize' | 'wtimeoutMS', most: number): number | undefined => {
    const value = option(key);
    if (value !== undefined && (!/^\d{1,9}$/.test(value) || Number(value) < 1 || Number(value) > most)) throw new KollectError('KOL_SINK_CONFIG', `spec.options.${key} must be a number from 1 to ${most}`);
    return value === undefined ? undefined : Number(value);
  };
  const w = option('w') ?? uri.w ?? 'majority';
  if (w !== 'majority' && !/^[1-9]\d?$/.test(w)) throw new KollectError('KOL_SINK_CONFIG', 'spec.options.w, or w of the connection string, must be majority or the number of servers that confirm a write');
  const isEncrypted = uri.tls ?? spec.tls !== undefined;
  return {
    ...place,
    uri,
    servers: uri.hosts.map(({ host, port }) => `${host.toLowerCase()}:${port}`).toSorted().join(','),
    tls: isEncrypted ? { ca, verifies: spec.tls?.insecureSkipVerify !== true, client: clientCertificate } : undefined,
    maxPoolSize: count('maxPoolSize', 100) ?? defaultPoolSize,
    w: w === 'majority' ? w : Number(w),
    wtimeoutMs: count('wtimeoutMS', 600_000),
    clientName: `kollect ${name}`.slice(0, 100),
  };
}

/** Reads the spec alone. Throws `KOL_SINK_CONFIG`. */
export function readCollection({ mongodb, provisioning }: KollectDatabaseSinkSpec): CollectionSettings {
  if (mongodb === undefined) throw new KollectError('KOL_SINK_CONFIG', 'spec.mongodb is missing: set databaseRef, database and collection');
  const [database, collection] = [mongodb.database.trim(), mongodb.collection.trim()];
  return { database, collection, title: `collection ${JSON.stringify(`${database}.${collection}`)}`, mustExist: provisioning?.mode === 'existing' };
}

/** Who connects with equal settings shares sessions. A digest, since it covers credentials. */
export function settingsKey({ uri, tls, maxPoolSize, w, wtimeoutMs, clientName }: MongoSinkSettings): string {
  return `mongodb ${createHash('sha256').update(JSON.stringify([uri, tls, maxPoolSize, w, wtimeoutMs, clientName])).digest('hex')}`;
}
