import fc from 'fast-check';
import t from 'tap';
import { compilePath } from '../../shared/extract/compile-path.ts';
import { prunePath } from '../../shared/extract/prune.ts';
import { readsSecretData } from '../../shared/extract/secret-guard.ts';

const deployment = {
  metadata: { name: 'cart', labels: { 'app.kubernetes.io/name': 'cart', tier: 'gold', 'it\'s "x"': 1 }, annotations: null },
  spec: {
    replicas: 3,
    'max-surge': '25%',
    template: { spec: { containers: [{ name: 'cart', image: 'cart:2.4', ports: [80] }, { name: 'proxy', image: 'envoy:1.30' }] } },
    tiers: { b: 2, a: 1 },
    mixed: [1, null, 'x'],
    empty: [],
  },
  status: { conditions: [{ type: 'Available', status: 'True', 'last-seen': 1 }, { type: 'Ready', status: 'False' }] },
};

t.test('a path of names and single indexes gives one value', async (t) => {
  for (const [path, value] of [
    ['$.metadata.name', 'cart'],
    ['{.metadata.name}', 'cart'],
    ['{ .metadata.name }', 'cart'],
    ['{$.metadata.name}', 'cart'],
    ['  $.metadata.name  ', 'cart'],
    ["$['metadata']['name']", 'cart'],
    ['$["metadata"]["name"]', 'cart'],
    ["{['metadata']['name']}", 'cart'],
    ["{.metadata['name']}", 'cart'],
    ['{.metadata.labels.app\\.kubernetes\\.io/name}', 'cart'],
    ['$.metadata.labels.app\\.kubernetes\\.io/name', 'cart'],
    ["$.metadata.labels['app.kubernetes.io/name']", 'cart'],
    ["{.metadata.labels['app\\.kubernetes\\.io/name']}", 'cart'],
    [`$.metadata.labels['it\\'s "x"']`, 1],
    ['$.metadata.labels["it\'s \\"x\\""]', 1],
    ['$.metadata.labels["\\u0074ier"]', 'gold'],
    ['$.spec.max-surge', '25%'],
    ['$.spec.template.spec.containers[0].image', 'cart:2.4'],
    ['$.spec.template.spec.containers[-1].image', 'envoy:1.30'],
    ['$.spec.tiers', { b: 2, a: 1 }],
    ['$.spec.template.spec.containers[0].ports', [80]],
    ['$.spec.empty', []],
  ] as const) {
    const compiled = compilePath(path);
    t.ok(compiled.definite, `${path} is definite`);
    t.strictSame(compiled.evaluate(deployment), value, path);
  }
});

t.test('a definite path without a value', async (t) => {
  for (const [what, path] of [
    ['absent key', '$.spec.paused'],
    ['absent parent', '$.spec.nothing.there[0].name'],
    ['null', '$.metadata.annotations'],
    ['below null', '$.metadata.annotations.owner'],
    ['index beyond the end', '$.spec.template.spec.containers[5].image'],
    ['index before the start', '$.spec.template.spec.containers[-3].image'],
    ['index in an empty list', '$.spec.empty[0]'],
    ['index on a map', '$.spec.tiers[0]'],
    ['name on a list', '$.spec.empty.length'],
    ['name on text', '$.metadata.name.length'],
    ['inherited member', '$.spec.constructor'],
    ['prototype', '$.spec.__proto__'],
  ] as const) {
    t.equal(compilePath(path).evaluate(deployment), undefined, what);
  }
});

t.test('any other path gives a list, also for one match', async (t) => {
  for (const [path, value] of [
    ['$.spec.template.spec.containers[*].image', ['cart:2.4', 'envoy:1.30']],
    ['{.spec.template.spec.containers[*].image}', ['cart:2.4', 'envoy:1.30']],
    ['$.spec.template.spec.containers[*].ports', [[80]]],
    ['$.spec.template.spec.containers[:1].image', ['cart:2.4']],
    ['$.spec.template.spec.containers[::-1].name', ['proxy', 'cart']],
    ['$.spec.template.spec.containers[-1:].name', ['proxy']],
    ['$.spec.template.spec.containers[0,1].name', ['cart', 'proxy']],
    ["$.metadata['name','labels'].tier", ['gold']],
    ['$.spec.tiers.*', [1, 2]],
    ['$.spec.tiers[*]', [1, 2]],
    ['$..image', ['cart:2.4', 'envoy:1.30']],
    ['{..image}', ['cart:2.4', 'envoy:1.30']],
    ['$.spec..ports[0]', [80]],
    ['$.spec.mixed[*]', [1, 'x']],
    ["$.status.conditions[?(@.type=='Ready')].status", ['False']],
    ['{.status.conditions[?(@.type=="Ready")].status}', ['False']],
    ['$.status.conditions[?@.type == "Ready" || @.status == "True"].type', ['Available', 'Ready']],
    ['$.status.conditions[?(@.last-seen==1)].type', ['Available']],
    ['$.status.conditions[?(@.type=="]")].type', undefined],
    ['$.spec.template.spec.containers[?(@.ports)].name', ['cart']],
    ['$.spec.template.spec.containers[?length(@.name) > 4].name', ['proxy']],
    ['$.spec.tiers[?(@ > 1)]', [2]],
    ['$.spec.nothing[*].name', undefined],
    ['$.spec.empty[*]', undefined],
    ['$.spec.replicas[*]', undefined],
  ] as const) {
    const compiled = compilePath(path);
    t.notOk(compiled.definite, `${path} is not definite`);
    t.strictSame(compiled.evaluate(deployment), value, path);
  }
});

t.test('what is wrong with a path, where, and what to write instead', async (t) => {
  for (const [path, message] of [
    ['', 'the path is empty; write a path such as $.metadata.name'],
    ['   ', 'the path is empty; write a path such as $.metadata.name'],
    ['metadata.name', '"metadata.name" is plain text, not a path; write "$.metadata.name"'],
    ['.metadata.name', '".metadata.name" is plain text, not a path; write "$.metadata.name"'],
    ['object.metadata.name', 'CEL needs the cel: prefix; write "cel:object.metadata.name"'],
    ["object['x']", 'CEL needs the cel: prefix; write "cel:object[\'x\']"'],
    ['$', 'the path selects the whole object; name a field, such as $.metadata.name'],
    ['{}', 'the path selects the whole object; name a field, such as $.metadata.name'],
    ['{.metadata.name', '"{" is not closed in "{.metadata.name"; write "{.metadata.name}"'],
    ['{.a}-{.b}', /^text outside the braces \("-\{\.b\}"\) is not supported; write one path/],
    ['x={.a}', /^text outside the braces \("x="\) is not supported/],
    ['{range .items[*]}{.a}{end}', 'range is not supported; write a wildcard, such as $.items[*].name'],
    ['$.a..', 'a name is missing after "." at character 6 of "$.a.."'],
    ['$.a b', /^unexpected " " in a name at character 4 of "\$\.a b"; quote such a name/],
    ['$.a[b]', /^"b" in brackets is not quoted at character 5 of .*; write "\$\.a\['b'\]"/],
    ['$.a[b].c d', /^"b" in brackets is not quoted at character 5 of .*; write \['b'\]$/],
    ['@.a', /write "\$\.a"$/],
    ['metadata.labels[app]', /write "\$\.metadata\.labels\['app'\]"$/],
    ['metadata.name}', /write "\$\.metadata\.name"$/],
    ['.a}', /write "\$\.a"$/],
    ['cel object.x', /write "cel:object\.x"$/],
    ['self.metadata.name', /write "cel:object\.metadata\.name"$/],
    ['cel:$.metadata.name', /write "\$\.metadata\.name"$/],
    ['clel: object.x', /write "cel:object\.x"$/],
    ['{{ .metadata.name }}', /write "\{\.metadata\.name\}"$/],
    ["jsonpath='{.metadata.name}'", /write "\{\.metadata\.name\}"$/],
    ['$..', /^a name is missing after "\." .*; write a name/],
    ['$.a..', /; write "\$\.a"$/],
    ['not a path at all', /^"not a path at all" is plain text, not a path; write a path such as/],
    ['helm:release.manifst', /has no field "manifst"; known are/],
    ['$.a[^]', /^unexpected "\^" in brackets at character 5 of .*; quote a key, as in \['key'\]/],
    ["$.a['b", "the quote ' is not closed at character 5 of \"$.a['b\""],
    ['$.a[0', /^"\[" is not closed at character 4 of .*; add "\]"/],
    ['$.a[1:2:3:4]', /^"1:2:3:4" is not an index or slice at character 5/],
    ['$.a[(@.length-1)]', /^script expressions are not supported at character 5 .*; write a negative index, such as \[-1\]/],
    ['$.a[?(@.x==)]', /^the filter "\?\(@\.x==\)" is not valid: .*; write it as in/],
    ['$.a[?match(@.x, "a")]', /uses match\(\) or search\(\), which are not supported; use matches\(\) in CEL/],
    ['$.a[?(@.x==$.y)]', /cannot refer to the root with \$; compare with a literal, or use CEL/],
    ['$.a[?@..x]', /holds "\.\.", a union or another filter; use CEL/],
    ['$.a[?count(@[0,1])>1]', /holds "\.\.", a union or another filter; use CEL/],
    ['$..a..b..c', '".." appears more than 2 times; name the fields between'],
    [`$.${'a'.repeat(5000)}`, 'the path has 5002 characters, at most 4096 are allowed'],
    [`$${'.a'.repeat(100)}`, /^more than 64 steps/],
    ['helm:release.', /names no field of a release/],
    ['helm:chart', /is not a Helm path; write helm:release\.<field>/],
    ['helm:release.manifest', /manifest is not exportable/],
    ['helm:release.chart.templates.x', /chart\.templates is not exportable/],
    ['helm:release.chart', /chart includes chart\.templates, which is not exportable/],
    ['cel:', /^the expression is empty/],
    ['cel:  ', /^the expression is empty/],
  ] as const) {
    t.throws(() => compilePath(path), { code: /^cel:(?!\$)/.test(path) ? 'KOL_EXTRACT_CEL' : 'KOL_EXTRACT_PATH', message }, path.slice(0, 40));
  }
});

t.test('a path that a message writes instead compiles, whatever the slip', async (t) => {
  const good = ['$.metadata.name', '{.metadata.name}', '$.metadata.labels["app"]', "{.items[*].a['b']}", '$..image', 'cel:object.metadata.name', 'cel:size(object.spec.a) > 2', 'helm:release.chartVersion', '$.a[?(@.b=="c")].d'];
  const slip = fc.oneof(
    fc.record({ at: fc.nat(), drop: fc.constantFrom(0, 1, 2), add: fc.constantFrom('', '.', '..', '{', '}', '[', ']', "'", '"', '$', '@', ' ', ':', 'x', '*', '(') }),
    fc.record({ at: fc.constant(0), drop: fc.constantFrom(0, 1, 2, 4), add: fc.constantFrom('', '@', 'cel ', 'cel:', 'self.', '${', '{{', 'jsonpath=', 'helm:', 'spec.') }),
  );
  let mended = 0;
  fc.assert(
    fc.property(fc.constantFrom(...good), fc.array(slip, { minLength: 1, maxLength: 2 }), (path, slips) => {
      const text = slips.reduce((whole, { at, drop, add }) => whole.slice(0, at % (whole.length + 1)) + add + whole.slice((at % (whole.length + 1)) + drop), path);
      for (const compile of [compilePath, prunePath]) {
        const message = messageOf(() => compile(text));
        const [, written] = /; write ("(?:[^"\\]|\\.)*")$/.exec(message) ?? /, such as (helm:\S+)$/.exec(message) ?? [];
        if (written === undefined) continue;
        mended++;
        if (messageOf(() => compile(written.startsWith('"') ? (JSON.parse(written) as string) : written)) !== '') throw new Error(`${text}: ${message}`);
      }
    }),
    { numRuns: 3000, seed: 1 },
  );
  t.ok(mended > 500, `${mended} mended`);
});

function messageOf(compile: () => unknown): string {
  try {
    compile();
    return '';
  } catch (error) {
    return (error as Error).message;
  }
}

t.test('a filter that matches nothing does not mistake quoted names for functions', async (t) => {
  t.doesNotThrow(() => compilePath('$.a[?(@.x=="match(a)")]'));
});

t.test('which paths may read the data of a Secret', async (t) => {
  for (const [path, reads] of [
    ['$.metadata.name', false],
    ['$.type', false],
    ['$.metadata.labels', false],
    ['$.metadata.labels.data', false],
    ['$.metadata.labels[*]', false],
    ['$.metadata.annotations.owner', false],
    ['$.metadata.ownerReferences[*].name', false],
    ['$.data', true],
    ['$.data.release', true],
    ['$.stringData.x', true],
    ['$.Data', true],
    ["{['data']['x']}", true],
    ["$['data','type']", true],
    ['$..data', true],
    ['$..password', true],
    ['$.*', true],
    ['$[?(@.x)]', true],
    ['$.metadata', true],
    ['$.metadata.annotations', true],
    ['$.metadata.*', true],
    ['$.metadata..x', true],
    ["$.metadata.annotations['kubectl.kubernetes.io/last-applied-configuration']", true],
    ['cel:object.metadata.name', false],
    ['cel:object.metadata.labels.exists(k, k == "data")', false],
    ['cel:has(object.metadata.annotations) ? object.metadata.annotations["owner"] : ""', false],
    ['cel:object.data.release', true],
    ['cel:has(object.data.release)', true],
    ['cel:object["data"]', true],
    ['cel:object.?data.?x', true],
    ['cel:object[object.metadata.name]', true],
    ['cel:object', true],
    ['cel:object == object', true],
    ['cel:[object].map(o, o.metadata.name)', true],
    ['cel:dyn(object).type', true],
    ['cel:object.metadata', true],
    ['cel:object.metadata.annotations.map(k, k)', true],
    ['cel:object.metadata.annotations[object.type]', true],
    ['cel:cel.bind(o, object, o.data)', true],
    ['cel:1 + 1', false],
    ['helm:release.config', true],
    ['helm:release.config.db', true],
    ['helm:release.chartVersion', false],
  ] as const) {
    t.equal(readsSecretData(compilePath(path)), reads, path);
  }
});
