import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import { forbidden, warning } from '../finding.ts';
import type { Finding } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { interval } from './durations.ts';
import { exportBytes } from './export-bytes.ts';
import { sinkRefs } from './sink-refs.ts';

type Input = RuleInput<KollectInventorySpec>;

export const inventoryRules: readonly Rule<KollectInventorySpec>[] = [
  ({ spec, maxExportBytes }) => sinkRefs(spec, { defaultNamespace: undefined, maxExportBytes }),
  ({ spec }) => interval('spec.exportMinInterval', spec.exportMinInterval),
  ({ spec, maxExportBytes }) => exportBytes('spec.maxExportBytes', spec.maxExportBytes, maxExportBytes),
  namespaceOfItsOwn,
  httpEndpoint,
];

/** Rows carry the namespace of their inventory, and `cluster` there means a KollectClusterInventory. */
function* namespaceOfItsOwn({ namespace }: Input): Generator<Finding> {
  if (namespace === 'cluster') yield forbidden('metadata.namespace', 'exported rows of the namespace "cluster" could not be told from those of cluster inventories; use another namespace');
}

function* httpEndpoint({ spec }: Input): Generator<Finding> {
  if (spec.httpEndpoint?.enabled === true) yield warning('spec.httpEndpoint', 'is accepted but not served in this version');
}
