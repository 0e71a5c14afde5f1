import type { KindDefinition } from '../api/kind.ts';
import { structuralSchema } from '../crd/structural-schema.ts';
import type { StructuralSchema } from '../crd/structural-schema.ts';

/** The schema of a whole object as an API server reads it: metadata, which it knows itself, and any status, which it ignores. */
export function objectSchema({ spec }: KindDefinition): StructuralSchema {
  return { type: 'object', properties: { apiVersion: {}, kind: {}, metadata, spec: structuralSchema(spec), status: {} } };
}

const anything: StructuralSchema = {};
const texts: StructuralSchema = { type: 'object', additionalProperties: anything };

/** `metav1.ObjectMeta`. */
const metadata: StructuralSchema = {
  type: 'object',
  properties: {
    name: anything,
    generateName: anything,
    namespace: anything,
    labels: texts,
    annotations: texts,
    finalizers: anything,
    ownerReferences: anything,
    uid: anything,
    generation: anything,
    resourceVersion: anything,
    creationTimestamp: anything,
    deletionTimestamp: anything,
    deletionGracePeriodSeconds: anything,
    managedFields: anything,
    selfLink: anything,
  },
};
