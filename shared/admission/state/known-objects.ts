import type { SinkFamily } from '../../api/sink-ref.ts';
import { sinkKinds } from '../lookups.ts';
import type { KnownClusterInventory, KnownClusterScope, KnownClusterTarget, KnownInventory, KnownObject, KnownProfile, KnownScope, KnownSink, KnownTarget, Lookups } from '../lookups.ts';
import { profileRefOf } from './target-profile.ts';
import { WrittenPaths } from './written-paths.ts';
import type { SinkUse } from './written-paths.ts';

/** Other objects as they come, change and go, kept so that each question costs what its answer is long, however many there are. */
export class KnownObjects implements Lookups {
  /** By kind, namespace (`''` for kinds without one) and name. */
  readonly #objects = new Map<string, Map<string, Map<string, KnownObject>>>();
  /** Scopes of a place in the order of their names, until one changes. */
  readonly #scopes = new Map<string, readonly KnownObject[]>();
  /** By namespace and name of their profile. */
  readonly #targetsOf = new Map<string, Map<string, KnownTarget | KnownClusterTarget>>();
  readonly #paths = new WrittenPaths();

  set(object: KnownObject): void {
    const { name, namespace = '' } = object.metadata;
    const ofKind = this.#objects.get(object.kind) ?? new Map<string, Map<string, KnownObject>>();
    const inNamespace = ofKind.get(namespace) ?? new Map<string, KnownObject>();
    const before = inNamespace.get(name);
    this.#objects.set(object.kind, ofKind.set(namespace, inNamespace.set(name, object)));
    this.#changed(before, object);
  }

  delete(kind: string, namespace: string, name: string): void {
    const ofKind = this.#objects.get(kind);
    const inNamespace = ofKind?.get(namespace);
    const before = inNamespace?.get(name);
    if (before === undefined) return;
    inNamespace?.delete(name);
    if (inNamespace?.size === 0) ofKind?.delete(namespace);
    this.#changed(before, undefined);
  }

  scopes(namespace: string): readonly KnownScope[] {
    return this.#sorted('KollectScope', namespace) as readonly KnownScope[];
  }

  clusterScopes(): readonly KnownClusterScope[] {
    return this.#sorted('KollectClusterScope', '') as readonly KnownClusterScope[];
  }

  profile(namespace: string, name: string): KnownProfile | undefined {
    return this.#get('KollectProfile', namespace, name) as KnownProfile | undefined;
  }

  profiles(namespace: string): Iterable<KnownProfile> {
    return this.#in('KollectProfile', namespace) as Iterable<KnownProfile>;
  }

  targets(namespace: string): Iterable<KnownTarget> {
    return this.#in('KollectTarget', namespace) as Iterable<KnownTarget>;
  }

  clusterTarget(name: string): KnownClusterTarget | undefined {
    return this.#get('KollectClusterTarget', '', name) as KnownClusterTarget | undefined;
  }

  clusterTargets(): Iterable<KnownClusterTarget> {
    return this.#in('KollectClusterTarget', '') as Iterable<KnownClusterTarget>;
  }

  targetsOf(namespace: string, profile: string): Iterable<KnownTarget | KnownClusterTarget> {
    return this.#targetsOf.get(`${namespace}/${profile}`)?.values() ?? [];
  }

  inventories(namespace: string): Iterable<KnownInventory> {
    return this.#in('KollectInventory', namespace) as Iterable<KnownInventory>;
  }

  clusterInventories(): Iterable<KnownClusterInventory> {
    return this.#in('KollectClusterInventory', '') as Iterable<KnownClusterInventory>;
  }

  sink(family: SinkFamily, namespace: string, name: string): KnownSink | undefined {
    return this.#get(sinkKinds[family], namespace, name) as KnownSink | undefined;
  }

  sinks(family: SinkFamily, namespace: string): Iterable<KnownSink> {
    return this.#in(sinkKinds[family], namespace) as Iterable<KnownSink>;
  }

  users(sink: SinkUse['sink']): Iterable<SinkUse> {
    return this.#paths.users(sink);
  }

  writers(key: string): Iterable<SinkUse> {
    return this.#paths.writers(key);
  }

  #get(kind: string, namespace: string, name: string): KnownObject | undefined {
    return this.#objects.get(kind)?.get(namespace)?.get(name);
  }

  #in(kind: string, namespace: string): Iterable<KnownObject> {
    return this.#objects.get(kind)?.get(namespace)?.values() ?? [];
  }

  #sorted(kind: string, namespace: string): readonly KnownObject[] {
    const inNamespace = this.#objects.get(kind)?.get(namespace);
    if (inNamespace === undefined) return [];
    const key = `${kind}/${namespace}`;
    const sorted = this.#scopes.get(key) ?? byName(inNamespace.values());
    this.#scopes.set(key, sorted);
    return sorted;
  }

  #changed(before: KnownObject | undefined, after: KnownObject | undefined): void {
    const object = after ?? before;
    switch (object?.kind) {
      case 'KollectScope':
      case 'KollectClusterScope':
        this.#scopes.delete(`${object.kind}/${object.metadata.namespace ?? ''}`);
        break;
      case 'KollectTarget':
      case 'KollectClusterTarget':
        this.#targetChanged(before as typeof object | undefined, after as typeof object | undefined);
        break;
      case 'KollectInventory':
      case 'KollectClusterInventory':
        this.#paths.inventoryChanged(before as typeof object | undefined, after as typeof object | undefined);
        break;
      case 'KollectSnapshotSink':
        this.#paths.sinkChanged(before as KnownSink | undefined, after as KnownSink | undefined);
        break;
      default:
    }
  }

  #targetChanged(before: KnownTarget | KnownClusterTarget | undefined, after: KnownTarget | KnownClusterTarget | undefined): void {
    if (before !== undefined) {
      const targets = this.#targetsOf.get(profileOf(before));
      targets?.delete(identityOf(before));
      if (targets?.size === 0) this.#targetsOf.delete(profileOf(before));
    }
    if (after === undefined) return;
    const targets = this.#targetsOf.get(profileOf(after)) ?? new Map<string, KnownTarget | KnownClusterTarget>();
    this.#targetsOf.set(profileOf(after), targets.set(identityOf(after), after));
  }
}

/** In the order of their names. */
export function byName<T extends { metadata: { name: string } }>(objects: Iterable<T>): T[] {
  return [...objects].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
}

function profileOf({ spec, metadata: { namespace = '' } }: KnownTarget | KnownClusterTarget): string {
  const ref = profileRefOf({ spec, namespace });
  return `${ref?.namespace ?? ''}/${ref?.name ?? ''}`;
}

function identityOf({ kind, metadata: { namespace = '', name } }: KnownObject): string {
  return `${kind}/${namespace}/${name}`;
}
