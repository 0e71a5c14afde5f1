import type { KubeObject } from '../../api/kube-object.ts';
import { kindByName } from '../../api/kinds.ts';
import { sinkKinds } from '../lookups.ts';
import type { Known, KnownObject, Lookups } from '../lookups.ts';
import { withoutRefused } from '../schema-findings.ts';
import { schemaIssues } from '../schema-issues.ts';

/**
 * Lookups over objects that are at hand, such as those of files.
 *
 * @example objectLookups([scope, profile]).scopes('team-a')
 */
export function objectLookups(objects: Iterable<KubeObject>): Lookups {
  const known = new Map<string, Map<string, KnownObject>>();
  for (const object of objects) {
    const kept = knownObject(object);
    if (kept === undefined) continue;
    const kind = known.get(kept.kind) ?? new Map<string, KnownObject>();
    known.set(kept.kind, kind.set(keyOf(kept), kept));
  }
  return lookupsOver({
    get: (kind, namespace, name) => known.get(kind)?.get(`${namespace}/${name}`),
    list: (kind) => known.get(kind)?.values() ?? [],
    inNamespace: (kind, namespace) => [...(known.get(kind)?.values() ?? [])].filter(({ metadata }) => metadata.namespace === namespace),
  });
}

/** Where known objects are kept. The kind that is asked for is the kind that is given. */
export interface KnownObjects {
  get(kind: string, namespace: string, name: string): KnownObject | undefined;
  list(kind: string): Iterable<KnownObject>;
  inNamespace(kind: string, namespace: string): Iterable<KnownObject>;
}

export function lookupsOver({ get, list, inNamespace }: KnownObjects): Lookups {
  return {
    scopes: (namespace) => byName(inNamespace('KollectScope', namespace)),
    clusterScopes: () => byName(list('KollectClusterScope')),
    profile: (namespace, name) => get('KollectProfile', namespace, name) as ReturnType<Lookups['profile']>,
    profiles: (namespace) => inNamespace('KollectProfile', namespace) as ReturnType<Lookups['profiles']>,
    *targets() {
      yield* list('KollectTarget') as ReturnType<Lookups['targets']>;
      yield* list('KollectClusterTarget') as ReturnType<Lookups['targets']>;
    },
    *inventories() {
      yield* list('KollectInventory') as ReturnType<Lookups['inventories']>;
      yield* list('KollectClusterInventory') as ReturnType<Lookups['inventories']>;
    },
    sink: (family, namespace, name) => get(sinkKinds[family], namespace, name) as ReturnType<Lookups['sink']>,
    sinks: (family, namespace) => inNamespace(sinkKinds[family], namespace) as ReturnType<Lookups['sinks']>,
  };
}

/** The same lookups with other answers to some questions. */
export function overlaid(lookups: Lookups, answers: Partial<Lookups>): Lookups {
  return {
    scopes: (namespace) => lookups.scopes(namespace),
    clusterScopes: () => lookups.clusterScopes(),
    profile: (namespace, name) => lookups.profile(namespace, name),
    profiles: (namespace) => lookups.profiles(namespace),
    targets: () => lookups.targets(),
    inventories: () => lookups.inventories(),
    sink: (family, namespace, name) => lookups.sink(family, namespace, name),
    sinks: (family, namespace) => lookups.sinks(family, namespace),
    ...answers,
  };
}

/** An object as rules see it from afar: its name, and its spec without what the schema of the kind refuses. Undefined for kinds of others. */
export function knownObject({ kind, metadata, spec }: KubeObject): KnownObject | undefined {
  const definition = kindByName(kind);
  if (definition === undefined) return undefined;
  const issues = schemaIssues(definition.spec, spec);
  const kept = issues.length === 0 ? spec : withoutRefused(spec, issues);
  const known: Known<string, unknown> = { kind, metadata: { name: metadata.name, namespace: metadata.namespace }, spec: (kept ?? {}) as object };
  return known as KnownObject;
}

function keyOf({ metadata }: KnownObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

function byName<T extends KnownObject>(objects: Iterable<KnownObject>): T[] {
  return ([...objects] as T[]).sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}
