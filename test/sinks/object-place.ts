import { randomUUID } from 'node:crypto';
import type { KollectSnapshotSinkSpec } from '../../shared/api/kollect-snapshot-sink.ts';
import { openSink, type OpenedSink, type OpenSinkOptions } from '../../controller/sinks/runtime/open-sink.ts';
import type { Files, FilesPlace } from './files-conformance.ts';

export interface OpenObjectsOptions extends Partial<Omit<OpenSinkOptions, 'sink' | 'readSecret'>> {
  spec?: Partial<KollectSnapshotSinkSpec> | undefined;
  secret?: Record<string, string> | undefined;
}

/** A store that tests look into by the bare client. Keys are those of the whole bucket. */
export interface BareStore {
  type: 's3' | 'gcs' | 'azureblob';
  /** Of the bucket. */
  endpoint: string;
  secret: Record<string, string>;
  spec?: Partial<KollectSnapshotSinkSpec>;
  list(prefix: string): Promise<string[]>;
  read(key: string): Promise<Buffer>;
  put(key: string, text: string): Promise<void>;
  remove(key: string): Promise<void>;
  /** What an object says of itself. */
  metadata(key: string): Promise<Record<string, string>>;
}

/** A KollectSnapshotSink that reads Secret `objects`, opened as the controller does. */
export async function openObjects({ type, endpoint, secret: given, spec: ofStore }: BareStore, { spec, secret = given, policy = { allowPrivate: true, allowLoopback: true }, ...options }: OpenObjectsOptions = {}): Promise<OpenedSink> {
  const data = Object.fromEntries(Object.entries(secret).map(([key, value]) => [key, Buffer.from(value).toString('base64')]));
  const secretRef = Object.keys(secret).length > 0 ? { secretRef: { name: 'objects' } } : {};
  const sink = { kind: 'KollectSnapshotSink', metadata: { name: 'store', namespace: 'team-a' }, spec: { type, endpoint, ...secretRef, ...ofStore, ...spec } };
  return await openSink({ sink, readSecret: async () => ({ metadata: { resourceVersion: '1' }, data }), policy, ...options });
}

export interface ObjectPlace extends FilesPlace {
  prefix: string;
  endpoint: string;
  opened(options?: OpenObjectsOptions): Promise<OpenedSink>;
  remove(path: string): Promise<void>;
  metadata(path: string): Promise<Record<string, string>>;
}

/** A prefix that no other test sees. */
export function objectPlace(store: BareStore): ObjectPlace {
  const prefix = `p-${randomUUID().slice(0, 8)}/deep`;
  const endpoint = `${store.endpoint}/${prefix}`;
  const opened: ObjectPlace['opened'] = ({ spec, ...options } = {}) => openObjects(store, { ...options, spec: { endpoint, ...spec } });
  return {
    prefix,
    endpoint,
    opened,
    open: async (spec, options) => (await opened({ ...options, spec: { ...spec, serialization: { format: 'yaml', ...spec?.serialization } } as Partial<KollectSnapshotSinkSpec> })).sink,
    files: async (): Promise<Files> => {
      const keys = await store.list(`${prefix}/`);
      return Object.fromEntries(await Promise.all(keys.map(async (key) => [key.slice(prefix.length + 1), (await store.read(key)).toString('latin1')] as const)));
    },
    put: (path, text) => store.put(`${prefix}/${path}`, text),
    remove: (path) => store.remove(`${prefix}/${path}`),
    metadata: (path) => store.metadata(`${prefix}/${path}`),
  };
}
