import { durationRule } from '../../api/duration.ts';
import { defaultSinkNamespace } from '../../api/kollect-cluster-inventory.ts';
import { maxSinkRefs, sinkRefLists } from '../../api/sink-ref.ts';
import { dnsLabel, dnsSubdomain } from '../../api/text.ts';
import type { Policy, PolicyFinding } from '../policy.ts';
import { celPattern, intervalBounds, namespaceHasItsField, sameNamespaceOnly } from '../validations/common.ts';

/** All references, a string as an object with that name, each with its list. Types of items are not known, so everything is dynamic here. */
function references(object: 'object' | 'oldObject'): string {
  const spec = `dyn(${object}.spec)`;
  return sinkRefLists.map((list) => `(has(${spec}.${list}) ? ${spec}.${list}.map(r, dyn({'at': dyn('spec.${list}'), 'ref': type(r) == string ? dyn({'name': r}) : dyn(r)})) : [])`).join(' + ');
}

const knownFields = ['name', 'namespace', 'exportMinInterval', 'maxExportBytes'];
const isText = (field: string) => `has(r.ref.${field}) && type(r.ref.${field}) == string`;

/** References for which a condition on `r` holds, as the fields that a finding names: the list with the name, and what is below it. */
const where = (condition: string, below = '') => `variables.named.filter(r, ${condition}).map(r, string(r.at) + '[' + string(r.ref.name) + ']${below}')`;

const name = 'string(r.ref.name)';
const interval = 'string(r.ref.exportMinInterval)';
const isDuration = `size(${interval}) <= ${durationRule.maxLength} && ${interval}.matches(${celPattern(durationRule.pattern)})`;
const { notNegative, atMostADay } = intervalBounds(interval);
const isNumber = '(type(r.ref.maxExportBytes) == int || type(r.ref.maxExportBytes) == double)';
const hasNamespace = (x: string) => `(has(${x}.ref.namespace) && type(${x}.ref.namespace) == string && string(${x}.ref.namespace).trim() != '')`;

const variables = {
  references: references('object'),
  // Nobody wants the mistakes of a list that has to be cut anyway.
  objects: `size(variables.references) > ${maxSinkRefs} ? [] : variables.references.filter(r, type(r.ref) == map)`,
  named: `variables.objects.filter(r, ${isText('name')} && ${name}.trim() != '')`,
};

const findings: readonly PolicyFinding[] = [
  {
    rule: 'sink-refs-in-all',
    fields: `size(variables.references) > ${maxSinkRefs} ? ['spec'] : []`,
    says: `must have at most ${maxSinkRefs} items in snapshotSinkRefs, databaseSinkRefs and eventSinkRefs together; spread the sinks over several inventories`,
  },
  { rule: 'schema', fields: `variables.references.filter(r, type(r.ref) != map).map(r, string(r.at))`, says: 'must be a string or an object' },
  { rule: 'schema', fields: `variables.objects.filter(r, !(${isText('name')}) || ${name}.trim() == '').map(r, string(r.at))`, says: 'write the name of an object' },
  { rule: 'sink-ref-name', fields: where(`!${name}.contains('/') && !(size(${name}) <= ${dnsSubdomain.maxLength} && ${name}.matches(${celPattern(dnsSubdomain.pattern)}))`), says: dnsSubdomain.message },
  { rule: 'sink-ref-fields', fields: where(`r.ref.exists(k, !(k in ${JSON.stringify(knownFields)}))`), says: `has a field that is not known; known are ${knownFields.join(', ')}` },
  { rule: 'schema', fields: where(`${isText('exportMinInterval')} && !(${isDuration})`, '.exportMinInterval'), says: durationRule.message },
  { rule: 'sink-ref-interval', fields: where(`${isText('exportMinInterval')} && ${isDuration} && !((${notNegative}) && (${atMostADay}))`, '.exportMinInterval'), says: 'must be from 0s to 24h' },
  { rule: 'sink-ref-bytes', fields: where(`has(r.ref.maxExportBytes) && ${isNumber} && r.ref.maxExportBytes < 1`, '.maxExportBytes'), says: 'must be at least 1; leave it out for no limit' },
];

const slash = (elsewhere: string): PolicyFinding => ({ rule: 'sink-ref-name', fields: where(`${name}.contains('/')`), says: elsewhere });

/** @param namespace CEL for the namespace of a reference */
const repeated = (namespace: (x: string) => string): PolicyFinding => ({
  rule: 'sink-ref-once',
  fields: where(`variables.named.filter(o, o.at == r.at && o.ref.name == r.ref.name && ${namespace('o')} == ${namespace('r')}).size() > 1`),
  says: 'each sink can be named once in a list',
});

/** Only whether the lists changed counts: the webhook may have turned strings into objects, and other fields have rules of their own. */
const unchanged = `(${references('oldObject')}) == variables.references`;

export const sinkReferences: Policy = {
  name: 'kollect-sink-references',
  description: 'Inventories name at most 20 sinks of their namespace, each once in its list.',
  kinds: ['KollectInventory'],
  variables,
  findings: [
    {
      rule: 'namespace-of-its-own',
      fields: `request.namespace == 'cluster' ? ['metadata.namespace'] : []`,
      says: 'exported rows of the namespace "cluster" could not be told from those of cluster inventories; use another namespace',
    },
    ...findings,
    slash(sameNamespaceOnly),
    { rule: 'sink-ref-namespace', fields: where(hasNamespace('r'), '.namespace'), says: 'the sinks of a KollectInventory are in its own namespace; leave the field out' },
    repeated(() => `''`),
  ],
  unchanged,
};

const namespaceOf = (x: string) => `(${hasNamespace(x)} ? string(${x}.ref.namespace) : variables.sinkNamespace)`;

export const clusterSinkReferences: Policy = {
  name: 'kollect-cluster-sink-references',
  description: 'Cluster inventories name at most 20 sinks in valid namespaces, each once in its list.',
  kinds: ['KollectClusterInventory'],
  variables: { ...variables, sinkNamespace: `has(object.spec.sinkNamespace) && object.spec.sinkNamespace.trim() != '' ? object.spec.sinkNamespace.trim() : '${defaultSinkNamespace}'` },
  findings: [
    ...findings,
    slash(namespaceHasItsField),
    {
      rule: 'sink-ref-namespace',
      fields: where(`${hasNamespace('r')} && !(size(string(r.ref.namespace)) <= ${dnsLabel.maxLength} && string(r.ref.namespace).matches(${celPattern(dnsLabel.pattern)}))`, '.namespace'),
      says: dnsLabel.message,
    },
    repeated(namespaceOf),
  ],
  unchanged,
};
