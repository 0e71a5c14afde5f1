import { durationRule } from '../../api/duration.ts';
import { maxSinkRefs } from '../../api/sink-ref.ts';
import { dnsLabel, dnsSubdomain } from '../../api/text.ts';
import type { Policy, PolicyFinding } from '../policy.ts';
import { celPattern, namespaceHasItsField, sameNamespaceOnly } from '../validations/common.ts';

const lists = ['snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs'];

/** All references, a string as an object with that name, each with its list. Types of items are not known, so everything is dynamic here. */
function references(object: 'object' | 'oldObject'): string {
  const spec = `dyn(${object}.spec)`;
  return lists.map((list) => `(has(${spec}.${list}) ? ${spec}.${list}.map(r, dyn({'at': dyn('spec.${list}'), 'ref': type(r) == string ? dyn({'name': r}) : dyn(r)})) : [])`).join(' + ');
}

const knownFields = ['name', 'namespace', 'exportMinInterval', 'maxExportBytes'];
const isText = (field: string) => `has(r.ref.${field}) && type(r.ref.${field}) == string`;
/** What a finding says of a reference: its list, its name, and what is wrong. */
const said = (words: string) => `string(r.at) + '[' + string(r.ref.name) + ']${words}'`;

const isDuration = `size(string(r.ref.exportMinInterval)) <= ${durationRule.maxLength} && string(r.ref.exportMinInterval).matches(${celPattern(durationRule.pattern)})`;
const isInterval = `duration(string(r.ref.exportMinInterval)) >= duration('0s') && duration(string(r.ref.exportMinInterval)) <= duration('24h')`;

const variables = {
  references: references('object'),
  // Nobody wants the mistakes of a list that has to be cut anyway.
  objects: `size(variables.references) > ${maxSinkRefs} ? [] : variables.references.filter(r, type(r.ref) == map)`,
  named: `variables.objects.filter(r, ${isText('name')} && string(r.ref.name).trim() != '')`,
};

const findings: readonly string[] = [
  `size(variables.references) > ${maxSinkRefs} ? ['spec: ' + string(size(variables.references)) + ' references: must have at most ${maxSinkRefs} items in snapshotSinkRefs, databaseSinkRefs and eventSinkRefs together; spread the sinks over several inventories'] : []`,
  `variables.references.filter(r, type(r.ref) != map).map(r, string(r.at) + ': must be the name of a sink, or an object with name')`,
  `variables.objects.filter(r, !(${isText('name')}) || string(r.ref.name).trim() == '').map(r, string(r.at) + ': write the name of an object')`,
  `variables.named.filter(r, !string(r.ref.name).contains('/') && !(size(string(r.ref.name)) <= ${dnsSubdomain.maxLength} && string(r.ref.name).matches(${celPattern(dnsSubdomain.pattern)}))).map(r, ${said(`: ${dnsSubdomain.message}`)})`,
  `variables.named.filter(r, r.ref.exists(k, !(k in ${JSON.stringify(knownFields)}))).map(r, ${said(`: has a field that is not known; known are ${knownFields.join(', ')}`)})`,
  `variables.named.filter(r, ${isText('exportMinInterval')} && !(${isDuration})).map(r, ${said(`.exportMinInterval: ${durationRule.message}`)})`,
  `variables.named.filter(r, ${isText('exportMinInterval')} && ${isDuration} && !(${isInterval})).map(r, ${said('.exportMinInterval: must be from 0s to 24h')})`,
  `variables.named.filter(r, has(r.ref.maxExportBytes) && (type(r.ref.maxExportBytes) == int || type(r.ref.maxExportBytes) == double) && r.ref.maxExportBytes < 1).map(r, ${said('.maxExportBytes: must be at least 1; leave it out for no limit')})`,
];

const slash = (elsewhere: string) => `variables.named.filter(r, string(r.ref.name).contains('/')).map(r, ${said(`: ${elsewhere}`)})`;

/** @param namespace CEL for the namespace of the reference `x` */
const repeated = (namespace: (x: string) => string) => {
  const same = `o.at == r.at && o.ref.name == r.ref.name && ${namespace('o')} == ${namespace('r')}`;
  return `variables.named.filter(r, variables.named.filter(o, ${same}).size() > 1).map(r, ${said(': each sink can be named once in a list')})`;
};

const hasNamespace = (x: string) => `(has(${x}.ref.namespace) && type(${x}.ref.namespace) == string && string(${x}.ref.namespace).trim() != '')`;

const ofRule = (expressions: readonly string[]): PolicyFinding[] => expressions.map((expression) => ({ rule: 'sink-refs', expression }));

/** Only whether the lists changed counts: the webhook may have turned strings into objects, and other fields have rules of their own. */
const unchanged = `(${references('oldObject')}) == variables.references`;

export const sinkReferences: Policy = {
  name: 'kollect-sink-references',
  description: 'Inventories name at most 20 sinks of their namespace, each once in its list.',
  kinds: ['KollectInventory'],
  variables,
  findings: [
    { rule: 'namespace-of-its-own', expression: `request.namespace == 'cluster' ? ['metadata.namespace: exported rows of the namespace "cluster" could not be told from those of cluster inventories; use another namespace'] : []` },
    ...ofRule([
      ...findings,
      slash(sameNamespaceOnly),
      `variables.named.filter(r, ${hasNamespace('r')}).map(r, ${said('.namespace: the sinks of a KollectInventory are in its own namespace; leave the field out')})`,
      repeated(() => `''`),
    ]),
  ],
  unchanged,
};

const namespaceOf = (x: string) => `(${hasNamespace(x)} ? string(${x}.ref.namespace) : variables.sinkNamespace)`;

export const clusterSinkReferences: Policy = {
  name: 'kollect-cluster-sink-references',
  description: 'Cluster inventories name at most 20 sinks in valid namespaces, each once in its list.',
  kinds: ['KollectClusterInventory'],
  variables: { ...variables, sinkNamespace: `has(object.spec.sinkNamespace) && object.spec.sinkNamespace.trim() != '' ? object.spec.sinkNamespace.trim() : 'kollect-system'` },
  findings: ofRule([
    ...findings,
    slash(namespaceHasItsField),
    `variables.named.filter(r, ${hasNamespace('r')} && !(size(string(r.ref.namespace)) <= ${dnsLabel.maxLength} && string(r.ref.namespace).matches(${celPattern(dnsLabel.pattern)}))).map(r, ${said(`.namespace: ${dnsLabel.message}`)})`,
    repeated(namespaceOf),
  ]),
  unchanged,
};
