import type { Vector } from './vector.ts';

type Expected = Omit<Vector, 'name' | 'kind' | 'object'> & { metadata?: Record<string, unknown> };

const vectorOf = (prefix: string, kind: string, base: Record<string, unknown>) => (what: string, spec: Record<string, unknown>, { metadata, ...expected }: Expected = {}): Vector => ({
  name: `${prefix}: ${what}`,
  kind,
  object: { spec: { ...base, ...spec }, ...(metadata === undefined ? {} : { metadata }) },
  ...expected,
});

const inventory = vectorOf('inventory', 'KollectInventory', {});
/** The documented example. */
const rollup = { targetRefs: ['platform-argo-applications'], namespaces: ['team-a', 'team-b'], namespaceSelector: { matchLabels: { 'kollect.dev/tenant': 'platform' } }, sinkNamespace: 'kollect-system', databaseSinkRefs: [{ name: 'postgres' }], snapshotSinkRefs: [{ name: 'team-git', namespace: 'team-a' }] };
const cluster = vectorOf('cluster inventory', 'KollectClusterInventory', rollup);
const test = vectorOf('connection test', 'KollectConnectionTest', {});

const refs = (count: number, prefix: string) => Array.from({ length: count }, (_, index) => ({ name: `${prefix}${index}` }));
const annotated = (name: string, value: string) => ({ metadata: { annotations: { [name]: value } } });

/** What the references of both inventory kinds share. */
const references = (vector: typeof inventory): Vector[] => [
  vector('strings and objects', { databaseSinkRefs: ['a', { name: 'b', exportMinInterval: '1h' }] }, { stored: { databaseSinkRefs: [{ name: 'a' }, { name: 'b', exportMinInterval: '1h' }] } }),
  vector('a sink of another namespace, by its name', { databaseSinkRefs: [{ name: 'other/sink' }] }, { errors: ['spec.databaseSinkRefs[0].name'], says: ['such as "sink"'] }),
  vector('a sink name that no object can have', { databaseSinkRefs: [{ name: 'My_Sink' }] }, { errors: ['spec.databaseSinkRefs[0].name'], says: ['write for example "my-sink"'] }),
  vector('one name in two families', { snapshotSinkRefs: ['g'], databaseSinkRefs: ['g'] }),
  vector('no name', { eventSinkRefs: [{ exportMinInterval: '1s' }] }, { errors: ['spec.eventSinkRefs[0].name'], says: ['Required value'] }),
  vector('a blank name', { eventSinkRefs: [{ name: ' ' }] }, { errors: ['spec.eventSinkRefs[0].name'], says: ['Required value'] }),
  vector('items of another shape', { eventSinkRefs: [7, { name: 'ok' }, ['x']] }, { errors: ['spec.eventSinkRefs[0]', 'spec.eventSinkRefs[2]'], says: ['a string or an object'] }),
  vector('a field that references do not have', { eventSinkRefs: [{ name: 'ok', interval: '1s' }] }, { errors: ['spec.eventSinkRefs[0].interval'], says: ['not a known field'] }),
  vector('a misspelt field in a reference', { eventSinkRefs: [{ name: 'ok', exportMininterval: '1s' }] }, { errors: ['spec.eventSinkRefs[0].exportMininterval'], says: ['did you mean exportMinInterval?'] }),
  vector('21 sinks', { snapshotSinkRefs: refs(7, 's'), databaseSinkRefs: refs(7, 'd'), eventSinkRefs: [...refs(6, 'e'), { name: 'a/b' }] }, { errors: ['spec'], says: ['Too many: 21: must have at most 20'] }),
  vector('20 sinks', { snapshotSinkRefs: refs(7, 's'), databaseSinkRefs: refs(7, 'd'), eventSinkRefs: refs(6, 'e') }),
  vector('a reference may take more than its inventory', { databaseSinkRefs: [{ name: 'a', maxExportBytes: 20 }] }),
  vector('a reference that takes nothing', { databaseSinkRefs: [{ name: 'a', maxExportBytes: 0 }] }, { errors: ['spec.databaseSinkRefs[0].maxExportBytes'], says: ['at least 1'] }),
  vector('a reference that takes more than the installation', { databaseSinkRefs: [{ name: 'a', maxExportBytes: 1002 }] }, { installation: { maxExportBytes: 1000 }, errors: ['spec.databaseSinkRefs[0].maxExportBytes'], says: ['at most 1000'] }),
  vector('intervals', { exportMinInterval: '0s', databaseSinkRefs: [{ name: 'a', exportMinInterval: '500ms' }, { name: 'b', exportMinInterval: '24h' }, { name: 'c', exportMinInterval: '1h30m' }] }),
  vector('a negative interval', { exportMinInterval: '-1s' }, { errors: ['spec.exportMinInterval'], says: ['must not be negative'] }),
  vector('more than a day', { exportMinInterval: '24h0m1s' }, { errors: ['spec.exportMinInterval'], says: ['at most 24h'] }),
  vector('more than a duration can hold', { exportMinInterval: '99999999999999h' }, { errors: ['spec.exportMinInterval'] }),
  vector('days', { exportMinInterval: '1d' }, { errors: ['spec.exportMinInterval'], says: ['such as 30s'] }),
  vector('a number without a unit', { databaseSinkRefs: [{ name: 'a', exportMinInterval: '30' }] }, { errors: ['spec.databaseSinkRefs[0].exportMinInterval'] }),
  vector('a negative interval of a reference', { databaseSinkRefs: [{ name: 'a', exportMinInterval: '-1s' }] }, { errors: ['spec.databaseSinkRefs[0].exportMinInterval'] }),
  vector('no interval', {}, { stored: { exportMinInterval: '30s' } }),
  vector('what becomes of exported data', { deletionPolicy: 'retain' }, { errors: ['spec.deletionPolicy'], says: ['did you mean "Retain"?'] }),
  vector('deletions that pause', {}, annotated('kollect.dev/pause-deletes', 'true')),
  vector('deletions that do not pause', {}, annotated('kollect.dev/pause-deletes', 'false')),
  vector('deletions that pause by another word', {}, { ...annotated('kollect.dev/pause-deletes', 'yes'), warnings: ['metadata.annotations[kollect.dev/pause-deletes]'], says: ['write "true"'] }),
  vector('deletions that are let through by another word', {}, { ...annotated('kollect.dev/allow-deletes', 'True'), warnings: ['metadata.annotations[kollect.dev/allow-deletes]'] }),
  vector('a request to reconcile', {}, annotated('kollect.dev/reconcile', '2026-01-01')),
  vector('an annotation with a slip', {}, { ...annotated('kollect.dev/pause-delete', 'true'), warnings: ['metadata.annotations[kollect.dev/pause-delete]'], says: ['did you mean kollect.dev/pause-deletes?'] }),
];

/** What inventories, cluster inventories and connection tests may say without a look at other objects. */
export const inventoryVectors: readonly Vector[] = [
  inventory('nothing but collection', {}),
  ...references(inventory),
  inventory('one sink as the documents have it', { databaseSinkRefs: ['postgres-inventory-demo'] }, { stored: { databaseSinkRefs: [{ name: 'postgres-inventory-demo' }] } }),
  inventory('a reference with a slip in the name of its only field', { databaseSinkRefs: [{ nam: 'x' }] }, { errors: ['spec.databaseSinkRefs[0].nam', 'spec.databaseSinkRefs[0].name'], says: ['did you mean name?'] }),
  inventory('a sink of another namespace, by its name, as a string', { databaseSinkRefs: ['other/sink'] }, { errors: ['spec.databaseSinkRefs[0].name'] }),
  { name: 'inventory: an update that brings a sink of another namespace', kind: 'KollectInventory', old: { spec: { databaseSinkRefs: [{ name: 'a' }] } }, object: { spec: { databaseSinkRefs: [{ name: 'other/sink' }] } }, errors: ['spec.databaseSinkRefs[0].name'] },
  { name: 'inventory: an update that leaves bad references as they are', kind: 'KollectInventory', old: { spec: { databaseSinkRefs: ['a/b'] } }, object: { spec: { databaseSinkRefs: ['a/b'] }, metadata: { annotations: { 'kollect.dev/reconcile': '1' } } }, warnings: ['spec.databaseSinkRefs[0].name'] },
  inventory('a sink of another namespace, by its field', { snapshotSinkRefs: [{ name: 'g', namespace: 'team-b' }] }, { errors: ['spec.snapshotSinkRefs[0].namespace'], says: ['Forbidden'] }),
  inventory('a blank namespace is none', { snapshotSinkRefs: [{ name: 'g', namespace: '' }] }),
  inventory('a sink twice', { snapshotSinkRefs: [{ name: 'g' }, 'g'] }, { errors: ['spec.snapshotSinkRefs[1].name'], says: ['Duplicate value: "g"'] }),
  inventory('no bytes', { maxExportBytes: 0 }, { errors: ['spec.maxExportBytes'], says: ['at least 1'] }),
  inventory('more bytes than the installation takes', { maxExportBytes: 1001 }, { installation: { maxExportBytes: 1000 }, errors: ['spec.maxExportBytes'], says: ['at most 1000'] }),
  inventory('any size when the installation sets no limit', { maxExportBytes: 1_572_865_000 }),
  inventory('a size above that of a reference', { maxExportBytes: 1_048_576, databaseSinkRefs: [{ name: 'a', maxExportBytes: 524_288 }] }),
  inventory('an endpoint that nobody serves yet', { httpEndpoint: { enabled: true, port: 8082 } }, { warnings: ['spec.httpEndpoint'] }),
  inventory('a port that cannot be', { httpEndpoint: { port: 65_536 } }, { errors: ['spec.httpEndpoint.port'] }),
  inventory('the namespace that stands for cluster inventories', {}, { metadata: { namespace: 'cluster' }, errors: ['metadata.namespace'], says: ['Forbidden'] }),

  cluster('the documented example', {}),
  ...references(cluster),
  { name: 'cluster inventory: nothing', kind: 'KollectClusterInventory', object: { spec: {} }, warnings: ['spec.namespaceSelector'], stored: { sinkNamespace: 'kollect-system', exportMinInterval: '30s', dedupe: 'keepAll' } },
  { name: 'cluster inventory: no scope', kind: 'KollectClusterInventory', object: { spec: { targetRefs: ['a'] } }, warnings: ['spec.namespaceSelector'], says: ['all namespaces'] },
  { name: 'cluster inventory: all namespaces on purpose', kind: 'KollectClusterInventory', object: { spec: { targetRefs: ['a'], namespaceSelector: {} } } },
  { name: 'cluster inventory: names of namespaces alone', kind: 'KollectClusterInventory', object: { spec: { targetRefs: ['a'], namespaces: ['team-a', 'team-b'] } } },
  cluster('a target with a namespace', { targetRefs: ['ns/target'] }, { errors: ['spec.targetRefs[0]'], says: ['such as "target"', 'no namespace'] }),
  cluster('a blank target', { targetRefs: ['  '] }, { errors: ['spec.targetRefs[0]'], says: ['Required value'] }),
  cluster('a target twice', { targetRefs: ['a', 'a'] }, { errors: ['spec.targetRefs[1]'], says: ['Duplicate value: "a"'] }),
  cluster('a target name that no object can have', { targetRefs: ['Web'] }, { errors: ['spec.targetRefs[0]'] }),
  cluster('a selector beside names', { targetSelector: { matchLabels: { a: 'b' } } }, { warnings: ['spec.targetSelector'] }),
  cluster('a selector for targets', { targetRefs: [], targetSelector: { matchLabels: { a: 'b' } } }),
  cluster('a selector that cannot be', { targetRefs: [], targetSelector: { matchLabels: { a: 'b c' } } }, { errors: ['spec.targetSelector.matchLabels[a]'] }),
  cluster('a namespace twice', { namespaces: ['team-a', 'team-a'] }, { errors: ['spec.namespaces[1]'], says: ['Duplicate value'] }),
  cluster('a namespace with blanks around it', { namespaces: [' a'] }, { errors: ['spec.namespaces[0]'] }),
  cluster('a bad namespace', { namespaces: ['Team_B'] }, { errors: ['spec.namespaces[0]'] }),
  cluster('an empty namespace', { namespaces: [''] }, { errors: ['spec.namespaces[0]'] }),
  cluster('a namespace of 64 characters', { namespaces: ['a'.repeat(64)] }, { errors: ['spec.namespaces[0]'] }),
  cluster('a namespace selector that cannot be', { namespaceSelector: { matchExpressions: [{ key: 'a', operator: 'In' }] } }, { errors: ['spec.namespaceSelector.matchExpressions[0].values'] }),
  cluster('a bad sink namespace', { sinkNamespace: 'a/b' }, { errors: ['spec.sinkNamespace'] }),
  cluster('another bad sink namespace', { sinkNamespace: 'Bad_NS' }, { errors: ['spec.sinkNamespace'], says: ['"bad-ns"'] }),
  cluster('a profile without a namespace', { profileRef: { name: 'p' } }, { errors: ['spec.profileRef.namespace'], warnings: ['spec.profileRef'], says: ['Required value'] }),
  cluster('a profile with its namespace in the name', { profileRef: { name: 'a/p', namespace: 'a' } }, { errors: ['spec.profileRef.name'], warnings: ['spec.profileRef'] }),
  cluster('a profile', { profileRef: { name: 'p', namespace: 'a' } }, { warnings: ['spec.profileRef'], says: ['no effect'] }),
  cluster('a way to dedupe that does not exist', { dedupe: 'collapseAll' }, { errors: ['spec.dedupe'], says: ['"byResourceUID"'] }),
  cluster('a sink in a namespace that cannot be', { snapshotSinkRefs: [{ name: 'g', namespace: 'NOT_VALID' }] }, { errors: ['spec.snapshotSinkRefs[0].namespace'] }),
  cluster('one name in two namespaces', { snapshotSinkRefs: [{ name: 'g', namespace: 'a' }, { name: 'g', namespace: 'b' }, 'g'] }),
  cluster('one sink by two spellings', { snapshotSinkRefs: ['g', { name: 'g', namespace: 'kollect-system' }] }, { errors: ['spec.snapshotSinkRefs[1].name'], says: ['Duplicate value: "kollect-system/g"'] }),
  cluster('tenant mode', {}, { installation: { tenantMode: true }, code: 403, errors: ['kind'], says: ['KollectInventory'] }),
  cluster('tenant mode while it is being deleted', {}, { installation: { tenantMode: true }, old: { spec: rollup }, metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['kollect.dev/cluster-inventory-cleanup'] } }),

  test('one sink', { sinkRef: { databaseSinkRef: 'pg' } }, { stored: { ttlSecondsAfterFinished: 300 } }),
  test('no sink', { sinkRef: {} }, { errors: ['spec.sinkRef'], says: ['Required value', 'snapshotSinkRef, databaseSinkRef, eventSinkRef'] }),
  test('nothing', {}, { errors: ['spec.sinkRef'], says: ['Required value'] }),
  test('two sinks', { sinkRef: { databaseSinkRef: 'pg', eventSinkRef: 'kafka' } }, { errors: ['spec.sinkRef'], says: ['exactly one'] }),
  test('a sink of another namespace', { sinkRef: { snapshotSinkRef: 'team/x' } }, { errors: ['spec.sinkRef.snapshotSinkRef'], says: ['such as "x"'] }),
  test('a sink without a name', { sinkRef: { eventSinkRef: '' } }, { errors: ['spec.sinkRef.eventSinkRef'], says: ['Required value'] }),
  test('a sink name that no object can have', { sinkRef: { eventSinkRef: 'Kafka' } }, { errors: ['spec.sinkRef.eventSinkRef'], says: ['"kafka"'] }),
  test('a profile of another namespace', { sinkRef: { databaseSinkRef: 'pg' }, profileRef: 'other/p' }, { errors: ['spec.profileRef'] }),
  test('a profile', { sinkRef: { databaseSinkRef: 'pg' }, profileRef: 'p' }, {}),
  test('a time to live below nothing', { sinkRef: { databaseSinkRef: 'pg' }, ttlSecondsAfterFinished: -1 }, { errors: ['spec.ttlSecondsAfterFinished'], says: ['at least 0'] }),
  test('an annotation of sinks', { sinkRef: { databaseSinkRef: 'pg' } }, { ...annotated('kollect.dev/test-connection', 'true'), warnings: ['metadata.annotations[kollect.dev/test-connection]'] }),
];
