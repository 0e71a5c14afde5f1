import { BlobServiceClient } from '@azure/storage-blob';
import type { Azure } from '../servers/azure/index.ts';
import type { BareStore } from './object-place.ts';

/** A new container of a server of Azure Blob Storage, seen by the bare client. */
export async function bareAzure({ endpoint, account, key, connectionString }: Azure, name: string): Promise<BareStore> {
  const container = BlobServiceClient.fromConnectionString(connectionString).getContainerClient(name);
  await container.createIfNotExists();
  return {
    type: 'azureblob',
    endpoint: `${endpoint}/${name}`,
    secret: { accountName: account, accountKey: key },
    list: async (prefix) => {
      const keys: string[] = [];
      for await (const blob of container.listBlobsFlat({ prefix })) keys.push(blob.name);
      return keys;
    },
    read: (blob) => container.getBlobClient(blob).downloadToBuffer(),
    put: async (blob, text) => void (await container.getBlockBlobClient(blob).upload(text, Buffer.byteLength(text))),
    remove: async (blob) => void (await container.deleteBlob(blob)),
    metadata: async (blob) => (await container.getBlobClient(blob).getProperties()).metadata ?? {},
  };
}
