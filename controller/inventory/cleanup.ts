import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { maxSinkExports } from '../../shared/api/inventory-common.ts';
import { sinkBindings } from '../../shared/api/sink-ref.ts';
import { KollectError } from '../../shared/errors.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import { sinkNamespace } from './inventory-kind.ts';
import type { RemovalState } from './inventory-status.ts';
import type { SinkDirectory } from './sink-directory.ts';

/** A sink that may hold rows of an inventory. */
export interface ExportedSink {
  /** `<family>/<name>`, as status names it. */
  key: string;
  family: SinkFamily;
  name: string;
  namespace: string;
}

type InventoryStatus = NonNullable<KollectInventory['status']>;
export type SinkExports = NonNullable<InventoryStatus['sinkExports']>;

/** What status says of each sink. */
export function sinkExports(inventory: KubeObject): SinkExports {
  return (inventory['status'] as KollectInventory['status'])?.sinkExports ?? [];
}

export function exportedSink({ name: key, namespace }: { name: string; namespace: string }): ExportedSink {
  const slash = key.indexOf('/');
  return { key, family: key.slice(0, slash) as SinkFamily, name: key.slice(slash + 1), namespace };
}

/** The sinks that the spec names. */
export function referencedSinks(inventory: KubeObject): ExportedSink[] {
  return sinkBindings(inventory['spec'] as KollectInventory['spec']).map((ref) => {
    const { family, name } = ref;
    return { key: `${family}/${name}`, family, name, namespace: sinkNamespace(inventory, ref) };
  });
}

/** All sinks that may hold rows: those of status, and the references as well, because status lags behind what was written. */
export function allExportedSinks(inventory: KubeObject): ExportedSink[] {
  return [...referencedSinks(inventory), ...sinkExports(inventory).map(exportedSink)];
}

/** What is exported stays when the inventory or a reference goes. */
export function retainsRows(inventory: KubeObject): boolean {
  return (inventory['spec'] as KollectInventory['spec']).deletionPolicy === 'Retain';
}

/** Nothing can have been exported to such a sink while it has no entry in status. */
const unopenedCodes: ReadonlySet<string> = new Set(['KOL_SINK_NOT_FOUND', 'KOL_SINK_NOT_IMPLEMENTED']);

/**
 * Fingerprints of the destinations of sinks that stay. One that cannot be told is an error, because rows might be its own; one that is
 * gone, and never exported anything, has none.
 */
export async function keptDestinations(inventory: KubeObject, directory: SinkDirectory): Promise<Set<string>> {
  const found = new Set<string>();
  for (const { key, family, namespace, name } of referencedSinks(inventory)) {
    try {
      const { sink, fingerprint } = await directory.open(family, namespace, name);
      await sink.close();
      found.add(fingerprint);
    } catch (cause) {
      const former = sinkExports(inventory).find((entry) => entry.name === key && entry.namespace === namespace)?.fingerprint;
      if (former !== undefined) found.add(former);
      else if (!(cause instanceof KollectError && unopenedCodes.has(cause.code))) {
        throw new KollectError('KOL_SINK_UNAVAILABLE', `rows are not removed before it is known where ${key} writes to: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
      }
    }
  }
  return found;
}

/** Status of an inventory that is being deleted, while its rows cannot be removed. */
export function cleanupStatus(inventory: KubeObject, previous: InventoryStatus | undefined, removals: readonly RemovalState[], now: string): InventoryStatus {
  const failed = removals.filter(({ error }) => error !== undefined);
  const terminal = failed.some(({ error }) => error?.class === 'terminal');
  const errors = failed.map(({ key, error }) => `${key}: ${error?.message ?? ''}`).join('; ');
  const message = `rows could not be removed, which is tried again: ${errors}; mend the sink, delete it, or set spec.deletionPolicy to Retain to keep the rows`;
  const reason = terminal ? 'CleanupTerminal' : 'Progressing';
  const verdicts: Verdict[] = [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Synced', status: 'False', reason, message },
    { type: 'SinkReachable', status: 'False', reason: terminal ? reason : 'ExportFailed', message },
    { type: 'Degraded', status: 'True', reason, message },
  ];
  return {
    ...previous,
    conditions: conditionsOf(verdicts, previous?.conditions, inventory.metadata.generation, now),
    sinkExports: removals.map(removingEntry).slice(0, maxSinkExports),
  };
}

/** The entry of a sink while what it holds is being removed. */
export function removingEntry({ key, namespace, error }: RemovalState): SinkExports[number] {
  return { name: key, namespace, phase: 'Removing', ...(error ? { lastError: error.message } : {}) };
}
