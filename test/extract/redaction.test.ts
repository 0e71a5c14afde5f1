import t from 'tap';
import { compileProfile } from '../../shared/extract/compile-profile.ts';
import { targetGVK, valueAt } from './extracting.ts';

const sensitive = { redacted: true, reason: 'sensitive-key' };
const sensitiveText = { redacted: true, reason: 'sensitive-value' };
const secretData = { redacted: true, reason: 'secret-data' };

t.test('redaction by key', async (t) => {
  const spec = {
    db: { host: 'pg', password: 'hunter2', PASSWD: null, API_TOKEN: 'x', 'api_key ': 'x', clientSecret: { a: 1 } },
    names: { secretName: 's', credentials: 'c', imagePullSecrets: [{ name: 'p' }], tokenizer: 't' },
    automountServiceAccountToken: true,
    tls: { key: 'PEM', crt: 'PEM' },
    ingress: { tls: [{ hosts: ['a'], secretName: 's' }] },
    env: [
      { name: 'API_TOKEN', value: 't0k' },
      { name: 'MODE', value: 'fast' },
      { name: 'DB', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } },
      { name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
    ],
    from: { secretRef: { name: 's' }, secretKeyRef: 'not a reference' },
    nested: [[{ deep: { auth: 'x' } }]],
  };
  for (const [what, path, value] of [
    ['keys that end with a scrub key, in any case', '$.spec.db', { host: 'pg', password: sensitive, PASSWD: sensitive, API_TOKEN: sensitive, 'api_key ': sensitive, clientSecret: sensitive }],
    ['keys that only contain one', '$.spec.names', spec.names],
    ['a certificate with its key', "$['spec']['tls','ingress']", [sensitive, spec.ingress]],
    ['names beside values, and references', '$.spec.env', [{ name: 'API_TOKEN', value: sensitive }, spec.env[1], { name: 'DB', valueFrom: sensitive }, spec.env[3]]],
    ['references by key', '$.spec.from', { secretRef: sensitive, secretKeyRef: 'not a reference' }],
    ['inside lists', '$.spec.nested', [[{ deep: { auth: sensitive } }]]],
    ['values beside a sensitive name', '$.spec.env[*].value', [sensitive, 'fast']],
    ['values beside a sensitive name, one', '$.spec.env[0].value', sensitive],
    ['values beside a sensitive name, filtered', "$.spec.env[?(@.name=='API_TOKEN')].value", [sensitive]],
    ['values beside a sensitive name, by descent', '$..value', [sensitive, 'fast']],
    ['text at a sensitive key', '$.spec.db.password', sensitive],
    ['text at a sensitive key, by descent', '$..password', [sensitive]],
    ['a bool that was asked for by name', '$.spec.automountServiceAccountToken', true],
    ['text at a sensitive key, in CEL', 'cel:object.spec.db.password', sensitive],
    ['text at a sensitive key, in CEL by index', 'cel:object.spec.db["API_TOKEN"]', sensitive],
    ['text at a sensitive key, in CEL by optional', 'cel:object.?spec.?db.?password', sensitive],
    ['values beside a sensitive name, in a loop', 'cel:object.spec.env.filter(e, has(e.value)).map(e, e.value)', [sensitive, 'fast']],
    ['values that a loop visits', 'cel:object.spec.db.transformList(k, v, k == "password" || k == "host", v)', ['pg', sensitive]],
    ['pairs that a loop visits', 'cel:object.spec.env[0].transformList(k, v, v)', ['API_TOKEN', sensitive]],
    ['maps that CEL builds', 'cel:{"token": "x", "other": "y"}', { token: sensitive, other: 'y' }],
    ['whole maps from CEL', 'cel:object.spec.db', { host: 'pg', password: sensitive, PASSWD: sensitive, API_TOKEN: sensitive, 'api_key ': sensitive, clientSecret: sensitive }],
  ] as const) {
    t.strictSame(valueAt({ spec }, path), value, what);
  }
  t.strictSame(valueAt({ spec: { a: { tls: spec.tls } } }, '$.spec.a'), { tls: sensitive }, 'a certificate below the value');
  t.strictSame(valueAt({ spec: { password: 'x', user: 'y' } }, '$.spec.*'), [sensitive, 'y'], 'text at a sensitive key, by wildcard');
  t.strictSame(valueAt({ v: 'x' }, 'cel:object.v + "y"', 'dbPassword'), sensitive, 'an expression judged by the name of its attribute');
  t.strictSame(valueAt({ v: 'x' }, '$.v', 'secret'), 'x', 'a path is judged by its own keys');
  const original = structuredClone(spec);
  valueAt({ spec }, '$.spec');
  t.strictSame(spec, original, 'the object is not changed');
});

t.test('a path that names what lies below a sensitive key lifts nothing', async (t) => {
  const spec = {
    auth: { enabled: true, basic: { user: 'canary', pass: 'canary', 'api-key': 'canary' } },
    token: [{ v: 'canary', n: 4711, on: false, nothing: null }],
    password: 4711,
    secret: { a: ['canary', 4711], deep: [[{ b: 'canary' }]] },
    tls: { key: 'canary', crt: 'canary', termination: 'canary' },
    env: [{ name: 'DB_PASSWORD', value: { a: 'canary' } }, { name: 'MODE', value: { a: 'fast' } }],
    keys: { 'api-key': 'canary', accessKey: 'canary', AWS_SECRET_ACCESS_KEY: 'canary', 'private-key': 'canary', passphrase: 'canary', pwd: 'canary' },
    secretName: 's',
    tokenReviews: { a: 'b' },
    from: { secretRef: { name: 's' } },
    valueFrom: { secretKeyRef: { name: 's', key: 'k' } },
  };
  const hiddenPaths = {
    '$.spec.auth': sensitive,
    '$.spec.auth.basic': sensitive,
    '$.spec.auth.basic.pass': sensitive,
    "$['spec']['auth']['basic']['user']": sensitive,
    '{.spec.auth.basic.user}': sensitive,
    '$.spec.auth.*': [sensitive, true],
    "$.spec['auth','secretName']": [sensitive, 's'],
    '$.spec.auth..pass': [sensitive],
    '$..pass': [sensitive],
    '$..basic': [sensitive],
    '$.spec..basic.*': [sensitive, sensitive, sensitive],
    '$.*.auth.basic.user': [sensitive],
    "$.spec.auth[?(@.pass)]": [sensitive],
    "$.spec.auth[?(@.pass=='canary')].user": undefined,
    '$.spec.token': sensitive,
    '$.spec.token[0]': sensitive,
    '$.spec.token[0].n': sensitive,
    '$.spec.token[*].v': [sensitive],
    '$.spec.token[0:1].*': [sensitive, false, sensitive],
    '$.spec.token[?(@.on==false)].v': [sensitive],
    '$.spec.password': sensitive,
    '$.spec.password.reason': undefined,
    '$.spec.password.*': undefined,
    '$..password': [sensitive],
    '$.spec.secret.a': sensitive,
    '$.spec.secret.a[0]': sensitive,
    '$.spec.secret.a[-1]': sensitive,
    '$.spec.secret.deep[0][0].b': sensitive,
    '$.spec.tls': sensitive,
    '$.spec.tls.key': sensitive,
    '$.spec.tls.termination': sensitive,
    '$.spec.env[0].value.a': sensitive,
    '$.spec.env[*].value.a': [sensitive, 'fast'],
    '$.spec.keys': Object.fromEntries(Object.keys(spec.keys).map((key) => [key, sensitive])),
    'cel:object.spec.auth': sensitive,
    'cel:object.spec.auth.basic': sensitive,
    'cel:object.spec.auth.basic.pass': sensitive,
    'cel:object["spec"]["auth"]["basic"]["pass"]': sensitive,
    'cel:object.?spec.?auth.?basic.?pass': sensitive,
    'cel:object.spec.auth.basic.pass + ""': undefined,
    'cel:object.spec.auth.transformList(k, v, v)': [sensitive, true],
    'cel:object.spec.auth.basic.map(k, object.spec.auth.basic[k])': [sensitive, sensitive, sensitive],
    'cel:object.spec.transformList(k, v, k == "auth" || k == "token", v)': [sensitive, sensitive],
    'cel:[object.spec].map(s, s.auth.basic.pass)': [sensitive],
    'cel:[object.spec].map(s, s.password)': [sensitive],
    'cel:{"a": object.spec.auth.basic}': { a: sensitive },
    'cel:object.spec.token[0].v': sensitive,
    'cel:object.spec.token.map(e, e.n)': [sensitive],
    'cel:object.spec.token[0].n + 1': undefined,
    'cel:object.spec.secret.a[0]': sensitive,
    'cel:object.spec.secret.a.exists(e, e == "canary")': false,
    'cel:object.spec.auth.basic == {"user": "canary", "pass": "canary", "api-key": "canary"}': false,
    'cel:string(object.spec.password)': undefined,
    'cel:object.spec.tls.key': sensitive,
    'cel:object.spec.env.map(e, e.value.a)': [sensitive, 'fast'],
  };
  for (const [path, value] of Object.entries(hiddenPaths)) {
    const found = valueAt({ spec }, path);
    t.strictSame(found, value, path);
    t.notMatch(JSON.stringify(found) ?? '', /canary|4711/, `${path} shows nothing`);
  }
  t.notMatch(valueAt({ spec }, 'cel:"%s".format([object.spec.auth])'), /canary/, 'texts made of what is hidden');
  for (const [path, value] of [
    ['$.spec.auth.enabled', true],
    ['cel:object.spec.auth.enabled', true],
    ['cel:has(object.spec.auth.basic.pass) && !has(object.spec.auth.token)', true],
    ['cel:size(object.spec.secret.a)', 2],
    ['cel:has(object.spec.password)', true],
    ['$.spec.secretName', 's'],
    ['$.spec.tokenReviews', { a: 'b' }],
    ['$.spec.from', { secretRef: sensitive }],
    ['$.spec.from.secretRef', { name: 's' }],
    ['$.spec.from.secretRef.name', 's'],
    ['$.spec.valueFrom.secretKeyRef.key', 'k'],
    ['cel:object.spec.from.secretRef.name', 's'],
  ] as const) {
    t.strictSame(valueAt({ spec }, path), value, path);
  }
  const deep = JSON.parse(`{"spec":{"auth":${'['.repeat(300)}${']'.repeat(300)}}}`) as object;
  t.equal(valueAt(deep, '$.spec.auth'), undefined, 'hiding has its depth as well');
});

t.test('added scrub keys', async (t) => {
  const attributes = [{ name: 'db', path: '$.db' }];
  const object = { db: { host: 'pg', pin: '1', PW: 'x', pwx: 'y', 'a.b': 'z', axb: 'w', password: 'p' } };
  const profile = { spec: { targetGVK, attributes, export: { mode: 'Attributes', prune: { scrubKeys: [' Host ', 'a.b'] } } } };
  t.strictSame(compileProfile(profile, { scrubKeys: ['PIN', 'pw', ''] }).extract(object).attributes, {
    db: { host: sensitive, pin: sensitive, PW: sensitive, pwx: 'y', 'a.b': sensitive, axb: 'w', password: sensitive },
  });
});

t.test('redaction by content', async (t) => {
  const pem = '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----';
  const jwt = 'eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U';
  const certificate = '-----BEGIN CERTIFICATE-----\nMIIE\n-----END CERTIFICATE-----';
  t.strictSame(valueAt({ v: { a: pem, b: [jwt], c: certificate, d: 'eyJ is how it begins, but this is a sentence.' } }, '$.v'), {
    a: sensitiveText,
    b: [sensitiveText],
    c: certificate,
    d: 'eyJ is how it begins, but this is a sentence.',
  });
  for (const [text, isHidden] of [
    ['postgres://shop:hunter2@db:5432/shop', true],
    ['--dsn=amqps://:hunter2@mq', true],
    ['url: https://a:b@c/d\nother: 1', true],
    ['https://example.com/a:b@c', false],
    ['https://user@example.com', false],
    ['https://example.com:8443/?mail=a@b', false],
    ['postgres://$(USER):$(PASSWORD)@db', false],
    ['postgres://user:${PASSWORD}@db', false],
    ['postgres://u:a/hunter2@h/db', true],
    ['https://abc123def456@github.com/a', true],
    ['git clone HTTPS://abc123def456:@github.com/a', true],
    ['ssh://git@github.com/a', false],
    ['https://$(TOKEN123456)@github.com', false],
    ['http://a:80,http://b:81/x@y', false],
    ['http://web:8080/a@b', false],
    ['oci://registry.example:5000/a/b@sha256:9b2a4a3f', false],
    ['root:hunter2@tcp(db:3306)/shop', true],
    ['dsn=root:hun@ter2@tcp(db:3306)/shop', true],
    ['root:hunter2@unix(/run/db.sock)/shop', true],
    ['root@tcp(db:3306)/shop', false],
    ['root:$(PASSWORD)@tcp(db:3306)/shop', false],
    [`Bearer ${jwt}`, true],
    [`curl -H "Authorization: Bearer ${jwt}" https://a.example`, true],
    [`before ${jwt} and after`, true],
    ['bearer abcd1234efgh', true],
    ['bearer tokens and basic authentication', false],
    ['Bearer $(TOKEN)', false],
    ['the bearer-token-file is /var/run/secrets/kubernetes.io/serviceaccount/token', false],
    ['Basic c2hvcDpodW50ZXIy', true],
    ['Authorization: Basic abc', true],
    ['{"authorization": "Bearer abc"}', true],
    ['Basic kubernetes1 usage', false],
    ['Basic auth/TLS settings', false],
    ['host=db password=hunter2 sslmode=disable', true],
    ['--password=hunter2', true],
    ["--db-password='hunter2'", true],
    ['--token = abc', true],
    ['Endpoint=sb://a/;SharedAccessKey=abc', true],
    ['AccountName=a;AccountKey=abc==', true],
    ['https://a.example/?x=1&access_token=abc', true],
    ['{"password":"hunter2"}', true],
    ['{\\"apiKey\\": \\"hunter2\\"}', true],
    ['--api-key=abc', true],
    ['--passphrase=abc', true],
    ['password=', false],
    ['password=&user=a', false],
    ['--password=$(DB_PASSWORD)', false],
    ['--password="${DB_PASSWORD}"', false],
    ['--password=$DB_PASSWORD', false],
    ['--password={{ .Values.password }}', false],
    ['{"password":"$(DB_PASSWORD)"}', false],
    ['--password-file=/etc/db/password', false],
    ['--token-ttl=5m --secret-name=db --authorization-mode=RBAC', false],
    ['if token == nil', false],
    ['the token is 5 characters long', false],
    ['ghp_16C7e42F292c6912E7710c838347Ae178B4a', true],
    ['url=https://x-access-token:ghs_16C7e42F292c6912E77@github.com', true],
    ['glpat-abcdefgh1234', true],
    ['nginx:1.27', false],
    ['registry.example:5000/team/app:v1.2@sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a', false],
    ['sha256:4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a', false],
    ['--leader-elect=true --v=2 --config=/etc/a.yaml --listen=:8080', false],
    ['mail to: shop@example.com', false],
    ['GODEBUG=http2client=0', false],
    ['system:serviceaccount:shop:cart', false],
  ] as const) {
    t.strictSame(valueAt({ v: text }, '$.v'), isHidden ? sensitiveText : text, text);
  }
  const applied = 'kubectl.kubernetes.io/last-applied-configuration';
  const annotations = { note: 'n', [applied]: '{"env":"canary"}' };
  t.strictSame(valueAt({ metadata: { annotations } }, '$.metadata.annotations'), { note: 'n', [applied]: sensitive });
  t.strictSame(valueAt({ metadata: { annotations } }, `cel:object.metadata.annotations["${applied}"]`), sensitive);
  t.notMatch(valueAt({ db: [{ password: 'canary' }, { name: 'TOKEN', value: 'canary' }] }, 'cel:"%s".format([object.db])'), /canary/, 'texts made of maps');
  t.strictSame(valueAt({ v: pem }, '$.v'), sensitiveText);
  t.strictSame(valueAt({ v: pem }, 'cel:"x" + object.v'), sensitiveText);
});

t.test('searching a text for credentials takes time in proportion to its length', async (t) => {
  const size = 400_000;
  for (const part of ['a', ' ', ':', '/', '://a:b', '://', 'eyJ', '-eyJ', 'eyJaaaaaaaa.', 'a:', 'a:@', 'a:@tcp(', '@tcp(', 'bearer ', 'basic ', 'basic aaaa ', 'authorization:', 'token ', 'token = ', 'token="', "password':", '-----BEGIN ', 'gh', 'ghp_', 'AKIA', 'AIza', 'https://a1', '\\', '"', '$(', '\n']) {
    const text = part.repeat(Math.ceil(size / part.length));
    const started = performance.now();
    valueAt({ v: text }, '$.v');
    valueAt({ v: `bearer basic ://a:b/${text}` }, '$.v');
    t.ok(performance.now() - started < 2000, `${JSON.stringify(part)} again and again`);
  }
});

t.test('the data of a Secret never leaves', async (t) => {
  const secret = {
    kind: 'Secret',
    type: 'Opaque',
    metadata: {
      name: 's',
      annotations: {
        owner: 'a',
        'kubectl.kubernetes.io/last-applied-configuration': '{"data":{"user":"canary"}}',
        'kapp.k14s.io/original': '{"metadata":{},"stringData":{"user":"canary"}}',
        'x/list': ' [{"data" : {"user":"canary"}}]',
        'x/text': '{"object":"{\\"data\\":{\\"user\\":\\"canary\\"}}"}',
        'x/other': '{"database":"pg"}',
      },
    },
    data: { user: 'canary', pass: 'canary' },
    stringData: { other: 'canary' },
  };
  const annotations = { owner: 'a', 'kubectl.kubernetes.io/last-applied-configuration': secretData, 'kapp.k14s.io/original': secretData, 'x/list': secretData, 'x/text': secretData, 'x/other': '{"database":"pg"}' };
  const compiled = (path: string) =>
    compileProfile({ spec: { targetGVK: { version: 'v1', kind: 'Secret' }, attributes: [{ name: 'v', path, optional: true }] } });
  for (const [path, value] of [
    ['$.metadata.name', 's'],
    ['$.metadata.annotations.owner', 'a'],
    ['$.type', 'Opaque'],
    ['$.data', secretData],
    ['$.data.user', secretData],
    ['$.stringData.other', secretData],
    ['$.data.*', [secretData, secretData]],
    ['$..user', [secretData]],
    ["$['data','type']", [secretData, 'Opaque']],
    ['$.metadata.annotations', annotations],
    ["$.metadata.annotations['kapp.k14s.io/original']", secretData],
    ['cel:object.metadata.annotations["kapp.k14s.io/original"]', secretData],
    ['cel:object.data', secretData],
    ['cel:object.data.user', secretData],
    ['cel:[object.data]', [secretData]],
    ['cel:{"a": object}', { a: { kind: 'Secret', type: 'Opaque', metadata: { name: 's', annotations }, data: secretData, stringData: secretData } }],
    ['cel:object.data.map(k, k)', ['pass', 'user']],
    ['cel:object.data.map(k, object.data[k])', [secretData, secretData]],
    ['cel:object.data.user + ""', undefined],
    ['cel:object.data.user == "canary"', false],
    ['cel:object.data.user.startsWith("c")', undefined],
    ['cel:"canary" in object.data.map(k, object.data[k])', false],
  ] as const) {
    const { attributes } = compiled(path).extract(secret);
    t.strictSame(attributes.v, value, path);
    t.notMatch(JSON.stringify(attributes), 'canary', `${path} shows nothing`);
  }
  t.strictSame(compiled('$.data').extract({ data: null }).attributes.v, undefined, 'no data');
  t.strictSame(compiled('$.data').extract({ data: 'canary' }).attributes.v, secretData, 'data of an unexpected type');
  t.strictSame(valueAt({ data: { a: 'b' } }, '$.data'), { a: 'b' }, 'data of other kinds is data');
  const core = compileProfile({ spec: { targetGVK: { group: 'core', version: 'v1', kind: 'Secret' }, attributes: [{ name: 'v', path: '$.data' }] } });
  t.strictSame(core.extract(secret).attributes.v, secretData, 'the core group by its other name');
});
