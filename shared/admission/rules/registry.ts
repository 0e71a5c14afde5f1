import type { Rule } from '../rule.ts';
import { clusterInventoryRules } from './cluster-inventory.ts';
import { clusterScopeRules } from './cluster-scope.ts';
import { clusterTargetRules } from './cluster-target.ts';
import { connectionTestRules } from './connection-test.ts';
import { databaseSinkRules } from './database-sink.ts';
import { eventSinkRules } from './event-sink.ts';
import { inventoryRules } from './inventory.ts';
import { profileRules } from './profile.ts';
import { scopeRules } from './scope.ts';
import { snapshotSinkRules } from './snapshot-sink.ts';
import { targetRules } from './target.ts';

/** The rules of each kind beyond its schema. */
const rules: ReadonlyMap<string, readonly Rule<never>[]> = new Map<string, readonly Rule<never>[]>([
  ['KollectClusterInventory', clusterInventoryRules],
  ['KollectClusterScope', clusterScopeRules],
  ['KollectClusterTarget', clusterTargetRules],
  ['KollectConnectionTest', connectionTestRules],
  ['KollectDatabaseSink', databaseSinkRules],
  ['KollectEventSink', eventSinkRules],
  ['KollectInventory', inventoryRules],
  ['KollectProfile', profileRules],
  ['KollectScope', scopeRules],
  ['KollectSnapshotSink', snapshotSinkRules],
  ['KollectTarget', targetRules],
]);

export function rulesOf(kind: string): readonly Rule<never>[] {
  return rules.get(kind) ?? [];
}
