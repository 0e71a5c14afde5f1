import type { KubeObject } from '../api/kube-object.ts';
import type { KubeClient } from './client.ts';
import { kollectPath } from './paths.ts';

/**
 * Replaces the status of a Kollect object. Fields that are not in `status` are removed; the spec and its version do not matter, so two
 * writers of spec and status never conflict.
 */
export async function patchStatus(client: KubeClient, plural: string, object: KubeObject, status: object): Promise<void> {
  const known = (object['status'] ?? {}) as Record<string, unknown>;
  const body: Record<string, unknown> = { ...status };
  for (const key of Object.keys(known)) body[key] ??= null;
  await client.patch(`${kollectPath(plural, object)}/status`, { type: 'merge', body: { status: body } });
}
