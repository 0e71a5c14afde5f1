import type { KnownClusterScope, KnownScope, ScopeLookups } from '../lookups.ts';

/** Of several scopes the first by name counts. */
export function scopeOf(lookups: ScopeLookups, namespace: string): KnownScope | undefined {
  return lookups.scopes(namespace)[0];
}

export function clusterScopeOf(lookups: ScopeLookups): KnownClusterScope | undefined {
  return lookups.clusterScopes()[0];
}

/** `KollectScope "team"`, for messages. */
export function titled({ kind, metadata }: { kind: string; metadata: { name: string } }): string {
  return `${kind} ${JSON.stringify(metadata.name)}`;
}

/** The items of a list that are there; undefined when it bounds nothing because it is empty or missing. */
export function bounding<T>(list: readonly (T | undefined)[] | undefined): T[] | undefined {
  const items = (list ?? []).filter((item) => item !== undefined);
  return items.length === 0 ? undefined : items;
}

/** The first few of a list that a message can name. */
export function someOf(names: readonly string[], shown = 10): string {
  const more = names.length > shown ? ` and ${names.length - shown} more` : '';
  return names.slice(0, shown).map((name) => JSON.stringify(name)).join(', ') + more;
}
