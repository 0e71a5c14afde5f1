import { annotations, labels } from '../../shared/api/annotations.ts';
import { collectedKinds } from '../../shared/api/collected-kinds.ts';
import type { LooseGvk } from '../../shared/api/gvk.ts';
import type { KollectTargetSpec } from '../../shared/api/kollect-target.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { matchesSelector } from '../../shared/api/label-selector.ts';
import type { GroupVersionKind } from '../../shared/kube/discovery.ts';
import { compileCel } from '../../shared/extract/cel.ts';

/** What selection needs to know of a namespace. */
export interface NamespaceFacts {
  name: string;
  labels: Record<string, string> | undefined;
  annotations: Record<string, string> | undefined;
}

/** What of either target kind selects objects. */
export type CollectionSpec = Omit<KollectTargetSpec, 'profileRef'>;

/** What the installation says of namespaces. */
export interface NamespaceDefaults {
  /** For targets with a selector that name no namespaces; any when empty. */
  included: readonly string[];
  /** For all targets, besides their own. */
  excluded: readonly string[];
}

const noDefaults: NamespaceDefaults = { included: [], excluded: [] };

/** What a scope leaves of the namespaces that a target selects. */
export interface NamespaceCeiling {
  /** Equal exactly when it allows the same. */
  key: string;
  /** `KollectScope "team"`, for messages. */
  scope: string;
  allows(namespace: string): boolean;
}

export type NamespaceLookup = (name: string) => NamespaceFacts | undefined;

/**
 * The namespaces a target selects, among those that exist. Without `namespaceSelector` and `includedNamespaces` it is the target's own; an
 * empty selector means all. An empty result collects nothing.
 *
 * @param own namespace of the target, `''` for cluster targets, which have none
 */
export function matchedNamespaces(spec: CollectionSpec, own: string, existing: Iterable<NamespaceFacts>, defaults: NamespaceDefaults = noDefaults): Set<string> {
  const selected = namesOrDefaults(spec, own, defaults);
  const excluded = new Set([...(spec.excludedNamespaces ?? []), ...defaults.excluded]);
  const matched = new Set<string>();
  for (const namespace of existing) {
    if (selected.size > 0 && !selected.has(namespace.name)) continue;
    if (spec.namespaceSelector && !matchesSelector(spec.namespaceSelector, namespace.labels)) continue;
    if (excluded.has(namespace.name)) continue;
    if (spec.namespaceExcludeSelector && matchesSelector(spec.namespaceExcludeSelector, namespace.labels)) continue;
    matched.add(namespace.name);
  }
  return matched;
}

/** Defaults never lead a target beyond its own namespace that does not ask for others. */
function namesOrDefaults(spec: CollectionSpec, own: string, defaults: NamespaceDefaults): Set<string> {
  if (spec.includedNamespaces?.length) return new Set(spec.includedNamespaces);
  return new Set(spec.namespaceSelector === undefined ? [own] : defaults.included);
}

/** What a target selects of one kind. */
export interface KindSelection {
  gvk: GroupVersionKind;
  spec: CollectionSpec;
}

/** The kinds that a target collects, each with what selects its objects. */
export function selectionByKind(spec: CollectionSpec, ofProfile: LooseGvk | undefined): KindSelection[] {
  const { resourceRules, names, labelSelector, suspend: _suspend, limits: _limits, ...everywhere } = spec;
  return collectedKinds(resourceRules, ofProfile).map(({ gvk, rules }) => ({
    gvk,
    spec: rules.length === 0 ? { ...everywhere, names, labelSelector } : { ...everywhere, resourceRules: rules },
  }));
}

/** Whether a target wants an object of its kind. The namespace gate is apart: it changes with the cluster, this changes with the spec. */
export type ObjectSelection = (object: KubeObject, namespace: NamespaceFacts | undefined) => boolean;

/**
 * Compiles names, labels, resource rules and watch consent of a target into one predicate. With rules, `names` and `labelSelector`
 * do not count.
 */
export function compileObjectSelection(spec: CollectionSpec): ObjectSelection {
  const wanted = spec.resourceRules?.length ? compileRules(spec.resourceRules) : compileNamesAndLabels(spec);
  const optIn = spec.watchMode === 'OptIn';
  return (object, namespace) => consents(object, namespace, optIn) && wanted(object, namespace);
}

function compileNamesAndLabels(spec: CollectionSpec): ObjectSelection {
  const names = spec.names?.length ? new Set(spec.names) : undefined;
  const selector = spec.labelSelector;
  return (object) =>
    (names === undefined || names.has(object.metadata.name)) &&
    (selector === undefined || matchesSelector(selector, object.metadata.labels));
}

function compileRules(rules: NonNullable<KollectTargetSpec['resourceRules']>): ObjectSelection {
  const compiled = rules.map((rule) => {
    const selector = { matchLabels: rule.matchLabels, matchExpressions: rule.matchExpressions };
    const policy = rule.matchPolicy?.trim() ? compileCel(rule.matchPolicy) : undefined;
    const matches: ObjectSelection = (object, namespace) =>
      (rule.namespaceSelector === undefined || matchesSelector(rule.namespaceSelector, namespace?.labels)) &&
      matchesSelector(selector, object.metadata.labels) &&
      (policy === undefined || holds(policy, object));
    return matches;
  });
  return (object, namespace) => compiled.some((matches) => matches(object, namespace));
}

/** A policy that cannot be evaluated on an object does not select it. */
function holds(policy: ReturnType<typeof compileCel>, object: KubeObject): boolean {
  try {
    return policy.evaluate(object) === true;
  } catch {
    return false;
  }
}

/** The consent of whoever owns the object or its namespace, strongest first. Values other than the two known ones count as unset. */
function consents(object: KubeObject, namespace: NamespaceFacts | undefined, optIn: boolean): boolean {
  const own = object.metadata.labels?.[labels.watch];
  if (own === 'disabled') return false;
  if (own === 'enabled') return true;
  const label = namespace?.labels?.[labels.watch];
  const annotation = namespace?.annotations?.[annotations.namespaceWatch];
  if (label === 'disabled' || annotation === 'disabled') return false;
  return !optIn || label === 'enabled' || annotation === 'enabled';
}
