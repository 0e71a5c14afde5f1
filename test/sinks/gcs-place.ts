import { Storage } from '@google-cloud/storage';
import type { Gcs } from '../servers/gcs/index.ts';
import type { BareStore } from './object-place.ts';

/** The bucket of a server of Google Cloud Storage, seen by the bare client. */
export function bareGcs({ endpoint }: Gcs, name: string): BareStore {
  const bucket = new Storage({ apiEndpoint: endpoint, projectId: 'none' }).bucket(name);
  return {
    type: 'gcs',
    endpoint: `${endpoint}/${name}`,
    secret: {},
    list: async (prefix) => (await bucket.getFiles({ prefix }))[0].map((file) => file.name),
    // Much at the same time is too much for the client.
    read: async (key) => Buffer.from(await (await fetch(`${endpoint}/storage/v1/b/${name}/o/${encodeURIComponent(key)}?alt=media`)).arrayBuffer()),
    put: (key, text) => bucket.file(key).save(text, { resumable: false }),
    remove: async (key) => void (await bucket.file(key).delete()),
    metadata: async (key) => ((await bucket.file(key).getMetadata())[0].metadata ?? {}) as Record<string, string>,
  };
}
