import { DeleteObjectCommand, GetObjectCommand, HeadObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import type { S3 } from '../servers/s3/index.ts';
import type { BareStore } from './object-place.ts';

/** The bucket of an S3 server, seen by the bare client. */
export function bareS3({ endpoint, region, accessKeyId, secretAccessKey }: S3, bucket: string): BareStore & { client: S3Client } {
  const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
  const of = (key: string) => ({ Bucket: bucket, Key: key });
  return {
    client,
    type: 's3',
    endpoint: `${endpoint}/${bucket}`,
    secret: { accessKeyID: accessKeyId, secretAccessKey },
    list: async (prefix) => {
      const keys: string[] = [];
      for (let token: string | undefined; ; ) {
        const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, ...(token !== undefined && { ContinuationToken: token }) }));
        keys.push(...(page.Contents ?? []).flatMap(({ Key }) => Key ?? []));
        token = page.NextContinuationToken;
        if (!page.IsTruncated) return keys;
      }
    },
    read: async (key) => Buffer.from(await (await client.send(new GetObjectCommand(of(key)))).Body!.transformToByteArray()),
    put: async (key, text) => {
      // The server would keep the metadata of what it replaces.
      await client.send(new DeleteObjectCommand(of(key)));
      await client.send(new PutObjectCommand({ ...of(key), Body: text }));
    },
    remove: async (key) => void (await client.send(new DeleteObjectCommand(of(key)))),
    metadata: async (key) => (await client.send(new HeadObjectCommand(of(key)))).Metadata ?? {},
  };
}
