/** The two operations of RFC 6902 that defaults need. */
export interface JsonPatchOperation {
  op: 'add' | 'replace';
  /** JSON Pointer. */
  path: string;
  value: unknown;
}

/** Applies operations whose parents exist. Copies what lies on the way to a change and shares the rest. */
export function applyJsonPatch<T>(object: T, patch: readonly JsonPatchOperation[]): T {
  let result: unknown = object;
  for (const { path, value } of patch) {
    const keys = path.slice(1).split('/').map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
    result = replaceAt(result, keys, value);
  }
  return result as T;
}

function replaceAt(target: unknown, [key = '', ...rest]: readonly string[], value: unknown): unknown {
  if (Array.isArray(target)) return target.with(Number(key), rest.length === 0 ? value : replaceAt(target[Number(key)], rest, value));
  const parent = target as Record<string, unknown>;
  return { ...parent, [key]: rest.length === 0 ? value : replaceAt(parent[key], rest, value) };
}
