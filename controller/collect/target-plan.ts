import { gvkKey } from '../../shared/api/gvk.ts';
import type { LooseGvk } from '../../shared/api/gvk.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import { checkObject } from '../object-check.ts';
import type { ReferenceResult } from '../observe/references.ts';
import type { CollectionPlan, ResourceState } from './collector.ts';
import type { CompiledProfiles } from './compiled-profiles.ts';
import { lowestLimits } from './limits.ts';
import type { PlannedResource, Problem, ResourcePlanner } from './resource-planner.ts';
import type { ScopeJudge, ScopeVerdict } from './scope-judge.ts';
import { selectionByKind } from './selection.ts';
import type { TargetKind } from './target-kind.ts';

/** What a target comes to by its spec, profile and scope. */
export type TargetPlan = {
  problems: readonly Problem[];
  /** What became of the name of its profile; undefined when nobody looked it up. */
  profile: ReferenceResult | undefined;
} & (
  /** Rows stay as they are, within the scope when it is known. */
  | { kind: 'frozen'; verdict: ScopeVerdict }
  /** The target may have no rows. */
  | { kind: 'denied' }
  | { kind: 'planned'; plan: CollectionPlan }
);

export interface TargetPlanOptions<Spec> {
  kind: TargetKind<Spec>;
  profiles: { get(key: string): KubeObject | undefined };
  compiled: Pick<CompiledProfiles, 'of'>;
  scopes: Pick<ScopeJudge, 'judge'>;
  planner: Pick<ResourcePlanner, 'plan'>;
}

export interface TargetCircumstances {
  /** What stands against all kinds of the target, besides its spec and its profile. */
  obstacle?: Problem | undefined;
  /** How it is collected now. */
  running?: readonly ResourceState[] | undefined;
}

/** Decides what of a target is collected, and how. Nothing is begun by it. */
export async function planTarget<Spec extends { suspend?: boolean | undefined }>(raw: KubeObject, options: TargetPlanOptions<Spec>, { obstacle: other, running }: TargetCircumstances = {}): Promise<TargetPlan> {
  const { kind, profiles, compiled, scopes, planner } = options;
  const checked = checkObject<{ spec: Spec }>(kind.kind, raw);
  // Before all else: what a scope denies does not stay because the target is suspended, its profile is missing or its spec makes no sense.
  const verdict = scopes.judge(kind.kind, raw, checked.object?.spec ?? {});
  const freeze = (problem: Problem, profile?: ReferenceResult): TargetPlan => ({ kind: 'frozen', verdict, problems: [problem], profile });

  if (!checked.object) return freeze({ reason: 'InvalidSpec', message: checked.message });
  const { spec } = checked.object;
  if (verdict.kind === 'unknown') return freeze({ reason: 'ScopeLookupFailed', message: verdict.message });
  if (verdict.kind === 'denied') return { kind: 'denied', problems: [verdict], profile: 'forbidden' };
  const reference = kind.profileOf(raw);
  const profile = profiles.get(`${reference.namespace}/${reference.name}`);
  const found: ReferenceResult = profile ? 'ok' : 'not_found';
  const selection = kind.selectionOf(spec);
  const kinds = selectionByKind(selection, profile && targetGvkOf(profile));
  const denials = kinds.map(({ gvk }) => verdict.denies(gvk));
  const problems: Problem[] = denials.flatMap((message) => (message === undefined ? [] : [{ reason: 'ScopeGVKDenied', message }]));
  const allowed = kinds.filter((_, index) => denials[index] === undefined);

  const obstacle = obstacleOf(spec, reference, profile, compiled) ?? other;
  if (obstacle && kinds.length === 0) return freeze(obstacle, found);
  const planned = await Promise.all(
    allowed.map((of): PlannedResource | Promise<PlannedResource> => {
      const key = gvkKey(of.gvk);
      return obstacle || !profile ? { plan: { key } } : planner.plan(of, raw, profile, running?.find((resource) => resource.key === key));
    }),
  );
  problems.push(...planned.flatMap(({ problem }) => problem ?? []));
  if (obstacle && allowed.length > 0) problems.unshift(obstacle);
  const resources = planned.flatMap(({ plan }) => plan ?? []);
  return { kind: 'planned', plan: { resources, ceiling: verdict.ceiling, limits: lowestLimits([selection.limits, verdict.limits]) }, problems, profile: found };
}

/** What stands against all kinds of a target alike. */
function obstacleOf(spec: { suspend?: boolean | undefined }, { namespace, name }: { namespace: string; name: string }, profile: KubeObject | undefined, compiled: Pick<CompiledProfiles, 'of'>): Problem | undefined {
  if (spec.suspend) return { reason: 'Suspended', message: 'spec.suspend is true: rows stay as they are until it is removed' };
  if (!profile) return { reason: 'ProfileNotFound', message: `no KollectProfile "${name}" in namespace "${namespace}"` };
  const reader = compiled.of(profile);
  return reader instanceof KollectError ? { reason: 'InvalidProfile', message: `KollectProfile "${name}": ${reader.message}` } : undefined;
}

/** Kind of a profile that nobody may have checked yet. */
export function targetGvkOf({ spec }: KubeObject): LooseGvk | undefined {
  return (spec as { targetGVK?: LooseGvk | null } | undefined)?.targetGVK ?? undefined;
}
