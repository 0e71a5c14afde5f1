import fc from 'fast-check';
import t from 'tap';
import { compilePath } from '../../shared/extract/compile-path.ts';
import { compileProfile, type Extraction } from '../../shared/extract/compile-profile.ts';
import { canonicalRow } from '../../shared/extract/canonical-json.ts';
import type { Json, JsonObject } from '../../shared/extract/json.ts';
import { CompiledProfiles } from '../../controller/collect/compiled-profiles.ts';
import { KollectError } from '../../shared/errors.ts';
import { idleCpuMs } from './cpu-time.ts';

// Profiles and objects that are made to cost. Compiling a profile is one step of the process, evaluating it on an object and writing the row another, and none may keep
// it for longer than this on an idle machine, see `idleCpuMs`.
const maxCpuMs = 100;

/** In full every bomb meets every object, and 10,000 profiles are compiled, of which each tenth meets an object; a part shows the same on every push. */
const runs = Number(process.env['KOLLECT_FUZZ_RUNS'] ?? 200);
const isFull = runs >= 10_000;

const nested = (depth: number, wrap: (inner: Json) => Json): Json => {
  let value: Json = 1;
  for (let i = 0; i < depth; i++) value = wrap(value);
  return value;
};
const list = (length: number, item: (index: number) => Json): Json[] => Array.from({ length }, (_, index) => item(index));
const map = (length: number, item: (index: number) => Json): JsonObject => Object.fromEntries(list(length, (index) => index).map((index) => [`k${String(index)}`, item(index as number)]));

/** Each about as large as an API server takes. */
const objects: Record<string, JsonObject> = {
  small: { list: [{ name: 'a', v: 1 }, { name: 'b', v: 2 }], text: 'abc', map: { a: 1, password: 'x' } },
  'a long list of maps': { list: list(40_000, (v) => ({ name: `n${String(v)}`, v })), text: 'x', map: {} },
  'a long list of numbers': { list: list(300_000, (v) => v), text: '1', map: {} },
  'a long list of empty maps': { list: list(400_000, () => ({})), text: '', map: {} },
  'a map of many keys': { list: [], text: 'a', map: map(80_000, (v) => `v${String(v)}`) },
  'a map of many keys beyond 16 bits': { list: [], text: 'a', map: Object.fromEntries(list(40_000, (v) => v).map((v) => [`😀${String(v)}`, v])) as JsonObject },
  'maps in maps': { list: [], text: 'a', map: map(300, () => map(300, (v) => v)) },
  'a long text': { list: ['x'], text: 'x'.repeat(1_500_000), map: {} },
  'a long text of quotes and braces': { list: ['"'], text: '"{<&>}\u2028'.repeat(110_000), map: {} },
  'a long text beyond 16 bits': { list: ['😀'], text: '😀'.repeat(350_000), map: {} },
  'text that begins like a secret': { list: list(500, () => '-----BEGIN '.repeat(60)), text: 'eyJ'.repeat(100_000), map: { a: '://:a'.repeat(60_000), b: '://'.repeat(80_000), c: `://${':'.repeat(200_000)}` } },
  'many lines': { list: list(50_000, (v) => `line ${String(v)}`), text: 'a\n'.repeat(700_000), map: {} },
  'a deep list': { list: [nested(100_000, (inner) => [inner])], text: 'a', map: {} },
  'a deep map': { list: [], text: 'a', map: { a: nested(50_000, (inner) => ({ a: inner })) } },
  'a wide and deep map': { list: [], text: 'a', map: { a: nested(200, (inner) => ({ a: inner, b: list(500, (v) => v) })) } },
  'keys like numbers': { list: [], text: 'a', map: Object.fromEntries(list(100_000, (v) => v).map((v) => [String(v), v])) as JsonObject },
  'large integers': { list: list(60_000, (v) => 9_007_199_254_740_993n + BigInt(v as number)), text: '9'.repeat(1_000_000), map: {} },
};

/** Whole expressions and paths, and parts of which more are made. */
const expressions = [
  'object.list.all(x, object.list.all(y, object.list.all(z, x == y || y == z)))',
  'object.list.map(x, object.list)',
  'object.list.map(x, object.list.map(y, [x, y]))',
  'object.list.exists(x, x.a == 1 || x.b == 2 || x.c == 3)',
  'object.list == object.list && object.map == object.map',
  'object.list.filter(x, x in object.list)',
  'object.list.distinct()',
  'object.list.sort()',
  'object.list.sum()',
  'object.list.flatten(60)',
  'object.list.indexOf({})',
  'object.list.map(x, string(x)).join(object.text)',
  'object.text.split("").size()',
  'object.text.split("").map(c, c + c).join()',
  'object.text.replace("x", object.text)',
  'object.text.replace("", object.text)',
  'object.text.matches("(x+x+)+y")',
  'object.text.matches("(.*)*(.*)*(.*)*z")',
  'object.text.matches("(a|b|c|x|[a-z]){200}!")',
  'object.text.findAll("x*?")',
  'object.text.find("([^z]{40}){20}z")',
  'object.list.map(x, "a".matches(x.name))',
  'object.map.map(k, object.text.matches(k))',
  'object.map.map(k, object.map[k])',
  'object.map.map(k, object.map.map(l, k + l))',
  'object.map.filter(k, k.matches("(k|[0-9])+$"))',
  '"%s".format([object.list])',
  '"%s%s%s%s%s%s%s%s".format([object, object, object, object, object, object, object, object])',
  '"%.60f".format([double(object.list.size())])',
  'object.text.charAt(1000000)',
  'object.text.indexOf("xxxxxxxxxxxxxxxxxxxxxy")',
  'object.text.lastIndexOf("yx")',
  'object.text.lowerAscii().upperAscii().trim()',
  'object.text.substring(1)',
  'strings.quote(object.text)',
  'int(object.text)',
  'double(object.text)',
  'duration(object.text + "h")',
  'quantity(object.text)',
  'semver(object.text)',
  'url(object.text)',
  'ip(object.text)',
  'timestamp(object.text)',
  'duration(object.text)',
  'sets.equivalent(object.list, object.list)',
  'lists.range(100000000)',
  'lists.range(100000).map(x, timestamp(x).getHours("Europe/Berlin"))',
  'object.list.map(x, quantity("1Ki").add(quantity("1Mi")).asInteger())',
  `["xxxxxxxxxxxxxxxx"]${'.map(a, a + a)'.repeat(30)}`,
  `[[1]]${'.map(a, a + a)'.repeat(30)}`,
  `object.text${' + object.text'.repeat(50)}`,
  `object.list${' + object.list'.repeat(50)}`,
  '[object, object, object].map(o, [o, o, o]).map(o, [o, o, o]).map(o, [o, o, o])',
  'object',
  'object.map',
  'bytes(object.text)',
  'object.?map.?a.?a.?a.orValue(object.list)',
  `true${' == true'.repeat(60)}`,
];
const paths = [
  '$..*', '$..*..*', '$..[*]', '$..name', '$..a..a', '$.list[*]', '$.list[*].*', '$.list[*,*,*,*]', `$${'[*,*,*,*]'.repeat(20)}`, '$.list[::-1]', '$.list[0:,0:,0:,0:].*', '$.map.*', '$.map[*][*]', '$.*.*.*', '$.list[?(@.v > 100)].name',
  `$.list[?${Array.from({ length: 150 }, (_, i) => `@.v==${i}`).join('||')}]`, '$.list[?count(@.*) > 1]', '$[?count(@[*]) > 1]', '$.list[?length(@.name) > 2]', '$.list[?(@ == @)]', '$.map[?(@ == "v1")]', '$..[?(@.a)]', '$..[0,-1]', '$.text', '$.list', '$.map', '$.list[-1]', '{..a}', `$${'.*'.repeat(60)}`, `$${'[-1]'.repeat(60)}`,
  `$.list[?${'('.repeat(60)}@.v${')'.repeat(60)}]`, '$.list[0,1,2,3,4,5,6,7,8,9][*]', '$..["a","b","c","name","v"]',
];
const conditions = ['key == "a"', 'value == null', 'size(value) > 3', 'key.matches("(k|[0-9])+$")', 'path.contains("/a/a/a")', 'value == {"a": 1}', 'value > 1', 'path.matches("(/[a-z]+)+/b")', 'string(value).size() > 100', 'value.exists(x, x == key)', '"%s".format([value]).size() > 5'];

/** Those of a table that one object meets. */
function shareOf<T>(all: readonly T[], object: number): readonly T[] {
  return isFull ? all : all.filter((_, index) => index % 6 === object % 6);
}

t.test('each bomb alone, on objects of all shapes', async (t) => {
  for (const [number, [what, object]] of Object.entries(objects).entries()) {
    let worst = { spent: 0, path: '' };
    for (const path of shareOf([...expressions.map((expression) => `cel:${expression}`), ...paths], number)) {
      const { extract } = compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'X' }, attributes: [{ name: 'a', path }] } });
      const spent = idleCpuMs(() => row(() => extract(object)), maxCpuMs);
      if (spent > worst.spent) worst = { spent, path };
    }
    t.ok(worst.spent < maxCpuMs, `${what}: ${Math.round(worst.spent)} ms for ${worst.path.slice(0, 80)}`);
  }
});

t.test('whole objects, pruned by everything', async (t) => {
  for (const [number, [what, object]] of Object.entries(objects).entries()) {
    let worst = { spent: 0, prune: '' };
    const prunes = [...paths.filter((path) => path.startsWith('$')).map((path) => ({ jsonPaths: [path] })), ...conditions.map((condition) => ({ cel: [condition] })), { jsonPaths: paths.filter((path) => path.startsWith('$')), cel: conditions }, { jsonPointers: list(200, (v) => `/list/${String(v)}`) as string[] }];
    for (const prune of shareOf(prunes, number)) {
      const { extract } = compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'X' }, export: { mode: 'Resource', include: 'All', prune } } });
      const spent = idleCpuMs(() => row(() => extract(object)), maxCpuMs);
      if (spent > worst.spent) worst = { spent, prune: JSON.stringify(prune) };
    }
    t.ok(worst.spent < maxCpuMs, `${what}: ${Math.round(worst.spent)} ms for ${worst.prune.slice(0, 120)}`);
  }
});

/** Writing a row is part of the same step. What cannot be written is an error of ours. */
function row(extract: () => Extraction): string {
  try {
    return written(extract().attributes);
  } catch (error) {
    if (error instanceof KollectError) return '';
    throw error;
  }
}

function written(attributes: JsonObject): string {
  return canonicalRow({ targetNamespace: 'shop', targetName: 'maps', namespace: 'shop', name: 'x', group: '', version: 'v1', kind: 'X', uid: 'u', attributes });
}

t.test('many attributes that name one large value are more than a row can hold, and cost no more than one', async (t) => {
  const text = (character: string): JsonObject => ({ value: character.repeat(900_000) });
  const values: Record<string, JsonObject> = {
    'a text': text('x'),
    'a text of which each character is escaped': text('<'),
    'a key': { value: { ['k'.repeat(900_000)]: 1 } },
    'a list': { value: list(40_000, () => 'x'.repeat(20)) },
    'a map': { value: map(10_000, () => 'x'.repeat(80)) },
  };
  for (const [what, object] of Object.entries(values)) {
    const { extract } = compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'X' }, attributes: Array.from({ length: 700 }, (_, index) => ({ name: `a${index}`, path: '$.value' })) } });
    t.throws(() => written(extract(object).attributes), { code: 'KOL_EXTRACT_SIZE' }, what);
    const spent = idleCpuMs(() => row(() => extract(object)), maxCpuMs);
    t.ok(spent < maxCpuMs, `${what}: ${Math.round(spent)} ms`);
    t.match(extract({ value: 'y' }), { failures: [], attributes: { a699: 'y' } }, 'the next object starts afresh');
  }
});

t.test('a row has at most four megabytes, whatever makes it larger', async (t) => {
  const around = written({ a: '' }).length;
  const room = 4 * 1024 * 1024 - around;
  const fits: Record<string, Json> = { bytes: 'x'.repeat(room), escapes: '<'.repeat(Math.floor(room / 6)), quotes: '"'.repeat(room >> 1), 'characters of two bytes': 'é'.repeat(room >> 1), 'characters of four bytes': '😀'.repeat(room >> 2) };
  for (const [what, value] of Object.entries(fits)) {
    t.ok(Buffer.byteLength(written({ a: value })) <= around + room, what);
    t.throws(() => written({ a: `${value as string}${(value as string).slice(0, 8)}` }), { code: 'KOL_EXTRACT_SIZE' }, what);
    t.ok(idleCpuMs(() => row(() => ({ attributes: { a: (value as string).repeat(4) }, failures: [] })), maxCpuMs) < maxCpuMs, `${what}: in no time`);
  }
  const endless = { get a(): string { throw new RangeError('Invalid string length'); } };
  t.throws(() => written(endless), { code: 'KOL_EXTRACT_SIZE' }, 'more than a string can hold');
});

t.test('many attributes that read one map of many keys fail when that becomes too much, and from then on cost nothing', async (t) => {
  const members = list(40_000, (v) => v).map((v) => [`k${String(v)}`, v] as const);
  const object = { map: Object.fromEntries(members), password: Object.fromEntries(members.slice(0, 10_000)) } as JsonObject;
  for (const path of ['$.map', '$.map.*', '$.map[?(@ > 1)]', '$..a', '$.password', 'cel:object', 'cel:object.map', 'cel:[object.map]', 'cel:string(object.map.size())', 'cel:"k1" in object.map', 'cel:object.map.map(k, k)', 'cel:object.map == object.map']) {
    const attributes = [...Array.from({ length: 700 }, (_, index) => ({ name: `a${index}`, path })), { name: 'zero', path: '$.map.k0' }];
    const { extract } = compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'X' }, attributes } });
    const { attributes: collected, failures } = extract(object);
    t.match(failures.at(-1), { attribute: 'a99', message: /too many steps/ }, path);
    t.equal(collected['zero'], 0, 'what takes no steps is collected all the same');
    const spent = idleCpuMs(() => row(() => extract(object)), maxCpuMs);
    t.ok(spent < maxCpuMs, `${path}: ${Math.round(spent)} ms`);
  }
});

const seed = Number(process.env['KOLLECT_FUZZ_SEED'] ?? 20_260_101);

const token = fc.constantFrom('object', '.list', '.map', '.text', '[0]', '[*]', '..', '.*', '(', ')', ' + ', ' == ', ' && ', ' || ', '"x"', '1', '.map(x, x)', '.filter(x, true)', '.all(y, y == y)', '.size()', '.matches("(a*)*")', '{', '}', '[', ']', ',', '?', ':', '!', '@', '$', '😀', 'optional.of(', 'has(', 'in');
const expression = fc.oneof({ weight: 12, arbitrary: fc.constantFrom(...expressions) }, { weight: 2, arbitrary: fc.constantFrom(...expressions).map((inner) => `[1, 2, 3].map(i, ${inner})`) }, fc.tuple(fc.constantFrom(...expressions), fc.constantFrom('+', '==', '||', '&&', '<', 'in'), fc.constantFrom(...expressions)).map(([left, operator, right]) => `(${left}) ${operator} (${right})`), fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join('')));
const path = fc.oneof({ weight: 12, arbitrary: expression.map((text) => `cel:${text}`) }, { weight: 12, arbitrary: fc.constantFrom(...paths) }, fc.tuple(fc.constantFrom(...paths.filter((text) => text.startsWith('$'))), fc.constantFrom(...paths.filter((text) => text.startsWith('$')))).map(([left, right]) => left + right.slice(1)), fc.array(token, { maxLength: 40 }).map((tokens) => tokens.join('')));
const profile = fc.record({
  attributes: fc.array(fc.record({ path, type: fc.constantFrom(undefined, 'string', 'list', 'int'), optional: fc.boolean() }), { maxLength: 8 }).map((all) => all.map((attribute, index) => ({ name: `a${index}`, ...attribute }))),
  prune: fc.option(fc.record({ jsonPaths: fc.array(fc.constantFrom(...paths.filter((text) => text.startsWith('$'))), { maxLength: 5 }), cel: fc.array(fc.oneof(fc.constantFrom(...conditions), expression), { maxLength: 3 }), scrubKeys: fc.array(fc.string({ minLength: 1 }), { maxLength: 3 }) })),
});

t.test('generated profiles are compiled, and those that compile are evaluated, each in no time', async (t) => {
  t.comment(`seed ${seed}, ${runs} profiles`);
  const slowest = { compile: 0, extract: 0 };
  let compiledOnes = 0;
  let evaluatedOnes = 0;
  const named = Object.entries(objects);
  fc.assert(
    fc.property(profile, fc.constantFrom(...named), fc.nat(), ({ attributes, prune }, [what, object], generation) => {
      const spec = { targetGVK: { version: 'v1', kind: 'X' }, attributes, ...(prune === null ? {} : { export: { mode: 'Resource', include: 'All', prune } }) };
      const raw = { apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectProfile', metadata: { name: 'x', namespace: 'y', uid: 'z', generation }, spec };
      let compiled: ReturnType<CompiledProfiles['of']> | undefined;
      const compiling = idleCpuMs(() => (compiled = new CompiledProfiles().of(raw)), maxCpuMs);
      let extracting = 0;
      if (compiled !== undefined && !(compiled instanceof KollectError)) {
        const { extract } = compiled;
        // Evaluating takes a hundred times as long as compiling.
        if (!isFull || compiledOnes % 10 === 0) {
          evaluatedOnes++;
          extracting = idleCpuMs(() => row(() => extract(object)), maxCpuMs);
        }
        compiledOnes++;
      }
      slowest.compile = Math.max(slowest.compile, compiling);
      slowest.extract = Math.max(slowest.extract, extracting);
      if (Math.max(compiling, extracting) >= maxCpuMs) t.fail(`${what}: ${Math.round(compiling)} ms to compile, ${Math.round(extracting)} ms to evaluate ${JSON.stringify(spec)}`);
    }),
    { numRuns: runs, seed },
  );
  t.comment(`${compiledOnes} of ${runs} compile, ${evaluatedOnes} were evaluated; the slowest took ${Math.round(slowest.compile)} ms to compile and ${Math.round(slowest.extract)} ms to evaluate`);
  t.ok(compiledOnes > runs / 10);
});

t.test('what a budget ends is over at once for the next object', async (t) => {
  const { evaluate } = compilePath('$..*..*');
  t.throws(() => evaluate(objects['maps in maps']), { code: 'KOL_EXTRACT_EVALUATE' });
  t.ok(idleCpuMs(() => evaluate(objects['small']), maxCpuMs) < maxCpuMs);
});
