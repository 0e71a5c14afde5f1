import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import { forbidden, warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { interval } from './durations.ts';
import { exportBytes } from './export-bytes.ts';
import { inventoryAnnotations } from './inventory-annotations.ts';
import { localSinkRefRules } from './sink-refs.ts';

type Input = RuleInput<KollectInventorySpec>;

export const inventoryRules: readonly Rule<KollectInventorySpec>[] = [
  annotationRule(inventoryAnnotations),
  { id: 'namespace-of-its-own', field: 'metadata.namespace', asks: 'Must not be `cluster`, which marks the rows of cluster inventories.', check: namespaceOfItsOwn },
  ...localSinkRefRules,
  { id: 'export-min-interval', field: 'spec.exportMinInterval', asks: 'Must be a duration from 0s to 24h.', check: ({ spec }, report) => interval('spec.exportMinInterval', spec.exportMinInterval, report) },
  { id: 'max-export-bytes', field: 'spec.maxExportBytes', asks: 'Must be at least 1 and at most the limit of the installation.', check: ({ spec, maxExportBytes }, report) => exportBytes('spec.maxExportBytes', spec.maxExportBytes, maxExportBytes, report) },
  { id: 'http-endpoint', field: 'spec.httpEndpoint', asks: 'Is accepted but not served in this version.', advises: true, check: httpEndpoint },
];

/** Rows carry the namespace of their inventory, and `cluster` there means a KollectClusterInventory. */
function namespaceOfItsOwn({ namespace }: Input, report: Report): void {
  if (namespace === 'cluster') report(forbidden('metadata.namespace', 'exported rows of the namespace "cluster" could not be told from those of cluster inventories; use another namespace'));
}

function httpEndpoint({ spec }: Input, report: Report): void {
  if (spec.httpEndpoint?.enabled === true) report(warning('spec.httpEndpoint', 'is accepted but not served in this version'));
}
