import { readYaml } from './yaml.ts';

/** Whether a file name is one that kustomize looks for. */
export function isKustomization(name: string): boolean {
  return /^kustomization(?:\.ya?ml)?$/i.test(name);
}

/**
 * The files that a kustomization patches with: parts of objects, which are none themselves.
 *
 * @example patchFiles('patches: [{path: replicas.yaml}]') // ['replicas.yaml']
 */
export function patchFiles(text: string): string[] {
  const value = readYaml(text).documents[0]?.root?.value;
  if (typeof value !== 'object' || value === null) return [];
  const { patches, patchesStrategicMerge, patchesJson6902 } = value as Record<string, unknown>;
  return [patches, patchesStrategicMerge, patchesJson6902].flatMap((list) => (Array.isArray(list) ? list.flatMap(pathOf) : []));
}

/** Inline patches have no path. */
function pathOf(patch: unknown): string[] {
  const path = typeof patch === 'object' && patch !== null ? (patch as Record<string, unknown>).path : patch;
  return typeof path === 'string' && !path.includes('\n') ? [path] : [];
}
