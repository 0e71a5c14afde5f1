import { gvkText, isSameGvk } from '../../api/gvk.ts';
import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterInventorySpec } from '../../api/kollect-cluster-inventory.ts';
import type { KollectClusterTargetSpec } from '../../api/kollect-cluster-target.ts';
import type { KollectConnectionTestSpec } from '../../api/kollect-connection-test.ts';
import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import type { SinkFamily } from '../../api/sink-ref.ts';
import { warning } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { KnownClusterScope, KnownProfile, KnownScope } from '../lookups.ts';
import type { Loose } from '../rule.ts';
import { titled } from './known-scope.ts';
import { likelyClusterTarget, likelyProfile, likelySink } from './likely-misspelt.ts';
import { sinkReferences } from './sink-references.ts';
import type { StateInput, StateRule } from './state-rule.ts';

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

const targetAdvice: readonly StateRule<KollectTargetSpec>[] = [
  {
    id: 'rules-of-profile',
    field: 'spec.resourceRules[].gvk',
    asks: 'Should be the targetGVK of the profile, the only kind that is watched.',
    advises: true,
    check: ({ spec, namespace, lookups }, report) => rulesOfProfile(spec.resourceRules, spec.profileRef === undefined ? undefined : lookups.profile(namespace, spec.profileRef), report),
  },
  {
    id: 'profile-spelling',
    field: 'spec.profileRef',
    asks: 'Should not be almost the name of a profile.',
    advises: true,
    check: ({ spec, namespace, lookups }, report) => spec.profileRef !== undefined && likelyProfile(lookups, 'spec.profileRef', namespace, spec.profileRef, report),
  },
];

const clusterTargetAdvice: readonly StateRule<KollectClusterTargetSpec>[] = [
  {
    id: 'rules-of-profile',
    field: 'spec.resourceRules[].gvk',
    asks: 'Should be the targetGVK of the profile, the only kind that is watched.',
    advises: true,
    check: ({ spec, lookups }, report) => rulesOfProfile(spec.resourceRules, spec.profileRef?.name === undefined ? undefined : lookups.profile(spec.profileRef.namespace ?? '', spec.profileRef.name), report),
  },
  {
    id: 'profile-spelling',
    field: 'spec.profileRef.name',
    asks: 'Should not be almost the name of a profile.',
    advises: true,
    check: ({ spec: { profileRef }, lookups }, report) => profileRef?.name !== undefined && likelyProfile(lookups, 'spec.profileRef.name', profileRef.namespace ?? '', profileRef.name, report),
  },
];

const inventoryAdvice: readonly StateRule<KollectInventorySpec>[] = [{ id: 'sink-spelling', field: 'spec.*SinkRefs[].name', asks: 'Should not be almost the name of a sink.', advises: true, check: inventorySinks }];

function inventorySinks({ spec, namespace, lookups }: StateInput<KollectInventorySpec>, report: Report): void {
  for (const ref of sinkReferences(spec)) likelySink(lookups, ref.nameField, ref.family, namespace, ref.name, report);
}

const clusterInventoryAdvice: readonly StateRule<KollectClusterInventorySpec>[] = [
  { id: 'sink-spelling', field: 'spec.*SinkRefs[].name', asks: 'Should not be almost the name of a sink.', advises: true, check: clusterInventorySinks },
  { id: 'target-spelling', field: 'spec.targetRefs[]', asks: 'Should not be almost the name of a KollectClusterTarget.', advises: true, check: clusterTargetNames },
];

function clusterInventorySinks({ spec, lookups }: StateInput<KollectClusterInventorySpec>, report: Report): void {
  for (const ref of sinkReferences(spec)) likelySink(lookups, ref.nameField, ref.family, ref.namespace ?? sinkNamespaceOf(spec), ref.name, report);
}

function clusterTargetNames({ spec, lookups }: StateInput<KollectClusterInventorySpec>, report: Report): void {
  for (const [index, name] of (spec.targetRefs ?? []).entries()) if (name !== undefined) likelyClusterTarget(lookups, `spec.targetRefs[${index}]`, name, report);
}

const connectionTestAdvice: readonly StateRule<KollectConnectionTestSpec>[] = [{ id: 'sink-spelling', field: 'spec.sinkRef', asks: 'Should not be almost the name of a sink.', advises: true, check: connectionTestSink }];

const sinkRefFields = { snapshotSinkRef: 'snapshot', databaseSinkRef: 'database', eventSinkRef: 'event' } as const satisfies Record<string, SinkFamily>;

function connectionTestSink({ spec, namespace, lookups }: StateInput<KollectConnectionTestSpec>, report: Report): void {
  for (const [field, family] of Object.entries(sinkRefFields)) {
    const name = spec.sinkRef?.[field as keyof typeof sinkRefFields];
    if (name !== undefined && name !== '') likelySink(lookups, `spec.sinkRef.${field}`, family, namespace, name, report);
  }
}

/** What other objects suggest about one of each kind. Nobody is refused for it. */
export const stateAdvice: ReadonlyMap<string, readonly StateRule<never>[]> = new Map<string, readonly StateRule<never>[]>([
  ['KollectTarget', [oneScope, ...targetAdvice]],
  ['KollectClusterTarget', [oneClusterScope, ...clusterTargetAdvice]],
  ['KollectInventory', [oneScope, ...inventoryAdvice]],
  ['KollectClusterInventory', [oneClusterScope, ...clusterInventoryAdvice]],
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

function rulesOfProfile(rules: Loose<KollectTargetSpec['resourceRules']>, profile: KnownProfile | undefined, report: Report): void {
  const watched = profile?.spec.targetGVK;
  if (profile === undefined || watched?.kind === undefined) return;
  for (const [index, rule] of (rules ?? []).entries()) {
    const gvk = rule?.gvk;
    if (gvk?.kind !== undefined && !isSameGvk(gvk, watched)) report(warning(`spec.resourceRules[${index}].gvk`, `stops the target in this version: the profile ${JSON.stringify(profile.metadata.name)} collects ${gvkText(watched)}, not ${gvkText(gvk)}`));
  }
}
