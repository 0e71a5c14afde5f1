import type { ObjectMeta } from './meta.ts';

/** Any Kubernetes object as the API server sends it. Integers beyond 2^53 are bigint. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: ObjectMeta;
  [field: string]: unknown;
}
