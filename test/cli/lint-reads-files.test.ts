import t from 'tap';
import { lint } from '../../shared/lint/lint.ts';
import type { LintFinding, LintResult } from '../../shared/lint/lint.ts';

// Texts as people have them: where findings point, what counts as an object, and what is wrong before admission would be asked.

const installation = { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false };

function judge(...texts: string[]): LintResult {
  return lint(texts.map((text, index) => ({ name: `${index}`, text, isNamed: true })), { installation, namespace: 'default' });
}

/** `line:column rule field`, with `W` before warnings. */
function brief({ region, severity, rule, field }: LintFinding): string {
  return `${severity === 'warning' ? 'W ' : ''}${region?.line}:${region?.column} ${rule}${field === undefined ? '' : ` ${field}`}`;
}

const found = (...texts: string[]) => judge(...texts).findings.map(brief);
const said = (text: string) => judge(text).findings.map(({ problem }) => problem).join('\n');

const target = (spec: string, metadata = 'name: web') => `apiVersion: kollect.dev/v1alpha1\nkind: KollectTarget\nmetadata:\n  ${metadata}\nspec:\n${spec}`;
const good = target('  profileRef: p\n');

t.test('a finding points at its field, or the nearest that is there', async (t) => {
  t.strictSame(found(target('  profileRef: a/b\n')), ['6:3 profile-ref spec.profileRef']);
  t.strictSame(found(target('  suspend: false\n')), ['5:1 schema spec.profileRef'], 'a missing field: its parent');
  t.strictSame(found('apiVersion: kollect.dev/v1alpha1\nkind: KollectTarget\nmetadata: {name: web}\n'), ['1:1 schema spec'], 'a missing spec: the object');
  t.match(found(target('  profileRef: p\n  includedNamespaces:\n    - a\n    - B\n')), [/^9:7 [\w-]+ spec\.includedNamespaces\[1\]$/], 'an item of a list');
  t.match(found(target('  profileRef: p\n  resourceRules: [{gvk: {version: v1, kind: Pod}, matchPolicy: "1 +"}]\n')), [/^7:51 [\w-]+ spec\.resourceRules\[0\]\.matchPolicy$/], 'in braces');
  t.match(found('apiVersion: kollect.dev/v1alpha1\nkind: KollectDatabaseSink\nmetadata: {name: s}\nspec:\n  type: postgres\n  postgres: {databaseRef: {name: s}, table: t}\n  options:\n    statement_timeout: "1"\n    sasl.password: x\n'), [/^9:5 [\w-]+ spec\.options\[sasl\.password\]$/], 'a key with a dot');
  const { region } = judge(target('  profileRef: a/b # not here\n')).findings[0] ?? {};
  t.strictSame(region, { line: 6, column: 3, endLine: 6, endColumn: 18 }, 'from the key to the end of the value');
});

t.test('fields that no schema has are found at every depth, with what was meant', async (t) => {
  t.strictSame(found(target('  profileRef: p\n  resourceRules:\n    - gvk: {version: v1, kind: Pod, grup: x}\n  labelSelector: {matchLabel: {a: b}}\n', 'name: web\n  lables: {a: b}\nstatus: {x: 1}\nspecs: {}')), [
    '5:3 unknown-field metadata.lables',
    '7:1 unknown-field specs',
    '11:37 unknown-field spec.resourceRules[0].gvk.grup',
    '12:19 unknown-field spec.labelSelector.matchLabel',
  ]);
  t.match(said(target('  profilRef: p\n')), /did you mean profileRef\?/);
  t.match(said(`${good}names: [a]\n`), /did you mean spec\.names\?/, 'one level too high');
  t.match(said('apiVersion: kollect.dev/v1alpha1\nkind: KollectConnectionTest\nmetadata: {name: c}\nspec: {sinkRef: {databaseSinkRef: a, zzzzzz: b}}\n'), /known are snapshotSinkRef, databaseSinkRef, eventSinkRef/);
  t.strictSame(found(target('  profileRef: p\n  labelSelector: {matchLabels: {any.key/at: all}}\n')), [], 'labels have any key');
  t.strictSame(found(target('  profileRef: p\n  __proto__: {a: b}\n  constructor: x\n')), ['7:3 unknown-field spec.__proto__', '8:3 unknown-field spec.constructor']);
});

t.test('an object that is not quite ours is told so, and judged as far as it goes', async (t) => {
  t.strictSame(found(good.replace('v1alpha1', 'v1alpha2')), ['1:1 api-version apiVersion']);
  t.match(said(good.replace('v1alpha1', 'v1beta1')), 'write kollect.dev/v1alpha1');
  t.strictSame(found(good.replace('apiVersion: kollect.dev/v1alpha1\n', '')), ['1:1 api-version apiVersion'], 'without a version');
  t.strictSame(found(good.replace('kollect.dev', 'kolect.dev').replace('p\n', 'a/b\n')), ['1:1 api-version apiVersion', '6:3 profile-ref spec.profileRef'], 'of a misspelt group');
  t.match(said(good.replace('KollectTarget', 'KollectTargt')), 'did you mean "KollectTarget"?');
  t.strictSame(found(good.replace('kind: KollectTarget\n', '')), ['1:1 kind kind'], 'without a kind');
  t.strictSame(found(good.replace('  name: web', '  labels: {a: b}')), ['3:1 object-name metadata.name']);
  t.strictSame(found(good.replace('name: web', 'generateName: web-')), [], 'the API server gives it a name');
  t.strictSame(found(good.replace('name: web', 'name: Web_1')), ['4:3 object-name metadata.name']);
  t.strictSame(found(good.replace('name: web', 'name: 007')), ['4:3 object-name metadata.name'], 'a number');
  t.strictSame(found(good.replace('metadata:\n  name: web', 'metadata: web')), ['3:1 object-name metadata.name']);
  t.strictSame(found(good.replace('name: web', 'name: web\n  namespace: Team_A')), ['5:3 object-namespace metadata.namespace']);
  t.match(found('apiVersion: kollect.dev/v1alpha1\nkind: KollectClusterScope\nmetadata: {name: s, namespace: a}\nspec: {}\n'), ['W 3:21 object-namespace metadata.namespace']);
  t.strictSame(found(good.replace('name: web', 'name: web\n  annotations:\n    kollect.dev/reconcile: 7\n  labels: {a: [b]}')), ['6:5 metadata-text metadata.annotations[kollect.dev/reconcile]', '7:12 metadata-text metadata.labels[a]']);
});

t.test('what the API server takes as labels, annotations and generated names', async (t) => {
  const metadata = (text: string) => found(good.replace('name: web', `name: web\n  ${text}`));
  t.strictSame(metadata('labels: {app.kubernetes.io/name: a_b.C-1, a: ""}'), []);
  t.strictSame(metadata('annotations: {Example.COM/Note_1: "any {text}"}'), []);
  for (const key of ['-a', 'a b', 'a/b/c', '/a', 'EXAMPLE.com/a', '"x{64}"'.replace('x{64}', 'x'.repeat(64))]) t.strictSame(metadata(`labels: {${key}: b}`), ['5:3 metadata-text metadata.labels'], key);
  for (const value of ['a b', '"-a"', 'a/b', 'x'.repeat(64)]) t.strictSame(metadata(`labels: {a: ${value}}`), ['5:12 metadata-text metadata.labels[a]'], value);
  for (const key of ['a b', 'a/b/c', '_/a']) t.strictSame(metadata(`annotations: {${key}: b}`), ['5:3 metadata-text metadata.annotations'], key);
  t.strictSame(found(good.replace('name: web', 'generateName: Web-')), ['4:3 object-name metadata.generateName']);
  t.strictSame(found(good.replace('name: web', 'generateName: web.')), ['4:3 object-name metadata.generateName']);
});

t.test('a key that holds a credential is not shown, and found all the same', async (t) => {
  const token = `ghp_${'a1B2'.repeat(9)}`;
  const dsn = 'postgres://u:hunter2@db/x';
  const text = target(`  profileRef: p\n  ${token}: 1\n  "${dsn}": 2\n`, `name: web\n  annotations: {"${dsn}": a}\n  labels: {"${dsn}": "a b"}`);
  const result = judge(text);
  t.notMatch(JSON.stringify(result), /a1B2|hunter2/);
  t.strictSame(result.findings.map(brief), ['5:3 metadata-text metadata.annotations', '6:3 metadata-text metadata.labels', '6:12 metadata-text metadata.labels[postgres://***@db/x]', '9:3 unknown-field spec[***]', '10:3 unknown-field spec[postgres://***@db/x]']);
});

t.test('lists are their items', async (t) => {
  const items = good.replace('p\n', 'a/b\n').replace('spec:', 'status: {collectedCount: 1, old: true}\nspec:').replaceAll(/^/gm, '    ').replace('    ', '  - ').trimEnd();
  for (const list of [`apiVersion: v1\nkind: List\nmetadata: {resourceVersion: ""}\nitems:\n${items}\n  - {apiVersion: v1, kind: Pod}\n`, `apiVersion: kollect.dev/v1alpha1\nkind: KollectTargetList\n\nitems:\n${items}\n  - {apiVersion: v1, kind: Pod}\n`]) {
    const result = judge(list);
    t.strictSame(result.findings.map(brief), ['11:7 profile-ref spec.profileRef']);
    t.match(result, { objects: 1, others: 1, isComplete: true });
  }
  t.match(judge('apiVersion: v1\nkind: List\nitems: []\n'), { objects: 0, findings: [], isComplete: true }, 'what kubectl answers when there are none');
});

t.test('objects of JSON may follow one another, as kubectl takes them', async (t) => {
  const json = (name: string, profileRef: string) => JSON.stringify({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectTarget', metadata: { name, annotations: { note: '} {"' } }, spec: { profileRef } });
  const column = json('a', 'a/b').indexOf('"profileRef"') + 1;
  t.strictSame(found(`${json('a', 'a/b')}\n ${json('b', 'p')}${json('c', 'a/b')}\n`), [`1:${column} profile-ref spec.profileRef`, `2:${column + 1 + json('b', 'p').length} profile-ref spec.profileRef`]);
  t.equal(judge(`\n${json('a', 'p')}\n\n${json('b', 'p')}`).objects, 2);
  t.strictSame(found(`{"a": 1}\n${target('  profileRef: p\n')}`), ['2:1 unreadable'], 'JSON and YAML need dashes between them');
  t.match(said(`[${json('a', 'p')}]`), 'write its objects one after another');
});

t.test('who has to write quotes is told to keep what stands there', async (t) => {
  t.match(said(target('  profileRef: yes\n')), 'write it in quotes: "yes"');
  t.match(said(target('  profileRef: p\n  names: [0x10]\n')), 'write it in quotes: "0x10"');
  t.match(said(target('  profileRef: p\n', 'name: no')), 'write "no"');
});

t.test('objects of the same input are looked up', async (t) => {
  const scope = 'apiVersion: kollect.dev/v1alpha1\nkind: KollectScope\nmetadata: {name: team, namespace: default}\nspec: {minExportInterval: 1h}\n';
  const inventory = (interval: string) => `apiVersion: kollect.dev/v1alpha1\nkind: KollectInventory\nmetadata: {name: all}\nspec: {${interval}}\n`;
  t.match(found(inventory('exportMinInterval: 1m'), scope), [/^4:8 [\w-]+ spec\.exportMinInterval$/]);
  t.strictSame(found(inventory(''), scope), [], 'the floor of the scope is filled in');
  t.strictSame(found(inventory('exportMinInterval: 1m')), [], 'what is not given is no finding');
  const profile = 'apiVersion: kollect.dev/v1alpha1\nkind: KollectProfile\nmetadata: {name: deployments}\nspec: {targetGVK: {group: apps, version: v1, kind: Deployment}, attributes: [{name: a, path: $.spec.replicas}]}\n';
  t.strictSame(found(`${target('  profileRef: deploymets\n')}---\n${profile}`), ['W 6:3 profile-spelling spec.profileRef']);
  const twice = judge(good, `\n---\n${good}`, good.replace('name: web', 'name: web\n  namespace: other'));
  t.strictSame(twice.findings.map(brief), ['W 6:3 duplicate-object metadata.name']);
  t.match(twice.findings[0]?.problem, 'is defined in 0:4 too');
});

t.test('what is being deleted is not judged', async (t) => {
  t.match(judge(target('  profileRef: a/b\n', 'name: web\n  deletionTimestamp: "2026-01-01T00:00:00Z"')), { objects: 1, findings: [] });
});

t.test('null means left out, as to an API server', async (t) => {
  t.strictSame(found(target('  profileRef: p\n  suspend:\n  watchMode: null\n')), []);
  t.strictSame(found(target('  profileRef:\n')), ['6:3 schema spec.profileRef']);
});

t.test('text is read as kubectl reads it', async (t) => {
  t.strictSame(found(`\uFEFF${target('  profileRef: a/b\n')}`), ['6:3 profile-ref spec.profileRef'], 'with a byte order mark');
  t.strictSame(found(target('  profileRef: a/b\n').replaceAll('\n', '\r\n')), ['6:3 profile-ref spec.profileRef'], 'with the line ends of Windows');
  t.strictSame(found(`# head\n---\n${good}---\n---\n# tail\n`), [], 'empty documents');
  t.strictSame(found('{\n\t"apiVersion": "kollect.dev/v1alpha1",\n\t"kind": "KollectTarget",\n\t"metadata": {"name": "web"},\n\t"spec": {\n\t\t"profileRef": "a\\/b"\n\t}\n}\n'), ['6:3 profile-ref spec.profileRef'], 'JSON with tabs');
  t.strictSame(found(target('  profileRef: p\n  suspend: yes\n')), [], 'yes is true');
  t.match(found(target('  profileRef: p\n  includedNamespaces: [n, 010]\n')), [/^7:24 .*spec\.includedNamespaces\[0\]$/, /^7:27 .*spec\.includedNamespaces\[1\]$/], 'n is false, 010 is 8');
  t.strictSame(found(target('  profileRef: p\n  names: [2026-01-01, 1:20, 0x]\n')), [], 'dates and times are text');
  t.strictSame(found(`x: &base {profileRef: a/b}\n${target('  <<: *base\n  suspend: false\n')}`), ['1:1 unknown-field x', '1:11 profile-ref spec.profileRef'], 'merged from where it was written');
  t.match(found(target('  profileRef: p\n  includedNamespaces: &all [A_]\n  excludedNamespaces: *all\n')), [/^7:29 .*spec\.excludedNamespaces\[0\]$/, /^7:29 .*spec\.includedNamespaces\[0\]$/], 'an alias points to its anchor');
});

t.test('what cannot be read is an error with its place, and the other documents are judged', async (t) => {
  const cases: [text: string, place: string, message: RegExp][] = [
    ['a: [1\n', '2:1', /is not YAML: /],
    ['a: 1\n b: 2\n', '1:4', /is not YAML: /],
    ['a:\n\tb: 1\n', '2:1', /is not YAML: Tabs are not allowed as indentation/],
    ['a: b\n"password: canary\n and more', '2:1', /is not YAML: (?!.*canary)/],
    [`a: b\n\`\`\`canary ${'canary '.repeat(300)}\n`, '2:1', /^(?!.*canary).*is not YAML: .{1,150}$/],
    ['a: *x\n', '1:4', /the alias \*x has no anchor &x before it/],
    ['a: &x [*x]\n', '1:8', /the alias \*x contains itself/],
    ['? [a]\n: 1\n', '1:3', /a key must be a string/],
    ['a: {<<: 1}\n', '1:9', /what << merges must be an object/],
    ['metadata:\n  name: {{ .Values.name }}\n', '2:10', /a key must be a string; it looks like a template/],
    ['{{- range .Values.x }}\nkind: A\n{{- end }}\n', '1:3', /it looks like a template/],
    ['a\0b', '1:1', /is not a text in UTF-8/],
    ['just words\n', '1:1', /is no Kubernetes object; objects begin with apiVersion, such as kollect\.dev\/v1alpha1, and kind/],
    ['- 1\n- 2\n', '1:1', /is no Kubernetes object/],
  ];
  for (const [text, place, message] of cases) {
    const { findings, isComplete } = judge(text);
    t.equal(isComplete, false, JSON.stringify(text));
    t.strictSame(findings.map(brief), [`${place} unreadable`], JSON.stringify(text));
    t.match(findings[0]?.problem, message);
  }
  t.strictSame(found(`a: *x\n---\n${target('  profileRef: a/b\n')}`), ['1:4 unreadable', '8:3 profile-ref spec.profileRef']);
});

t.test('a key that is there twice is an error, and the last one is judged', async (t) => {
  t.strictSame(found(target('  profileRef: p\n  profileRef: a/b\n')), ['7:3 duplicate-key', '7:3 profile-ref spec.profileRef']);
  t.strictSame(found('{"apiVersion": "kollect.dev/v1alpha1", "kind": "KollectTarget", "metadata": {"name": "a", "name": "b"}, "spec": {"profileRef": "p"}}'), ['1:91 duplicate-key']);
});

t.test('texts that are made to keep a reader busy are refused', async (t) => {
  const levels = Array.from({ length: 20 }, (_, level) => `a${level}: &a${level} [${Array(10).fill(level === 0 ? 'x' : `*a${level - 1}`).join(', ')}]\n`).join('');
  t.match(said(levels), /has more than 1000000 values once its aliases are replaced/);
  for (const deep of ['['.repeat(50_000), '{a: '.repeat(20_000), '- '.repeat(5_000), `${'a: {'.repeat(300)}${'}'.repeat(300)}`, `${'['.repeat(300)}${']'.repeat(300)}`]) t.match(judge(deep), { isComplete: false, findings: [{ rule: 'unreadable' }] }, deep.slice(0, 8));
  t.match(found(target(`  profileRef: p\n  names: [${'a,'.repeat(50_000)}]\n`)), [/^5:1 [\w-]+ spec$/], 'an object far too large');
});

t.test('no credential is repeated', async (t) => {
  const sink = (spec: string) => `apiVersion: kollect.dev/v1alpha1\nkind: KollectDatabaseSink\nmetadata: {name: s}\nspec: {type: postgres, postgres: {databaseRef: {name: s}, table: t}, ${spec}}\n`;
  for (const spec of ['options: {password: canary}', 'endpoint: "postgres://u:canary@h/db", optins: {token: canary}', 'options: [canary]']) {
    const { findings } = judge(sink(spec));
    t.ok(findings.length > 0, spec);
    t.notMatch(JSON.stringify(findings), /canary/, spec);
  }
});
