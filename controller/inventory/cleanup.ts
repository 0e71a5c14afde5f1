import type { KollectInventory } from '../../shared/api/kollect-inventory.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { sinkBindings } from '../../shared/api/sink-ref.ts';
import { KollectError } from '../../shared/errors.ts';
import type { Logger } from '../../shared/log.ts';
import type { SinkFamily } from '../sinks/contract.ts';
import type { OpenSink } from './binding.ts';
import type { SinkDirectory } from './sink-directory.ts';

/** A sink that may hold rows of an inventory. */
export interface ExportedSink {
  /** `<family>/<name>`, as status names it. */
  key: string;
  family: SinkFamily;
  name: string;
  namespace: string;
}

/** A removal that hangs must not keep an inventory from others that work. */
const removalTimeoutMs = 60_000;

export type SinkExports = NonNullable<NonNullable<KollectInventory['status']>['sinkExports']>;

/** What status says of each sink. */
export function sinkExports(inventory: KubeObject): SinkExports {
  return (inventory['status'] as KollectInventory['status'])?.sinkExports ?? [];
}

export function exportedSink({ name: key, namespace }: { name: string; namespace: string }): ExportedSink {
  const slash = key.indexOf('/');
  return { key, family: key.slice(0, slash) as SinkFamily, name: key.slice(slash + 1), namespace };
}

/** All sinks that may hold rows: those of status, and the references as well, because status lags behind what was written. */
export function allExportedSinks(inventory: KubeObject): ExportedSink[] {
  const { namespace = '' } = inventory.metadata;
  const sinks = new Map<string, ExportedSink>();
  for (const { family, name } of sinkBindings(inventory['spec'] as KollectInventory['spec'])) {
    sinks.set(`${family}/${name}`, { key: `${family}/${name}`, family, name, namespace });
  }
  for (const entry of sinkExports(inventory)) sinks.set(entry.name, exportedSink(entry));
  return [...sinks.values()];
}

/**
 * Removes the rows of an inventory from one sink. A sink or Secret that is gone leaves nothing that could be cleaned; every other error is thrown,
 * and the removal is to be repeated. Rows stay where one of the sinks in `kept` writes to the same destination.
 */
export async function removeRows(
  inventory: KubeObject,
  sink: ExportedSink,
  directory: SinkDirectory,
  logger: Logger,
  kept: readonly ExportedSink[] = [],
): Promise<void> {
  const { name, namespace = '', generation = 0 } = inventory.metadata;
  const fields = { namespace, name, sink: sink.key };
  let opened: OpenSink | undefined;
  try {
    opened = await directory.open(sink.family, sink.namespace, sink.name);
    if ((await fingerprints(kept, directory)).has(opened.fingerprint)) {
      logger.info('nothing to remove: another reference writes to the same destination', fields);
      return;
    }
    const identity = { namespace, name, generation, cluster: opened.cluster };
    const { deleted } = await opened.sink.remove(identity, AbortSignal.timeout(removalTimeoutMs));
    logger.info('removed the rows of an inventory', { ...fields, deleted });
  } catch (error) {
    const gone = error instanceof KollectError && (error.code === 'KOL_SINK_NOT_FOUND' || error.code === 'KOL_SINK_SECRET');
    if (!gone) throw error;
    logger.info('nothing to remove: the sink or its Secret is gone', fields);
  } finally {
    await opened?.sink.close();
  }
}

/** Destinations of sinks that stay. One that cannot be told is an error: the rows might be its own. */
async function fingerprints(sinks: readonly ExportedSink[], directory: SinkDirectory): Promise<Set<string>> {
  const found = new Set<string>();
  for (const { family, namespace, name } of sinks) {
    const { sink, fingerprint } = await directory.open(family, namespace, name).catch((cause: unknown) => {
      throw new KollectError('KOL_SINK_UNAVAILABLE', `rows are not removed before it is known where ${family}/${name} writes to: ${String(cause)}`, { cause });
    });
    await sink.close();
    found.add(fingerprint);
  }
  return found;
}
