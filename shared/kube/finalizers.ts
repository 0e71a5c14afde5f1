import type { KubeObject } from '../api/kube-object.ts';
import { KubeApiError, type KubeClient } from './client.ts';
import { kollectPath } from './paths.ts';

/** Adds a finalizer unless it is there. The precondition on resourceVersion keeps everybody else's. */
export async function addFinalizer(client: KubeClient, plural: string, object: KubeObject, finalizer: string): Promise<void> {
  const finalizers = object.metadata.finalizers ?? [];
  if (finalizers.includes(finalizer)) return;
  await write(client, plural, object, [...finalizers, finalizer]);
}

/** Removes a finalizer; an object that is gone is fine. */
export async function removeFinalizer(client: KubeClient, plural: string, object: KubeObject, finalizer: string): Promise<void> {
  const finalizers = object.metadata.finalizers ?? [];
  if (!finalizers.includes(finalizer)) return;
  try {
    await write(client, plural, object, finalizers.filter((name) => name !== finalizer));
  } catch (error) {
    if (!(error instanceof KubeApiError) || error.status !== 404) throw error;
  }
}

async function write(client: KubeClient, plural: string, object: KubeObject, finalizers: string[]): Promise<void> {
  const { resourceVersion } = object.metadata;
  await client.patch(kollectPath(plural, object), { type: 'merge', body: { metadata: { resourceVersion, finalizers } } });
}
