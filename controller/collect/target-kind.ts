import { finalizers } from '../../shared/api/annotations.ts';
import type { KollectClusterTargetSpec } from '../../shared/api/kollect-cluster-target.ts';
import type { KollectTargetSpec } from '../../shared/api/kollect-target.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import type { CollectionSpec } from './selection.ts';

/** In what the two target kinds differ. */
export interface TargetKind<Spec = unknown> {
  kind: 'KollectTarget' | 'KollectClusterTarget';
  plural: string;
  finalizer: string;
  /** Namespace and name of the profile, by a spec that admission may not have seen. */
  profileOf(target: KubeObject): { namespace: string; name: string };
  selectionOf(spec: Spec): CollectionSpec;
}

export const namespacedTargets: TargetKind<KollectTargetSpec> = {
  kind: 'KollectTarget',
  plural: 'kollecttargets',
  finalizer: finalizers.target,
  profileOf: ({ metadata, spec }) => ({ namespace: metadata.namespace ?? '', name: text((spec as Partial<KollectTargetSpec> | undefined)?.profileRef) }),
  selectionOf: (spec) => spec,
};

export const clusterTargets: TargetKind<KollectClusterTargetSpec> = {
  kind: 'KollectClusterTarget',
  plural: 'kollectclustertargets',
  finalizer: finalizers.clusterTarget,
  profileOf: ({ spec }) => {
    const reference = (spec as { profileRef?: { namespace?: unknown; name?: unknown } } | undefined)?.profileRef;
    return { namespace: text(reference?.namespace), name: text(reference?.name) };
  },
  selectionOf: (spec) => ({ ...spec, watchMode: 'All' }),
};

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
