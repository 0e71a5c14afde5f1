import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import { parseDuration } from '../../api/duration.ts';
import { invalid } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope, ScopeLookups } from '../lookups.ts';
import { maxIntervalMs } from '../rules/durations.ts';
import { clusterScopeOf, scopeOf, titled } from './known-scope.ts';

/** The least time between exports that a scope asks for. */
export interface ExportFloor {
  ms: number;
  /** As the scope writes it: `1m`. */
  text: string;
  /** `KollectScope "team"`. */
  scope: string;
}

/** The floor of what is exported from, or to, a namespace. */
export function floorOfNamespace(lookups: ScopeLookups, namespace: string): ExportFloor | undefined {
  return floorOf(scopeOf(lookups, namespace));
}

/** The floor of a cluster inventory: the higher one of the cluster scope and of the scope where its sinks are. */
export function floorOfClusterInventory(lookups: ScopeLookups, spec: { readonly sinkNamespace?: string | undefined }): ExportFloor | undefined {
  const floors = [floorOf(clusterScopeOf(lookups)), floorOfNamespace(lookups, sinkNamespaceOf(spec))].filter((floor) => floor !== undefined);
  return floors.toSorted((a, b) => b.ms - a.ms)[0];
}

/** An interval that is written has to keep the floor. One that is left out is raised to it. */
export function atLeast(floor: ExportFloor | undefined, field: string, interval: string | undefined, report: Report): void {
  if (floor === undefined || interval === undefined) return;
  const ms = milliseconds(interval);
  if (ms !== undefined && ms < floor.ms) report(invalid(field, interval, `must be at least ${floor.text}, the minExportInterval of ${floor.scope}`));
}

/** A floor that no interval can keep is a mistake of the scope, and said there. */
function floorOf(scope: KnownScope | KnownClusterScope | undefined): ExportFloor | undefined {
  const text = scope?.spec.minExportInterval;
  const ms = text === undefined ? undefined : milliseconds(text);
  return scope === undefined || text === undefined || ms === undefined || ms <= 0 || ms > maxIntervalMs ? undefined : { ms, text, scope: titled(scope) };
}

/** Undefined for what is no duration: that is for the rules of the object that holds it. */
function milliseconds(text: string): number | undefined {
  try {
    return parseDuration(text);
  } catch {
    return undefined;
  }
}
