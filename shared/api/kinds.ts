import type { KindDefinition } from './kind.ts';
import { kollectClusterInventory } from './kollect-cluster-inventory.ts';
import { kollectClusterScope } from './kollect-cluster-scope.ts';
import { kollectClusterTarget } from './kollect-cluster-target.ts';
import { kollectConnectionTest } from './kollect-connection-test.ts';
import { kollectDatabaseSink } from './kollect-database-sink.ts';
import { kollectEventSink } from './kollect-event-sink.ts';
import { kollectInventory } from './kollect-inventory.ts';
import { kollectProfile } from './kollect-profile.ts';
import { kollectScope } from './kollect-scope.ts';
import { kollectSnapshotSink } from './kollect-snapshot-sink.ts';
import { kollectTarget } from './kollect-target.ts';

export type { KindDefinition } from './kind.ts';

/** Every kind of the API. */
export const kinds: readonly KindDefinition[] = [
  kollectClusterInventory,
  kollectClusterScope,
  kollectClusterTarget,
  kollectConnectionTest,
  kollectDatabaseSink,
  kollectEventSink,
  kollectInventory,
  kollectProfile,
  kollectScope,
  kollectSnapshotSink,
  kollectTarget,
];

export function kindByName(kind: string): KindDefinition | undefined {
  return kinds.find((definition) => definition.kind === kind);
}
