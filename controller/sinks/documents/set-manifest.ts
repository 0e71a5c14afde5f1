import { KollectError } from '../../../shared/errors.ts';
import { inTurns } from '../../../shared/in-turns.ts';
import { clusterLabel, documentPath } from '../../../shared/layout/document-path.ts';
import type { Layout } from '../../../shared/layout/layout.ts';
import type { InventoryIdentity } from '../contract.ts';
import { unknownInstallation } from '../runtime/errors.ts';
import { isPathWithin } from './file-store.ts';
import { schemaVersion } from './json-document.ts';

/** Which files are those of the tree of an inventory. It lies beside the index, or where an index would be. */
export interface SetManifest {
  cluster: string;
  generation: number;
  /** Template of the paths: a tree that was laid out otherwise is another one, and stays. */
  layout: string;
  /** Uid of the installation that wrote it. */
  installation: string | undefined;
  /** In the order of their characters. */
  paths: readonly string[];
}

export function manifestPath(layout: Layout, identity: InventoryIdentity): string {
  return documentPath(layout.index, '.manifest.json', identity);
}

/** What in the settings decides about paths. */
export function layoutKey({ mode, row, extension, groupInPath, lowercaseKind, maxSegmentLength }: Layout): string {
  return [mode ?? 'auto', row.replace('{extension}', extension), `groupInPath=${groupInPath}`, `lowercaseKind=${lowercaseKind}`, `maxSegmentLength=${maxSegmentLength}`].join(' ');
}

/**
 * Reads a manifest. Undefined for what is none, or is that of a tree of ours from before its sink was edited. Throws `KOL_SINK_OWNER` for one of another
 * installation, or of another cluster where installations are not known; for one of any installation where it is to be written and ours is not known.
 */
export async function readManifest(bytes: Uint8Array | undefined, own: { layout: string; identity: InventoryIdentity; installation: string | undefined; path: string; isToWrite: boolean }): Promise<SetManifest | undefined> {
  const found = await parsed(bytes);
  if (!found) return undefined;
  const cluster = clusterLabel(own.identity);
  const isOurs = own.installation !== undefined && found.installation === own.installation;
  if (found.cluster !== cluster && !isOurs) {
    throw new KollectError('KOL_SINK_OWNER', `${own.path} lists the files of cluster ${JSON.stringify(found.cluster)}, and this is ${JSON.stringify(cluster)}: put {cluster} into spec.layout.index.pathTemplate`);
  }
  if (own.installation !== undefined && found.installation !== undefined && found.installation !== own.installation) {
    throw new KollectError('KOL_SINK_OWNER', `${own.path} lists the files of another installation: give each cluster a name of its own in spec.cluster, and put {cluster} into spec.layout.index.pathTemplate`);
  }
  if (own.isToWrite && own.installation === undefined && found.installation !== undefined) {
    throw new KollectError('KOL_SINK_OWNER', `${own.path} lists the files of an installation, and nobody knows whether it is this one: ${unknownInstallation}`);
  }
  return found.layout === own.layout && found.cluster === cluster ? found : undefined;
}

/** @param exportedAt when the set became what it is */
export function writeManifest({ cluster, generation, layout, installation, paths }: SetManifest, { namespace, name }: InventoryIdentity, exportedAt: string): string {
  const of = { kind: manifestKind, schemaVersion, cluster, namespace, name, generation, partTotal: 1, parts: [1], exportedAt };
  return `${JSON.stringify({ ...of, ...(installation === undefined ? {} : { installation }), layout, paths }, null, 2)}\n`;
}

const manifestKind = 'KollectExportSetManifest';

async function parsed(bytes: Uint8Array | undefined): Promise<SetManifest | undefined> {
  if (bytes === undefined) return undefined;
  try {
    const { kind, cluster, generation, layout, installation, paths } = JSON.parse(Buffer.from(bytes).toString()) as Partial<SetManifest> & { kind?: string };
    if (kind !== manifestKind || typeof cluster !== 'string' || !Array.isArray(paths)) return undefined;
    const within: string[] = [];
    await inTurns<unknown>(paths, (path) => {
      if (typeof path === 'string' && isPathWithin(path)) within.push(path);
    });
    return { cluster, generation: Number(generation), layout: String(layout), installation: typeof installation === 'string' ? installation : undefined, paths: within };
  } catch {
    return undefined;
  }
}
