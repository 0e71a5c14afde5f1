import { attributesOf, canary, hidden, hiddenText, optional, type Example, type ExampleObject, type World } from './example.ts';

const resource = (name: string, extra: object): ExampleObject => ({ apiVersion: 'shop.example/v1', kind: 'Matrix', metadata: { name }, ...extra });

/** The plural follows no rule; both versions are served, and stored as the newer one. */
const definition: ExampleObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'matrices.shop.example' },
  spec: {
    group: 'shop.example',
    scope: 'Namespaced',
    names: { kind: 'Matrix', plural: 'matrices' },
    versions: ['v1', 'v1beta1'].map((name) => ({ name, served: true, storage: name === 'v1', schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } })),
  },
};

const clusterDefinition: ExampleObject = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'planets.shop.example' },
  spec: {
    group: 'shop.example',
    scope: 'Cluster',
    names: { kind: 'Planet', plural: 'planets' },
    versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } } }],
  },
};

const values = resource('values', {
  spec: {
    // Written as digits: JavaScript has no such number.
    large: 9_007_199_254_740_993n,
    largest: 9_223_372_036_854_775_807n,
    negative: -9_223_372_036_854_775_808n,
    ratio: 0.1,
    tiny: 1e-7,
    whole: 2,
    empty: { text: '', list: [], map: {}, nothing: null },
    mixed: [1, 'a', true, null, { a: [] }, [2]],
    unicode: { 'ключ': 'значение', '😀': 'a\u2028b', 'é': 'e\u0301' },
    order: { '10': 'ten', '9': 'nine', b: 'b', B: 'B' },
    html: '<a href="x">&</a>',
    odd: { 'with space': 1, "it's": 2, 'a.b/c': 3, '': 4, constructor: 5 },
    url: `https://user:${canary}@db.example.com:5432/path?password=${canary}`,
    jwt: `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.${canary}-canary-canary`,
    pem: `-----BEGIN RSA PRIVATE KEY-----\n${canary}\n-----END RSA PRIVATE KEY-----`,
    db: { password: canary, user: 'shop', nested: { apiKey: canary } },
    auth: { basic: { user: canary, pass: canary, pin: 4711 }, enabled: true },
    args: [`--password=${canary}`, `root:${canary}@tcp(db:3306)/shop`, `Bearer ${canary}1`, '--v=2'],
    credentials: [{ name: 'token', value: canary }, { name: 'user', value: 'shop' }],
  },
});

const map = (name: string, data: Record<string, string> | undefined, more: object = {}): ExampleObject => ({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, ...(data === undefined ? {} : { data }), ...more });

const matrix = { group: 'shop.example', version: 'v1', kind: 'Matrix' };
const configMap = { version: 'v1', kind: 'ConfigMap' };
type Path = string | { path: string; type?: string; optional?: boolean };
const ofValues = (path: Path, value: unknown): Example => ({ profile: { targetGVK: matrix, attributes: attributesOf({ value: path }) }, target: { names: ['values'] }, rows: { values: value === undefined ? {} : { value } } });
const ofMap = (name: string, path: Path, value: unknown): Example => ({ profile: { targetGVK: configMap, attributes: attributesOf({ value: path }) }, target: { names: [name] }, rows: { [name]: value === undefined ? {} : { value } } });
const failing = (example: Example, error: string): Example => ({ ...example, status: { failures: 1, error: `attribute "value": ${error}` } });

export const data: World = {
  home: 'values',
  objects: [
    definition,
    clusterDefinition,
    values,
    { apiVersion: 'shop.example/v1beta1', kind: 'Matrix', metadata: { name: 'older' }, spec: { old: true } },
    { apiVersion: 'shop.example/v1', kind: 'Planet', metadata: { name: 'earth', labels: { orbit: '3' } }, spec: { moons: 1 } },
    { apiVersion: 'shop.example/v1', kind: 'Planet', metadata: { name: 'mars', labels: { orbit: '4' } }, spec: { moons: 2 } },
    map('settings', { size: '42', ratio: '0.5', on: 'true', large: '9007199254740993', text: 'Hällo 😀', empty: '', url: 'https://example.com:8443/a/b?x=1&x=2', version: '1.2.3', day: '2026-01-31T00:00:00Z', list: 'b,a', 'with.dots': 'dotted', zeros: '007', exponent: '1e3' }),
    map('bare', undefined),
    map('binary', undefined, { binaryData: { blob: 'AAECAw==' } }),
    map('fixed', { a: '1' }, { immutable: true }),
  ],
  examples: {
    'integers beyond 2^53': ofValues('$.spec.large', 9_007_199_254_740_993n),
    'the largest integer': ofValues('$.spec.largest', 9_223_372_036_854_775_807n),
    'the smallest integer': ofValues('$.spec.negative', -9_223_372_036_854_775_808n),
    'arithmetic beyond 2^53': ofValues('cel:object.spec.large + 1', 9_007_199_254_740_994n),
    'arithmetic beyond 2^63': failing(ofValues('cel:object.spec.largest + 1', null), 'number out of range at "object.spec.largest + 1"'),
    'large integers as text': ofValues({ path: '$.spec.large', type: 'string' }, '9007199254740993'),
    'fractions': ofValues('$.spec.ratio', 0.1),
    'small fractions': ofValues('$.spec.tiny', 1e-7),
    'whole numbers are ints': ofValues('cel:type(object.spec.whole) == int', true),
    'an int and a double do not add': failing(ofValues('cel:object.spec.whole + object.spec.ratio', null), 'no such overload: int + double at "object.spec.whole + object.spec.ratio"'),
    'a fraction is no int': failing(ofValues({ path: '$.spec.ratio', type: 'int' }, null), 'the value is not of type int'),
    'empty text': ofValues('$.spec.empty.text', ''),
    'empty lists and maps': ofValues("$.spec.empty['list','map']", [[], {}]),
    'nothing': failing(ofValues('$.spec.empty.nothing', null), 'no value'),
    'nothing, in CEL': ofValues('cel:object.spec.empty.nothing == null', true),
    'elements of an empty list': ofValues(optional('$.spec.empty.list[*]'), undefined),
    'elements of several types, without nulls': ofValues('$.spec.mixed[*]', [1, 'a', true, { a: [] }, [2]]),
    'a whole list, with nulls': ofValues('$.spec.mixed', [1, 'a', true, null, { a: [] }, [2]]),
    'keys and values of all scripts': ofValues('$.spec.unicode', { 'ключ': 'значение', '😀': 'a\u2028b', 'é': 'e\u0301' }),
    'a key of another script': ofValues("$.spec.unicode['ключ']", 'значение'),
    'sizes in characters': ofValues('cel:[size("😀é"), size(object.spec.unicode["é"])]', [2, 2]),
    'keys like numbers keep their order': ofValues('$.spec.order.*', ['ten', 'nine', 'B', 'b']),
    'keys in loops are in order': ofValues('cel:object.spec.order.map(k, k)', ['10', '9', 'B', 'b']),
    'characters of HTML': ofValues('$.spec.html', '<a href="x">&</a>'),
    'keys with blanks, quotes and nothing': ofValues(`$.spec.odd["with space","it's","a.b/c",""]`, [1, 2, 3, 4]),
    'a key that objects of JavaScript have': ofValues('$.spec.odd.constructor', 5),
    'a key that they have and this has not': ofValues(optional('$.spec.odd.toString'), undefined),
    'tokens in text': ofValues('$.spec.jwt', hiddenText),
    'private keys in text': ofValues('cel:"key: " + object.spec.pem', hiddenText),
    'sensitive keys at any depth': ofValues('$.spec.db', { password: hidden, user: 'shop', nested: { apiKey: hidden } }),
    'paths below a sensitive key': { profile: { targetGVK: matrix, attributes: attributesOf({ a: '$.spec.auth', b: '$.spec.auth.basic.pass', c: '$..pin', d: 'cel:object.spec.auth.basic.user', e: '$.spec.auth.enabled' }) }, target: { names: ['values'] }, rows: { values: { a: hidden, b: hidden, c: [hidden], d: hidden, e: true } } },
    'credentials in arguments': ofValues('$.spec.args', [hiddenText, hiddenText, hiddenText, '--v=2']),
    'pairs of a sensitive name and a value': ofValues('$.spec.credentials', [{ name: 'token', value: hidden }, { name: 'user', value: 'shop' }]),
    'URLs with a login': ofValues('$.spec.url', hiddenText),
    'texts made of maps': ofValues('cel:"%s".format([object.spec.db])', '{"nested":{"apiKey":{"reason":"sensitive-key", "redacted":true}}, "password":{"reason":"sensitive-key", "redacted":true}, "user":"shop"}'),
    'the host of a URL without its login': ofValues('cel:url(object.spec.url).getHostname()', 'db.example.com'),
    'text of another type': failing(ofValues({ path: '$.spec.html', type: 'int' }, null), 'the value is not of type int'),
    'an error beside a secret': failing(ofValues('cel:timestamp(object.spec.url)', null), 'the text is not a timestamp such as 2026-01-31T12:00:00Z'),
    'a key that a secret names': failing(ofValues('cel:object.spec.db[object.spec.pem]', null), 'no such key at "object.spec.db[object.spec.pem]"; guard it with has()'),
    'an older version of a kind': { profile: { targetGVK: { ...matrix, version: 'v1beta1' }, attributes: attributesOf({ api: '$.apiVersion', old: '$.spec.old' }) }, target: { names: ['older'] }, rows: { older: { api: 'shop.example/v1beta1', old: true } } },
    'the newer version of the same object': { profile: { targetGVK: matrix, attributes: attributesOf({ api: '$.apiVersion', old: '$.spec.old' }) }, target: { names: ['older'] }, rows: { older: { api: 'shop.example/v1', old: true } } },
    'a version that nobody serves': { profile: { targetGVK: { ...matrix, version: 'v9' }, attributes: attributesOf({ a: '$.kind' }) }, status: { ready: 'False InformerRegistrationFailed' } },
    'custom resources without namespaces': { profile: { targetGVK: { ...matrix, kind: 'Planet' }, attributes: attributesOf({ moons: '$.spec.moons' }) }, rows: { '/earth': { moons: 1 }, '/mars': { moons: 2 } } },
    'custom resources without namespaces, by label': { profile: { targetGVK: { ...matrix, kind: 'Planet' }, attributes: attributesOf({ moons: '$.spec.moons' }) }, target: { labelSelector: { matchLabels: { orbit: '4' } } }, rows: { '/mars': { moons: 2 } } },

    'text as an int': ofMap('settings', { path: '$.data.size', type: 'int' }, 42),
    'text as a large int': ofMap('settings', { path: '$.data.large', type: 'int' }, 9_007_199_254_740_993n),
    'text as a float': ofMap('settings', { path: '$.data.ratio', type: 'float' }, 0.5),
    'text with an exponent': ofMap('settings', { path: '$.data.exponent', type: 'float' }, 1000),
    'text with zeros in front': ofMap('settings', { path: '$.data.zeros', type: 'int' }, 7),
    'text as a bool': ofMap('settings', { path: '$.data.on', type: 'bool' }, true),
    'text that is no bool': failing(ofMap('settings', { path: '$.data.size', type: 'bool' }, null), 'the value is not of type bool'),
    'empty text that is no number': failing(ofMap('settings', { path: '$.data.empty', type: 'float' }, null), 'the value is not of type float'),
    'an optional value of the wrong type is left out': ofMap('settings', optional('$.data.text', 'int'), undefined),
    'characters beyond 16 bits': ofMap('settings', 'cel:object.data.text.charAt(6)', '😀'),
    'keys with dots': ofMap('settings', '$.data.with\\.dots', 'dotted'),
    'parts of a URL': ofMap('settings', 'cel:[url(object.data.url).getPort(), url(object.data.url).getEscapedPath()] + url(object.data.url).getQuery()["x"]', ['8443', '/a/b', '1', '2']),
    'a version compared': ofMap('settings', 'cel:semver(object.data.version).isGreaterThan(semver("1.2.0"))', true),
    'a date': ofMap('settings', 'cel:timestamp(object.data.day).getDayOfWeek()', 6),
    'a list in text': ofMap('settings', 'cel:object.data.list.split(",").sort().join("+")', 'a+b'),
    'sets': ofMap('settings', 'cel:sets.contains(object.data.map(k, k), ["size", "on"])', true),
    'formats': ofMap('settings', 'cel:"%s=%d".format(["size", int(object.data.size)])', 'size=42'),
    'no data at all': failing(ofMap('bare', '$.data.size', null), 'no value'),
    'no data at all, in CEL': ofMap('bare', 'cel:has(object.data) ? object.data.size : "none"', 'none'),
    'binary data': ofMap('binary', '$.binaryData.blob', 'AAECAw=='),
    'what is immutable': ofMap('fixed', '$.immutable', true),
  },
};
