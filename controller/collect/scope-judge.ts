import type { KubeObject } from '../../shared/api/kube-object.ts';
import { renderFinding } from '../../shared/admission/finding.ts';
import type { KnownClusterScope, KnownObject, KnownScope, ScopeLookups } from '../../shared/admission/lookups.ts';
import { floorOfClusterInventory, floorOfNamespace } from '../../shared/admission/state/export-floor.ts';
import { clusterScopeOf, scopeOf, titled } from '../../shared/admission/state/known-scope.ts';
import { byName } from '../../shared/admission/state/known-objects.ts';
import { kindDenials } from '../../shared/admission/state/scope-gvks.ts';
import { allowedNamespaces as allowedBy } from '../../shared/admission/state/scope-namespaces.ts';
import { scopeRules } from '../../shared/admission/state/scope-rules.ts';
import type { ScopeRule } from '../../shared/admission/state/scope-rules.ts';
import type { Limits } from '../../shared/api/collection-filter.ts';
import type { LooseGvk } from '../../shared/api/gvk.ts';
import type { Reason } from '../../shared/api/conditions.ts';
import { KollectError, type ErrorCode } from '../../shared/errors.ts';
import type { KollectClusterInventorySpec } from '../../shared/api/kollect-cluster-inventory.ts';
import type { SinkBinding } from '../../shared/api/sink-ref.ts';
import type { ObjectCache } from '../../shared/kube/object-cache.ts';
import type { NamespaceCeiling } from './selection.ts';
import type { TargetKind } from './target-kind.ts';

/** Scopes of a kind: those of a cache, or what was read once. */
export type KnownScopes = Pick<ObjectCache<KnownObject>, 'byNamespace' | 'list' | 'onChange' | 'synced' | 'state'>;

export interface ScopeJudgeOptions {
  scopes: KnownScopes;
  /** Unset where no cluster kinds are worked on. */
  clusterScopes: KnownScopes | undefined;
  /** Both were read, and nobody follows them. */
  areRead?: boolean | undefined;
}

/** What the scope of a target says. `unknown`: the scopes were never read. */
export type ScopeVerdict =
  | { kind: 'unknown'; message: string }
  | { kind: 'denied'; reason: Reason; message: string }
  | {
      kind: 'allowed';
      ceiling: NamespaceCeiling | undefined;
      limits: Limits | undefined;
      /** Why a kind must not be collected; undefined when it may. */
      denies: (gvk: LooseGvk) => string | undefined;
    };

/** Rules of admission that hold while collecting too. Kinds and namespaces are not among them: those beyond the scope are left out. */
const reasonByRule: Readonly<Record<string, Reason>> = { 'static-ref-namespace': 'ScopeNamespaceDenied' };

/** Those of them that hold while exporting. */
const codeByRule: Readonly<Record<string, ErrorCode>> = { 'scope-sinks': 'KOL_SCOPE_SINK', 'static-ref-namespace': 'KOL_SCOPE_SINK_NAMESPACE' };

type InventoryKind = 'KollectInventory' | 'KollectClusterInventory';

/** Holds targets and inventories to their scope, by the rules of admission. A scope may be written or changed after them. */
export class ScopeJudge {
  readonly #options: ScopeJudgeOptions;
  readonly #lookups: ScopeLookups;
  readonly #read = new Set<KnownScopes>();

  constructor(options: ScopeJudgeOptions) {
    this.#options = options;
    const { scopes, clusterScopes, areRead } = options;
    if (areRead) for (const cache of [scopes, clusterScopes]) if (cache) this.#read.add(cache);
    this.#lookups = {
      scopes: (namespace) => byName(scopes.byNamespace(namespace) as Iterable<KnownScope>),
      clusterScopes: () => byName((clusterScopes?.list() ?? []) as Iterable<KnownClusterScope>),
      // Kinds are judged apart.
      profile: () => undefined,
    };
  }

  /** Calls back with the namespace of objects whose scope may have changed, `''` for cluster kinds; undefined: all of the kind. */
  onChange(kind: TargetKind['kind'] | InventoryKind, listener: (namespace: string | undefined) => void): void {
    const cache = this.#cacheOf(kind);
    cache?.onChange((key) => {
      if (this.#read.has(cache)) listener(key.slice(0, key.indexOf('/')));
    });
    void cache?.synced.then(() => {
      this.#read.add(cache);
      listener(undefined);
    });
    // The scope of the namespace of its sinks has a say in the intervals of a cluster inventory.
    if (kind === 'KollectClusterInventory') this.#options.scopes.onChange(() => listener(undefined));
  }

  /** @param spec of the target, found valid; empty while it is not */
  judge(kind: TargetKind['kind'], target: KubeObject, spec: object): ScopeVerdict {
    const cache = this.#cacheOf(kind);
    if (cache === undefined || !this.#read.has(cache)) {
      const because = cache?.state.message ?? 'their first list is not complete';
      return { kind: 'unknown', message: `the scopes that bound this target could not be read: ${because}` };
    }
    const { name, namespace = '' } = target.metadata;
    for (const rule of (scopeRules.get(kind) ?? []) as readonly ScopeRule<object>[]) {
      const reason = reasonByRule[rule.id];
      if (reason === undefined) continue;
      const findings: string[] = [];
      rule.check({ kind, name, namespace, spec, lookups: this.#lookups }, (finding) => findings.push(renderFinding(finding)));
      if (findings.length > 0) return { kind: 'denied', reason, message: findings.join('; ') };
    }
    const scope = kind === 'KollectTarget' ? scopeOf(this.#lookups, namespace) : clusterScopeOf(this.#lookups);
    if (scope === undefined) return { kind: 'allowed', ceiling: undefined, limits: undefined, denies: () => undefined };
    const { allowedNamespaces, deniedNamespaces, limits } = scope.spec;
    const key = JSON.stringify([scope.metadata.name, allowedNamespaces, deniedNamespaces]);
    return { kind: 'allowed', ceiling: { key, scope: titled(scope), allows: allowedBy(scope) }, limits, denies: kindDenials(scope) };
  }

  /** The least time in milliseconds between two looks at an unchanged destination. Scopes that were never read ask for none. */
  exportFloorMs(kind: InventoryKind, { metadata, spec }: KubeObject): number {
    const floor = kind === 'KollectInventory' ? floorOfNamespace(this.#lookups, metadata.namespace ?? '') : floorOfClusterInventory(this.#lookups, (spec ?? {}) as { sinkNamespace?: string });
    return floor?.ms ?? 0;
  }

  /** Why an inventory may not use a sink that it refers to; undefined when it may. */
  sinkDenial(kind: InventoryKind, { metadata, spec }: KubeObject, ref: SinkBinding): KollectError | undefined {
    const cache = this.#cacheOf(kind);
    if (cache === undefined || !this.#read.has(cache)) {
      const because = cache?.state.message ?? 'their first list is not complete';
      return new KollectError('KOL_SCOPE_LOOKUP', `the scopes that bound this inventory could not be read: ${because}`);
    }
    const { family, ...reference } = ref;
    // Each reference is judged alone: those that are allowed are exported to.
    const { sinkNamespace, profileRef } = (spec ?? {}) as Partial<KollectClusterInventorySpec>;
    const alone = { sinkNamespace, profileRef, [`${family}SinkRefs`]: [reference] };
    for (const rule of (scopeRules.get(kind) ?? []) as readonly ScopeRule<object>[]) {
      const code = codeByRule[rule.id];
      if (code === undefined) continue;
      const findings: string[] = [];
      rule.check({ kind, name: metadata.name, namespace: metadata.namespace ?? '', spec: alone, lookups: this.#lookups }, ({ detail }) => findings.push(detail));
      if (findings.length > 0) return new KollectError(code, findings.join('; '));
    }
    return undefined;
  }

  #cacheOf(kind: TargetKind['kind'] | InventoryKind): KnownScopes | undefined {
    return kind === 'KollectTarget' || kind === 'KollectInventory' ? this.#options.scopes : this.#options.clusterScopes;
  }
}
