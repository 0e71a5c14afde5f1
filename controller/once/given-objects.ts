import { isDeepStrictEqual } from 'node:util';
import type { KnownObject } from '../../shared/admission/lookups.ts';
import { knownObject } from '../../shared/admission/state/object-lookups.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { sinkKinds } from '../../shared/admission/lookups.ts';
import { KollectError } from '../../shared/errors.ts';
import { ScopeJudge, type KnownScopes } from '../collect/scope-judge.ts';
import type { SinkFamily } from '../sinks/contract.ts';

/** Kollect's own objects, as they were read once: what the controller watches. */
export class GivenObjects {
  /** By kind, then by `<namespace>/<name>`. */
  readonly #objects = new Map<string, Map<string, KubeObject>>();

  /**
   * Throws `KOL_EXPORT_INPUT` when two of `objects` have the same name and are not equal.
   *
   * @param objects filled in, as an API server stores them
   * @param others count where `objects` have none of the name
   */
  constructor(objects: Iterable<KubeObject>, others: Iterable<KubeObject> = []) {
    for (const object of objects) {
      const known = this.#add(object);
      if (!isDeepStrictEqual(known, object)) throw new KollectError('KOL_EXPORT_INPUT', `${titleOf(object)} is given more than once, and not with the same content`);
    }
    for (const object of others) this.#add(object);
  }

  all(kind: string): KubeObject[] {
    return [...(this.#objects.get(kind)?.values() ?? [])];
  }

  /** @param key `<namespace>/<name>`, for kinds without a namespace `/<name>` */
  get(kind: string, key: string): KubeObject | undefined {
    return this.#objects.get(kind)?.get(key);
  }

  sink(family: SinkFamily, namespace: string, name: string): KubeObject | undefined {
    return this.get(sinkKinds[family], `${namespace}/${name}`);
  }

  /** @param tenantMode no cluster kinds are worked on */
  scopes(tenantMode: boolean): ScopeJudge {
    return new ScopeJudge({ scopes: this.#known('KollectScope'), clusterScopes: tenantMode ? undefined : this.#known('KollectClusterScope'), areRead: true });
  }

  /** The first of the name. */
  #add(object: KubeObject): KubeObject {
    const ofKind = this.#objects.get(object.kind) ?? new Map<string, KubeObject>();
    this.#objects.set(object.kind, ofKind);
    const key = keyOf(object);
    const known = ofKind.get(key) ?? object;
    ofKind.set(key, known);
    return known;
  }

  #known(kind: string): KnownScopes {
    const objects = this.all(kind).flatMap((object) => knownObject(object) ?? []);
    return {
      list: () => objects.values() as Generator<KnownObject>,
      byNamespace: (namespace) => objects.filter(({ metadata }) => metadata.namespace === namespace).values() as Generator<KnownObject>,
      onChange: () => () => undefined,
      synced: Promise.resolve(),
      state: { phase: 'Synced', since: 0 },
    };
  }
}

export function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}

/** @example 'KollectTarget team-a/web' */
export function titleOf({ kind, metadata }: KubeObject): string {
  return `${kind} ${metadata.namespace === undefined ? '' : `${metadata.namespace}/`}${metadata.name}`;
}
