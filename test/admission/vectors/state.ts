import type { KubeObject } from '../../../shared/api/kube-object.ts';
import type { Vector } from './vector.ts';

type More = Omit<Vector, 'name' | 'kind' | 'object'> & { metadata?: Record<string, unknown> };

const vector = (kind: string, name: string, spec: Record<string, unknown>, { metadata, ...more }: More = {}): Vector => ({ name, kind, object: { spec, ...(metadata === undefined ? {} : { metadata }) }, ...more });
const stored = (kind: string, name: string, spec: Record<string, unknown>, namespace: string | undefined = kind.startsWith('KollectCluster') ? undefined : 'team-a'): KubeObject => ({ apiVersion: 'kollect.dev/v1alpha1', kind, metadata: { name, ...(namespace === undefined ? {} : { namespace }) }, spec });

const deployment = { group: 'apps', version: 'v1', kind: 'Deployment' };
const secret = { version: 'v1', kind: 'Secret' };
const profileOf = (targetGVK: object, name = 'p', namespace = 'team-a') => stored('KollectProfile', name, { targetGVK, attributes: [{ name: 'name', path: '$.metadata.name' }] }, namespace);
const postgres = { type: 'postgres', connectionTest: true, postgres: { databaseRef: { name: 'dsn' }, table: 'items' } };
const nats = { type: 'nats', connectionTest: true, nats: { url: 'nats://nats.kollect-system.svc:4222', subject: 'inventory.events' } };
const s3 = (more: object = {}) => ({ type: 's3', connectionTest: true, endpoint: 's3://bucket/prefix', ...more });
const git = (more: object = {}) => ({ type: 'git', connectionTest: true, endpoint: 'https://git.example.com/o/r.git', git: {}, serialization: { format: 'yaml' }, ...more });

const hourly = [stored('KollectScope', 'team', { minExportInterval: '1h' })];
const minutely = [stored('KollectScope', 'team', { minExportInterval: '1m' })];
const interval = 'spec.exportMinInterval';

const floors: Vector[] = [
  vector('KollectSnapshotSink', 'floor: a snapshot sink below that of its scope', git({ exportMinInterval: '1s' }), { cluster: hourly, errors: [interval], says: ['at least 1h, the minExportInterval of KollectScope "team"'] }),
  vector('KollectDatabaseSink', 'floor: a database sink below that of its scope', { ...postgres, exportMinInterval: '59m59s' }, { cluster: hourly, errors: [interval] }),
  vector('KollectEventSink', 'floor: an event sink at that of its scope', { ...nats, exportMinInterval: '60m' }, { cluster: hourly }),
  vector('KollectEventSink', 'floor: an event sink below that of its scope', { ...nats, exportMinInterval: '59m' }, { cluster: hourly, errors: [interval], says: ['at least 1h'] }),
  vector('KollectDatabaseSink', 'floor: a sink that names no interval', postgres, { cluster: hourly }),
  vector('KollectInventory', 'floor: an inventory below that of its scope', { exportMinInterval: '1s' }, { cluster: hourly, errors: [interval] }),
  vector('KollectInventory', 'floor: an inventory of no interval', { exportMinInterval: '0s' }, { cluster: minutely, errors: [interval] }),
  vector('KollectInventory', 'floor: an inventory that names no interval gets it', {}, { cluster: minutely, stored: { exportMinInterval: '1m' } }),
  vector('KollectInventory', 'floor: one below the default leaves the default', {}, { cluster: [stored('KollectScope', 'team', { minExportInterval: '5s' })], stored: { exportMinInterval: '30s' } }),
  vector('KollectInventory', 'floor: references below that of their scope', { exportMinInterval: '1h', databaseSinkRefs: [{ name: 'a', exportMinInterval: '1h' }, { name: 'b', exportMinInterval: '1m' }], eventSinkRefs: [{ name: 'c', exportMinInterval: '0s' }] }, { cluster: hourly, errors: ['spec.databaseSinkRefs[1].exportMinInterval', 'spec.eventSinkRefs[0].exportMinInterval'] }),
  vector('KollectInventory', 'floor: that of another namespace', { exportMinInterval: '1s' }, { cluster: [stored('KollectScope', 'team', { minExportInterval: '1h' }, 'team-b')] }),
  vector('KollectInventory', 'floor: of several scopes the first by name counts', { exportMinInterval: '1s' }, { cluster: [stored('KollectScope', 'b', { minExportInterval: '1h' }), stored('KollectScope', 'a', { minExportInterval: '1s' })], warnings: ['metadata.namespace'], says: ['only the first by name counts: KollectScope "a"'] }),
  vector('KollectInventory', 'floor: an inventory that is stored so and unchanged', { exportMinInterval: '1s' }, { old: { spec: { exportMinInterval: '1s' } }, cluster: hourly, warnings: [interval] }),
  vector('KollectClusterInventory', 'floor: that of the scope where the sinks are', { namespaceSelector: {}, exportMinInterval: '1m' }, { cluster: [stored('KollectScope', 'platform', { minExportInterval: '1h' }, 'kollect-system')], errors: [interval], says: ['KollectScope "platform"'] }),
  vector('KollectClusterInventory', 'floor: that of the cluster scope', { namespaceSelector: {}, exportMinInterval: '1m', databaseSinkRefs: [{ name: 'a', exportMinInterval: '1s' }] }, { cluster: [stored('KollectClusterScope', 'all', { minExportInterval: '1h' })], errors: ['spec.databaseSinkRefs[0].exportMinInterval', interval], says: ['KollectClusterScope "all"'] }),
  vector('KollectClusterInventory', 'floor: the higher one of both scopes', { namespaceSelector: {} }, { cluster: [stored('KollectClusterScope', 'all', { minExportInterval: '2m' }), stored('KollectScope', 'platform', { minExportInterval: '3m' }, 'kollect-system')], stored: { exportMinInterval: '3m' } }),
];

const warehouse = [stored('KollectClusterScope', 'all', { databaseSinkRefs: ['warehouse'] })];
const rollup = (databaseSinkRefs: unknown[]) => ({ namespaceSelector: {}, databaseSinkRefs });
const staticRefs = [stored('KollectClusterScope', 'all', { allowedStaticRefNamespaces: ['kollect-system'] })];

const sinkLists: Vector[] = [
  vector('KollectClusterInventory', 'sinks: one that the cluster scope does not name', rollup(['shadow-db']), { cluster: warehouse, code: 403, errors: ['spec.databaseSinkRefs[0].name'], says: ['"shadow-db"', 'KollectClusterScope "all": "warehouse"'] }),
  vector('KollectClusterInventory', 'sinks: the one that the cluster scope names', rollup(['warehouse']), { cluster: warehouse }),
  vector('KollectClusterInventory', 'sinks: without a cluster scope', rollup(['shadow-db'])),
  vector('KollectClusterInventory', 'sinks: in a namespace that the cluster scope does not allow', rollup([{ name: 'warehouse' }, { name: 'warehouse', namespace: 'forbidden-ns' }]), { cluster: staticRefs, code: 403, errors: ['spec.databaseSinkRefs[1].namespace'], says: ['"forbidden-ns"', 'allowedStaticRefNamespaces'] }),
  vector('KollectClusterInventory', 'sinks: the namespace of all that name none', { ...rollup(['a', 'b']), sinkNamespace: 'team-a', profileRef: { name: 'p', namespace: 'team-b' } }, { cluster: staticRefs, code: 403, errors: ['spec.profileRef.namespace', 'spec.sinkNamespace'], warnings: ['spec.profileRef'] }),
  vector('KollectInventory', 'sinks: one that the scope does not name', { databaseSinkRefs: ['shadow-db', 'warehouse'], eventSinkRefs: ['anything'] }, { cluster: [stored('KollectScope', 'team', { databaseSinkRefs: ['warehouse'] })], code: 403, errors: ['spec.databaseSinkRefs[0].name'], says: ['KollectScope "team"'] }),
  vector('KollectInventory', 'sinks: several refusals together', { exportMinInterval: '1s', databaseSinkRefs: ['shadow-db'] }, { cluster: [stored('KollectScope', 'team', { databaseSinkRefs: ['warehouse'], minExportInterval: '1m' })], code: 422, errors: ['spec.databaseSinkRefs[0].name', interval] }),
  vector('KollectInventory', 'sinks: an inventory that uses another since before the scope', { databaseSinkRefs: ['shadow-db'] }, { old: { spec: { databaseSinkRefs: ['shadow-db'] } }, cluster: [stored('KollectScope', 'team', { databaseSinkRefs: ['warehouse'] })], warnings: ['spec.databaseSinkRefs[0].name'] }),
];

const onlyDeployments = [stored('KollectClusterScope', 'all', { allowedGVKs: [deployment] })];
const notSystem = [stored('KollectClusterScope', 'all', { deniedNamespaces: ['kube-system'] })];
const clusterTarget = (more: object) => ({ profileRef: { name: 'p', namespace: 'kollect-system' }, namespaceSelector: { matchLabels: { team: 'a' } }, ...more });
const teamOnly = [stored('KollectScope', 'team', { allowedNamespaces: ['team-a'], deniedNamespaces: ['kube-system'] })];

const ceilings: Vector[] = [
  vector('KollectClusterTarget', 'ceiling: a denied namespace, the profile missing', clusterTarget({ includedNamespaces: ['kube-system'] }), { cluster: notSystem, code: 403, errors: ['spec.includedNamespaces[0]'], says: ['deniedNamespaces of KollectClusterScope "all"'] }),
  vector('KollectClusterTarget', 'ceiling: a kind that is not allowed, the profile missing', clusterTarget({ resourceRules: [{ gvk: secret }] }), { cluster: onlyDeployments, code: 403, errors: ['spec.resourceRules[0].gvk'], says: ['v1 Secret is not among the allowedGVKs', 'apps/v1 Deployment'] }),
  vector('KollectClusterTarget', 'ceiling: a profile of a namespace that is not allowed', clusterTarget({ profileRef: { name: 'p', namespace: 'tenant-b' } }), { cluster: staticRefs, code: 403, errors: ['spec.profileRef.namespace'] }),
  vector('KollectClusterTarget', 'ceiling: a profile of a namespace that is allowed', clusterTarget({}), { cluster: staticRefs }),
  vector('KollectTarget', 'ceiling: an allowed namespace', { profileRef: 'p', includedNamespaces: ['team-a'] }, { cluster: teamOnly }),
  vector('KollectTarget', 'ceiling: a denied namespace', { profileRef: 'p', includedNamespaces: ['kube-system'] }, { cluster: teamOnly, code: 403, errors: ['spec.includedNamespaces[0]'], says: ['deniedNamespaces'] }),
  vector('KollectTarget', 'ceiling: a namespace that is not allowed', { profileRef: 'p', includedNamespaces: ['team-a', 'team-b'] }, { cluster: teamOnly, code: 403, errors: ['spec.includedNamespaces[1]'], says: ['not among the allowedNamespaces of KollectScope "team": "team-a"'] }),
  vector('KollectTarget', 'ceiling: what a selector finds is judged later', { profileRef: 'p', namespaceSelector: {} }, { cluster: teamOnly }),
  vector('KollectTarget', 'ceiling: its own namespace is not allowed', { profileRef: 'p' }, { cluster: [stored('KollectScope', 'team', { allowedNamespaces: ['team-b'] })], warnings: ['spec.includedNamespaces'], says: ['collects nothing'] }),
  vector('KollectTarget', 'ceiling: a profile of a kind that is not allowed', { profileRef: 'p' }, { cluster: [stored('KollectScope', 'team', { allowedGVKs: [deployment] }), profileOf(secret)], code: 403, errors: ['spec.profileRef'], says: ['v1 Secret'] }),
  vector('KollectTarget', 'ceiling: rules stand for the kind of the profile', { profileRef: 'p', resourceRules: [{ gvk: deployment }] }, { cluster: [stored('KollectScope', 'team', { allowedGVKs: [deployment] }), profileOf(secret)] }),
  vector('KollectTarget', 'ceiling: letter case of kinds does not count', { profileRef: 'p' }, { cluster: [stored('KollectScope', 'team', { allowedGVKs: [{ group: 'apps', version: 'v1', kind: 'deployment' }] }), profileOf(deployment)] }),
  vector('KollectTarget', 'ceiling: a profile that is missing', { profileRef: 'p' }, { cluster: [stored('KollectScope', 'team', { allowedGVKs: [deployment] })] }),
  vector('KollectTarget', 'ceiling: all refusals together', { profileRef: 'p', includedNamespaces: ['kube-system', 'x'], resourceRules: [{ gvk: secret }] }, { cluster: [stored('KollectScope', 'team', { allowedGVKs: [deployment], deniedNamespaces: ['kube-system', 'x'] })], code: 403, errors: ['spec.includedNamespaces[0]', 'spec.includedNamespaces[1]', 'spec.resourceRules[0].gvk'] }),
];

const tenant = { tenantMode: true };
const tenants: Vector[] = [
  vector('KollectClusterInventory', 'tenant mode: a cluster inventory', rollup(['a']), { installation: tenant, code: 403, errors: ['kind'] }),
  vector('KollectClusterTarget', 'tenant mode: a cluster target', clusterTarget({}), { installation: tenant, code: 403, errors: ['kind'] }),
  vector('KollectClusterTarget', 'tenant mode: an update of a cluster target that stays as it is', clusterTarget({}), { installation: tenant, code: 403, errors: ['kind'], old: { spec: clusterTarget({}) } }),
  vector('KollectTarget', 'tenant mode: a target', { profileRef: 'p' }, { installation: tenant }),
];

const misspelt: Vector[] = [
  vector('KollectTarget', 'spelling: almost the name of a profile', { profileRef: 'deploymnets' }, { cluster: [profileOf(deployment, 'deployments')], warnings: ['spec.profileRef'], says: ['did you mean "deployments"?'] }),
  vector('KollectTarget', 'spelling: nothing like the name of a profile', { profileRef: 'pods' }, { cluster: [profileOf(deployment, 'deployments')] }),
  vector('KollectClusterTarget', 'spelling: almost the name of a profile elsewhere', clusterTarget({ profileRef: { name: 'deploymnets', namespace: 'kollect-system' } }), { cluster: [profileOf(deployment, 'deployments', 'kollect-system')], warnings: ['spec.profileRef.name'] }),
  vector('KollectInventory', 'spelling: almost the name of a sink', { databaseSinkRefs: ['warehose', 'warehouse', 'unheard-of'] }, { cluster: [stored('KollectDatabaseSink', 'warehouse', postgres)], warnings: ['spec.databaseSinkRefs[0].name'], says: ['did you mean "warehouse"?'] }),
  vector('KollectClusterInventory', 'spelling: almost the name of a sink, where each is', rollup(['warehose', { name: 'warehose', namespace: 'team-b' }, { name: 'lake', namespace: 'team-b' }]), {
    cluster: [stored('KollectDatabaseSink', 'warehouse', postgres, 'kollect-system'), stored('KollectDatabaseSink', 'lakes', postgres, 'team-b')],
    warnings: ['spec.databaseSinkRefs[0].name', 'spec.databaseSinkRefs[2].name'],
    says: ['in namespace "kollect-system" yet; did you mean "warehouse"?', 'did you mean "lakes"?'],
  }),
  vector('KollectClusterInventory', 'spelling: almost the name of a sink of its own namespace', { ...rollup(['warehose']), sinkNamespace: 'team-b' }, { cluster: [stored('KollectDatabaseSink', 'warehouse', postgres, 'team-b')], warnings: ['spec.databaseSinkRefs[0].name'] }),
  vector('KollectClusterInventory', 'spelling: almost the name of a cluster target', { ...rollup([]), targetRefs: ['aplications', 'applications'] }, { cluster: [stored('KollectClusterTarget', 'applications', clusterTarget({}))], warnings: ['spec.targetRefs[0]'] }),
  vector('KollectConnectionTest', 'spelling: almost the name of a sink to test', { sinkRef: { databaseSinkRef: 'warehose' } }, { cluster: [stored('KollectDatabaseSink', 'warehouse', postgres)], warnings: ['spec.sinkRef.databaseSinkRef'] }),
  vector('KollectTarget', 'rules: one of another kind than the profile', { profileRef: 'p', resourceRules: [{ gvk: deployment }, { gvk: { group: 'apps', version: 'v1', kind: 'StatefulSet' } }] }, { cluster: [profileOf(deployment)] }),
  vector('KollectClusterTarget', 'rules: one of another kind than the profile elsewhere', clusterTarget({ resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: 'StatefulSet' } }] }), { cluster: [profileOf(deployment, 'p', 'kollect-system'), profileOf({ group: 'apps', version: 'v1', kind: 'StatefulSet' })] }),
];

const ruleOfSecrets = { profileRef: 'p', resourceRules: [{ gvk: secret }] };
const ruleField = 'spec.resourceRules[0].gvk';
const consent = { metadata: { annotations: { 'kollect.dev/allow-secret-extraction': 'true' } } };
const consenting = (object: KubeObject): KubeObject => ({ ...object, metadata: { ...object.metadata, ...consent.metadata } });
const readerOf = (targetGVK: object, more: object = { attributes: [{ name: 'name', path: '$.metadata.name' }, { name: 'all', path: '$.data' }] }, namespace = 'team-a') => stored('KollectProfile', 'p', { targetGVK, ...more }, namespace);
const configMap = { version: 'v1', kind: 'ConfigMap' };

const secrets: Vector[] = [
  vector('KollectTarget', 'secrets: rules for them with a path that reads the data of another kind', ruleOfSecrets, { cluster: [readerOf(configMap)], errors: [ruleField], says: ['"p", which is written for v1 ConfigMap', 'attributes[1].path', 'kollect.dev/allow-secret-extraction'] }),
  vector('KollectTarget', 'secrets: rules for them with whole objects of another kind', ruleOfSecrets, { cluster: [readerOf(configMap, { export: { mode: 'Resource' } })], errors: [ruleField], says: ['exports whole objects'] }),
  vector('KollectTarget', 'secrets: rules for them with a path that reads the data of another kind, with consent', ruleOfSecrets, { ...consent, cluster: [readerOf(configMap)] }),
  vector('KollectTarget', 'secrets: rules for them with paths that stay outside', ruleOfSecrets, { cluster: [profileOf(configMap)] }),
  vector('KollectTarget', 'secrets: rules for them with a profile of theirs', ruleOfSecrets, { cluster: [consenting(readerOf(secret))] }),
  vector('KollectClusterTarget', 'secrets: rules for them in another spelling, with a profile elsewhere', clusterTarget({ resourceRules: [{ gvk: { version: 'v1', kind: 'secret' } }] }), { cluster: [readerOf(configMap, undefined, 'kollect-system')], errors: [ruleField], warnings: [`${ruleField}.kind`] }),
];

const bucket = [stored('KollectSnapshotSink', 'one', s3()), stored('KollectSnapshotSink', 'two', s3({ endpoint: 's3://bucket', pathTemplate: 'prefix/inventory/{namespace}/{name}.json' }))];
const joined = [
  stored('KollectSnapshotSink', 'one', git({ pathTemplate: '{namespace}-{name}.yaml' })),
  stored('KollectInventory', 'a-b', { snapshotSinkRefs: [{ name: 'one' }], exportMinInterval: '30s' }, 'team'),
  stored('KollectSnapshotSink', 'one', git({ endpoint: 'git@git.example.com:o/r', pathTemplate: '{namespace}-{name}.yaml' }), 'team'),
];
const tree = [stored('KollectSnapshotSink', 'tree', git({ layout: { mode: 'perResource' } })), stored('KollectInventory', 'first', { snapshotSinkRefs: [{ name: 'tree' }], exportMinInterval: '30s' })];
const treeElsewhere = [stored('KollectSnapshotSink', 'tree', git({ layout: { mode: 'perResource' } })), stored('KollectSnapshotSink', 'tree', git({ layout: { mode: 'perResource' } }), 'team-b'), stored('KollectInventory', 'first', { snapshotSinkRefs: [{ name: 'tree' }], exportMinInterval: '30s' }, 'team-b')];
const refs = (...names: string[]) => ({ snapshotSinkRefs: names.map((name) => ({ name })), exportMinInterval: '30s' });

const paths: Vector[] = [
  vector('KollectInventory', 'paths: two sinks at one place', refs('one', 'two'), { cluster: bucket, errors: ['spec.snapshotSinkRefs[1].name'], says: ['as spec.snapshotSinkRefs[0].name does already'] }),
  vector('KollectInventory', 'paths: one sink', refs('one'), { cluster: bucket }),
  vector('KollectInventory', 'paths: two inventories whose names join to one file', refs('one'), { cluster: joined, metadata: { name: 'b' }, errors: ['spec.snapshotSinkRefs[0].name'], says: ['KollectInventory "a-b" in namespace "team"', 'overwrite each other'] }),
  vector('KollectInventory', 'paths: two inventories of one repository', refs('one'), { cluster: joined, metadata: { name: 'c' } }),
  vector('KollectInventory', 'paths: another inventory of the namespace in one tree', refs('tree'), { cluster: tree, errors: ['spec.snapshotSinkRefs[0].name'], says: ['KollectInventory "first"'] }),
  vector('KollectInventory', 'paths: an inventory of another namespace in one tree', refs('tree'), { cluster: treeElsewhere, warnings: ['spec.snapshotSinkRefs[0].name'], says: ['{targetName}'] }),
  vector('KollectClusterInventory', 'paths: an inventory at the path where cluster inventories call themselves so', { ...refs('one'), namespaceSelector: {} }, {
    metadata: { name: 'b-x' },
    cluster: [stored('KollectSnapshotSink', 'one', git({ pathTemplate: '{namespace}-{name}.yaml' }), 'kollect-system'), stored('KollectInventory', 'x', { snapshotSinkRefs: [{ name: 'one' }], exportMinInterval: '30s' }, 'cluster-b'), stored('KollectSnapshotSink', 'one', git({ pathTemplate: '{namespace}-{name}.yaml' }), 'cluster-b')],
    errors: ['spec.snapshotSinkRefs[0].name'],
    says: ['cluster-b-x.yaml at git.example.com/o/r#main', 'overwrite each other'],
  }),
  vector('KollectClusterInventory', 'paths: two sinks of two namespaces at one place', { snapshotSinkRefs: [{ name: 'one' }, { name: 'one', namespace: 'team' }], exportMinInterval: '30s', namespaceSelector: {} }, { cluster: [stored('KollectSnapshotSink', 'one', s3(), 'kollect-system'), stored('KollectSnapshotSink', 'one', s3(), 'team')], errors: ['spec.snapshotSinkRefs[1].name'] }),
  vector('KollectSnapshotSink', 'paths: a sink that is moved onto another one', s3({ endpoint: 's3://bucket', pathTemplate: 'prefix/inventory/{namespace}/{name}.json' }), { metadata: { name: 'two' }, cluster: [stored('KollectSnapshotSink', 'one', s3()), stored('KollectInventory', 'both', refs('one', 'two'))], errors: ['spec.pathTemplate'], says: ['KollectInventory "both"'] }),
  vector('KollectSnapshotSink', 'paths: a sink beside another one', s3({ endpoint: 's3://bucket/elsewhere' }), { metadata: { name: 'two' }, cluster: [stored('KollectSnapshotSink', 'one', s3()), stored('KollectInventory', 'both', refs('one', 'two'))] }),
];

const scopes: Vector[] = [
  vector('KollectScope', 'scope: a second one that counts for nothing', {}, { metadata: { name: 'b' }, cluster: [stored('KollectScope', 'a', {})], warnings: ['metadata.name'], says: ['has no effect', 'KollectScope "a"'] }),
  vector('KollectScope', 'scope: a second one that counts instead', {}, { metadata: { name: 'a' }, cluster: [stored('KollectScope', 'b', {})], warnings: ['metadata.name'], says: ['counts instead of KollectScope "b"'] }),
  vector('KollectClusterScope', 'scope: a second one for the cluster', {}, { metadata: { name: 'b' }, cluster: [stored('KollectClusterScope', 'a', {})], warnings: ['metadata.name'] }),
  vector('KollectScope', 'scope: the only one of its namespace', {}, { cluster: [stored('KollectScope', 'a', {}, 'team-b')] }),
  vector('KollectScope', 'scope: one that stops what is there', { allowedGVKs: [deployment], databaseSinkRefs: ['other'], minExportInterval: '1h' }, {
    cluster: [profileOf(secret), stored('KollectTarget', 'secrets', { profileRef: 'p' }), stored('KollectDatabaseSink', 'warehouse', { ...postgres, exportMinInterval: '5m' }), stored('KollectInventory', 'daily', { databaseSinkRefs: [{ name: 'warehouse' }], exportMinInterval: '24h' }), stored('KollectInventory', 'often', { exportMinInterval: '1m' }, 'team-b')],
    warnings: ['spec'],
    says: ['does not allow 3 existing objects', 'KollectTarget "secrets"', 'KollectDatabaseSink "warehouse"', 'KollectInventory "daily"'],
  }),
  vector('KollectClusterScope', 'scope: one that stops what collects from the whole cluster', { deniedNamespaces: ['team-b'] }, { cluster: [stored('KollectClusterTarget', 'wide', clusterTarget({ includedNamespaces: ['team-b'] })), stored('KollectClusterTarget', 'other', clusterTarget({}))], warnings: ['spec'], says: ['does not allow 1 existing object: KollectClusterTarget "wide"'] }),
  vector('KollectScope', 'scope: one that stops nothing', { allowedGVKs: [secret] }, { cluster: [profileOf(secret), stored('KollectTarget', 'secrets', { profileRef: 'p' })] }),
];

const twoScopes = [stored('KollectScope', 'a', {}), stored('KollectScope', 'b', {})];
const twoClusterScopes = [stored('KollectClusterScope', 'a', {}), stored('KollectClusterScope', 'b', {})];
const several = ['2 scopes hold here'];

const severalScopes: Vector[] = [
  vector('KollectTarget', 'scopes: several over a target', { profileRef: 'p' }, { cluster: twoScopes, warnings: ['metadata.namespace'], says: [...several, 'KollectScope "a"'] }),
  vector('KollectSnapshotSink', 'scopes: several over a snapshot sink', s3(), { cluster: twoScopes, warnings: ['metadata.namespace'], says: several }),
  vector('KollectDatabaseSink', 'scopes: several over a database sink', postgres, { cluster: twoScopes, warnings: ['metadata.namespace'], says: several }),
  vector('KollectEventSink', 'scopes: several over an event sink', nats, { cluster: twoScopes, warnings: ['metadata.namespace'], says: several }),
  vector('KollectClusterTarget', 'scopes: several over a cluster target', clusterTarget({}), { cluster: twoClusterScopes, warnings: ['metadata.name'], says: [...several, 'KollectClusterScope "a"'] }),
  vector('KollectClusterInventory', 'scopes: several over a cluster inventory', rollup([]), { cluster: twoClusterScopes, warnings: ['metadata.name'], says: several }),
  vector('KollectDatabaseSink', 'scopes: those of other namespaces', postgres, { cluster: [stored('KollectScope', 'a', {}, 'team-b'), stored('KollectScope', 'b', {}, 'team-b'), ...twoClusterScopes] }),
];

/** What depends on other objects of the cluster. */
export const stateVectors: readonly Vector[] = [...floors, ...sinkLists, ...ceilings, ...tenants, ...misspelt, ...secrets, ...paths, ...scopes, ...severalScopes];
