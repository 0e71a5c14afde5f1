import type { Rule } from '../rule.ts';
import { clusterInventoryRules } from './cluster-inventory.ts';
import { databaseSinkRules } from './database-sink.ts';
import { inventoryRules } from './inventory.ts';
import { profileRules } from './profile.ts';
import { targetRules } from './target.ts';

/** The rules of each kind beyond its schema. */
const rules: ReadonlyMap<string, readonly Rule<never>[]> = new Map<string, readonly Rule<never>[]>([
  ['KollectClusterInventory', clusterInventoryRules],
  ['KollectDatabaseSink', databaseSinkRules],
  ['KollectInventory', inventoryRules],
  ['KollectProfile', profileRules],
  ['KollectTarget', targetRules],
]);

export function rulesOf(kind: string): readonly Rule<never>[] {
  return rules.get(kind) ?? [];
}
