import type { SinkFamily } from '../../api/sink-ref.ts';
import { sinkFamilies } from '../../api/sink-ref.ts';
import type { KollectInventorySpec } from '../../api/kollect-inventory.ts';
import type { Loose } from '../rule.ts';

/** A reference of an inventory to a sink, and where it stands. */
export interface SinkReference {
  family: SinkFamily;
  /** `spec.databaseSinkRefs[0]` */
  at: string;
  /** Where its name stands: the item itself when it is a plain string. */
  nameField: string;
  name: string;
  /** The namespace that it writes; undefined when it leaves that to the inventory. */
  namespace: string | undefined;
  exportMinInterval: string | undefined;
}

type RefLists = Loose<Pick<KollectInventorySpec, 'snapshotSinkRefs' | 'databaseSinkRefs' | 'eventSinkRefs'>>;

/** All references that have a name, in the order in which they are written. */
export function* sinkReferences(spec: RefLists, families: readonly SinkFamily[] = sinkFamilies): Generator<SinkReference> {
  for (const family of families) {
    for (const [index, ref] of (spec[`${family}SinkRefs`] ?? []).entries()) {
      if (ref === undefined) continue;
      const at = `spec.${family}SinkRefs[${index}]`;
      if (typeof ref === 'string') yield { family, at, nameField: at, name: ref, namespace: undefined, exportMinInterval: undefined };
      else if (ref.name !== undefined) yield { family, at, nameField: `${at}.name`, name: ref.name, namespace: ref.namespace?.trim() || undefined, exportMinInterval: ref.exportMinInterval };
    }
  }
}
