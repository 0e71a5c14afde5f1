import { GROUP } from '../api/group.ts';
import { kindByName } from '../api/kinds.ts';
import { nearestName } from '../nearest.ts';
import type { Placed } from './placed.ts';

/**
 * What a document is to Kollect: an object of ours, even when its kind or version is misspelt; one of another group; or nothing that
 * Kubernetes would take.
 */
export type Sort = 'ours' | 'other' | 'none';

/** Lists in lists are nothing that kubectl writes. */
const maxListDepth = 4;

/** The objects of a document: itself, or the items of the list that `kubectl get -o yaml` writes. */
export function objectsOf(document: Placed, depth = 0): Placed[] {
  const items = document.entries?.get('items')?.placed.items;
  const kind = field(document, 'kind');
  return items === undefined || kind === undefined || !kind.endsWith('List') || depth >= maxListDepth ? [document] : items.flatMap((item) => objectsOf(item, depth + 1));
}

export function sortOf(object: Placed): Sort {
  if (isLocal(object)) return 'other';
  const apiVersion = field(object, 'apiVersion');
  const kind = field(object, 'kind');
  if (kind !== undefined && kindByName(kind) !== undefined) return 'ours';
  if (apiVersion === undefined) return 'none';
  const [group = ''] = apiVersion.split('/');
  return nearestName(group, [GROUP]) !== undefined ? 'ours' : kind === undefined ? 'none' : 'other';
}

function field({ entries }: Placed, name: string): string | undefined {
  const value = entries?.get(name)?.placed.value;
  return typeof value === 'string' ? value : undefined;
}

/** What kustomize works with and never builds. */
function isLocal({ entries }: Placed): boolean {
  const annotation = entries?.get('metadata')?.placed.entries?.get('annotations')?.placed.entries?.get('config.kubernetes.io/local-config');
  return annotation?.placed.value === 'true';
}
