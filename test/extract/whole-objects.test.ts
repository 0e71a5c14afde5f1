import t from 'tap';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { prunePath, prunePointer } from '../../shared/extract/prune.ts';
import type { Json } from '../../shared/extract/json.ts';
import { createBudget } from '../../shared/extract/step-budget.ts';

const targetGVK = { group: 'demo.io', version: 'v1', kind: 'Shop' };
const key = { redacted: true, reason: 'sensitive-key' };
const secretData = { redacted: true, reason: 'secret-data' };

function shop(): Record<string, Json> {
  return {
    apiVersion: 'demo.io/v1',
    kind: 'Shop',
    metadata: {
      name: 'cart',
      namespace: 'shop',
      uid: 'u-2',
      resourceVersion: '77',
      generation: 5,
      managedFields: [{ manager: 'x' }],
      labels: { tier: 'gold', 'pod-template-hash': 'abc' },
      annotations: { note: 'keep', 'kubectl.kubernetes.io/last-applied-configuration': '{}', 'argocd.argoproj.io/tracking-id': 'x' },
    },
    spec: {
      db: { host: 'pg', password: 'hunter2' },
      serviceAccountToken: true,
      tls: { key: 'PEM', crt: 'PEM' },
      env: [
        { name: 'API_TOKEN', value: 't0k' },
        { name: 'X', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      ],
    },
    status: { conditions: [{ type: 'Ready' }, { type: 'Synced' }] },
  };
}

function exported(source: Record<string, unknown>, object: Record<string, Json> = shop(), gvk: { group?: string; version: string; kind: string } = targetGVK) {
  return compileProfile({ spec: { targetGVK: gvk, export: { mode: 'Resource', ...source } } }).extract(object);
}

t.test('a whole object loses its identity, its churn, what is pruned, and every secret', async (t) => {
  const prune = { jsonPointers: ['/status/conditions/0'], jsonPaths: ['$.metadata.labels["pod-template-hash"]'], scrubKeys: ['host'] };
  t.strictSame(exported({ as: 'object', include: 'All', prune }), {
    attributes: {
      object: {
        apiVersion: 'demo.io/v1',
        kind: 'Shop',
        metadata: { labels: { tier: 'gold' }, annotations: { note: 'keep' } },
        spec: {
          db: { host: key, password: key },
          serviceAccountToken: key,
          tls: key,
          env: [
            { name: 'API_TOKEN', value: key },
            { name: 'X', valueFrom: key },
          ],
        },
        status: { conditions: [null, { type: 'Synced' }] },
      },
    },
    failures: [],
  });
});

t.test('names that are pruned still tell which values are secret, and markers stay whole', async (t) => {
  const { attributes } = exported({ as: 'object', include: 'SpecOnly', prune: { jsonPaths: ['$..name', '$..reason'], cel: ['key == "redacted"'] } });
  t.strictSame((attributes['object'] as { spec: { env: unknown } }).spec.env, [{ value: key }, { valueFrom: key }]);
});

t.test('include chooses the parts, and nothing changes the collected object', async (t) => {
  for (const [include, members] of [
    [undefined, ['apiVersion', 'kind', 'spec', 'status']],
    ['MetadataOnly', ['apiVersion', 'kind', 'metadata']],
    ['SpecOnly', ['apiVersion', 'kind', 'spec']],
    ['StatusOnly', ['apiVersion', 'kind', 'status']],
    ['SpecAndStatus', ['apiVersion', 'kind', 'spec', 'status']],
    ['All', ['apiVersion', 'kind', 'metadata', 'spec', 'status']],
  ] as const) {
    const object = shop();
    const { attributes } = exported(include === undefined ? {} : { include }, object);
    t.same(Object.keys(attributes.resource as object), members, include ?? 'unset');
    t.same(object, shop());
  }
  const { attributes } = exported({ include: 'MetadataOnly', dedupeIdentity: false, prune: { defaults: false } });
  t.match((attributes.resource as { metadata: object }).metadata, { name: 'cart', uid: 'u-2', resourceVersion: '77', generation: 5 });
});

t.test('attributes stand beside the object, in order', async (t) => {
  const { extract } = compileProfile({
    spec: { targetGVK, attributes: [{ name: 'tier', path: '$.metadata.labels.tier' }, { name: 'a', path: '$.kind' }], export: { mode: 'Resource', include: 'StatusOnly' } },
  });
  const { attributes } = extract(shop());
  t.same(Object.keys(attributes), ['a', 'resource', 'tier']);
});

t.test('the data of a Secret stays out, whatever was consented to', async (t) => {
  const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, type: 'Opaque', data: { a: 'c2VjcmV0' }, stringData: { b: 'canary' } };
  const { attributes } = exported({ include: 'All' }, secret, { version: 'v1', kind: 'Secret' });
  t.strictSame(attributes.resource, { apiVersion: 'v1', kind: 'Secret', metadata: {}, type: 'Opaque', data: secretData, stringData: secretData });
});

t.test('what is nested beyond reason fails the attribute, not the row', async (t) => {
  let deep: Json = 'end';
  for (let i = 0; i < 1000; i++) deep = { a: deep };
  const { attributes, failures } = exported({ prune: { jsonPaths: ['$..x'] } }, { apiVersion: 'v1', kind: 'Shop', spec: deep });
  t.equal(attributes.resource, null);
  t.match(failures, [{ attribute: 'resource', message: /nested deeper than 256 levels/ }]);
});

const tree = (): Json => ({ a: { b: [1, { c: 2, d: 3 }, { c: 4 }], 'x/y': 5, 'm~n': 6, '0': 7 }, list: [10, 11, 12, 13] });

t.test('pruning by pointer', async (t) => {
  const untouched = tree();
  for (const [pointer, expected] of [
    ['/a/b', { a: { 'x/y': 5, 'm~n': 6, '0': 7 } }],
    ['/a/x~1y', { a: { b: [1, { c: 2, d: 3 }, { c: 4 }], 'm~n': 6, '0': 7 } }],
    ['/a/m~0n', { a: { b: [1, { c: 2, d: 3 }, { c: 4 }], 'x/y': 5, '0': 7 } }],
    ['/a/b/1', { a: { b: [1, null, { c: 4 }], 'x/y': 5, 'm~n': 6, '0': 7 } }],
    ['/a/b/1/c', { a: { b: [1, { d: 3 }, { c: 4 }], 'x/y': 5, 'm~n': 6, '0': 7 } }],
    ['/a/0', { a: { b: [1, { c: 2, d: 3 }, { c: 4 }], 'x/y': 5, 'm~n': 6 } }],
    ['', undefined],
    ['/', undefined],
    ['/a/b/9', undefined],
    ['/a/b/01', undefined],
    ['/a/b/-', undefined],
    ['/nope/deeper', undefined],
    ['/a/b/0/c', undefined],
    ['/__proto__', undefined],
  ] as const) {
    const before = tree() as { list: Json };
    const after = prunePointer(pointer)(before, createBudget(10_000));
    if (expected === undefined) t.equal(after, before, `${pointer} takes nothing and copies nothing`);
    else t.strictSame(after, { ...expected, list: [10, 11, 12, 13] }, pointer);
    t.strictSame(before, untouched, `${pointer} leaves its argument alone`);
  }
});

t.test('pruning by path', async (t) => {
  const a = (value: Json) => ({ a: value, list: [10, 11, 12, 13] });
  const list = (value: Json) => ({ ...(tree() as object), list: value });
  for (const [path, expected] of [
    ['$.a.b[*].c', a({ b: [1, { d: 3 }, {}], 'x/y': 5, 'm~n': 6, '0': 7 })],
    ['{.a.b[*].c}', a({ b: [1, { d: 3 }, {}], 'x/y': 5, 'm~n': 6, '0': 7 })],
    ['a.b', a({ 'x/y': 5, 'm~n': 6, '0': 7 })],
    ['.a.b', a({ 'x/y': 5, 'm~n': 6, '0': 7 })],
    ["['a']['x/y']", a({ b: [1, { c: 2, d: 3 }, { c: 4 }], 'm~n': 6, '0': 7 })],
    ['$.a.*', a({})],
    ['$..c', a({ b: [1, { d: 3 }, {}], 'x/y': 5, 'm~n': 6, '0': 7 })],
    ['$.a.b[?(@.c==2)]', a({ b: [1, null, { c: 4 }], 'x/y': 5, 'm~n': 6, '0': 7 })],
    ['$.list[1:3]', list([10, null, null, 13])],
    ['$.list[-1]', list([10, 11, 12, null])],
    ['$.list[*]', list([null, null, null, null])],
    ['$.nope[*].x', tree()],
  ] as const) {
    t.strictSame(prunePath(path)(tree(), createBudget(10_000)), expected, path);
  }
  t.throws(() => prunePath('$..b')({ a: Array.from({ length: 100 }, () => ({ b: 1 })) }, createBudget(50)), { code: 'KOL_EXTRACT_EVALUATE', message: /too many steps/ });
});

function withoutUndefined(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(withoutUndefined);
  return Object.fromEntries(Object.entries(value).flatMap(([key, member]) => (member === undefined ? [] : [[key, withoutUndefined(member)]])));
}

t.test('conditions take out members by path, key and value, at any depth', async (t) => {
  const object = (cel: readonly string[], prune: Record<string, unknown> = {}): Json | undefined => exported({ as: 'object', include: 'SpecOnly', prune: { cel, ...prune } }, tree()).attributes['object'];
  const tree = (): Record<string, Json> => ({
    apiVersion: 'demo.io/v1',
    kind: 'Shop',
    spec: { 'a/b~c': 1, size: 9_007_199_254_740_993n, empty: {}, list: [{ keep: 1, drop: { drop: 2 } }, 'text', { 'internal.x': true }], nested: { drop: null, size: 2, on: false } },
  });
  const spec = (change: Record<string, Json | undefined>): Json => ({ apiVersion: 'demo.io/v1', kind: 'Shop', spec: { ...(tree()['spec'] as object), ...change } as Json });
  const without = (...names: string[]): Json => ({ apiVersion: 'demo.io/v1', kind: 'Shop', spec: Object.fromEntries(Object.entries(tree()['spec'] as object).filter(([name]) => !names.includes(name))) });
  for (const [expression, expected] of [
    ['key == "none"', spec({})],
    ['path == "/spec/a~1b~0c"', without('a/b~c')],
    ['path == "/spec/list"', without('list')],
    ['path.matches("^/spec/list/0/")', spec({ list: [{}, 'text', { 'internal.x': true }] })],
    ['key == "drop"', spec({ list: [{ keep: 1 }, 'text', { 'internal.x': true }], nested: { size: 2, on: false } })],
    ['key.startsWith("internal.")', spec({ list: [{ keep: 1, drop: { drop: 2 } }, 'text', {}] })],
    ['value == 9007199254740993', without('size')],
    ['value > 1', spec({ size: undefined, list: [{ keep: 1, drop: {} }, 'text', { 'internal.x': true }], nested: { drop: null, on: false } })],
    ['value == null || value == false', spec({ nested: { size: 2 } })],
    ['value == {}', without('empty')],
    ['has(value.size) && value.size == 2', without('nested')],
    ['value', spec({ list: [{ keep: 1, drop: { drop: 2 } }, 'text', {}] })],
    ['size(value) == 3 && key != "spec"', without('list', 'nested')],
  ] as const) {
    t.strictSame(object([expression]), withoutUndefined(expected), expression);
  }
  t.strictSame(object(['key == "drop"', 'key == "list"'], { jsonPaths: ['$.spec.nested'] }), without('list', 'nested'), 'several, after the paths');
  t.strictSame(object(['true']), {}, 'all of it');
  t.strictSame(object([]), spec({}));
  t.throws(() => exported({ prune: { cel: ['nope'] } }), { code: 'KOL_EXTRACT_CEL', message: /^export\.prune\.cel: .*the variables are path, key and value/ });
});

t.test('conditions on a large object end within the budget of the object, and see no data of a Secret', async (t) => {
  const large = { apiVersion: 'v1', kind: 'X', spec: Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, { a: index }])) };
  const loops = Array.from({ length: 20 }, (_, index) => `value == {"a": ${index}} || key.matches("(k${index}|x+)+$")`);
  t.match(exported({ prune: { cel: loops } }, large), { attributes: { resource: null }, failures: [{ message: /too many steps/ }] });
  t.same(exported({ prune: { cel: ['key == "k1"'] } }, large).failures, []);
  const secret = { apiVersion: 'v1', kind: 'Secret', data: { a: 'c2VjcmV0' }, type: 'Opaque' };
  const onSecret = (cel: string): unknown => exported({ include: 'All', prune: { cel: [cel] } }, secret, { version: 'v1', kind: 'Secret' }).attributes['resource'];
  t.strictSame(onSecret('value == "c2VjcmV0"'), onSecret('false'), 'a condition cannot be used to guess');
});
