import fc from 'fast-check';
import t from 'tap';
import { compileCel } from '../../shared/extract/cel.ts';
import { cpuMs } from './cpu-time.ts';

const object = {
  metadata: { name: 'cart', creationTimestamp: '2026-01-02T03:04:05Z', labels: { tier: 'gold', app: 'cart' }, note: null },
  spec: {
    replicas: 3,
    ratio: 0.5,
    whole: 2.5,
    paused: false,
    big: 9007199254740993n,
    text: 'Größe 😀',
    ports: [80, 443],
    containers: [
      { name: 'cart', image: 'registry.example/cart:2.4', ports: [{ port: 80 }], limits: { cpu: 1 } },
      { name: 'proxy', image: 'envoy:1.30', ports: [] },
    ],
    unordered: { zeta: 1, alpha: 2 },
  },
};

t.test('values of expressions', async (t) => {
  for (const [expression, value, type] of [
    ['object.metadata.name', 'cart', 'dyn'],
    ['object["metadata"]["name"]', 'cart', 'dyn'],
    ['object.metadata.name + "-x"', 'cart-x', 'string'],
    ['object.metadata.note', undefined, 'dyn'],
    ['null', undefined, 'null'],
    // integers
    ['object.spec.replicas', 3, 'dyn'],
    ['object.spec.replicas + 1', 4, 'int'],
    ['object.spec.replicas / 2', 1, 'int'],
    ['object.spec.replicas % 2 == 1', true, 'bool'],
    ['object.spec.replicas - (object.spec.replicas - 1)', 1, 'int'],
    ['object.spec.ratio + 0.25', 0.75, 'double'],
    ['object.spec.big', 9007199254740993n, 'dyn'],
    ['object.spec.big + 1', 9007199254740994n, 'int'],
    ['type(object.spec.replicas) == int', true, 'bool'],
    ['type(object.spec.ratio) == double', true, 'bool'],
    ['string(object.spec.replicas) + " pods"', '3 pods', 'string'],
    ['double(object.spec.replicas) / 2.0', 1.5, 'double'],
    ['int("42") + 1', 43, 'int'],
    ['int(object.spec.whole)', 2, 'int'],
    ['object.spec.ports[0] + 1', 81, 'int'],
    ['object.spec.ports == [80, 443]', true, 'bool'],
    ['443 in object.spec.ports', true, 'bool'],
    ['object.spec.ports + [8080]', [80, 443, 8080], 'list'],
    ['object.spec.containers[0].limits == {"cpu": 1}', true, 'bool'],
    ['object.spec.containers.map(c, c.ports.map(p, p.port + 1))', [[81], []], 'list<list<int>>'],
    ['[1.0, 2.0].map(x, x + 0.5)', [1.5, 2.5], 'list<double>'],
    ['uint(3) + 2u', 5, 'uint'],
    // macros
    ['has(object.status) && has(object.status.ready) ? object.status.ready : 0', 0, 'dyn'],
    ['has(object.metadata.note)', true, 'bool'],
    ['object.spec.containers.map(c, c.image)', ['registry.example/cart:2.4', 'envoy:1.30'], 'list'],
    ['object.spec.containers.map(c, c.image.startsWith("envoy"), c.name)', ['proxy'], 'list'],
    ['object.spec.containers.filter(c, size(c.ports) > 0).map(c, c.name)', ['cart'], 'list'],
    ['object.spec.containers.all(c, c.image.contains(":"))', true, 'bool'],
    ['object.spec.containers.exists(c, c.name == "proxy")', true, 'bool'],
    ['object.spec.containers.exists_one(c, c.name == "cart")', true, 'bool'],
    ['object.spec.containers.exists(c, c.absent || c.name == "proxy")', true, 'bool'],
    ['object.spec.unordered.map(k, k)', ['alpha', 'zeta'], 'list'],
    ['object.spec.unordered.map(k, object.spec.unordered[k] * 10)', [20, 10], 'list<int>'],
    ['cel.bind(n, object.spec.replicas, n * n)', 9, 'dyn'],
    ['object.?spec.?absent.orValue("none")', 'none', 'dyn'],
    ['object.?spec.?replicas.orValue(0) + 1', 4, 'int'],
    ['object.?spec.?absent', undefined, 'optional<dyn>'],
    ['object.?spec.?replicas', 3, 'optional<dyn>'],
    ['[1, 2, 3, 4].filter(x, x > 1).filter(x, x > 2).filter(x, x > 3).map(x, x).map(x, x)', [4], 'list'],
    ['object.metadata.labels.transformMapEntry(k, v, {v: k})', { gold: 'tier', cart: 'app' }, 'map'],
    ['object.spec.ports.transformList(i, p, i * 1000 + p)', [80, 1443], 'list'],
    ['object.spec.ports.all(i, p, p > i)', true, 'bool'],
    ['object.spec.ports.sortBy(p, -p)', [443, 80], 'list'],
    ['format.dns1123Label().validate("A").value()', ['must be lower case letters, digits and "-", and begin and end with a letter or digit'], 'dyn|list'],
    // strings
    ['"a,b".split(",")', ['a', 'b'], 'list<string>'],
    ['["a", "b"].join("-")', 'a-b', 'string'],
    ['"hello".substring(1, 3)', 'el', 'string'],
    ['"hello".indexOf("l")', 2, 'int'],
    ['"hello".lastIndexOf("l")', 3, 'int'],
    ['"hello".charAt(4)', 'o', 'string'],
    ['" x ".trim()', 'x', 'string'],
    ['"Größe".upperAscii()', 'GRößE', 'string'],
    ['"GRÖSSE".lowerAscii()', 'grÖsse', 'string'],
    ['"a.b.c".replace(".", "-")', 'a-b-c', 'string'],
    ['"a.b.c".replace(".", "-", 1)', 'a-b.c', 'string'],
    ['"a.b.c".replace(".", "$&", -1)', 'a$&b$&c', 'string'],
    ['size(object.spec.text)', 7, 'int'],
    ['object.spec.text.size()', 7, 'int'],
    ['object.metadata.name.matches("^[a-z]+$")', true, 'bool'],
    ['matches(object.metadata.name, "^[0-9]+$")', false, 'bool'],
    ['"xcarty".matches("cart")', true, 'bool'],
    ['"CART".matches("(?i)cart")', true, 'bool'],
    // time and bytes
    ['timestamp(object.metadata.creationTimestamp)', '2026-01-02T03:04:05Z', 'google.protobuf.Timestamp'],
    ['timestamp("2026-01-02T03:04:05.250Z")', '2026-01-02T03:04:05.25Z', 'google.protobuf.Timestamp'],
    ['string(timestamp(object.metadata.creationTimestamp) + duration("1h"))', '2026-01-02T04:04:05Z', 'string'],
    ['int(timestamp("1970-01-01T00:00:01Z"))', 1, 'int'],
    ['timestamp(object.metadata.creationTimestamp).getFullYear()', 2026, 'int'],
    ['duration("1h30m")', 5_400_000_000_000, 'google.protobuf.Duration'],
    ['string(duration("1h0.25s"))', '3600.25s', 'string'],
    ['duration("1m") > duration("59s")', true, 'bool'],
    ['b"abc"', 'YWJj', 'bytes'],
    // results that are built
    ['{"a": object.spec.replicas, "b": [object.spec.ratio]}', { a: 3, b: [0.5] }, 'map'],
    ['object.metadata.labels', { tier: 'gold', app: 'cart' }, 'dyn'],
    ['[timestamp("2026-01-02T03:04:05Z"), duration("1s")]', ['2026-01-02T03:04:05Z', 1_000_000_000], 'list'],
  ] as const) {
    const compiled = compileCel(expression);
    t.strictSame(compiled.evaluate(object), value, expression);
    t.match(compiled.resultType, new RegExp(`^${type.replace(/[<>]/g, '.')}`), `type of ${expression}`);
  }
});

t.test('an expression that does not compile is explained', async (t) => {
  for (const [expression, message] of [
    ['', /^the expression is empty/],
    ['1 +', /^the CEL expression is not complete: something is missing at character 4 of "1 \+"$/],
    ['object..x', /at character 8 of/],
    ['self.name', /^the CEL expression does not compile: Unknown variable: self at character 1 of .*; did you mean object\?$/],
    ['object.name.reverse2()', /^the CEL expression does not compile: unknown function reverse2\(\) at character 13/],
    ['now()', /^the CEL expression does not compile: unknown function now\(\) at character 1/],
    ['object.items.exist(x, x > 1)', /unknown function exist\(\) at character 14 .*; did you mean exists\(\)\?/],
    ['size(1)', /known are size\(string\), /],
    ['1 + "a"', /^the CEL expression does not compile: no such overload: int \+ string at character 1/],
    ['object.x ? 1 : "a"', /Ternary branches must have the same type, got 'int' and 'string'/],
    ['has(object)', /has\(\) invalid argument/],
    ['[1].map(1, 2)', /invalid predicate iteration variable/],
    ['[1].all(1, x, true)', /the first arguments of all\(\) must be names of variables/],
    ['[1].all(x, x, true)', /the variables have the same name/],
    ['[1].exists(i, x, x)', /needs a condition that gives true or false, not int/],
    ['"a".matches("(")', /the regular expression is not valid: missing closing \)$/],
    ['matches("a", "(?=b)")', /the regular expression is not valid/],
    ['"a".matches("\\\\pL")', /uses a Unicode class/],
    ['"a".matches("(?i)é")', /ignores case beyond ASCII/],
    ['"a".matches("(a?){300}")', /too large; use smaller repeat counts$/],
    ['"a".find("(")', /the regular expression is not valid: missing closing \)$/],
    ['"a".findAll("(", 2)', /the regular expression is not valid: missing closing \)$/],
    ['"a".matches("(a{9}){200}")', /the regular expression is not valid: invalid repeat count/],
    [`"a".matches("${'a'.repeat(300)}")`, /longer than 256 characters$/],
    ['bytes("{}").json()', /^unknown function json\(\) at character 1$/],
    ['object.a.map(a, object.a.map(b, object.a.map(c, object.a.map(d, d))))', /^loops .* are nested deeper than 3$/],
    [`${'('.repeat(100)}1${')'.repeat(100)}`, /more than 60 levels inside one another/],
    [`1${' + 1'.repeat(200)}`, /^the expression is nested deeper than 120 levels$/],
    [`"${'x'.repeat(5000)}"`, /^the expression has 5002 characters, at most 4096 are allowed$/],
  ] as const) {
    t.throws(() => compileCel(expression), { code: 'KOL_EXTRACT_CEL', message }, expression.slice(0, 60));
  }
});

t.test('an evaluation that fails says where, and shows no value of the object', async (t) => {
  const secretive = { key: 'canary-key', data: { a: 1 }, text: 'canary-text', list: ['canary-item'], pattern: '(canary' };
  for (const [expression, message] of [
    ['object.absent', /^no such key at "object\.absent"; guard it with has\(\)$/],
    ['object.absent.more', /^no such key at "object\.absent"/],
    ['object.data[object.key]', /^no such key at "object\.data\[object\.key\]"/],
    ['object.list[7]', /^index out of range at "object\.list\[7\]"$/],
    ['int(object.text)', /^the text is not an integer/],
    ['int("")', /^the text is not an integer/],
    ['int("0x1f")', /^the text is not an integer/],
    ['double(object.text)', /^the text is not a number/],
    ['bool(object.text)', /^the text is not a bool/],
    ['timestamp(object.text)', /^the text is not a timestamp/],
    ['duration(object.text)', /^the text is not a duration/],
    ['"a".matches(object.pattern)', /the regular expression is not valid: missing closing \)$/],
    ['object.text + 1', /^no such overload: string \+ int/],
    ['object.text ? 1 : 2', /got 'string'/],
    ['object.text && true', /requires bool operands, got 'string'/],
    ['object.text.map(x, x)', /cannot be range of a comprehension/],
    ['1 / (object.data.a - 1)', /^division by zero/],
    ['9223372036854775807 + object.data.a', /^number out of range/],
    ['object.text.substring(99)', /out of range/],
    ['timestamp("2026-01-01T00:00:00Z") + duration("9999999999h")', /^the timestamp is outside the years 1 to 9999$/],
    ['type(object.text)', /^the result is not a value that JSON can hold$/],
    ['1.0 / (double(object.data.a) - 1.0)', /^the result is not a finite number$/],
    ['object.list.exists(x, x.nope)', /^no such key at "x\.nope"|no such overload|cannot/],
  ] as const) {
    const compiled = compileCel(expression);
    t.throws(() => compiled.evaluate(secretive), { code: 'KOL_EXTRACT_EVALUATE', message }, expression);
    try {
      compiled.evaluate(secretive);
    } catch (error) {
      t.notMatch(String((error as Error).message), /canary/, `${expression} keeps values to itself`);
    }
  }
});

t.test('static types tell which expressions can be a policy', async (t) => {
  for (const [expression, type] of [
    ['object.metadata.name == "x"', 'bool'],
    ['object.spec.paused', 'dyn'],
    ['1 + 1', 'int'],
    ['"a"', 'string'],
    ['object.spec.ports.exists(p, p == 80)', 'bool'],
  ] as const) {
    t.equal(compileCel(expression).resultType, type, expression);
  }
});

t.test('evaluations do not see each other', async (t) => {
  const ports = compileCel('object.ports.map(p, p + 1)');
  t.strictSame(ports.evaluate({ ports: [1] }), [2]);
  t.strictSame(ports.evaluate({ ports: [5, 6] }), [6, 7]);
  t.throws(() => ports.evaluate({}), { code: 'KOL_EXTRACT_EVALUATE' });
  t.strictSame(ports.evaluate({ ports: [7] }), [8]);
  const source = { ports: [1, 2], deep: { n: 1 } };
  compileCel('[object.deep, object.ports]').evaluate(source);
  t.strictSame(source, { ports: [1, 2], deep: { n: 1 } }, 'the object keeps its numbers');
});

/** 20,000 elements: an object of about 1 MB. */
const large = {
  list: Array.from({ length: 20_000 }, (_, v) => ({ name: `n${v}`, v })),
  same: Array.from({ length: 20_000 }, (_, v) => ({ name: `n${v}`, v })),
  numbers: Array.from({ length: 100_000 }, (_, v) => v),
  text: 'x'.repeat(1_000_000),
};

t.test('no expression runs for long', async (t) => {
  const doubling = '.map(a, a + a)'.repeat(40);
  for (const [what, expression] of [
    ['nested loops', 'object.list.all(x, object.list.all(y, object.list.all(z, x.v + y.v + z.v >= 0)))'],
    ['errors that a loop swallows', 'object.list.exists(x, x.a == 1 || x.b == 2 || x.c == 3)'],
    ['exhaustion that an operator swallows', 'object.numbers.all(x, object.numbers.all(y, y >= 0)) || true'],
    ['text that doubles', `["xxxxxxxxxxxxxxxx"]${doubling}`],
    ['lists that double', `[[1]]${doubling}`],
    ['results that repeat the object', 'object.list.map(x, object.list)'],
    ['comparison of large values', Array.from({ length: 90 }, () => '(object.list == object.same)').join('&&')],
    ['search in a list, for each of a list', 'object.numbers.filter(x, x in object.numbers)'],
    ['splitting', Array.from({ length: 40 }, () => 'object.text.split("").size()').join('+')],
    ['replacing', 'object.text.replace("x", object.text)'],
    ['joining', 'object.list.map(x, x.name).join(object.text)'],
    ['regular expression over a long text', 'object.text.matches("(x+x+)+y")'],
    ['many regular expressions', 'object.list.map(x, "a".matches(x.name))'],
    ['many matches', 'object.text.findAll("x+?").size()'],
    ['a range beyond reason', 'lists.range(1000000000).size()'],
    ['distinct values', 'object.numbers.distinct().size()'],
    ['sorting', 'object.numbers.sort().size()'],
    ['sets', 'sets.equivalent(object.numbers, object.numbers)'],
    ['places in lists', 'object.numbers.map(x, object.numbers.indexOf(x))'],
    ['formatting', '"%s".format([object.list])'],
    ['loops over keys and values', 'object.list.all(i, x, object.list.all(j, y, object.list.all(k, z, i + j + k >= 0)))'],
    ['errors that such a loop swallows', 'object.list.exists(i, x, x.a == 1 || x.b == 2)'],
    ['lists made of lists', 'object.list.transformList(i, x, object.list.transformList(j, y, x))'],
    ['sorting by what is computed', 'object.list.sortBy(x, object.list.filter(y, y == x).size())'],
    ['time zones', 'object.numbers.map(x, timestamp(x).getHours("Europe/Berlin"))'],
  ] as const) {
    const spent = cpuMs(() => t.throws(() => compileCel(expression).evaluate(large), { message: /too many steps/ }, what), 2000);
    // About 30 ms on an idle machine; without a budget these run for seconds to years.
    t.ok(spent < 2000, `${what} ends`);
  }
  const spent = cpuMs(() => t.equal(compileCel('object.text.matches("^(x+)+$")').evaluate({ text: `${'x'.repeat(5000)}!` }), false), 2000);
  t.ok(spent < 2000, 'a pattern that backtracks elsewhere is linear here');
});

t.test('a budget is whole again for the next object', async (t) => {
  const compiled = compileCel('object.list.exists(x, object.list.exists(y, x.v + y.v < 0))');
  t.throws(() => compiled.evaluate(large), { message: /too many steps/ });
  t.equal(compiled.evaluate({ list: [{ v: 1 }] }), false);
});

t.test('deeply nested objects are an error, not a crash', async (t) => {
  let deep: unknown = 1;
  for (let i = 0; i < 20_000; i++) deep = { a: [deep] };
  for (const expression of ['object.deep', 'object.deep == object.other', 'object', 'size(object.deep)']) {
    try {
      compileCel(expression).evaluate({ deep, other: { a: [deep] } });
      t.equal(expression, 'size(object.deep)', 'only a function that looks at the surface can succeed');
    } catch (error) {
      t.match(error, { code: 'KOL_EXTRACT_EVALUATE' }, expression);
    }
  }
});

t.test('any text compiles, or is refused with a message of ours', async (t) => {
  const token = fc.constantFrom('object', '.', 'a', '[', ']', '(', ')', '0', '1.5', '"x"', '+', '-', '==', '&&', '||', '!', '?', ':', ',', 'map', 'has', 'matches', 'cel', 'bind', '{', '}', ' ', 'in', 'null', 'b"\\x"', '//', '\n', 'size', 'all', '`');
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.oneof(fc.array(token, { maxLength: 30 }).map((tokens) => tokens.join('')), fc.string()), (text) => {
        try {
          const compiled = compileCel(text);
          try {
            compiled.evaluate(object);
          } catch (error) {
            return (error as { code?: string }).code === 'KOL_EXTRACT_EVALUATE';
          }
        } catch (error) {
          return (error as { code?: string }).code === 'KOL_EXTRACT_CEL';
        }
        return true;
      }),
      { numRuns: 3000 },
    ),
  );
});
