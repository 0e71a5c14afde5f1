import type { KubeObject } from '../../api/kube-object.ts';
import { kindByName } from '../../api/kinds.ts';
import type { Known, KnownObject, Lookups } from '../lookups.ts';
import { withoutRefused } from '../schema-findings.ts';
import { schemaIssues } from '../schema-issues.ts';
import { KnownObjects } from './known-objects.ts';

/**
 * Lookups over objects that are at hand, such as those of files.
 *
 * @example objectLookups([scope, profile]).scopes('team-a')
 */
export function objectLookups(objects: Iterable<KubeObject>): Lookups {
  const known = new KnownObjects();
  const kept = [...objects].flatMap((object) => knownObject(object) ?? []);
  // Inventories behind their sinks, so that nothing is known to write elsewhere before.
  for (const object of kept) if (!isInventory(object)) known.set(object);
  for (const object of kept) if (isInventory(object)) known.set(object);
  return known;
}

function isInventory({ kind }: KnownObject): boolean {
  return kind === 'KollectInventory' || kind === 'KollectClusterInventory';
}

/** The same lookups with other answers to some questions. */
export function overlaid(lookups: Lookups, answers: Partial<Lookups>): Lookups {
  return {
    scopes: (namespace) => lookups.scopes(namespace),
    clusterScopes: () => lookups.clusterScopes(),
    profile: (namespace, name) => lookups.profile(namespace, name),
    profiles: (namespace) => lookups.profiles(namespace),
    targets: (namespace) => lookups.targets(namespace),
    clusterTarget: (name) => lookups.clusterTarget(name),
    clusterTargets: () => lookups.clusterTargets(),
    targetsOf: (namespace, profile) => lookups.targetsOf(namespace, profile),
    inventories: (namespace) => lookups.inventories(namespace),
    clusterInventories: () => lookups.clusterInventories(),
    users: (sink) => lookups.users(sink),
    writers: (key) => lookups.writers(key),
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
