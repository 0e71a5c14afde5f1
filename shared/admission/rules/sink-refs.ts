import { sinkNamespaceOf } from '../../api/kollect-cluster-inventory.ts';
import { maxSinkRefs, sinkRefLists } from '../../api/sink-ref.ts';
import { nearestName } from '../../nearest.ts';
import { duplicate, forbidden, invalid, shownKey, tooMany } from '../finding.ts';
import type { Report } from '../finding.ts';
import type { Rule, RuleInput } from '../rule.ts';
import { interval } from './durations.ts';
import { exportBytes } from './export-bytes.ts';
import { namespaceHasItsField, namespaceName, objectName, sameNamespaceOnly } from './names.ts';

interface LooseSinkRefObject {
  readonly name?: string | undefined;
  readonly namespace?: string | undefined;
  readonly exportMinInterval?: string | undefined;
  readonly maxExportBytes?: number | undefined;
}

type SinkRefList = (string | LooseSinkRefObject)[];

interface SinkRefLists {
  snapshotSinkRefs?: SinkRefList;
  databaseSinkRefs?: SinkRefList;
  eventSinkRefs?: SinkRefList;
  /** Of a KollectClusterInventory: where a reference without a namespace points to. */
  sinkNamespace?: string;
}

type Input = RuleInput<SinkRefLists>;

/** What the references of both inventory kinds have to keep. A string is a name. */
const sharedRules: readonly Rule<SinkRefLists>[] = [
  { id: 'sink-refs-in-all', field: 'spec.*SinkRefs', asks: `Must name at most ${maxSinkRefs} sinks in all.`, check: refsInAll },
  { id: 'sink-ref-fields', field: 'spec.*SinkRefs[]', asks: 'Must have no other fields than name, namespace, exportMinInterval and maxExportBytes.', check: eachRef(unknownFields) },
  { id: 'sink-ref-interval', field: 'spec.*SinkRefs[].exportMinInterval', asks: 'Must be a duration from 0s to 24h.', check: eachRef((at, { exportMinInterval }, _input, report) => interval(`${at.item}.exportMinInterval`, exportMinInterval, report)) },
  { id: 'sink-ref-bytes', field: 'spec.*SinkRefs[].maxExportBytes', asks: 'Must be at least 1 and at most the limit of the installation.', check: eachRef((at, ref, { maxExportBytes }, report) => exportBytes(`${at.item}.maxExportBytes`, ref.maxExportBytes, maxExportBytes, report)) },
];

/** References of a KollectInventory, whose sinks are in its own namespace. */
export const localSinkRefRules: readonly Rule<SinkRefLists>[] = [
  ...sharedRules,
  { id: 'sink-ref-name', field: 'spec.*SinkRefs[].name', asks: 'Must be the name of a sink of the same namespace.', check: eachRef((at, ref, _input, report) => objectName(at.name, ref.name, sameNamespaceOnly, report)) },
  { id: 'sink-ref-once', field: 'spec.*SinkRefs[].name', asks: 'Must name each sink once in a list.', check: once(() => undefined) },
  { id: 'sink-ref-namespace', field: 'spec.*SinkRefs[].namespace', asks: 'Must be left out: the sinks of a KollectInventory are in its own namespace.', check: eachRef(noNamespace) },
];

/** References of a KollectClusterInventory. */
export const clusterSinkRefRules: readonly Rule<SinkRefLists>[] = [
  ...sharedRules,
  { id: 'sink-ref-name', field: 'spec.*SinkRefs[].name', asks: 'Must be the name of a sink, without its namespace.', check: eachRef((at, ref, _input, report) => objectName(at.name, ref.name, namespaceHasItsField, report)) },
  { id: 'sink-ref-once', field: 'spec.*SinkRefs[].name', asks: 'Must name each sink, by namespace and name, once in a list.', check: once(({ spec }) => sinkNamespaceOf(spec)) },
  { id: 'sink-ref-namespace', field: 'spec.*SinkRefs[].namespace', asks: 'Must be the name of a namespace.', check: eachRef((at, { namespace }, _input, report) => namespaceName(`${at.item}.namespace`, namespace, report)) },
];

function countOf({ spec }: Input): number {
  return sinkRefLists.reduce((sum, list) => sum + (spec[list]?.length ?? 0), 0);
}

function refsInAll(input: Input, report: Report): void {
  const count = countOf(input);
  if (count > maxSinkRefs) report(tooMany('spec', count, `must have at most ${maxSinkRefs} items in snapshotSinkRefs, databaseSinkRefs and eventSinkRefs together; spread the sinks over several inventories`));
}

/** Where a reference is, and its name: a string is both. */
interface Place {
  item: string;
  name: string;
}

type RefCheck = (at: Place, ref: LooseSinkRefObject, input: Input, report: Report) => void;

/** Applies a check to all references, unless there are too many: nobody wants the mistakes of a list that has to be cut anyway. */
function eachRef(check: RefCheck): Rule<SinkRefLists>['check'] {
  return (input, report) => {
    if (countOf(input) > maxSinkRefs) return;
    for (const list of sinkRefLists) {
      for (const [index, ref] of (input.spec[list] ?? []).entries()) {
        const item = `spec.${list}[${index}]`;
        if (typeof ref === 'string') check({ item, name: item }, { name: ref }, input, report);
        else if (ref !== undefined) check({ item, name: `${item}.name` }, ref, input, report);
      }
    }
  };
}

function noNamespace({ item }: Place, { namespace = '' }: LooseSinkRefObject, _input: Input, report: Report): void {
  if (namespace.trim() !== '') report(forbidden(`${item}.namespace`, 'the sinks of a KollectInventory are in its own namespace; leave the field out'));
}

function once(defaultNamespace: (input: Input) => string | undefined): Rule<SinkRefLists>['check'] {
  return (input, report) => {
    const fallback = defaultNamespace(input);
    const seen = new Set<string>();
    eachRef((at, ref) => {
      const { name, namespace = '' } = ref;
      if (name === undefined) return;
      const key = fallback === undefined ? name : `${namespace.trim() === '' ? fallback : namespace}/${name}`;
      const inList = `${at.item.slice(0, at.item.indexOf('['))} ${key}`;
      if (seen.has(inList)) report(duplicate(at.name, key, 'each sink can be named once in a list'));
      seen.add(inList);
    })(input, report);
  };
}

/** Nobody has so many by mistake. */
const maxUnknownFields = 20;

const knownFields = ['name', 'namespace', 'exportMinInterval', 'maxExportBytes'];

/** The API server keeps what it does not know in these items, as they may be strings or objects: nobody else would find the slip. */
function unknownFields({ item }: Place, ref: LooseSinkRefObject, _input: Input, report: Report): void {
  for (const key of Object.keys(ref).filter((name) => !knownFields.includes(name)).slice(0, maxUnknownFields)) {
    const near = nearestName(key, knownFields);
    report(invalid(`${item}.${shownKey(key)}`, shownKey(key), `is not a known field; ${near === undefined ? `known are ${knownFields.join(', ')}` : `did you mean ${near}?`}`));
  }
}
