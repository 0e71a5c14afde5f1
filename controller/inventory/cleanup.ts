import { annotations } from '../../shared/api/annotations.ts';
import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { maxSinkExports } from '../../shared/api/inventory-common.ts';
import { sinkBindings } from '../../shared/api/sink-ref.ts';
import { KollectError } from '../../shared/errors.ts';
import { conditionsOf, type Verdict } from '../observe/conditions.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import type { Binding } from './binding.ts';
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
  /** Of the destination where all rows of the inventory are known to be its own; undefined when none is. */
  fingerprint?: string | undefined;
}

type InventoryStatus = NonNullable<KollectInventory['status']>;
export type SinkExports = NonNullable<InventoryStatus['sinkExports']>;

/** What status says of each sink. */
export function sinkExports(inventory: KubeObject): SinkExports {
  return (inventory['status'] as KollectInventory['status'])?.sinkExports ?? [];
}

export function exportedSink({ name: key, namespace, fingerprint }: Pick<SinkExports[number], 'name' | 'namespace' | 'fingerprint'>): ExportedSink {
  const slash = key.indexOf('/');
  return { key, family: key.slice(0, slash) as SinkFamily, name: key.slice(slash + 1), namespace, fingerprint };
}

/** The sink of a binding. */
export function boundSink(binding: Pick<Binding, 'key' | 'state' | 'options'>): ExportedSink {
  return exportedSink({ name: binding.key, namespace: binding.options.namespace, fingerprint: ownFingerprint(binding) });
}

/** Of the destination that a binding exported to, unless rows of somebody else wait there for consent. */
export function ownFingerprint({ state: { held, fingerprint }, options: { previous } }: Pick<Binding, 'state' | 'options'>): string | undefined {
  if (held?.reason === 'foreign') return undefined;
  // Whose rows wait for the end of a pause is only known of what was exported before.
  return held?.reason === 'paused' ? previous?.fingerprint : (fingerprint ?? previous?.fingerprint);
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
  return [...sinkExports(inventory).map(exportedSink), ...referencedSinks(inventory)];
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
  const isPaused = removals.some((removal) => removal.isPaused);
  const terminal = !isPaused && failed.some(({ error }) => error?.class === 'terminal');
  // Last, where a message that is too long is cut.
  const errors = failed.map(({ key, error }) => `${key}: ${error?.message ?? ''}`).join('; ');
  const message = isPaused
    ? `the inventory is being deleted, and its ${pausedRemoval}; it goes at once when spec.deletionPolicy is set to Retain, which keeps the rows`
    : failed.length === 0 ? 'rows are being removed' : `rows could not be removed, which is tried again; mend the sink, delete it, or set spec.deletionPolicy to Retain to keep the rows: ${errors}`;
  const reason = isPaused ? 'DeletionHeld' : terminal ? 'CleanupTerminal' : 'Progressing';
  const verdicts: Verdict[] = [
    { type: 'Ready', status: 'False', reason, message },
    { type: 'Synced', status: 'False', reason, message },
    { type: 'SinkReachable', status: 'False', reason: isPaused || terminal ? reason : 'ExportFailed', message },
    { type: 'Degraded', status: 'True', reason, message },
  ];
  return {
    ...previous,
    conditions: conditionsOf(verdicts, previous?.conditions, inventory.metadata.generation, now),
    sinkExports: removals.map((removal) => removingEntry(removal)).slice(0, maxSinkExports),
  };
}

/** The entry of a sink while what it holds is being removed, or will be when the inventory `isSuspended` no more. */
export function removingEntry({ key, namespace, fingerprint, isPaused, error }: RemovalState, isSuspended = false): SinkExports[number] {
  const lastError = isSuspended ? 'rows are kept as long as spec.suspend is true' : isPaused ? pausedRemoval : error?.message;
  return { name: key, namespace, phase: 'Removing', ...(fingerprint === undefined ? {} : { fingerprint }), ...(lastError === undefined ? {} : { lastError }) };
}

/** Why rows stay at a sink while deletions are paused. */
export const pausedRemoval = `rows are kept as long as the annotation ${annotations.pauseDeletes} is "true"`;
