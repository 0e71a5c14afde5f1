import { API_VERSION } from '../api/group.ts';
import type { KubeObject } from '../api/kube-object.ts';

/** Path of a Kollect object. */
export function kollectPath(plural: string, object: KubeObject): string {
  const { namespace, name } = object.metadata;
  return `/apis/${API_VERSION}/${namespace ? `namespaces/${namespace}/` : ''}${plural}/${name}`;
}
