import type { KollectClusterTargetSpec } from '../../api/kollect-cluster-target.ts';
import type { KollectTargetSpec } from '../../api/kollect-target.ts';
import type { KnownProfile } from '../lookups.ts';
import type { BoundInput } from './state-rule.ts';

/** The spec of a target of either kind. */
export type AnyTargetSpec = KollectTargetSpec | KollectClusterTargetSpec;

/** Where a target says its profile is: in its own namespace, or in the one that it names. Undefined as long as it names none. */
export function profileRefOf({ spec: { profileRef }, namespace }: Pick<BoundInput<AnyTargetSpec>, 'spec' | 'namespace'>): { namespace: string; name: string } | undefined {
  if (typeof profileRef === 'string') return { namespace, name: profileRef };
  return profileRef?.name === undefined ? undefined : { namespace: profileRef.namespace ?? '', name: profileRef.name };
}

/** The profile of a target, when there is one. */
export function profileOf(target: Pick<BoundInput<AnyTargetSpec>, 'spec' | 'namespace' | 'lookups'>): KnownProfile | undefined {
  const ref = profileRefOf(target);
  return ref && target.lookups.profile(ref.namespace, ref.name);
}
