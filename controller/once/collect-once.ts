import { gvkKey, gvkText } from '../../shared/api/gvk.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { Turns } from '../../shared/in-turns.ts';
import { CompiledProfiles } from '../collect/compiled-profiles.ts';
import type { CollectionPlan, FrozenRows } from '../collect/collector.ts';
import { ResourcePlanner, type Problem } from '../collect/resource-planner.ts';
import { RowStore } from '../collect/row-store.ts';
import type { TargetRows } from '../collect/target-rows.ts';
import type { ScopeJudge } from '../collect/scope-judge.ts';
import type { NamespaceDefaults, NamespaceFacts } from '../collect/selection.ts';
import { Subscription } from '../collect/subscription.ts';
import { clusterTargets, namespacedTargets } from '../collect/target-kind.ts';
import { planTarget } from '../collect/target-plan.ts';
import { titleOf, type GivenObjects } from './given-objects.ts';
import { namespaceFacts, type ObjectSource, type WantedObjects } from './object-source.ts';

export interface CollectOnceOptions {
  targets: readonly KubeObject[];
  given: GivenObjects;
  scopes: ScopeJudge;
  source: ObjectSource;
  scrubKeys: readonly string[];
  namespaceDefaults: NamespaceDefaults;
  onProgress: (objects: number, rows: number) => void;
}

/** What somebody should know of a target. */
export interface TargetNote {
  target: string;
  message: string;
}

export interface CollectedOnce {
  store: RowStore;
  /** Namespaces that are known, or that objects are in. */
  namespaces: ReadonlyMap<string, NamespaceFacts>;
  /** Why the rows are not those of the targets: there is nothing to export. */
  errors: readonly TargetNote[];
  /** What exists and has no row, because a scope or a limit says so. */
  leftOut: readonly TargetNote[];
  /** By name of their target: kinds that are collected, and of which a source that may not be whole has nothing. */
  absent: ReadonlyMap<string, readonly FrozenRows[]>;
  /** What may be a mistake. */
  notes: readonly TargetNote[];
}

interface Collecting {
  target: string;
  rows: TargetRows;
  plan: CollectionPlan;
  subscription: Subscription;
}

/** Makes the rows of targets from objects that are read once, as the controller makes them from objects that it watches. */
export async function collectOnce(options: CollectOnceOptions): Promise<CollectedOnce> {
  const { source, onProgress } = options;
  const store = new RowStore();
  const namespaces = new Map((await source.namespaces()).map((facts) => [facts.name, facts]));
  const { byKey, errors, leftOut } = await plans(options, store, namespaces);
  if (errors.length > 0) return { store, namespaces, errors, leftOut, absent: new Map(), notes: [] };
  const wanted = [...byKey].map(([key, { resource, all }]): WantedObjects => ({ key, resource, namespaces: new Set(all.flatMap(({ subscription }) => subscription.effectiveNamespaces)) }));
  const seen = new Map<string, number>();
  const turns = new Turns();
  let objects = 0;
  for await (const some of source.objects(wanted)) {
    let isNew = false;
    for (const { metadata: { namespace } } of some) {
      if (namespace === undefined || namespaces.has(namespace)) continue;
      namespaces.set(namespace, namespaceFacts({ name: namespace }));
      isNew = true;
    }
    if (isNew) for (const { all } of byKey.values()) for (const { subscription, plan } of all) subscription.resolveNamespaces(namespaces.values(), plan.ceiling);
    for (const object of some) {
      const key = keyOfKind(object);
      seen.set(key, (seen.get(key) ?? 0) + 1);
      for (const { subscription } of byKey.get(key)?.all ?? []) subscription.apply(object);
      if (turns.isOver) await turns.next();
    }
    objects += some.length;
    onProgress(objects, store.count);
  }
  const notes: TargetNote[] = [];
  const absent = new Map<string, FrozenRows[]>();
  for (const [key, { resource, all }] of byKey) {
    for (const { target, subscription, rows } of all) {
      if (!seen.has(key)) notes.push({ target, message: `there is no ${gvkText(resource)}` });
      if (!seen.has(key) && !source.isWhole) absent.set(rows.name, [...(absent.get(rows.name) ?? []), { group: resource.group, kind: resource.kind.toLowerCase(), namespace: undefined }]);
      if (subscription.lastFailure) notes.push({ target, message: `some objects could not be read as a whole, such as: ${subscription.lastFailure}` });
    }
  }
  for (const rows of store.targets()) {
    const { any, count, more } = rows.refused;
    if (any) leftOut.push({ target: `${rows.namespace}/${rows.name}`, message: `${more ? 'more than ' : ''}${count} objects have no row: ${shortages[rows.shortage ?? 'maxRows']}` });
  }
  return { store, namespaces, errors, leftOut, absent, notes };
}

const shortages = {
  maxRows: 'spec.limits.maxRows of the target or its scope is reached',
  maxBytes: 'spec.limits.maxBytes of the target or its scope is reached',
  memory: 'there is no memory for them',
  maxRowBytes: 'what is collected of them is larger than a row may be',
} as const;

/** Left out are kinds that a scope denies; whatever else stands against a target is an error. */
async function plans({ targets, given, scopes, source, scrubKeys, namespaceDefaults }: CollectOnceOptions, store: RowStore, namespaces: ReadonlyMap<string, NamespaceFacts>) {
  const compiled = new CompiledProfiles({ scrubKeys });
  const planner = new ResourcePlanner({ discovery: { resolve: (gvk) => source.resolve(gvk), invalidate: () => undefined }, definitions: { isGone: () => false }, compiled });
  const profiles = { get: (key: string) => given.get('KollectProfile', key) };
  const byKey = new Map<string, { resource: WantedObjects['resource']; all: Collecting[] }>();
  const errors: TargetNote[] = [];
  const leftOut: TargetNote[] = [];
  for (const raw of targets) {
    const target = titleOf(raw);
    const common = { profiles, compiled, scopes, planner };
    const planned = await (raw.kind === 'KollectTarget' ? planTarget(raw, { ...common, kind: namespacedTargets }) : planTarget(raw, { ...common, kind: clusterTargets }));
    for (const problem of planned.problems) (isDenial(planned.kind, problem) ? leftOut : errors).push({ target, message: problem.message });
    const rows = store.open(raw.metadata.namespace ?? '', raw.metadata.name);
    if (planned.kind !== 'planned') continue;
    const { plan } = planned;
    rows.retain(new Set(plan.resources.map(({ key }) => key)));
    rows.limits = plan.limits ?? {};
    for (const { key, collect } of plan.resources) {
      if (!collect) continue;
      const { spec, profile, resource } = collect;
      const subscription = new Subscription({ rows: rows.resource(key), spec, profile, resource, namespaces: (name) => namespaces.get(name), defaults: namespaceDefaults });
      subscription.resolveNamespaces(namespaces.values(), plan.ceiling);
      const known = byKey.get(key) ?? { resource, all: [] };
      known.all.push({ target, rows, plan, subscription });
      byKey.set(key, known);
    }
  }
  return { byKey, errors, leftOut };
}

function isDenial(kind: string, { reason }: Problem): boolean {
  return kind === 'denied' || reason === 'ScopeGVKDenied';
}

function keyOfKind({ apiVersion, kind }: KubeObject): string {
  const slash = apiVersion.indexOf('/');
  return gvkKey({ group: apiVersion.slice(0, Math.max(0, slash)), version: apiVersion.slice(slash + 1), kind });
}
