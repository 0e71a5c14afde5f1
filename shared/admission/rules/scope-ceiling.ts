import type { LooseGvk } from '../../api/gvk.ts';
import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { annotationRule } from './annotations.ts';
import { interval } from './durations.ts';
import { groupVersionKind, likelyGroupVersionKind } from './group-version-kind.ts';
import { nameList, namespaceList } from './lists.ts';
import { namesOnly } from './names.ts';

/** What both scope kinds bound. */
interface ScopeCeiling {
  allowedGVKs?: LooseGvk[];
  allowedNamespaces?: string[];
  deniedNamespaces?: string[];
  minExportInterval?: string;
  snapshotSinkRefs?: string[];
  databaseSinkRefs?: string[];
  eventSinkRefs?: string[];
}

type Input = RuleInput<ScopeCeiling>;

/** The rules that both scope kinds share. */
export const scopeCeilingRules: readonly Rule<ScopeCeiling>[] = [
  annotationRule({}),
  { id: 'allowed-gvks', field: 'spec.allowedGVKs[]', asks: 'Must name a version and a kind that a cluster can serve; patterns are not supported.', check: eachGvk(groupVersionKind) },
  { id: 'allowed-gvks-likely', field: 'spec.allowedGVKs[]', asks: 'Should name kinds of Kubernetes as Kubernetes does, in their group.', advises: true, check: eachGvk(likelyGroupVersionKind) },
  { id: 'allowed-namespaces', field: 'spec.allowedNamespaces[]', asks: 'Must be names of namespaces, each once.', check: ({ spec }, report) => namespaceList('spec.allowedNamespaces', spec.allowedNamespaces, report) },
  { id: 'denied-namespaces', field: 'spec.deniedNamespaces[]', asks: 'Must be names of namespaces, each once.', check: ({ spec }, report) => namespaceList('spec.deniedNamespaces', spec.deniedNamespaces, report) },
  { id: 'denied-and-allowed', field: 'spec.deniedNamespaces[]', asks: 'A namespace should not be allowed and denied: denial wins.', advises: true, check: deniedAndAllowed },
  { id: 'min-export-interval', field: 'spec.minExportInterval', asks: 'Must be a duration from 0s, which means no floor, to 24h.', check: ({ spec }, report) => interval('spec.minExportInterval', spec.minExportInterval, report) },
  { id: 'snapshot-sink-refs', field: 'spec.snapshotSinkRefs[]', asks: 'Must be names of snapshot sinks, each once.', check: ({ spec }, report) => nameList('spec.snapshotSinkRefs', spec.snapshotSinkRefs, namesOnly, report) },
  { id: 'database-sink-refs', field: 'spec.databaseSinkRefs[]', asks: 'Must be names of database sinks, each once.', check: ({ spec }, report) => nameList('spec.databaseSinkRefs', spec.databaseSinkRefs, namesOnly, report) },
  { id: 'event-sink-refs', field: 'spec.eventSinkRefs[]', asks: 'Must be names of event sinks, each once.', check: ({ spec }, report) => nameList('spec.eventSinkRefs', spec.eventSinkRefs, namesOnly, report) },
];

function eachGvk(check: (field: string, gvk: LooseGvk | undefined, report: Report) => void): Rule<ScopeCeiling>['check'] {
  return ({ spec }, report) => {
    for (const [index, gvk] of (spec.allowedGVKs ?? []).entries()) check(`spec.allowedGVKs[${index}]`, gvk, report);
  };
}

function deniedAndAllowed({ spec }: Input, report: Report): void {
  const allowed = new Set(spec.allowedNamespaces);
  for (const [index, namespace] of (spec.deniedNamespaces ?? []).entries()) {
    if (namespace !== undefined && allowed.has(namespace)) report(warning(`spec.deniedNamespaces[${index}]`, `${JSON.stringify(namespace)} is allowed as well; denial wins`));
  }
}
