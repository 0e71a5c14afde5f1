import { allowSecretExtraction } from '../../shared/api/annotations.ts';
import type { Reason } from '../../shared/api/conditions.ts';
import { gvkKey, gvkText } from '../../shared/api/gvk.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { KollectError } from '../../shared/errors.ts';
import type { ApiResource, Discovery, GroupVersionKind } from '../../shared/kube/discovery.ts';
import type { ResourcePlan, ResourceState } from './collector.ts';
import type { CompiledProfiles } from './compiled-profiles.ts';
import type { Definitions } from './definitions.ts';
import type { KindSelection } from './selection.ts';

/** Why a target does not collect what it should, or a part of it. */
export interface Problem {
  reason: Reason;
  message: string;
}

/** Without a plan it is known that there are no objects. */
export interface PlannedResource {
  plan?: ResourcePlan | undefined;
  problem?: Problem | undefined;
}

export interface ResourcePlannerOptions {
  discovery: Pick<Discovery, 'resolve' | 'invalidate'>;
  definitions: Pick<Definitions, 'isGone'>;
  compiled: Pick<CompiledProfiles, 'of'>;
}

/** Finds out how each kind of a target can be collected. What stands against one kind says nothing of the others. */
export class ResourcePlanner {
  readonly #options: ResourcePlannerOptions;

  constructor(options: ResourcePlannerOptions) {
    this.#options = options;
  }

  /** @param running how the same kind is collected now */
  async plan({ gvk, spec }: KindSelection, target: KubeObject, profile: KubeObject, running: ResourceState | undefined): Promise<PlannedResource> {
    const { compiled, definitions } = this.#options;
    const key = gvkKey(gvk);
    const freeze = (reason: Reason, message: string): PlannedResource => ({ plan: { key }, problem: { reason, message } });
    const resource = await this.#resolve(gvk, running);
    if (resource instanceof Error) return freeze('InformerRegistrationFailed', `the API server cannot tell whether it serves ${gvkText(gvk)}: ${resource.message}`);
    if (!resource && definitions.isGone(gvk)) {
      return { problem: { reason: 'InformerRegistrationFailed', message: `there is no CustomResourceDefinition of ${gvk.kind} in ${gvk.group}, and so no object of it` } };
    }
    if (!resource) {
      const apiVersion = gvk.group ? `${gvk.group}/${gvk.version}` : gvk.version;
      return freeze('InformerRegistrationFailed', `the API server knows no ${gvk.kind} in ${apiVersion}; is its CustomResourceDefinition installed?`);
    }
    const reader = compiled.of(profile, { gvk, consents: target.metadata.annotations?.[allowSecretExtraction] === 'true' });
    if (reader instanceof KollectError) return freeze('InvalidProfile', `KollectProfile "${profile.metadata.name}" cannot read ${gvkText(gvk)}: ${reader.message}`);
    const fingerprint = JSON.stringify([target.metadata.uid, spec, profile.metadata.uid, profile.metadata.generation, resource.path(), resource.namespaced]);
    return { plan: { key, collect: { fingerprint, spec, profile: reader, resource } } };
  }

  /** An error when the API server cannot tell, and nothing runs that knew it. */
  async #resolve(gvk: GroupVersionKind, running: ResourceState | undefined): Promise<ApiResource | Error | undefined> {
    const { discovery, definitions } = this.#options;
    // A path that vanished may have become another one: a definition was replaced. And the API server serves a kind some time longer than its definition exists.
    if (running?.watch.reason === 'NotFound' || definitions.isGone(gvk)) discovery.invalidate(gvk.group, gvk.version);
    try {
      return await discovery.resolve(gvk);
    } catch (error) {
      return running?.resource ?? (error as Error);
    }
  }
}
