import { z } from 'zod';
import { Duration } from './duration.ts';
import { nameText, nonEmptyName } from './text.ts';

export const sinkFamilies = ['snapshot', 'database', 'event'] as const;
export type SinkFamily = (typeof sinkFamilies)[number];

/** The lists of references of an inventory, in the order of families. */
export const sinkRefLists = ['snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs'] as const satisfies readonly `${SinkFamily}SinkRefs`[];

/** A reference with settings of its own. Fields that it does not have are found by the rules of admission. */
export const SinkRefObject = z.object({
  name: nonEmptyName.meta({ description: 'Name of the sink, such as warehouse.' }),
  namespace: nameText.optional(),
  exportMinInterval: Duration.optional(),
  maxExportBytes: z.number().int().optional(),
});
export type SinkRefObject = z.infer<typeof SinkRefObject>;

/**
 * A sink by name, or an object with the name and settings of this reference. The CRD leaves the item open, because a structural schema
 * cannot say "string or object"; the rules of admission own its shape.
 */
export const SinkRef = z.union([nonEmptyName, SinkRefObject]).meta({ 'x-kubernetes-preserve-unknown-fields': true });
export type SinkRef = z.infer<typeof SinkRef>;

/** Most references of an inventory, in all lists together. Admission holds it, whose message says what to do instead. */
export const maxSinkRefs = 20;

/** Longest list that the API server takes, so that no webhook has to judge an endless one. */
export const maxSinkRefListLength = 64;

export const sinkRefList = (family: SinkFamily) =>
  z
    .array(SinkRef)
    .max(maxSinkRefListLength)
    .optional()
    .meta({
      description: `Where to export to: names of ${family} sinks, or objects with name and, each optional, namespace (cluster inventories only), exportMinInterval and maxExportBytes. At most ${maxSinkRefs} references of all families together.`,
      'x-kubernetes-list-type': 'atomic',
    });

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

/**
 * All references in the order of export: snapshot, database, event, each as written.
 *
 * @example sinkBindings({ databaseSinkRefs: ['pg'] }) // [{ family: 'database', name: 'pg' }]
 */
export function sinkBindings(spec: SinkRefLists): SinkBinding[] {
  return sinkFamilies.flatMap((family) => (spec[`${family}SinkRefs`] ?? []).map((ref) => ({ family, ...normaliseSinkRef(ref) })));
}
