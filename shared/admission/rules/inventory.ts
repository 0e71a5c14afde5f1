import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import { forbidden, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { interval } from './durations.ts';
import { exportBytes } from './export-bytes.ts';
import { sinkRefs } from './sink-refs.ts';

type Input = RuleInput<KollectInventorySpec>;

export const inventoryRules: readonly Rule<KollectInventorySpec>[] = [
  ({ spec, maxExportBytes }, report) => sinkRefs(spec, { defaultNamespace: undefined, maxExportBytes }, report),
  ({ spec }, report) => interval('spec.exportMinInterval', spec.exportMinInterval, report),
  ({ spec, maxExportBytes }, report) => exportBytes('spec.maxExportBytes', spec.maxExportBytes, maxExportBytes, report),
  namespaceOfItsOwn,
  httpEndpoint,
];

/** Rows carry the namespace of their inventory, and `cluster` there means a KollectClusterInventory. */
function namespaceOfItsOwn({ namespace }: Input, report: Report): void {
  if (namespace === 'cluster') report(forbidden('metadata.namespace', 'exported rows of the namespace "cluster" could not be told from those of cluster inventories; use another namespace'));
}

function httpEndpoint({ spec }: Input, report: Report): void {
  if (spec.httpEndpoint?.enabled === true) report(warning('spec.httpEndpoint', 'is accepted but not served in this version'));
}
