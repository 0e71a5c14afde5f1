import { KollectError } from '../../errors.ts';
import { hasScheme, splitUrl } from '../../net/endpoint.ts';

export type ObjectStoreType = 's3' | 'gcs' | 'azureblob';

/** Where objects are kept. */
export interface ObjectStoreEndpoint {
  /** Host to connect to; undefined when the provider's own is meant. */
  host: string | undefined;
  port: number | undefined;
  /** `http` only for a host of one's own. */
  scheme: 'http' | 'https';
  user: string | undefined;
  /** Bucket, or container of Azure. */
  bucket: string;
  /** What the keys of all objects begin with, without slashes around it; `""` for none. */
  prefix: string;
}

/** The scheme that names a bucket of the provider, and what users write. */
const forms: Readonly<Record<ObjectStoreType, { scheme: string; noun: string; form: string }>> = {
  s3: { scheme: 's3', noun: 'bucket', form: 'write s3://<bucket>/<prefix>, or https://<host>/<bucket>/<prefix> for a store of your own' },
  gcs: { scheme: 'gs', noun: 'bucket', form: 'write gs://<bucket>/<prefix>, or https://storage.googleapis.com/<bucket>/<prefix>' },
  azureblob: { scheme: 'azblob', noun: 'container', form: 'write https://<account>.blob.core.windows.net/<container>/<prefix>' },
};

/**
 * Reads the address of a bucket: `s3://bucket/prefix` (`gs://`, `azblob://`), `bucket/prefix`, or the bucket behind the host of a store. Throws
 * `KOL_API_ENDPOINT`.
 *
 * @example parseObjectStoreEndpoint('s3', 'https://minio.example.com:9000/b/p') // { host: 'minio.example.com', port: 9000, bucket: 'b', prefix: 'p', … }
 */
export function parseObjectStoreEndpoint(type: ObjectStoreType, text: string): ObjectStoreEndpoint {
  const { scheme: own, noun, form } = forms[type];
  if (!hasScheme(text)) return { host: undefined, port: undefined, scheme: 'https', user: undefined, ...place(text, noun, form) };
  if (/:\/\/(?:\/|$)/.test(text)) throw new KollectError('KOL_API_ENDPOINT', `names no ${noun}; ${form}`);
  const { scheme, user, host, port, path, query, fragment } = splitUrl(text);
  if (query !== '' || fragment !== '') throw new KollectError('KOL_API_ENDPOINT', `must have nothing behind a "?" or "#"; ${form}`);
  if (scheme === own && port === undefined) return { host: undefined, port, scheme: 'https', user, ...place(host + path, noun, form) };
  if (scheme !== 'http' && scheme !== 'https') throw new KollectError('KOL_API_ENDPOINT', `cannot be read as a ${noun} of the type ${type}; ${form}`);
  return { host, port, scheme, user, ...place(path, noun, form) };
}

function place(path: string, noun: string, form: string): { bucket: string; prefix: string } {
  const [bucket = '', ...prefix] = path.replaceAll(/^\/+|\/+$/g, '').split('/');
  if (bucket === '') throw new KollectError('KOL_API_ENDPOINT', `names no ${noun}; ${form}`);
  // An address or a port would be a host without its scheme.
  if (!/^[A-Za-z0-9$](?:[\w.-]*[A-Za-z0-9_])?$/.test(bucket) || bucket.includes('..') || /^\d+(?:\.\d+){3}$/.test(bucket)) throw new KollectError('KOL_API_ENDPOINT', `begins with what is no name of a ${noun}; ${form}`);
  if (prefix.some((part) => part === '' || part === '.' || part === '..') || /[\s\\?#\p{Cc}\p{Cf}]/u.test(path)) throw new KollectError('KOL_API_ENDPOINT', `must have a prefix without blanks, "?", "#" and without empty parts, "." and ".."; ${form}`);
  return { bucket, prefix: prefix.join('/') };
}
