import type { KubeObject } from '../shared/api/kube-object.ts';
import { KubeApiError } from '../shared/kube/api-error.ts';
import type { KubeClient } from '../shared/kube/client.ts';

/**
 * What tells this installation from those of other clusters that write to the same place: the uid of the namespace kube-system, which
 * lives as long as the cluster. Asked for once; undefined where it must not be read.
 */
export function installationUid(client: Pick<KubeClient, 'get'>): () => Promise<string | undefined> {
  let known: Promise<string | undefined> | undefined;
  return () => {
    known ??= read(client).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
}

async function read(client: Pick<KubeClient, 'get'>): Promise<string | undefined> {
  try {
    return (await client.get<KubeObject>('/api/v1/namespaces/kube-system')).metadata.uid;
  } catch (error) {
    if (error instanceof KubeApiError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}
