import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import type { KollectConnectionTestSpec } from '../../api/kollect-connection-test.ts';
import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import type { SinkFamily, SinkRefLists } from '../../api/sink-ref.ts';
import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownScope } from '../lookups.ts';
import { titled } from './known-scope.ts';
import { Spelling } from './likely-misspelt.ts';
import { sinkReferences } from './sink-references.ts';
import type { StateInput, StateRule } from './state-rule.ts';
import { profileRefOf } from './target-profile.ts';
import type { AnyTargetSpec } from './target-profile.ts';

const oneScope: StateRule<unknown> = {
  id: 'one-scope',
  field: 'metadata.namespace',
  asks: 'Should have one KollectScope at most: of several, the first by name counts.',
  advises: true,
  check: ({ namespace, lookups }, report) => severalScopes('metadata.namespace', lookups.scopes(namespace), report),
};

const oneClusterScope: StateRule<unknown> = {
  id: 'one-scope',
  field: 'metadata.name',
  asks: 'There should be one KollectClusterScope at most: of several, the first by name counts.',
  advises: true,
  check: ({ lookups }, report) => severalScopes('metadata.name', lookups.clusterScopes(), report),
};

/** @param nameField where the name of the profile stands */
const targetAdvice = (nameField: string): StateRule<AnyTargetSpec>[] => [
  {
    id: 'profile-spelling',
    field: nameField,
    asks: 'Should not be almost the name of a profile.',
    advises: true,
    check: (target, report) => {
      const ref = profileRefOf(target);
      if (ref !== undefined) new Spelling(target.lookups, report).profile(nameField, ref.namespace, ref.name);
    },
  },
];

/** @param namespaceOf where the sinks are whose reference names no namespace */
function sinkSpelling<Spec extends SinkRefLists>(namespaceOf: (input: StateInput<Spec>) => string): StateRule<Spec> {
  const check = (input: StateInput<Spec>, report: Report): void => {
    const spelling = new Spelling(input.lookups, report);
    for (const ref of sinkReferences(input.spec)) spelling.sink(ref.nameField, ref.family, ref.namespace ?? namespaceOf(input), ref.name);
  };
  return { id: 'sink-spelling', field: 'spec.*SinkRefs[].name', asks: 'Should not be almost the name of a sink.', advises: true, check };
}

const targetSpelling: StateRule<KollectClusterInventorySpec> = {
  id: 'target-spelling',
  field: 'spec.targetRefs[]',
  asks: 'Should not be almost the name of a KollectClusterTarget.',
  advises: true,
  check: ({ spec, lookups }, report) => {
    const spelling = new Spelling(lookups, report);
    for (const [index, name] of (spec.targetRefs ?? []).entries()) if (name !== undefined) spelling.clusterTarget(`spec.targetRefs[${index}]`, name);
  },
};

const connectionTestAdvice: readonly StateRule<KollectConnectionTestSpec>[] = [{ id: 'sink-spelling', field: 'spec.sinkRef', asks: 'Should not be almost the name of a sink.', advises: true, check: connectionTestSink }];

const sinkRefFields = { snapshotSinkRef: 'snapshot', databaseSinkRef: 'database', eventSinkRef: 'event' } as const satisfies Record<string, SinkFamily>;

function connectionTestSink({ spec, namespace, lookups }: StateInput<KollectConnectionTestSpec>, report: Report): void {
  for (const [field, family] of Object.entries(sinkRefFields)) {
    const name = spec.sinkRef?.[field as keyof typeof sinkRefFields];
    if (name !== undefined && name !== '') new Spelling(lookups, report).sink(`spec.sinkRef.${field}`, family, namespace, name);
  }
}

/** What other objects suggest about one of each kind. Nobody is refused for it. */
export const stateAdvice: ReadonlyMap<string, readonly StateRule<never>[]> = new Map<string, readonly StateRule<never>[]>([
  ['KollectTarget', [oneScope, ...targetAdvice('spec.profileRef')]],
  ['KollectClusterTarget', [oneClusterScope, ...targetAdvice('spec.profileRef.name')]],
  ['KollectInventory', [oneScope, sinkSpelling<KollectInventorySpec>(({ namespace }) => namespace)]],
  ['KollectClusterInventory', [oneClusterScope, sinkSpelling<KollectClusterInventorySpec>(({ spec }) => sinkNamespaceOf(spec)), targetSpelling]],
  ['KollectSnapshotSink', [oneScope]],
  ['KollectDatabaseSink', [oneScope]],
  ['KollectEventSink', [oneScope]],
  ['KollectConnectionTest', connectionTestAdvice],
]);

function severalScopes(field: string, scopes: readonly (KnownScope | KnownClusterScope)[], report: Report): void {
  const [first, ...others] = scopes;
  if (first === undefined || others.length === 0) return;
  report(warning(field, `${scopes.length} scopes hold here, of which only the first by name counts: ${titled(first)}; move what the others say into it`));
}
