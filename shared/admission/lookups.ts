import type { KollectClusterInventorySpec } from '../api/kollect-cluster-inventory.ts';
import type { KollectClusterScopeSpec } from '../api/kollect-cluster-scope.ts';
import type { KollectClusterTargetSpec } from '../api/kollect-cluster-target.ts';
import type { KollectInventorySpec } from '../api/kollect-inventory.ts';
import type { KollectProfileSpec } from '../api/kollect-profile.ts';
import type { KollectScopeSpec } from '../api/kollect-scope.ts';
import type { KollectSnapshotSinkSpec } from '../api/kollect-snapshot-sink.ts';
import type { KollectTargetSpec } from '../api/kollect-target.ts';
import type { SinkFamily } from '../api/sink-ref.ts';
import type { Loose } from './rule.ts';
import type { SinkUse } from './state/written-paths.ts';

/** Another object, whole or reduced to what rules read. It may be older than our schemas, so any part of its spec may be missing. */
export interface Known<Kind extends string, Spec> {
  kind: Kind;
  metadata: { name: string; namespace?: string | undefined };
  spec: Loose<Spec>;
}

export type KnownScope = Known<'KollectScope', KollectScopeSpec>;
export type KnownClusterScope = Known<'KollectClusterScope', KollectClusterScopeSpec>;
export type KnownProfile = Known<'KollectProfile', Pick<KollectProfileSpec, 'targetGVK' | 'attributes' | 'export'>>;
export type KnownTarget = Known<'KollectTarget', KollectTargetSpec>;
export type KnownClusterTarget = Known<'KollectClusterTarget', KollectClusterTargetSpec>;
export type KnownInventory = Known<'KollectInventory', KollectInventorySpec>;
export type KnownClusterInventory = Known<'KollectClusterInventory', KollectClusterInventorySpec>;
/** A sink of any family; the blocks of snapshot sinks are all that rules look into. */
export type KnownSink = Known<'KollectSnapshotSink' | 'KollectDatabaseSink' | 'KollectEventSink', Omit<KollectSnapshotSinkSpec, 'type'> & { type: string }>;

/** What scopes are judged by. */
export interface ScopeLookups {
  /** Scopes of a namespace, sorted by name. The first one counts. */
  scopes(namespace: string): readonly KnownScope[];
  /** Sorted by name. The first one counts. */
  clusterScopes(): readonly KnownClusterScope[];
  profile(namespace: string, name: string): KnownProfile | undefined;
}

/**
 * Other objects of the cluster, from watch caches or from files: read-only, at once, without asking anybody. Throws `KollectError` with
 * `KOL_ADMISSION_LOOKUP` when it cannot know.
 */
export interface Lookups extends ScopeLookups {
  profiles(namespace: string): Iterable<KnownProfile>;
  targets(namespace: string): Iterable<KnownTarget>;
  clusterTarget(name: string): KnownClusterTarget | undefined;
  clusterTargets(): Iterable<KnownClusterTarget>;
  /** Targets of both kinds that use a profile. */
  targetsOf(namespace: string, profile: string): Iterable<KnownTarget | KnownClusterTarget>;
  inventories(namespace: string): Iterable<KnownInventory>;
  clusterInventories(): Iterable<KnownClusterInventory>;
  /** Inventories of both kinds that use a snapshot sink. */
  users(sink: SinkUse['sink']): Iterable<SinkUse>;
  /** Inventories of both kinds that write to a path, by one of its `pathKeys`. */
  writers(key: string): Iterable<SinkUse>;
  sink(family: SinkFamily, namespace: string, name: string): KnownSink | undefined;
  sinks(family: SinkFamily, namespace: string): Iterable<KnownSink>;
}

/** An object of one of these kinds. */
export type KnownObject = KnownScope | KnownClusterScope | KnownProfile | KnownTarget | KnownClusterTarget | KnownInventory | KnownClusterInventory | KnownSink;

export const sinkKinds = { snapshot: 'KollectSnapshotSink', database: 'KollectDatabaseSink', event: 'KollectEventSink' } as const satisfies Record<SinkFamily, KnownSink['kind']>;
