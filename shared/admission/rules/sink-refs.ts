import { maxSinkRefs } from '../../api/sink-ref.ts';
import { nearestName } from '../../nearest.ts';
import { duplicate, forbidden, invalid, tooMany } from '../finding.ts';
import type { Report } from '../finding.ts';
import { interval } from './durations.ts';
import { exportBytes } from './export-bytes.ts';
import { namespaceHasItsField, namespaceName, objectName, sameNamespaceOnly } from './names.ts';

interface LooseSinkRefObject {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly exportMinInterval?: string | undefined;
  readonly maxExportBytes?: number | undefined;
}

type LooseSinkRefs = readonly (string | LooseSinkRefObject | undefined)[] | undefined;

interface LooseSinkRefLists {
  readonly snapshotSinkRefs?: LooseSinkRefs;
  readonly databaseSinkRefs?: LooseSinkRefs;
  readonly eventSinkRefs?: LooseSinkRefs;
}

interface SinkRefContext {
  /** Where a reference without a namespace points to; undefined when references cannot leave the namespace of their inventory. */
  defaultNamespace: string | undefined;
  maxExportBytes: number | undefined;
}

/** The sinks of an inventory: their number, names, namespaces and what each overrides. A string is a name. */
export function sinkRefs(spec: LooseSinkRefLists, context: SinkRefContext, report: Report): void {
  const lists = [
    ['spec.snapshotSinkRefs', spec.snapshotSinkRefs ?? []],
    ['spec.databaseSinkRefs', spec.databaseSinkRefs ?? []],
    ['spec.eventSinkRefs', spec.eventSinkRefs ?? []],
  ] as const;
  const count = lists.reduce((sum, [, refs]) => sum + refs.length, 0);
  if (count > maxSinkRefs) {
    // Nobody wants the mistakes of a list that has to be cut anyway.
    report(tooMany('spec', count, `must have at most ${maxSinkRefs} items in snapshotSinkRefs, databaseSinkRefs and eventSinkRefs together; spread the sinks over several inventories`));
    return;
  }
  for (const [field, refs] of lists) family(field, refs, context, report);
}

function family(field: string, refs: NonNullable<LooseSinkRefs>, context: SinkRefContext, report: Report): void {
  const seen = new Set<string>();
  for (const [index, ref] of refs.entries()) {
    if (ref === undefined) continue;
    const at = `${field}[${index}]`;
    if (typeof ref === 'object') unknownFields(at, ref, report);
    const { name, namespace, exportMinInterval, maxExportBytes } = typeof ref === 'string' ? { name: ref } : ref;
    const nameField = typeof ref === 'string' ? at : `${at}.name`;
    const elsewhere = context.defaultNamespace === undefined ? sameNamespaceOnly : namespaceHasItsField;
    objectName(nameField, name, elsewhere, report);
    const hasNamespace = namespace !== undefined && namespace.trim() !== '';
    if (hasNamespace && context.defaultNamespace === undefined) report(forbidden(`${at}.namespace`, 'the sinks of a KollectInventory are in its own namespace; leave the field out'));
    else namespaceName(`${at}.namespace`, namespace, report);
    interval(`${at}.exportMinInterval`, exportMinInterval, report);
    exportBytes(`${at}.maxExportBytes`, maxExportBytes, context.maxExportBytes, report);

    if (name === undefined) continue;
    const key = context.defaultNamespace === undefined ? name : `${hasNamespace ? namespace : context.defaultNamespace}/${name}`;
    if (seen.has(key)) report(duplicate(nameField, key, 'each sink can be named once in a list'));
    seen.add(key);
  }
}

const knownFields = ['name', 'namespace', 'exportMinInterval', 'maxExportBytes'];

/** The API server keeps what it does not know in these items, as they may be strings or objects: nobody else would find the slip. */
function unknownFields(at: string, ref: object, report: Report): void {
  for (const key of Object.keys(ref)) {
    if (knownFields.includes(key)) continue;
    const near = nearestName(key, knownFields);
    report(invalid(`${at}.${key}`, key, `is not a known field; ${near === undefined ? `known are ${knownFields.join(', ')}` : `did you mean ${near}?`}`));
  }
}
