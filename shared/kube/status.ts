import type { KubeObject } from '../api/kube-object.ts';
import { KubeApiError, type KubeClient } from './client.ts';
import { kollectPath } from './paths.ts';

/**
 * Replaces the status of a Kollect object by exactly `status`, whatever is there: no stale copy can leave a field behind, and writers of the spec
 * never conflict. An equal status changes nothing at the API server. Rejects with a `KubeApiError` 404 when the object is gone, also when
 * another one has its name by now.
 */
export async function patchStatus(client: KubeClient, plural: string, object: KubeObject, status: object): Promise<void> {
  await patched(client, plural, object, [{ op: 'add', path: '/status', value: status }]);
}

/**
 * Replaces these fields of the status, and removes those that are undefined; its other fields stay with whoever writes them. Rejects as `patchStatus`
 * does, also when a field that is to be removed is not there.
 */
export async function patchStatusFields(client: KubeClient, plural: string, object: KubeObject, fields: object): Promise<KubeObject> {
  // Somewhere to put them, which changes nothing where there is a status by now.
  if (object['status'] === undefined) await client.patch(`${kollectPath(plural, object)}/status`, { type: 'merge', body: { status: {} } });
  const changes = Object.entries(fields).map(([name, value]) => (value === undefined ? { op: 'remove', path: `/status/${name}` } : { op: 'add', path: `/status/${name}`, value: value as unknown }));
  return await patched(client, plural, object, changes);
}

async function patched(client: KubeClient, plural: string, object: KubeObject, changes: readonly object[]): Promise<KubeObject> {
  const { name, uid } = object.metadata;
  const body = uid === undefined ? changes : [{ op: 'test', path: '/metadata/uid', value: uid }, ...changes];
  try {
    return await client.patch(`${kollectPath(plural, object)}/status`, { type: 'json', body });
  } catch (error) {
    // The test has failed: a status that is not valid comes with its causes.
    const another = error instanceof KubeApiError && error.status === 422 && error.details?.causes === undefined;
    if (another) throw new KubeApiError(404, 'NotFound', `${plural} "${name}" with uid ${uid} not found`, { cause: error });
    throw error;
  }
}
