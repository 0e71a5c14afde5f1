import { z } from 'zod';
import { Limits } from './collection-filter.ts';
import { Duration } from './duration.ts';
import { GroupVersionKind } from './meta.ts';
import { bounds, nameText } from './text.ts';

/** A list of names, each once. */
export const scopeNames = (description: string) => z.array(nameText).max(bounds.list).optional().meta({ description, 'x-kubernetes-list-type': 'set' });

/** What both scope kinds bound. */
export const scopeCeilingFields = {
  allowedGVKs: z.array(GroupVersionKind).max(bounds.list).optional().meta({ description: 'Kinds that may be collected; any when empty.', 'x-kubernetes-list-type': 'atomic' }),
  allowedNamespaces: scopeNames('Namespaces that may be collected from; any when empty.'),
  deniedNamespaces: scopeNames('Namespaces that may not be collected from, whatever else is allowed.'),
  minExportInterval: Duration.optional().meta({ description: 'Lowest exportMinInterval of inventories, references and sinks, such as 1m.' }),
  snapshotSinkRefs: scopeNames('Names of the snapshot sinks that may be used; any when empty.'),
  databaseSinkRefs: scopeNames('Names of the database sinks that may be used; any when empty.'),
  eventSinkRefs: scopeNames('Names of the event sinks that may be used; any when empty.'),
  limits: Limits.optional().meta({ description: 'How much each target may keep; the lower of this and the limits of the target holds.' }),
};
