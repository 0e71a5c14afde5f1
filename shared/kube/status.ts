import type { KubeObject } from '../api/kube-object.ts';
import { KubeApiError, type KubeClient } from './client.ts';
import { kollectPath } from './paths.ts';

/**
 * Replaces the status of a Kollect object by exactly `status`, whatever is there: no stale copy can leave a field behind, and writers of the spec
 * never conflict. An equal status changes nothing at the API server. Rejects with a `KubeApiError` 404 when the object is gone, also when
 * another one has its name by now.
 */
export async function patchStatus(client: KubeClient, plural: string, object: KubeObject, status: object): Promise<void> {
  const { name, uid } = object.metadata;
  const replace = { op: 'add', path: '/status', value: status };
  const body = uid === undefined ? [replace] : [{ op: 'test', path: '/metadata/uid', value: uid }, replace];
  try {
    await client.patch(`${kollectPath(plural, object)}/status`, { type: 'json', body });
  } catch (error) {
    // The test has failed: a status that is not valid comes with its causes.
    const another = error instanceof KubeApiError && error.status === 422 && error.details?.causes === undefined;
    if (another) throw new KubeApiError(404, 'NotFound', `${plural} "${name}" with uid ${uid} not found`, { cause: error });
    throw error;
  }
}
