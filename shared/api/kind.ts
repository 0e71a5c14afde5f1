import { z } from 'zod';
import { API_VERSION } from './group.ts';
import { ObjectMeta } from './meta.ts';

export interface Column {
  name: string;
  type: 'string' | 'integer' | 'boolean' | 'date';
  jsonPath: string;
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
  description: string;
  spec: z.ZodType;
  status?: z.ZodType;
  columns: readonly Column[];
}

export const ageColumn: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

export function conditionColumn(name: string, type: string, priority?: number): Column {
  return { name, type: 'string', jsonPath: `.status.conditions[?(@.type=="${type}")].status`, ...(priority === undefined ? {} : { priority }) };
}

/** The schema of a whole object. */
export function objectOf<K extends string, S extends z.ZodType, T extends z.ZodType>(kind: K, spec: S, status: T) {
  return z.object({
    apiVersion: z.literal(API_VERSION),
    kind: z.literal(kind),
    metadata: ObjectMeta,
    spec,
    status: status.optional(),
  });
}
