import type { Vector } from './vector.ts';

type Expected = Omit<Vector, 'name' | 'kind' | 'object'>;

const vectorOf = (prefix: string, kind: string) => (what: string, spec: Record<string, unknown>, expected: Expected = {}): Vector => ({ name: `${prefix}: ${what}`, kind, object: { spec }, ...expected });

const scope = vectorOf('scope', 'KollectScope');
const cluster = vectorOf('cluster scope', 'KollectClusterScope');

/** What both kinds of scopes bound. */
const ceiling = (vector: typeof scope): Vector[] => [
  vector('nothing bounded', {}),
  vector('everything bounded', { allowedGVKs: [{ group: 'apps', version: 'v1', kind: 'Deployment' }, { version: 'v1', kind: 'Pod' }], allowedNamespaces: ['a'], deniedNamespaces: ['b'], minExportInterval: '1m', snapshotSinkRefs: ['git'], databaseSinkRefs: ['warehouse.eu'], eventSinkRefs: ['kafka'], limits: { maxRows: 100 } }),
  vector('an allowed kind without a name', { allowedGVKs: [{ version: 'v1', kind: '' }] }, { errors: ['spec.allowedGVKs[0].kind'], says: ['Required value'] }),
  vector('an allowed kind without a version', { allowedGVKs: [{ group: 'apps', kind: 'Deployment' }] }, { errors: ['spec.allowedGVKs[0].version'], says: ['Required value'] }),
  vector('any kind of a group', { allowedGVKs: [{ group: 'apps', version: 'v1', kind: '*' }] }, { errors: ['spec.allowedGVKs[0]'], says: ['patterns are not supported'] }),
  vector('an allowed kind in another group', { allowedGVKs: [{ version: 'v1', kind: 'Deployment' }] }, { warnings: ['spec.allowedGVKs[0].group'] }),
  vector('an allowed namespace that is empty', { allowedNamespaces: [''] }, { errors: ['spec.allowedNamespaces[0]'] }),
  vector('a denied namespace that is empty', { deniedNamespaces: [''] }, { errors: ['spec.deniedNamespaces[0]'] }),
  vector('an allowed namespace twice', { allowedNamespaces: ['a', 'a'] }, { errors: ['spec.allowedNamespaces[1]'], says: ['Duplicate value'] }),
  vector('a denied namespace twice', { deniedNamespaces: ['a', 'a'] }, { errors: ['spec.deniedNamespaces[1]'] }),
  vector('a pattern for namespaces', { deniedNamespaces: ['kube-*'] }, { errors: ['spec.deniedNamespaces[0]'], says: ['patterns are not supported'] }),
  vector('a namespace allowed and denied', { allowedNamespaces: ['a', 'b'], deniedNamespaces: ['b'] }, { warnings: ['spec.deniedNamespaces[0]'], says: ['denial wins'] }),
  vector('no floor', { minExportInterval: '0s' }),
  vector('a floor of more than a day', { minExportInterval: '25h' }, { errors: ['spec.minExportInterval'], says: ['at most 24h'] }),
  vector('a negative floor', { minExportInterval: '-1m' }, { errors: ['spec.minExportInterval'] }),
  vector('a floor that is no duration', { minExportInterval: '1 minute' }, { errors: ['spec.minExportInterval'] }),
  vector('a snapshot sink twice', { snapshotSinkRefs: ['a', 'a'] }, { errors: ['spec.snapshotSinkRefs[1]'], says: ['Duplicate value: "a"'] }),
  vector('a database sink with a namespace', { databaseSinkRefs: ['ns/a'] }, { errors: ['spec.databaseSinkRefs[0]'], says: ['such as "a"'] }),
  vector('an event sink without a name', { eventSinkRefs: [' '] }, { errors: ['spec.eventSinkRefs[0]'], says: ['Required value'] }),
  vector('every mistake at once', { allowedGVKs: [{ version: 'v1', kind: '' }], deniedNamespaces: [''], eventSinkRefs: [''], snapshotSinkRefs: ['a', 'a'] }, { errors: ['spec.allowedGVKs[0].kind', 'spec.deniedNamespaces[0]', 'spec.eventSinkRefs[0]', 'spec.snapshotSinkRefs[1]'] }),
];

/** What scopes and cluster scopes may say. */
export const scopeVectors: readonly Vector[] = [
  ...ceiling(scope),
  { name: 'scope: an annotation of Kollect', kind: 'KollectScope', object: { spec: {}, metadata: { annotations: { 'kollect.dev/reconcile': '1' } } }, warnings: ['metadata.annotations[kollect.dev/reconcile]'] },
  { name: 'scope: a bad spec that is being deleted', kind: 'KollectScope', old: { spec: {} }, object: { spec: { deniedNamespaces: [''] }, metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/x'] } } },

  ...ceiling(cluster),
  cluster('namespaces of references', { allowedStaticRefNamespaces: ['kollect-system'] }),
  cluster('a namespace of references that is empty', { allowedStaticRefNamespaces: [''] }, { errors: ['spec.allowedStaticRefNamespaces[0]'] }),
  cluster('a namespace of references twice', { allowedStaticRefNamespaces: ['a', 'a'] }, { errors: ['spec.allowedStaticRefNamespaces[1]'], says: ['Duplicate value'] }),
  { name: 'cluster scope: a bad spec that is being deleted', kind: 'KollectClusterScope', old: { spec: {} }, object: { spec: { deniedNamespaces: [''] }, metadata: { deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: ['example.com/x'] } } },
];
