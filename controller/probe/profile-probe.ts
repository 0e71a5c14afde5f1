import type { Reason } from '../../shared/api/conditions.ts';
import { gvkText } from '../../shared/api/gvk.ts';
import type { KollectProfile } from '../../shared/api/kollect-profile.ts';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { API_VERSION } from '../../shared/api/group.ts';
import { KollectError } from '../../shared/errors.ts';
import { KubeApiError, type KubeClient } from '../../shared/kube/client.ts';
import type { Discovery } from '../../shared/kube/discovery.ts';
import type { AccessReviews } from '../collect/access-reviews.ts';
import type { CompiledProfiles } from '../collect/compiled-profiles.ts';
import type { Verdict } from '../observe/conditions.ts';

export interface ProfileProbeOptions {
  client: Pick<KubeClient, 'get'>;
  compiled: Pick<CompiledProfiles, 'of'>;
  discovery: Pick<Discovery, 'resolve'>;
  reviews: Pick<AccessReviews, 'denied'>;
}

/** Tells whether the objects that a profile is for can be collected: it compiles, its kind is served, and the controller may list and watch it. */
export async function probeProfile({ client, compiled, discovery, reviews }: ProfileProbeOptions, namespace: string, name: string): Promise<Verdict> {
  const title = `KollectProfile "${name}"`;
  let profile: KubeObject;
  try {
    profile = await client.get(`/apis/${API_VERSION}/namespaces/${namespace}/kollectprofiles/${encodeURIComponent(name)}`);
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 404) return failed('AccessCheckFailed', `${title} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
    return failed('ProfileNotFound', `no ${title} in namespace "${namespace}": create it, or correct spec.profileRef, then run the test again`);
  }
  const reader = compiled.of(profile);
  if (reader instanceof KollectError) return failed('InvalidProfile', `${title}: ${reader.message}`);
  const { group = '', version, kind } = (profile['spec'] as KollectProfile['spec']).targetGVK;
  const gvk = { group, version, kind };
  try {
    const resource = await discovery.resolve(gvk);
    if (!resource) return failed('InformerRegistrationFailed', `the API server knows no ${gvkText(gvk)}, of which ${title} is; is its CustomResourceDefinition installed?`);
    const objects = `${resource.plural}${group === '' ? '' : `.${group}`}`;
    if ((await reviews.denied(resource, undefined, 0)).length === 0) return verified(`${title}: the controller may list and watch ${objects} in all namespaces`);
    const denied = resource.namespaced ? await reviews.denied(resource, namespace, 0) : ['list'];
    if (denied.length === 0) return verified(`${title}: the controller may list and watch ${objects} in namespace "${namespace}", but not in all`);
    return failed('InformerRegistrationFailed', `${title}: the controller may not ${denied.join(' and ')} ${objects}: add list and watch of them to its rights, then run the test again`);
  } catch (error) {
    return failed('AccessCheckFailed', `${title}: the API server cannot tell whether ${gvkText(gvk)} can be collected: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function verified(message: string): Verdict {
  return { type: 'ProfileVerified', status: 'True', reason: 'ProfileOK', message };
}

function failed(reason: Reason, message: string): Verdict {
  return { type: 'ProfileVerified', status: 'False', reason, message };
}
