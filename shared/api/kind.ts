import { z } from 'zod';
import { API_VERSION } from './group.ts';
import { ObjectMeta } from './meta.ts';

/** A column of `kubectl get`. */
export interface Column {
  name: string;
  type: 'string' | 'integer' | 'boolean' | 'date';
  jsonPath: string;
  description?: string;
  /** Above 0: shown with `-o wide` only. */
  priority?: number;
}

/** A kind as data: what the CRD, the webhook and the controller need to know of it. */
export interface KindDefinition {
  kind: string;
  plural: string;
  singular: string;
  shortNames: readonly string[];
  scope: 'Namespaced' | 'Cluster';
  /** For `kubectl explain`. */
  description: string;
  spec: z.ZodType;
  /** Kinds with a status have it as a subresource. */
  status?: z.ZodType;
  columns: readonly Column[];
}

export const ageColumn: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** The status of a condition. */
export function conditionColumn(name: string, type: string, priority?: number): Column {
  return { name, type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].status`, ...(priority === undefined ? {} : { priority }) };
}

/** The reason of a condition, with `-o wide` when no priority is given. */
export function conditionReasonColumn(type: string, priority = 1): Column {
  return { name: 'Reason', type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].reason`, description: `Reason of ${type}`, priority };
}

/** The message of a condition, with `-o wide`. */
export function conditionMessageColumn(type: string): Column {
  return { name: 'Message', type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].message`, description: `Message of ${type}`, priority: 1 };
}

/** The schema of a whole object. What it says of metadata is the part that we read. */
export function objectOf<K extends string, S extends z.ZodType, T extends z.ZodType>(kind: K, spec: S, status: T) {
  return z.object({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata: ObjectMeta,
    spec,
    status: status.optional(),
  });
}
