import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { canonicalJson, canonicalRow } from '../../shared/extract/canonical-json.ts';
import type { RowFields } from '../../shared/extract/canonical-json.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { compareUtf8 } from '../../shared/extract/compare-utf8.ts';
import type { Json } from '../../shared/extract/json.ts';

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');

const deployment: RowFields = {
  targetNamespace: 'team-a',
  targetName: 'deployments',
  namespace: 'team-a',
  name: 'api',
  group: 'apps',
  version: 'v1',
  kind: 'Deployment',
  uid: '3f0c8d2e-7a11-4c53-9d57-6f1f2f6f0a01',
  attributes: { replicas: 3, image: 'registry.example/api:1.4.2' },
};

const configMap: RowFields = {
  targetNamespace: 'team-a',
  targetName: 'settings',
  namespace: 'team-a',
  name: 'flags',
  group: '',
  version: 'v1',
  kind: 'ConfigMap',
  uid: '8b7e1a90-52cd-4a0e-8a53-0d9a4c1f7b02',
  attributes: { note: null, data: { b: '<on>&', a: 'x' } },
};

t.test('published digests of row arrays', async (t) => {
  const r1 = canonicalRow(deployment);
  const r2 = canonicalRow(configMap);
  t.equal(Buffer.byteLength(`[${r1},${r2}]`), 490, 'length of both rows in bytes');
  const part = (rows: string): string => `${sha256(rows)}\n`;
  for (const [name, input, digest] of [
    ['no rows', '[]', '4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945'],
    ['one row', `[${r1}]`, '271c95b256b7debeaac4895c602233298a88d165935b3e549d84c2d32c78b16d'],
    ['two rows, one with escapes', `[${r1},${r2}]`, '1a1d9cf471b3c22e8112474f82dc5eb4a22cb310385ad9dafe8f6db480814d5e'],
    ['set of one part', part(`[${r1},${r2}]`), '03a34c88a7c2863b3146a889114f524db1c989c2987cd5b0678e5b185e1607fd'],
    ['set of two parts', part(`[${r1}]`) + part(`[${r2}]`), '0c6b9a3b2189d550dce0cad81f86c25c8a9f35979c05789529540b4b89b52b20'],
    ['rollup of one shard', `team-a:${part(`[${r1},${r2}]`)}`, 'b8957304d6fb8944392f072636198764d0a2d3e61d60b7af7effbedc01de7d74'],
  ] as const) {
    t.equal(sha256(input), digest, name);
  }
});

t.test('form of a row', async (t) => {
  t.match(canonicalRow(deployment), /^\{"targetNamespace":"team-a","targetName":"deployments","namespace":"team-a","name":"api","group":"apps","version":"v1","kind":"Deployment","uid":/, 'fixed order of the own keys');
  t.notMatch(canonicalRow(configMap), '"group"', 'the core group is left out');
  t.match(canonicalRow({ ...deployment, attributes: {} }), /"attributes":\{\}\}$/, 'no attributes are an empty map');
  t.match(canonicalRow({ ...deployment, attributes: null }), /"attributes":null\}$/, 'missing attributes are null');
  t.match(canonicalRow({ ...deployment, namespace: '' }), '"namespace":"",', 'an empty namespace is written');
  const rare = { ...deployment, name: 'a<b', attributes: { '10': 1, '9': '\u{1F600}' } };
  t.match(canonicalRow(rare), '"name":"a\\u003cb","group":"apps"', 'escapes hold for the own fields when the row is written key by key');
  t.match(canonicalRow(rare), '"attributes":{"10":1,"9":"\u{1F600}"}', 'keys like integers keep byte order');
});

t.test('canonical text of values', async (t) => {
  for (const [name, value, text] of [
    ['keys ascend at every depth', { b: { d: 1, c: [{ z: 1, y: 2 }] }, a: 0 }, '{"a":0,"b":{"c":[{"y":2,"z":1}],"d":1}}'],
    ['keys like integers sort as text', { b: 0, '10': 1, '9': 2 }, '{"10":1,"9":2,"b":0}'],
    ['keys beyond U+FFFF come last', { '\u{10000}': 1, '\ufb01': 2, a: 3 }, '{"a":3,"\ufb01":2,"\u{10000}":1}'],
    ['__proto__ is a key like others', JSON.parse('{"b":1,"__proto__":{"z":1,"a":2}}') as Json, '{"__proto__":{"a":2,"z":1},"b":1}'],
    ['characters that Go escapes', '<a>&\u2028\u2029', '"\\u003ca\\u003e\\u0026\\u2028\\u2029"'],
    ['control characters', '\b\f\n\r\t\u0001"\\', '"\\b\\f\\n\\r\\t\\u0001\\"\\\\"'],
    ['other characters stay', 'é€😀', '"é€😀"'],
    ['unpaired surrogate', 'a\ud800b', '"a\ufffdb"'],
    ['text that looks like an escaped surrogate', '\\ud800', '"\\\\ud800"'],
    ['both at once', '\\ud800\ud800<', '"\\\\ud800\ufffd\\u003c"'],
    ['unpaired surrogate in a key', { 'a\udc00': 1 }, '{"a\ufffd":1}'],
    ['integer beyond 2^53', { n: 9007199254740993n }, '{"n":9007199254740993}'],
    ['integer beyond 2^53 beside keys like integers', { '10': 9007199254740993n, '9': 1 }, '{"10":9007199254740993,"9":1}'],
    ['numbers in ECMAScript form', [1e21, 1e-7, 0.1, -0, 100], '[1e+21,1e-7,0.1,0,100]'],
    ['empty containers', { a: [], b: {} }, '{"a":[],"b":{}}'],
  ] as const satisfies readonly (readonly [string, Json, string])[]) {
    t.equal(canonicalJson(value), text, name);
  }
});

t.test('values that are no JSON', async (t) => {
  const tooDeep = (): Json => {
    let value: Json = 1;
    for (let i = 0; i < 300; i++) value = [value];
    return value;
  };
  for (const [name, value] of [
    ['NaN', { a: [Number.NaN] }],
    ['infinity', Number.POSITIVE_INFINITY],
    ['NaN beside keys like integers', { '10': Number.NaN, '9': 1 }],
    ['undefined', { a: undefined } as unknown as Json],
    ['undefined beside keys like integers', { '10': undefined, '9': 1 } as unknown as Json],
    ['nesting beyond 256 levels', tooDeep()],
    ['nesting below keys like integers', { '10': tooDeep(), '9': 1 }],
  ] as [string, Json][]) {
    t.throws(() => canonicalJson(value), { code: 'KOL_EXTRACT_SERIALIZE' }, name);
  }
});

t.test('whatever is extracted can be written, however deep', async (t) => {
  const { extract } = compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'ConfigMap' }, attributes: [{ name: 'a', path: '$.data' }] } });
  for (const innermost of [1, { '10': 1, '9': '\ud800' }] as Json[]) {
    let [value, refused] = [innermost, 0];
    for (let depth = 0; depth < 300; depth++, value = [value]) {
      const { attributes, failures } = extract({ data: value });
      t.ok(canonicalRow({ ...configMap, attributes }).includes('"attributes":{"a":'), `depth ${depth}`);
      if (failures.length > 0) refused++;
    }
    t.ok(refused > 30 && refused < 60, 'what is too deep is null');
  }
});

t.test('the source value is not changed', async (t) => {
  const source = { b: [{ d: 1n, c: '<' }], a: 1 };
  canonicalJson(source);
  t.strictSame(Object.keys(source), ['b', 'a']);
  t.strictSame(source.b[0]?.d, 1n);
});

const anyJson = fc.jsonValue({ stringUnit: 'binary' }) as fc.Arbitrary<Json>;

t.test('properties', async (t) => {
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(anyJson, (value) => {
        const text = canonicalJson(value);
        const back = JSON.parse(text) as Json;
        return canonicalJson(back) === text && JSON.stringify(JSON.parse(JSON.stringify(value).replace(/^-0$/, '0'))) === restored(value, back);
      }),
    ),
    'parsing gives the value back, and its text again',
  );
  t.doesNotThrow(() =>
    fc.assert(fc.property(anyJson, (value) => canonicalJson(value) === canonicalJson(reversed(value)))),
    'the order of keys in the source does not matter',
  );
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        const bytes = Buffer.compare(Buffer.from(a, 'utf8'), Buffer.from(b, 'utf8'));
        return Math.sign(compareUtf8(a, b)) === bytes && Math.sign(compareUtf8(b, a)) === -bytes + 0;
      }),
      { numRuns: 500 },
    ),
    'strings compare as their UTF-8 bytes do',
  );
});

/** The parsed text with its keys back in the order of the source, to compare content apart from order. */
function restored(source: Json, parsed: Json): string {
  const put = (from: Json, value: Json): Json => {
    if (Array.isArray(from)) return from.map((item, i) => put(item, (value as Json[])[i] as Json));
    if (typeof from !== 'object' || from === null) return value;
    const map = value as Record<string, Json>;
    return Object.fromEntries(Object.keys(from).map((key) => [key, put(from[key] as Json, map[key.toWellFormed()] as Json)]));
  };
  return JSON.stringify(put(source, parsed));
}

function reversed(value: Json): Json {
  if (Array.isArray(value)) return value.map(reversed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .reverse()
      .map(([key, item]) => [key, reversed(item)]),
  );
}
