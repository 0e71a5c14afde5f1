import { kinds } from '../../api/kinds.ts';
import type { KnownSink } from '../lookups.ts';
import { stateAdvice } from './advice.ts';
import { inventoryPaths, sinkPaths } from './equal-paths.ts';
import { scopeAdvice } from './scope-changes.ts';
import { scopeRules } from './scope-rules.ts';
import { secretRules } from './secrets-of-targets.ts';
import type { StateRule } from './state-rule.ts';
import type { AnyInventory } from './written-paths.ts';

const inventoryRule: StateRule<AnyInventory['spec']> = {
  id: 'equal-paths',
  field: 'spec.snapshotSinkRefs[].name',
  asks: 'Must not write to a path that another inventory writes to.',
  check: ({ kind, name, namespace, spec, lookups }, report) => inventoryPaths(lookups, { kind, metadata: { name, namespace: namespace || undefined }, spec } as AnyInventory, report),
};

const sinkRule: StateRule<KnownSink['spec']> = {
  id: 'equal-paths',
  field: 'spec.pathTemplate',
  asks: 'Must not make two inventories write to one path.',
  check: ({ name, namespace, spec, lookups }, report) => sinkPaths(lookups, namespace, name, spec as KnownSink['spec'], report),
};

const otherRules: ReadonlyMap<string, readonly StateRule<never>[]> = new Map<string, readonly StateRule<never>[]>([
  ['KollectTarget', secretRules],
  ['KollectClusterTarget', secretRules],
  ['KollectInventory', [inventoryRule]],
  ['KollectClusterInventory', [inventoryRule]],
  ['KollectSnapshotSink', [sinkRule]],
]);

const rules: ReadonlyMap<string, readonly StateRule<never>[]> = new Map(
  kinds.map(({ kind }) => [kind, [scopeRules, otherRules, stateAdvice, scopeAdvice].flatMap((rulesOfKinds) => rulesOfKinds.get(kind) ?? [])]),
);

/** The rules of a kind that look at other objects of the cluster. */
export function stateRulesOf(kind: string): readonly StateRule<never>[] {
  return rules.get(kind) ?? [];
}
