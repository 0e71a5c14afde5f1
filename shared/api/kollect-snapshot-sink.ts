import { z } from 'zod';
import { objectOf, type KindDefinition } from './kind.ts';
import { sinkCommonFields, SinkStatus } from './sink-common.ts';
import { sinkColumns } from './sink-kind.ts';
import { GitLabSettings, GitSettings } from './sinks/git.ts';
import { HttpSettings } from './sinks/http.ts';
import { ObjectStoreSettings } from './sinks/object-store.ts';

export const snapshotSinkTypes = ['git', 'gitlab', 's3', 'gcs', 'azureblob', 'http'] as const;

export const KollectSnapshotSinkSpec = z.object({
  type: z.enum(snapshotSinkTypes).meta({ description: 'Backend of the sink. git, gitlab and http have a block of the same name; s3, gcs and azureblob use objectStore.' }),
  ...sinkCommonFields,
  git: GitSettings.optional().meta({ description: 'Settings of type git.' }),
  gitlab: GitLabSettings.optional().meta({ description: 'Settings of type gitlab.' }),
  objectStore: ObjectStoreSettings.optional().meta({ description: 'Settings of the types s3, gcs and azureblob. Their Secret in spec.secretRef has, or the identity of the workload is used: for s3 accessKeyID, secretAccessKey and sessionToken (or the names of the AWS environment); for gcs credentials.json, or the first two of s3; for azureblob connectionString, else sasToken, else accountName and accountKey, else tenantID, clientID and clientSecret (or the names of the Azure environment).' }),
  http: HttpSettings.optional().meta({ description: 'Settings of type http.' }),
});
export type KollectSnapshotSinkSpec = z.infer<typeof KollectSnapshotSinkSpec>;

export const KollectSnapshotSink = objectOf('KollectSnapshotSink', KollectSnapshotSinkSpec, SinkStatus);
export type KollectSnapshotSink = z.infer<typeof KollectSnapshotSink>;

export const kollectSnapshotSink: KindDefinition = {
  kind: 'KollectSnapshotSink',
  plural: 'kollectsnapshotsinks',
  singular: 'kollectsnapshotsink',
  shortNames: ['ksnap'],
  scope: 'Namespaced',
  description: 'Where inventories are kept as documents or files: a git repository, an object store or a web hook.',
  spec: KollectSnapshotSinkSpec,
  status: SinkStatus,
  columns: sinkColumns,
};
