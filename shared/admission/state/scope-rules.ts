import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterTargetSpec } from '../../api/kollect-cluster-target.ts';
import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import { sinkFamilies } from '../../api/sink-ref.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope, KnownSink } from '../lookups.ts';
import { atLeast, floorOfClusterInventory, floorOfNamespace } from './export-floor.ts';
import type { ExportFloor } from './export-floor.ts';
import { bounding, clusterScopeOf, scopeOf, someOf, titled } from './known-scope.ts';
import { scopeGvks } from './scope-gvks.ts';
import { ownNamespaceAllowed, scopeNamespaces } from './scope-namespaces.ts';
import { sinkReferences } from './sink-references.ts';
import { denied } from './state-rule.ts';
import type { BoundInput, StateRule } from './state-rule.ts';

type Sink = KnownSink['spec'];

/** What a scope asks can be judged by whoever knows the spec alone, such as the controller. */
export type ScopeRule<Spec> = StateRule<Spec, BoundInput<Spec>>;

const targetRules: readonly ScopeRule<KollectTargetSpec>[] = [
  {
    id: 'scope-gvks',
    field: 'spec.profileRef',
    asks: 'The kinds of resourceRules, or without them that of the profile, must be among the allowedGVKs of the KollectScope of the namespace.',
    check: (target, report) => scopeGvks(target, scopeOf(target.lookups, target.namespace), report),
  },
  { id: 'scope-namespaces', field: 'spec.includedNamespaces[]', asks: 'Must be allowed and not denied by the KollectScope of the namespace.', check: targetNamespaces },
];

function targetNamespaces({ spec, namespace, lookups }: BoundInput<KollectTargetSpec>, report: Report): void {
  const scope = scopeOf(lookups, namespace);
  if (bounding(spec.includedNamespaces) !== undefined) scopeNamespaces(spec.includedNamespaces, scope, report);
  else if (spec.namespaceSelector === undefined) ownNamespaceAllowed(namespace, scope, report);
}

const clusterTargetRules: readonly ScopeRule<KollectClusterTargetSpec>[] = [
  {
    id: 'scope-gvks',
    field: 'spec.profileRef',
    asks: 'The kinds of resourceRules, or without them that of the profile, must be among the allowedGVKs of the KollectClusterScope.',
    check: (target, report) => scopeGvks(target, clusterScopeOf(target.lookups), report),
  },
  {
    id: 'scope-namespaces',
    field: 'spec.includedNamespaces[]',
    asks: 'Must be allowed and not denied by the KollectClusterScope.',
    check: ({ spec, lookups }, report) => scopeNamespaces(spec.includedNamespaces, clusterScopeOf(lookups), report),
  },
  {
    id: 'static-ref-namespace',
    field: 'spec.profileRef.namespace',
    asks: 'Must be among the allowedStaticRefNamespaces of the KollectClusterScope.',
    check: ({ spec, lookups }, report) => staticRef('spec.profileRef.namespace', spec.profileRef?.namespace, clusterScopeOf(lookups), report),
  },
];

const inventoryRules: readonly ScopeRule<KollectInventorySpec>[] = [
  {
    id: 'export-floor',
    field: 'spec.exportMinInterval',
    asks: 'Must be at least the minExportInterval of the KollectScope of the namespace; so must the intervals of references.',
    check: ({ spec, namespace, lookups }, report) => intervals(spec, floorOfNamespace(lookups, namespace), report),
  },
  { id: 'scope-sinks', field: 'spec.*SinkRefs[].name', asks: 'Must be a sink that the KollectScope of the namespace allows.', check: ({ spec, namespace, lookups }, report) => sinkAllowlists(spec, scopeOf(lookups, namespace), report) },
];

const clusterInventoryRules: readonly ScopeRule<KollectClusterInventorySpec>[] = [
  {
    id: 'export-floor',
    field: 'spec.exportMinInterval',
    asks: 'Must be at least the minExportInterval of the KollectClusterScope, and of the KollectScope of sinkNamespace; so must the intervals of references.',
    check: ({ spec, lookups }, report) => intervals(spec, floorOfClusterInventory(lookups, spec), report),
  },
  { id: 'scope-sinks', field: 'spec.*SinkRefs[].name', asks: 'Must be a sink that the KollectClusterScope allows.', check: ({ spec, lookups }, report) => sinkAllowlists(spec, clusterScopeOf(lookups), report) },
  { id: 'static-ref-namespace', field: 'spec.*SinkRefs[].namespace', asks: 'Namespaces of sinks and of the profile must be among the allowedStaticRefNamespaces of the KollectClusterScope.', check: staticRefs },
];

const sinkRules: readonly ScopeRule<Sink>[] = [
  {
    id: 'export-floor',
    field: 'spec.exportMinInterval',
    asks: 'Must be at least the minExportInterval of the KollectScope of the namespace.',
    check: ({ spec, namespace, lookups }, report) => atLeast(floorOfNamespace(lookups, namespace), 'spec.exportMinInterval', spec.exportMinInterval, report),
  },
];

/** What scopes ask of each kind. */
export const scopeRules: ReadonlyMap<string, readonly ScopeRule<never>[]> = new Map<string, readonly ScopeRule<never>[]>([
  ['KollectTarget', targetRules],
  ['KollectClusterTarget', clusterTargetRules],
  ['KollectInventory', inventoryRules],
  ['KollectClusterInventory', clusterInventoryRules],
  ['KollectSnapshotSink', sinkRules],
  ['KollectDatabaseSink', sinkRules],
  ['KollectEventSink', sinkRules],
]);

type InventorySpec = BoundInput<KollectInventorySpec>['spec'] | BoundInput<KollectClusterInventorySpec>['spec'];

function intervals(spec: InventorySpec, floor: ExportFloor | undefined, report: Report): void {
  if (floor === undefined) return;
  atLeast(floor, 'spec.exportMinInterval', spec.exportMinInterval, report);
  for (const { at, exportMinInterval } of sinkReferences(spec)) atLeast(floor, `${at}.exportMinInterval`, exportMinInterval, report);
}

function sinkAllowlists(spec: InventorySpec, scope: KnownScope | KnownClusterScope | undefined, report: Report): void {
  if (scope === undefined) return;
  for (const family of sinkFamilies) {
    const allowed = bounding(scope.spec[`${family}SinkRefs`]);
    if (allowed === undefined) continue;
    const isAllowed = new Set(allowed);
    for (const { name, nameField } of sinkReferences(spec, [family])) {
      if (isAllowed.has(name)) continue;
      report(denied(nameField, `the ${family} sink ${JSON.stringify(name)} is not among the ${family}SinkRefs of ${titled(scope)}: ${someOf(allowed)}; use one of these, or ask its owner to add the sink`));
    }
  }
}

function staticRefs({ spec, lookups }: BoundInput<KollectClusterInventorySpec>, report: Report): void {
  const scope = clusterScopeOf(lookups);
  if (scope === undefined) return;
  staticRef('spec.profileRef.namespace', spec.profileRef?.namespace, scope, report);
  const byDefault: string[] = [];
  for (const { at, namespace } of sinkReferences(spec)) {
    if (namespace === undefined) byDefault.push(at);
    else staticRef(`${at}.namespace`, namespace, scope, report);
  }
  if (byDefault.length > 0) staticRef('spec.sinkNamespace', sinkNamespaceOf(spec), scope, report);
}

function staticRef(field: string, namespace: string | undefined, scope: KnownClusterScope | undefined, report: Report): void {
  const allowed = scope && bounding(scope.spec.allowedStaticRefNamespaces);
  if (scope === undefined || allowed === undefined || namespace === undefined || allowed.includes(namespace)) return;
  report(denied(field, `${JSON.stringify(namespace)} is not among the allowedStaticRefNamespaces of ${titled(scope)}: ${someOf(allowed)}; use an object of one of these, or ask its owner to add the namespace`));
}
