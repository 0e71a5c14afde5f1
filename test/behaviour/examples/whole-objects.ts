import { attributesOf, canary, hidden, type Example, type ExampleObject, type World } from './example.ts';

const definition: ExampleObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'shoppen.demo.example.io' },
  spec: { group: 'demo.example.io', scope: 'Namespaced', names: { kind: 'Shop', plural: 'shoppen' }, versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }] },
};

const applied = 'kubectl.kubernetes.io/last-applied-configuration';
const shop: ExampleObject = {
  apiVersion: 'demo.example.io/v1',
  kind: 'Shop',
  metadata: { name: 'cart', labels: { tier: 'gold', 'pod-template-hash': 'abc' }, annotations: { note: 'keep', [applied]: `{"spec":{"db":{"password":"${canary}"}}}`, 'argocd.argoproj.io/tracking-id': 'x' } },
  spec: {
    db: { host: 'pg', password: canary },
    serviceAccountToken: true,
    tls: { key: canary, crt: 'PEM' },
    env: [{ name: 'API_TOKEN', value: canary }, { name: 'MODE', value: 'fast' }, { name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
    list: [{ id: 1, at: 'a' }, { id: 2, at: 'b' }, { id: 3, at: 'c' }],
    deep: { 'a/b~c': 1, internal: { 'internal.example.com/x': 1, kept: 2 } },
  },
  status: { conditions: [{ type: 'Ready', lastProbeTime: null }, { type: 'Synced' }] },
};

const db = { host: 'pg', password: hidden };
const env = [{ name: 'API_TOKEN', value: hidden }, { name: 'MODE', value: 'fast' }, { name: 'X', valueFrom: hidden }];
const spec = { db, env, serviceAccountToken: hidden, tls: hidden, list: [{ id: 1, at: 'a' }, { id: 2, at: 'b' }, { id: 3, at: 'c' }], deep: { 'a/b~c': 1, internal: { 'internal.example.com/x': 1, kept: 2 } } };
const status = { conditions: [{ type: 'Ready', lastProbeTime: null }, { type: 'Synced' }] };
const identity = { apiVersion: 'demo.example.io/v1', kind: 'Shop' };
const labels = { tier: 'gold', 'pod-template-hash': 'abc' };

const targetGVK = { group: 'demo.example.io', version: 'v1', kind: 'Shop' };
/** The time of creation is different in every run. */
const untimed = '/metadata/creationTimestamp';
const whole = (exported: { prune?: Record<string, unknown>; [field: string]: unknown }, resource: object): Example => {
  const { prune = {}, ...rest } = exported;
  const pointers = (prune['jsonPointers'] as string[] | undefined) ?? [];
  return { profile: { targetGVK, export: { mode: 'Resource', ...rest, prune: { ...prune, jsonPointers: [untimed, ...pointers] } } }, rows: { cart: { [(rest['as'] as string | undefined) ?? 'resource']: resource } } };
};
const specOnly = (prune: Record<string, unknown>, changes: Record<string, unknown>): Example => whole({ include: 'SpecOnly', prune }, { ...identity, spec: Object.fromEntries(Object.entries({ ...spec, ...changes }).filter(([, value]) => value !== undefined)) });

export const wholeObjects: World = {
  home: 'whole',
  objects: [
    definition,
    shop,
    { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'settings' }, data: { size: '1', 'db.password': canary } },
    { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'pod', annotations: { [applied]: `{"env":"${canary}"}` } }, spec: { containers: [{ name: 'a', image: 'a:1', env: [{ name: 'DB_PASSWORD', value: canary }] }] } },
  ],
  examples: {
    'pruned by pointer and path, redacted by a key of its own': whole(
      { as: 'object', include: 'All', prune: { jsonPointers: ['/status/conditions/0'], jsonPaths: ['$.metadata.labels["pod-template-hash"]', '$.spec.env[*].value'], scrubKeys: ['host'] } },
      {
        ...identity,
        metadata: { annotations: { note: 'keep' }, labels: { tier: 'gold' } },
        spec: { ...spec, db: { host: hidden, password: hidden }, env: [{ name: 'API_TOKEN' }, { name: 'MODE' }, { name: 'X', valueFrom: hidden }] },
        status: { conditions: [null, { type: 'Synced' }] },
      },
    ),
    'spec and status, when nothing is said': whole({}, { ...identity, spec, status }),
    'metadata only': whole({ include: 'MetadataOnly' }, { ...identity, metadata: { annotations: { note: 'keep' }, labels } }),
    'spec only': specOnly({}, {}),
    'status only': whole({ include: 'StatusOnly' }, { ...identity, status }),
    'a map by path': specOnly({ jsonPaths: ['$.spec.db'] }, { db: undefined }),
    'fields of all elements': specOnly({ jsonPaths: ['$.spec.list[*].at'] }, { list: [{ id: 1 }, { id: 2 }, { id: 3 }] }),
    'elements keep their index': specOnly({ jsonPaths: ['$.spec.list[?(@.id==2)]'] }, { list: [{ id: 1, at: 'a' }, null, { id: 3, at: 'c' }] }),
    'slices': specOnly({ jsonPaths: ['$.spec.list[1:]'] }, { list: [{ id: 1, at: 'a' }, null, null] }),
    'at any depth': specOnly({ jsonPaths: ['$..at', '$..name'] }, { list: [{ id: 1 }, { id: 2 }, { id: 3 }], env: [{ value: hidden }, { value: 'fast' }, { valueFrom: hidden }] }),
    'pointers with escapes': specOnly({ jsonPointers: ['/spec/deep/a~1b~0c'] }, { deep: { internal: { 'internal.example.com/x': 1, kept: 2 } } }),
    'pointers to nothing': specOnly({ jsonPointers: ['/spec/nope/0', '/spec/list/9', '/spec/db/password/reason'] }, {}),
    'conditions on keys': specOnly({ cel: ['key.startsWith("internal.")'] }, { deep: { 'a/b~c': 1, internal: { kept: 2 } } }),
    'conditions on paths and values': specOnly({ cel: ['path == "/spec/list"', 'key == "kept" && value == 2'] }, { list: undefined, deep: { 'a/b~c': 1, internal: { 'internal.example.com/x': 1 } } }),
    'attributes beside the object': { ...specOnly({}, {}), profile: { targetGVK, attributes: attributesOf({ tier: '$.metadata.labels.tier' }), export: { mode: 'Resource', include: 'StatusOnly', prune: {} } }, rows: { cart: { tier: 'gold', resource: { ...identity, status } } } },
    'a kind without spec, all of it': { profile: { targetGVK: { version: 'v1', kind: 'ConfigMap' }, export: { mode: 'Resource', include: 'All', prune: { jsonPointers: [untimed] } } }, rows: { settings: { resource: { apiVersion: 'v1', kind: 'ConfigMap', metadata: {}, data: { size: '1', 'db.password': hidden } } } } },
    'a kind without spec, its spec': { profile: { targetGVK: { version: 'v1', kind: 'ConfigMap' }, export: { mode: 'Resource' } }, rows: { settings: { resource: { apiVersion: 'v1', kind: 'ConfigMap' } } } },
    'a Pod, its metadata': { profile: { targetGVK: { version: 'v1', kind: 'Pod' }, export: { mode: 'Resource', include: 'MetadataOnly', prune: { jsonPointers: [untimed] } } }, rows: { pod: { resource: { apiVersion: 'v1', kind: 'Pod', metadata: { annotations: {} } } } } },
    'the annotation of kubectl, where it is kept': { profile: { targetGVK: { version: 'v1', kind: 'Pod' }, attributes: attributesOf({ annotations: '$.metadata.annotations', one: `$.metadata.annotations['${applied}']`, env: '$.spec.containers[*].env' }) }, rows: { pod: { annotations: { [applied]: hidden }, one: hidden, env: [[{ name: 'DB_PASSWORD', value: hidden }]] } } },
    'a name that an attribute has': { profile: { targetGVK, attributes: attributesOf({ resource: '$.kind' }), export: { mode: 'Resource' } }, refused: { profile: /an attribute has this name/ } },
    'a pointer without a slash': { profile: { targetGVK, export: { mode: 'Resource', prune: { jsonPointers: ['spec'] } } }, refused: { profile: /jsonPointers\[0\]/ } },
    'a condition that is no condition': { profile: { targetGVK, export: { mode: 'Resource', prune: { cel: ['key + "x"'] } } }, refused: { profile: /prune\.cel\[0\]/ } },
  },
};
