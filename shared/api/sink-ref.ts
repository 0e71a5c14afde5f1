import { z } from 'zod';
import { Duration } from './duration.ts';

export const sinkFamilies = ['snapshot', 'database', 'event'] as const;
export type SinkFamily = (typeof sinkFamilies)[number];

const SinkRefObject = z.object({
  name: z.string(),
  namespace: z.string().optional(),
  exportMinInterval: Duration.optional(),
  maxExportBytes: z.number().int().optional(),
});
export type SinkRefObject = z.infer<typeof SinkRefObject>;

/**
 * A sink by name, or an object with the name and settings of this reference. The CRD leaves the item open, because a structural schema
 * cannot say "string or object"; the rules of admission own its shape.
 */
export const SinkRef = z.union([z.string(), SinkRefObject]).meta({ 'x-kubernetes-preserve-unknown-fields': true });
export type SinkRef = z.infer<typeof SinkRef>;

export const sinkRefList = (family: SinkFamily) =>
  z
    .array(SinkRef)
    .max(20)
    .optional()
    .meta({ description: `Names of ${family} sinks, or objects with name, namespace, exportMinInterval and maxExportBytes.`, 'x-kubernetes-list-type': 'atomic' });

/** What all inventories refer to. */
export interface SinkRefLists {
  snapshotSinkRefs?: SinkRef[] | undefined;
  databaseSinkRefs?: SinkRef[] | undefined;
  eventSinkRefs?: SinkRef[] | undefined;
}

export interface SinkBinding extends SinkRefObject {
  family: SinkFamily;
}

/** A string means an object with that name. */
export function normaliseSinkRef(ref: SinkRef): SinkRefObject {
  return typeof ref === 'string' ? { name: ref } : ref;
}

/** All references in the order of export: snapshot, database, event, each as written. */
export function sinkBindings(spec: SinkRefLists): SinkBinding[] {
  return sinkFamilies.flatMap((family) => (spec[`${family}SinkRefs`] ?? []).map((ref) => ({ family, ...normaliseSinkRef(ref) })));
}
