import { z } from 'zod';
import { objectOf, type KindDefinition } from './kind.ts';
import { sinkCommonFields, SinkStatus } from './sink-common.ts';
import { sinkColumns } from './sink-kind.ts';
import { blocksOf, typesOf } from './sink-types.ts';

export const KollectSnapshotSinkSpec = z.object({
  type: z.enum(typesOf('snapshot')).meta({ description: 'Backend of the sink. git, gitlab and http have a block of the same name; s3, gcs and azureblob use objectStore.' }),
  ...sinkCommonFields,
  ...blocksOf('snapshot'),
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
