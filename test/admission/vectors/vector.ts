import type { KubeObject } from '../../../shared/api/kube-object.ts';
import { kindByName } from '../../../shared/api/kinds.ts';

/** What an installation may set by flags. */
export interface VectorInstallation {
  /** True when unset. */
  allowPrivateSinks?: boolean;
  tenantMode?: boolean;
  maxExportBytes?: number;
}

interface VectorObject {
  metadata?: Record<string, unknown>;
  spec?: unknown;
}

/**
 * One object and what admission has to say about it. Data only, so that the same vector is judged by the rules alone, over the wire, by
 * kubectl and a real API server, and by `kollect lint`.
 */
export interface Vector {
  /** Unique; says what is observed, such as `a git sink on the loopback address`. */
  name: string;
  kind: string;
  object: VectorObject;
  /** What is stored already: the request is an update of it. */
  old?: VectorObject;
  /** Other objects of the cluster. */
  cluster?: readonly KubeObject[];
  installation?: VectorInstallation;
  /** Fields that have errors, in order. Without any, the object is admitted. */
  errors?: readonly string[];
  /** Fields that have warnings, in order. */
  warnings?: readonly string[];
  /** Texts that must be among what is said. */
  says?: readonly (string | RegExp)[];
  /** Code of the refusal, 422 when unset. */
  code?: 403 | 422;
  /** What the spec must hold after defaulting. */
  stored?: Record<string, unknown>;
}

/** Where the value of a vector stands for a credential, it holds this word: it must appear in nothing that is said. */
export const secretWord = 'canary';

/** The namespace of vectors that name none. */
export const vectorNamespace = 'team-a';

/** The object of a vector as a user would apply it: `sample` in `team-a` unless it says otherwise. */
export function vectorObject({ kind, object }: Pick<Vector, 'kind' | 'object'>): KubeObject {
  const namespaced = kindByName(kind)?.scope !== 'Cluster';
  return { apiVersion: 'kollect.dev/v1alpha1', kind, ...object, metadata: { name: 'sample', ...(namespaced ? { namespace: vectorNamespace } : {}), ...object.metadata } } as KubeObject;
}

/** What is stored before the request of a vector, when it is an update. */
export function storedObject({ kind, old }: Vector): KubeObject | undefined {
  return old && vectorObject({ kind, object: old });
}
