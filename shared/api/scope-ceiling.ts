import { z } from 'zod';
import { Limits } from './collection-filter.ts';
import { Duration } from './duration.ts';
import { GroupVersionKind } from './meta.ts';

const names = (description: string) => z.array(z.string()).optional().meta({ description, 'x-kubernetes-list-type': 'set' });

/** What both scope kinds bound. */
export const scopeCeilingFields = {
  allowedGVKs: z.array(GroupVersionKind).optional().meta({ description: 'Kinds that may be collected; any when empty.', 'x-kubernetes-list-type': 'atomic' }),
  allowedNamespaces: names('Namespaces that may be collected from; any when empty.'),
  deniedNamespaces: names('Namespaces that may not be collected from, whatever else is said.'),
  minExportInterval: Duration.optional().meta({ description: 'Least interval of inventories and sinks.' }),
  snapshotSinkRefs: names('Snapshot sinks that may be used; any when empty.'),
  databaseSinkRefs: names('Database sinks that may be used; any when empty.'),
  eventSinkRefs: names('Event sinks that may be used; any when empty.'),
  limits: Limits.optional().meta({ description: 'Bounds of the rows of each target.' }),
};

export { names as scopeNames };
