import type { SinkType } from '../../../shared/api/sink-types.ts';
import { authority, settings, sinkVector } from './sink-objects.ts';
import type { Expected } from './sink-objects.ts';
import type { Vector } from './vector.ts';

// The same few mistakes in every field where they can be made: the API server has its rules field by field.

const badNames = ['  ', 'a/b', 'Not_A_Name'];
const badNamespace = 'Not_A_Label';
const badTemplates = ['/a/{namespace}/{name}', '{namespace}/{name}/{bogus}', '{namespace}/x'];
const badIntervals = ['1d', '-1s', '25h', '99999999999h'];

/** A type of each family. */
const families: readonly SinkType[] = ['git', 'postgres', 'kafka'];

/** A reference to a Secret, with all that can be wrong with it. */
function secretReference(type: SinkType, at: string, spec: (ref: object) => Record<string, unknown>, expected: Expected = {}): Vector[] {
  return [
    ...badNames.map((name) => sinkVector(type, `${at}.name ${JSON.stringify(name)}`, spec({ name }), { ...expected, errors: [`${at}.name`] })),
    sinkVector(type, `${at}.namespace ${JSON.stringify(badNamespace)}`, spec({ name: 'a', namespace: badNamespace }), { ...expected, errors: [`${at}.namespace`] }),
  ];
}

const warned = (type: SinkType, types: readonly SinkType[], ...fields: string[]): Expected => (types.includes(type) ? { warnings: fields } : {});

const ofSinks: readonly Vector[] = [
  ...families.flatMap((type) => [
    ...secretReference(type, 'spec.secretRef', (secretRef) => ({ secretRef }), warned(type, ['postgres'], 'spec.secretRef')),
    ...secretReference(type, 'spec.tls.caSecretRef', (caSecretRef) => ({ tls: { caSecretRef } })),
    ...secretReference(type, 'spec.tls.clientCertificateSecretRef', (clientCertificateSecretRef) => ({ tls: { clientCertificateSecretRef } })),
    sinkVector(type, 'trust from two places', { tls: { caBundle: authority, caSecretRef: { name: 'ca' } } }, { errors: ['spec.tls'] }),
    ...['a/b', '.git', ' a', 'a\u200bb', 'x'.repeat(254)].map((name) => sinkVector(type, `the cluster ${JSON.stringify(name)} of ${name.length} characters here`, { cluster: name }, { errors: ['spec.cluster'] })),
    ...badIntervals.map((exportMinInterval) => sinkVector(type, `the interval ${exportMinInterval} here`, { exportMinInterval }, { errors: ['spec.exportMinInterval'] })),
    ...badTemplates.flatMap((template) => [
      sinkVector(type, `the template ${template} of names`, { provisioning: { naming: { template } } }, { errors: ['spec.provisioning.naming.template'] }),
      sinkVector(type, `the template ${template} of paths`, { pathTemplate: template }, { errors: ['spec.pathTemplate'], ...warned(type, ['postgres', 'kafka'], 'spec.pathTemplate') }),
    ]),
    sinkVector(type, 'a key that announces a credential', { options: { password: 'canary' } }, { errors: ['spec.options[password]'] }),
  ]),
  sinkVector('s3', 'an option that holds a credential', { options: { region: 'https://jane:canary@example.com' } }, { errors: ['spec.options[region]'] }),
  sinkVector('postgres', 'an option that holds a credential', { options: { application_name: 'https://jane:canary@example.com' } }, { errors: ['spec.options[application_name]'] }),
  ...secretReference('git', 'spec.git.auth.secretRef', (secretRef) => ({ git: { auth: { secretRef } } })),
  ...secretReference('http', 'spec.http.headersSecretRef', (headersSecretRef) => settings('http', { headersSecretRef })),
  ...secretReference('http', 'spec.http.auth.secretRef', (secretRef) => settings('http', { auth: { secretRef } })),
  ...secretReference('http', 'spec.http.signature.secretRef', (secretRef) => settings('http', { signature: { secretRef } })),
  ...secretReference('postgres', 'spec.postgres.databaseRef', (databaseRef) => settings('postgres', { databaseRef })),
  ...secretReference('mongodb', 'spec.mongodb.databaseRef', (databaseRef) => settings('mongodb', { databaseRef })),
  ...secretReference('bigquery', 'spec.bigquery.secretRef', (secretRef) => settings('bigquery', { secretRef })),
  ...secretReference('kafka', 'spec.kafka.secretRef', (secretRef) => settings('kafka', { secretRef })),
  ...secretReference('nats', 'spec.nats.secretRef', (secretRef) => settings('nats', { secretRef })),
  sinkVector('postgres', 'a schema in quotes', settings('postgres', { schema: '"public"' }), { errors: ['spec.postgres.schema'] }),
  sinkVector('bigquery', 'with the block of mongodb', { mongodb: { databaseRef: { name: 'a' }, database: 'a', collection: 'a' } }, { errors: ['spec.mongodb'] }),
];

/** Operators with too few values and with too many. */
const badRequirements = [
  { key: 'a', operator: 'NotIn', values: [] },
  { key: 'a', operator: 'Exists', values: ['b'] },
];

function selector(kind: string, at: string, spec: (selector: object) => object, expected: Omit<Expected, 'errors'> = {}): Vector[] {
  return badRequirements.map((requirement) => ({
    name: `${kind}: ${at} with ${requirement.operator}`,
    kind,
    object: { spec: spec({ matchExpressions: [requirement] }) },
    errors: [`${at}.matchExpressions[0].values`],
    ...expected,
  }));
}

const gvk = { group: 'apps', version: 'v1', kind: 'Deployment' };
const ofTargets = (kind: string, base: object): Vector[] => [
  ...selector(kind, 'spec.namespaceSelector', (namespaceSelector) => ({ ...base, namespaceSelector })),
  ...selector(kind, 'spec.namespaceExcludeSelector', (namespaceExcludeSelector) => ({ ...base, namespaceExcludeSelector })),
  ...selector(kind, 'spec.resourceRules[0]', (rule) => ({ ...base, resourceRules: [{ gvk, ...rule }] })),
  ...selector(kind, 'spec.resourceRules[0].namespaceSelector', (namespaceSelector) => ({ ...base, resourceRules: [{ gvk, namespaceSelector }] })),
];

const clusterTarget = { profileRef: { name: 'a', namespace: 'b' }, namespaceSelector: { matchLabels: { a: 'b' } } };

/** Kinds with a reference that has name and namespace. */
const profileReference = (kind: string, base: object, warnings: readonly string[]): Vector[] => [
  ...badNames.map((name): Vector => ({ name: `${kind}: spec.profileRef.name ${JSON.stringify(name)}`, kind, object: { spec: { ...base, profileRef: { name, namespace: 'a' } } }, errors: ['spec.profileRef.name'], warnings })),
  { name: `${kind}: spec.profileRef.namespace ${JSON.stringify(badNamespace)}`, kind, object: { spec: { ...base, profileRef: { name: 'a', namespace: badNamespace } } }, errors: ['spec.profileRef.namespace'], warnings },
];

const ofScopes = (kind: string): Vector[] => [
  ...['allowedNamespaces', 'deniedNamespaces', ...(kind === 'KollectClusterScope' ? ['allowedStaticRefNamespaces'] : [])].map((list): Vector => ({ name: `${kind}: ${badNamespace} in ${list}`, kind, object: { spec: { [list]: [badNamespace] } }, errors: [`spec.${list}[0]`] })),
  ...['snapshotSinkRefs', 'databaseSinkRefs', 'eventSinkRefs'].flatMap((list) => badNames.map((name): Vector => ({ name: `${kind}: ${JSON.stringify(name)} in ${list}`, kind, object: { spec: { [list]: [name] } }, errors: [`spec.${list}[0]`] }))),
  ...Object.entries({ group: 'Not_A_Group', version: '1', kind: 'not a kind' }).map(([field, value]): Vector => ({ name: `${kind}: the ${field} ${value}`, kind, object: { spec: { allowedGVKs: [{ ...gvk, [field]: value }] } }, errors: [`spec.allowedGVKs[0].${field}`] })),
];

export const everyFieldVectors: readonly Vector[] = [
  ...ofSinks,
  ...ofTargets('KollectTarget', { profileRef: 'a' }),
  ...selector('KollectTarget', 'spec.labelSelector', (labelSelector) => ({ profileRef: 'a', labelSelector })),
  ...ofTargets('KollectClusterTarget', clusterTarget),
  ...profileReference('KollectClusterTarget', clusterTarget, []),
  ...profileReference('KollectClusterInventory', { namespaces: ['a'] }, ['spec.profileRef']),
  ...selector('KollectClusterInventory', 'spec.namespaceSelector', (namespaceSelector) => ({ namespaceSelector })),
  ...selector('KollectClusterInventory', 'spec.targetSelector', (targetSelector) => ({ namespaces: ['a'], targetSelector })),
  ...['snapshotSinkRef', 'databaseSinkRef', 'eventSinkRef'].flatMap((field) => badNames.map((name): Vector => ({ name: `KollectConnectionTest: ${field} ${JSON.stringify(name)}`, kind: 'KollectConnectionTest', object: { spec: { sinkRef: { [field]: name } } }, errors: [`spec.sinkRef.${field}`] }))),
  ...badNames.map((profileRef): Vector => ({ name: `KollectConnectionTest: profileRef ${JSON.stringify(profileRef)}`, kind: 'KollectConnectionTest', object: { spec: { sinkRef: { databaseSinkRef: 'a' }, profileRef } }, errors: ['spec.profileRef'] })),
  ...ofScopes('KollectScope'),
  ...ofScopes('KollectClusterScope'),
];
