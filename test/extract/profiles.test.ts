import { createHash } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import { compilePath } from '../../shared/extract/compile-path.ts';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { cpuMs } from './cpu-time.ts';
import { extract, targetGVK, valueAt } from './extracting.ts';

const cart = {
  metadata: { name: 'cart', namespace: 'shop', uid: '7d1c0a3e-0001', labels: {}, annotations: {} },
  spec: { replicas: 3, template: { spec: { containers: [{ image: 'cart:2.4' }, { image: 'envoy:1.30' }] } } },
  status: { observedGeneration: 4 },
};

t.test('a row of the documented example', async (t) => {
  const { attributes, failures } = extract(cart, [
    { name: 'images', path: '$.spec.template.spec.containers[*].image' },
    { name: 'firstImage', path: '{.spec.template.spec.containers[0].image}' },
    { name: 'replicas', path: '$.spec.replicas' },
    { name: 'ready', path: 'cel:has(object.status.readyReplicas) ? object.status.readyReplicas : 0' },
    { name: 'size', path: "cel:string(object.spec.replicas) + ' pods'" },
    { name: 'tier', path: '$.metadata.labels.tier', optional: false },
    { name: 'owner', path: '$.metadata.annotations.owner', optional: true },
  ]);
  t.strictSame(Object.keys(attributes), ['firstImage', 'images', 'ready', 'replicas', 'size', 'tier'], 'keys come in canonical order');
  t.strictSame(failures, [{ attribute: 'tier', message: 'no value' }]);
  const row = canonicalRow({ targetNamespace: 'shop', targetName: 'web-images', namespace: 'shop', name: 'cart', ...targetGVK, uid: '7d1c0a3e-0001', attributes });
  t.equal(createHash('sha256').update(`[${row}]`).digest('hex'), '992c11e648d0c4530a372b491ec6cea6af2044fdab66a52464b685a38c814e70');
});

t.test('missing values and errors', async (t) => {
  for (const [what, attribute, attributes, message] of [
    ['required, absent', { name: 'a', path: '$.spec.nothing' }, { a: null }, 'no value'],
    ['required, expression fails', { name: 'a', path: 'cel:object.spec.nothing' }, { a: null }, 'no such key at "object.spec.nothing"; guard it with has()'],
    ['required, expression gives null', { name: 'a', path: 'cel:null' }, { a: null }, 'no value'],
    ['required, wrong type', { name: 'a', path: '$.metadata.name', type: 'int' }, { a: null }, 'the value is not of type int'],
    ['optional, absent', { name: 'a', path: '$.spec.nothing', optional: true }, {}, undefined],
    ['optional, expression fails', { name: 'a', path: 'cel:object.spec.nothing', optional: true }, {}, undefined],
    ['optional, wrong type', { name: 'a', path: '$.metadata.name', type: 'int', optional: true }, {}, undefined],
  ] as const) {
    const result = extract(cart, [attribute]);
    t.strictSame(result.attributes, attributes, what);
    t.strictSame(result.failures, message === undefined ? [] : [{ attribute: 'a', message }], `${what}: failures`);
  }
  const others = extract(cart, [
    { name: 'bad', path: 'cel:object.nothing' },
    { name: 'good', path: '$.metadata.name' },
  ]);
  t.strictSame(others.attributes, { bad: null, good: 'cart' }, 'other attributes are not affected');
  t.strictSame(extract(cart, []), { attributes: {}, failures: [] }, 'no attributes');
  const long = extract(cart, [{ name: 'a', path: `cel:object.spec["${'x'.repeat(500)}"] + object.${'y'.repeat(300)}` }]);
  t.ok((long.failures[0]?.message.length ?? 999) <= 256, 'messages are short');
});

t.test('declared types', async (t) => {
  for (const [type, value, result] of [
    ['string', 'a', 'a'],
    ['string', 3, '3'],
    ['string', true, 'true'],
    ['string', 9007199254740993n, '9007199254740993'],
    ['string', [1], undefined],
    ['int', 3, 3],
    ['int', 9007199254740993n, 9007199254740993n],
    ['int', '42', 42],
    ['int', '-42', -42],
    ['int', '9007199254740993', 9007199254740993n],
    ['int', 1.5, undefined],
    ['int', '1.5', undefined],
    ['int', '', undefined],
    ['int', true, undefined],
    ['float', 1.5, 1.5],
    ['float', '1.5', 1.5],
    ['float', '1e3', 1000],
    ['float', 'x', undefined],
    ['float', '1e999', undefined],
    ['bool', true, true],
    ['bool', 'false', false],
    ['bool', 'yes', undefined],
    ['bool', 1, undefined],
    ['list', [1], [1]],
    ['list', 'a', ['a']],
    ['map', { a: 1 }, { a: 1 }],
    ['map', [1], undefined],
    ['', 'a', 'a'],
    ['Integer', '7', 7],
    ['boolean', 'true', true],
    ['number', '0.5', 0.5],
    ['array', 1, [1]],
    ['object', 1, undefined],
  ] as const) {
    t.strictSame(valueAt({ v: value }, '$.v', 'value', type), result, `${typeof value} ${String(value)} as ${type}`);
  }
  t.throws(() => valueAt({}, '$.v', 'value', 'date'), { code: 'KOL_EXTRACT_PATH', message: /attribute "value": unknown type "date"; use one of string, int/ });
});

t.test('a profile that cannot be compiled names the attribute', async (t) => {
  for (const [what, profile, error] of [
    ['path', { attributes: [{ name: 'a', path: 'metadata.name' }] }, { code: 'KOL_EXTRACT_PATH', message: /^attribute "a": "metadata\.name" is plain text/ }],
    ['expression', { attributes: [{ name: 'a', path: 'cel:1 +' }] }, { code: 'KOL_EXTRACT_CEL', message: /^attribute "a": the CEL expression is not complete/ }],
    ['reserved name', { attributes: [{ name: '__proto__', path: '$.a' }] }, { code: 'KOL_EXTRACT_PATH', message: /cannot be named "__proto__"/ }],
    ['prune path', { export: { mode: 'Resource', prune: { jsonPaths: ['$.a['] } } }, { code: 'KOL_EXTRACT_PATH', message: /^export\.prune\.jsonPaths: / }],
  ] as const) {
    t.throws(() => compileProfile({ spec: { targetGVK, ...profile } }), error, what);
  }
});

t.test('objects with unusual members', async (t) => {
  const object = JSON.parse('{"a":{"__proto__":{"password":"x","n":1},"constructor":"c","toString":1},"list":[1]}') as object;
  t.equal(JSON.stringify(valueAt(object, '$.a')), '{"__proto__":{"password":{"redacted":true,"reason":"sensitive-key"},"n":1},"constructor":"c","toString":1}');
  const lifted = JSON.parse('{"a":{"__proto__":{"password":"x","n":1}}}') as object;
  t.equal(JSON.stringify(valueAt(lifted, 'cel:object.a')), '{"__proto__":{"password":{"redacted":true,"reason":"sensitive-key"},"n":1}}');
  t.equal(valueAt(object, 'cel:object.a'), undefined, 'CEL cannot hold a map with the member "constructor"');
  t.equal(valueAt(object, '$.a.constructor'), 'c');
  t.equal(valueAt(object, '$.list.length'), undefined);
  t.equal(({} as { n?: number }).n, undefined, 'no prototype was changed');
});

t.test('all attributes of an object share one budget', async (t) => {
  const list = Array.from({ length: 2000 }, (_, v) => ({ v }));
  const costly = 'cel:object.list.exists(x, object.list.exists(y, x.v + y.v < 0))';
  const attributes = Array.from({ length: 50 }, (_, i) => ({ name: `a${i}`, path: costly }));
  const profile = compileProfile({ spec: { targetGVK, attributes: [...attributes, { name: 'name', path: '$.name' }] } });
  const { attributes: values, failures } = profile.extract({ list, name: 'x' });
  t.ok(cpuMs(() => profile.extract({ list, name: 'x' }), 2000) < 2000, 'fifty costly attributes do not take fifty times as long');
  t.equal(failures.length, 50);
  t.equal(values.name, 'x', 'cheap paths still have their value');
  t.match(profile.extract({ list: [], name: 'y' }), { failures: [], attributes: { a0: false, name: 'y' } }, 'the next object starts afresh');
});

t.test('no JSONPath runs for long', async (t) => {
  const large = {
    list: Array.from({ length: 20_000 }, (_, v) => ({ name: `n${v}`, v })),
    numbers: Array.from({ length: 200_000 }, (_, v) => v),
  };
  for (const [what, path] of [
    ['descent below descent', '$..*..*'],
    ['unions that multiply', `$${'[*,*,*,*]'.repeat(20)}`],
    ['slices that multiply', '$.list[0:,0:,0:,0:,0:,0:,0:,0:,0:,0:,0:,0:,0:,0:,0:,0:].*[0]'],
    ['a long filter over a long list', `$.list[?${Array.from({ length: 300 }, (_, i) => `@.v==${i}`).join('||')}]`],
    ['a filter that counts a long list', '$[?count(@[*]) > 1]'],
  ] as const) {
    const spent = cpuMs(() => t.throws(() => compilePath(path).evaluate(large), { code: 'KOL_EXTRACT_EVALUATE' }, what), 2000);
    t.ok(spent < 2000, `${what} ends`);
  }
});

t.test('any path text compiles, or is refused with a message of ours', async (t) => {
  const token = fc.constantFrom('$', '.', '..', 'a', '[', ']', '{', '}', '*', '0', '-1', ':', ',', '?', '(', ')', '@', '==', '"x"', "'", '\\', ' ', 'range', 'object', 'helm:release.', 'length', '!', '&&', '\u{1F600}', '\ud800');
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.oneof(fc.array(token, { maxLength: 25 }).map((tokens) => tokens.join('')), fc.string()), (text) => {
        try {
          const compiled = compilePath(text);
          if (compiled.language !== 'helm') compiled.evaluate(cart);
        } catch (error) {
          return (error as { code?: string }).code?.startsWith('KOL_EXTRACT_') === true;
        }
        return true;
      }),
      { numRuns: 3000 },
    ),
  );
});
