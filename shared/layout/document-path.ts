import { defaultPaths } from '../api/default-paths.ts';

/** Whose path it is. */
export interface PathIdentity {
  /** `cluster` for a KollectClusterInventory. */
  namespace: string;
  name: string;
  /** `""` when the sink names none. */
  cluster: string;
  generation: number;
}

/** What stands for a cluster without a name in paths and tables. */
export function clusterLabel({ cluster }: { cluster: string }): string {
  return cluster.trim() || 'default';
}

/**
 * The path of the document of an inventory, or of the index of its tree.
 *
 * @param part one of several documents, counted from 1
 * @example documentPath('inventory/{namespace}/{name}{extension}', '.yaml', { namespace: 'team-a', name: 'api', cluster: '', generation: 1 }) // 'inventory/team-a/api.yaml'
 */
export function documentPath(template: string, extension: string, identity: PathIdentity, part?: { index: number; total: number }): string {
  const { namespace, name, generation } = identity;
  const values: Readonly<Record<string, string>> = { namespace, name, generation: String(generation), extension, cluster: clusterLabel(identity) };
  // What reads such folders takes nothing else for a value.
  const valueOf = (_token: string, key: string): string => (template === defaultPaths.parquet ? values[key]!.replaceAll(/[^A-Za-z0-9._-]/g, '_') : values[key]!);
  const path = template.replaceAll(/\{(cluster|namespace|name|generation|extension)\}/g, valueOf);
  return part === undefined ? path : partPath(path, extension, part);
}

/** @example partPath('inventory/team-a/api.json', '.json', { index: 2, total: 3 }) // 'inventory/team-a/api.part-0002-of-0003.json' */
function partPath(path: string, extension: string, { index, total }: { index: number; total: number }): string {
  const end = path.endsWith(extension) ? extension : (/\.[^./]*$/.exec(path)?.[0] ?? '');
  const digits = (count: number): string => String(count).padStart(4, '0');
  return `${path.slice(0, path.length - end.length)}.part-${digits(index)}-of-${digits(total)}${end}`;
}
