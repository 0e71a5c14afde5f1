import type { KubeObject } from '../shared/api/kube-object.ts';
import { KubeApiError } from '../shared/kube/api-error.ts';
import type { KubeClient } from '../shared/kube/client.ts';

/**
 * What tells this installation from those of other clusters that write to the same place: the uid of the namespace kube-system, which
 * lives as long as the cluster. Asked for until it is known; undefined where it must not be read, which an API server says of everything while it starts.
 */
export function installationUid(client: Pick<KubeClient, 'get'>): () => Promise<string | undefined> {
  let known: string | undefined;
  let asking: Promise<string | undefined> | undefined;
  const ask = async (): Promise<string | undefined> => {
    try {
      return (known = await read(client));
    } finally {
      asking = undefined;
    }
  };
  return async () => known ?? (await (asking ??= ask()));
}

async function read(client: Pick<KubeClient, 'get'>): Promise<string | undefined> {
  try {
    return (await client.get<KubeObject>('/api/v1/namespaces/kube-system')).metadata.uid;
  } catch (error) {
    if (error instanceof KubeApiError && (error.status === 403 || error.status === 404)) return undefined;
    throw error;
  }
}
