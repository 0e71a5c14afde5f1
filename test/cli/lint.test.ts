import { existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import t from 'tap';
import { z } from 'zod';
import { textReport } from '../../cli/lint/text-report.ts';
import { lint } from '../../shared/lint/lint.ts';
import { kubectlBinary } from '../servers/kubernetes/binaries.ts';
import { obtain } from '../servers/obtain.ts';
import { kollect, run } from './command.ts';

// `kollect lint` as people and CI call it: arguments, standard input, what is printed, and the exit code.

const mistakes = `apiVersion: kollect.dev/v1alpha1
kind: KollectProfile
metadata:
  name: web
spec:
  targetGVK: {group: apps, version: v1, kind: Deployment}
  attributes:
    - name: image
      path: metadata.name
    - name: image
      path: $.spec.replicas
      type: strng
---
apiVersion: kollect.dev/v1alpha1
kind: KollectTarget
metadata:
  name: web
  namespace: team-b
spec:
  profilRef: web
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: other
`;

t.test('the samples are in order', async (t) => {
  const { code, stdout, stderr } = await kollect(['lint', 'manifests/samples']);
  t.equal(code, 0, stdout + stderr);
  t.match(stdout, /^\d+ objects, 0 errors, \d+ warnings?$/m);
  t.equal(stderr, '');
});

t.test('all manifests of the project are in order', async (t) => {
  t.match(await kollect(['lint', '--quiet', 'manifests', 'certs']), { code: 0, stdout: /^\d+ objects, 0 errors, 0 warnings \(\d+ objects of other groups not judged\)\n$/, stderr: '' });
});

t.test('npx finds the command in a checkout, without a build and without a registry', async (t) => {
  const { code, stdout, stderr } = await run('npm', ['exec', '--offline', '--', 'kollect', 'lint', '-q', 'manifests/samples'], { env: { npm_config_cache: t.testdir() } });
  t.equal(code, 0, stderr);
  t.match(stdout, /^\d+ objects, 0 errors/);
});

t.test('the package holds what the command needs', async (t) => {
  const root = join(import.meta.dirname, '..', '..');
  const { files, bin, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { files: string[]; bin: { kollect: string }; version: string };
  t.strictSame([bin, files], [{ kollect: 'cli/kollect.mjs' }, ['cli/kollect.mjs', 'dist/kollect*.js']]);
  const folder = t.testdir({ 'package.json': '{"type": "module"}', cli: { 'kollect.mjs': readFileSync(join(root, 'cli', 'kollect.mjs'), 'utf8') } });
  t.match(await run(process.execPath, ['tools/build.ts', join(folder, 'dist')]), { code: 0 });
  const packed = (...argv: string[]) => run(process.execPath, [join(folder, 'cli', 'kollect.mjs'), ...argv]);
  t.match(await packed('--version'), { code: 0, stdout: new RegExp(`^${version} \\(commit `) });
  t.match(await packed('lint', '-q', 'manifests/samples'), { code: 0, stdout: /^\d+ objects, 0 errors/ });
});

t.test('mistakes are told with their place, all at once', async (t) => {
  const folder = t.testdir({ 'bad.yaml': mistakes });
  const { code, stdout, stderr } = await kollect(['lint', '-n', 'team-a', 'bad.yaml'], { folder });
  t.equal(code, 1);
  t.equal(stderr, '');
  const lines = stdout.split('\n');
  t.strictSame(
    lines.filter((line) => /^\S/.test(line)),
    ['KollectProfile team-a/web', 'KollectTarget team-b/web', '2 objects, 5 errors, 0 warnings (1 object of other groups not judged)'],
  );
  const findings = lines.filter((line) => line.startsWith('  ')).map((line) => /^ {2}(\S+) +(\w+) {2}(\S+): .* {2}\(([a-z-]+)\)$/.exec(line)?.slice(1));
  t.strictSame(findings.map((parts) => parts?.slice(0, 3)), [
    ['bad.yaml:9:7', 'error', 'spec.attributes[0].path'],
    ['bad.yaml:10:7', 'error', 'spec.attributes[1].name'],
    ['bad.yaml:12:7', 'error', 'spec.attributes[1].type'],
    ['bad.yaml:19:1', 'error', 'spec.profileRef'],
    ['bad.yaml:20:3', 'error', 'spec.profilRef'],
  ]);
  t.match(stdout, 'did you mean profileRef?');
});

t.test('standard input is a file like others, and what kustomize builds is judged', async (t) => {
  t.match(await kollect(['lint', '-'], { stdin: mistakes }), { code: 1, stdout: 'stdin:9:7' });
  const { kubectl } = await obtain([kubectlBinary]);
  const built = await run(kubectl, ['kustomize', 'manifests/samples']);
  t.equal(built.code, 0, built.stderr);
  t.match(await kollect(['lint', '-'], { stdin: built.stdout }), { code: 0, stdout: /^5 objects, 0 errors/m });
  const patched = await run(kubectl, ['kustomize', t.testdir({ 'kustomization.yaml': 'resources: [target.yaml]\nnamespace: team-c\n', 'target.yaml': 'apiVersion: kollect.dev/v1alpha1\nkind: KollectTarget\nmetadata: {name: web}\nspec: {profileRef: a/b}\n' })]);
  t.match(await kollect(['lint', '-'], { stdin: patched.stdout }), { code: 1, stdout: /^KollectTarget team-c\/web\n {2}stdin:7:3 +error {2}spec\.profileRef: /m });
});

t.test('an empty pipe is not a success', async (t) => {
  t.match(await kollect(['lint', '-']), { code: 2, stdout: /stdin +error +holds no object {2}\(unreadable\)/ });
});

t.test('folders are read to the bottom, without what is no object', async (t) => {
  const target = (name: string) => `apiVersion: kollect.dev/v1alpha1\nkind: KollectTarget\nmetadata: {name: ${name}}\nspec: {profileRef: p}\n`;
  const folder = t.testdir({
    'a.yml': target('a'),
    'b.json': JSON.stringify({ apiVersion: 'kollect.dev/v1alpha1', kind: 'KollectTarget', metadata: { name: 'b' }, spec: { profileRef: 'p' } }),
    'notes.txt': 'text: [',
    'values.yaml': 'replicas: 3\n',
    '.hidden': { 'c.yaml': 'a: [' },
    node_modules: { 'p.yaml': 'a: [' },
    deep: { 'kustomization.yaml': 'resources: [d.yaml]\npatches: [{path: patch.yaml}, {patch: "- op: remove\\n"}]\n', 'd.yaml': target('d'), 'patch.yaml': 'apiVersion: kollect.dev/v1alpha1\nkind: KollectTarget\nmetadata: {name: d}\nspec: {suspend: true}\n' },
  });
  symlinkSync('.', join(folder, 'loop'));
  const plain = await kollect(['lint', '.'], { folder });
  t.strictSame(plain, { code: 0, stdout: '3 objects, 0 errors, 0 warnings\n', stderr: '' });
  t.strictSame(await kollect(['lint', 'deep/../a.yml', '.', 'a.yml'], { folder }), plain, 'a file that is named several times is one');
  const { stderr } = await kollect(['lint', '-v', '.'], { folder });
  t.strictSame(stderr.trim().split('\n').map((line) => line.split(': left out: ')[0]), ['node_modules', 'loop', '.hidden', 'deep/kustomization.yaml', 'deep/patch.yaml']);
  t.match(stderr, /^node_modules: left out: holds packages.*\nloop: left out: a link to a folder/);
  t.match(await kollect(['lint', 'values.yaml', 'deep/kustomization.yaml'], { folder }), { code: 2, stdout: /values\.yaml:1:1 +error +is no Kubernetes object; .*\n[^]*kubectl kustomize \. \| kollect lint -/ });
});

t.test('what cannot be read exits with 2, and the rest is judged all the same', async (t) => {
  const folder = t.testdir({ 'template.yaml': 'kind: KollectTarget\nmetadata:\n  name: {{ .Release.Name }}\n', 'bad.yaml': mistakes, 'empty.yaml': '# nothing\n', none: {} });
  writeFileSync(join(folder, 'large.yaml'), `a: "${'x'.repeat(9 * 1024 * 1024)}"`);
  const { code, stdout } = await kollect(['lint', 'template.yaml', 'missing.yaml', 'empty.yaml', 'none', 'large.yaml', 'bad.yaml'], { folder });
  t.equal(code, 2);
  t.match(stdout, /template\.yaml:3:10 +error +a key must be a string; it looks like a template: render it first/);
  t.match(stdout, /missing\.yaml +error +cannot be read: there is no such file or folder/);
  t.match(stdout, /empty\.yaml +error +holds no object/);
  t.match(stdout, /none +error +holds no file that ends with \.yaml/);
  t.match(stdout, /large\.yaml +error +has more than 8 MiB/);
  t.match(stdout, 'bad.yaml:9:7');
});

t.test('warnings are told, left out or counted as errors', async (t) => {
  const stdin = 'apiVersion: kollect.dev/v1alpha1\nkind: KollectDatabaseSink\nmetadata: {name: pg}\nspec: {type: postgres, provisioning: {mode: existing}, postgres: {databaseRef: {name: s}, table: t}}\n';
  const judge = (...flags: string[]) => kollect(['lint', ...flags, '-'], { stdin });
  t.match(await judge(), { code: 0, stdout: /stdin:4:39 +warning +spec\.provisioning\.mode: [^]*^1 object, 0 errors, 1 warning\n$/m });
  t.match(await judge('--quiet'), { code: 0, stdout: '1 object, 0 errors, 0 warnings\n' });
  t.match(await judge('--warnings-as-errors'), { code: 1 });
  t.match(await judge('--warnings-as-errors', '--quiet'), { code: 1 });
});

t.test('flags of the webhook judge as the webhook with them', async (t) => {
  const sink = 'apiVersion: kollect.dev/v1alpha1\nkind: KollectSnapshotSink\nmetadata: {name: g}\nspec: {type: git, endpoint: "https://10.0.0.1/r.git", git: {}}\n---\napiVersion: kollect.dev/v1alpha1\nkind: KollectClusterTarget\nmetadata: {name: c}\nspec: {profileRef: {name: p, namespace: ns}, namespaceSelector: {matchLabels: {a: b}}}\n---\napiVersion: kollect.dev/v1alpha1\nkind: KollectInventory\nmetadata: {name: i}\nspec: {maxExportBytes: 2000}\n';
  const errorsOf = async (...flags: string[]) => {
    const { stdout } = await kollect(['lint', '-o', 'json', '-q', ...flags, '-'], { stdin: sink });
    return (JSON.parse(stdout) as { findings: { field: string }[] }).findings.map(({ field }) => field);
  };
  t.strictSame(await errorsOf(), []);
  t.strictSame(await errorsOf('--allow-private-sinks=false', '--tenant-mode', '--max-export-bytes=1000'), ['spec.endpoint', 'kind', 'spec.maxExportBytes']);
});

t.test('on a terminal it is coloured and broken to its width, and nothing in a file commands the terminal', async (t) => {
  const { findings } = lint([{ name: 'some/long/path/to/a/file.yaml', text: mistakes, isNamed: true }], { installation: { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false }, namespace: 'default' });
  const result = { findings, objects: 2, others: 1, isComplete: true };
  for (const columns of [80, 120, 200]) {
    const text = textReport(result, { hasColor: true, columns });
    t.match(text, '\u001b[31merror\u001b[0m');
    const plain = stripVTControlCharacters(text);
    t.ok(plain.split('\n').every((line) => line.length <= columns), `${columns} columns`);
    t.equal(plain.replaceAll(/\s+/g, ' '), textReport(result, { hasColor: false }).replaceAll(/\s+/g, ' '), 'the same text');
  }
  const { stdout } = await kollect(['lint', '-'], { stdin: 'apiVersion: kollect.dev/v1alpha1\nkind: KollectTarget\nmetadata: {name: "a\\e[2J"}\nspec: {profileRef: p, "x\\e[2J\\n": 1}\n' });
  t.match(stdout, /^KollectTarget default\/a\\u001b\[2J\n[^]*spec\[x\\u001b\[2J\\u000a\]: /);
  t.notOk(stdout.includes('\u001b'), 'and in a pipe there is no colour');
});

t.test('json has a stable shape', async (t) => {
  const { code, stdout } = await kollect(['lint', '-o', 'json', '-'], { stdin: mistakes });
  t.equal(code, 1);
  const report = JSON.parse(stdout) as { findings: unknown[] };
  t.match(report, { version: 1, summary: { objects: 2, errors: 5, warnings: 0, otherObjects: 1, complete: true } });
  t.strictSame(report.findings[4], {
    file: 'stdin',
    line: 20,
    column: 3,
    endLine: 20,
    endColumn: 17,
    severity: 'error',
    rule: 'unknown-field',
    object: { kind: 'KollectTarget', namespace: 'team-b', name: 'web' },
    field: 'spec.profilRef',
    type: 'Invalid',
    message: 'Invalid value: "profilRef": is not a known field; did you mean profileRef?',
  });
  t.strictSame(JSON.parse((await kollect(['lint', '-o=json', '-'])).stdout), { version: 1, summary: { objects: 0, errors: 1, warnings: 0, otherObjects: 0, complete: false }, findings: [{ file: 'stdin', severity: 'error', rule: 'unreadable', message: 'holds no object' }] });
});

/** What SARIF 2.1.0 asks of the parts that are used, and no part that it does not have. */
const positive = z.number().int().min(1);
const sarifLog = z.strictObject({
  $schema: z.url(),
  version: z.literal('2.1.0'),
  runs: z.array(
    z.strictObject({
      tool: z.strictObject({ driver: z.strictObject({ name: z.string().min(1), version: z.string().min(1), rules: z.array(z.strictObject({ id: z.string().min(1), shortDescription: z.strictObject({ text: z.string().min(1) }) })) }) }),
      invocations: z.array(z.strictObject({ executionSuccessful: z.boolean(), exitCode: z.number().int() })),
      columnKind: z.enum(['utf16CodeUnits', 'unicodeCodePoints']),
      results: z.array(
        z.strictObject({
          ruleId: z.string().min(1),
          ruleIndex: z.number().int().min(0),
          level: z.enum(['none', 'note', 'warning', 'error']),
          message: z.strictObject({ text: z.string().min(1) }),
          locations: z.array(
            z.strictObject({
              physicalLocation: z.strictObject({
                artifactLocation: z.strictObject({ uri: z.string().regex(/^[\w%./:~-]+$/), uriBaseId: z.string().optional() }),
                region: z.strictObject({ startLine: positive, startColumn: positive.optional(), endLine: positive.optional(), endColumn: positive.optional() }),
              }),
              logicalLocations: z.array(z.strictObject({ fullyQualifiedName: z.string().min(1) })).optional(),
            }),
          ).length(1),
        }),
      ),
    }),
  ).length(1),
});

t.test('sarif is what code scanning reads', async (t) => {
  const folder = t.testdir({ 'a b': { 'bad#1.yaml': mistakes } });
  const { code, stdout } = await kollect(['lint', '-o', 'sarif', 'a b', 'missing.yaml'], { folder });
  t.equal(code, 2);
  const [scan] = sarifLog.parse(JSON.parse(stdout)).runs;
  t.ok(scan);
  if (scan === undefined) return;
  const { tool, results, invocations } = scan;
  const ids = tool.driver.rules.map(({ id }) => id);
  t.equal(new Set(ids).size, ids.length, 'each rule once');
  for (const { ruleId, ruleIndex } of results) t.equal(ids[ruleIndex], ruleId);
  for (const { id, shortDescription } of tool.driver.rules) t.not(shortDescription.text, id, `${id} says what it asks for`);
  t.strictSame(invocations, [{ executionSuccessful: false, exitCode: 2 }]);
  t.match(results[4], {
    ruleId: 'KollectTarget/unknown-field',
    level: 'error',
    message: { text: 'spec.profilRef: Invalid value: "profilRef": is not a known field; did you mean profileRef?' },
    locations: [{ physicalLocation: { artifactLocation: { uri: 'a%20b/bad%231.yaml', uriBaseId: '%SRCROOT%' }, region: { startLine: 20, startColumn: 3, endLine: 20, endColumn: 17 } }, logicalLocations: [{ fullyQualifiedName: 'KollectTarget/team-b/web#spec.profilRef' }] }],
  });
  t.match(results[5], { ruleId: 'unreadable', locations: [{ physicalLocation: { artifactLocation: { uri: 'missing.yaml' } } }] });
});

t.test('help, version, and words that do not exist', async (t) => {
  t.match(await kollect(['--help']), { code: 0, stdout: /^Usage: kollect <command> \[flags\]\n\nCommands:\n {2}lint +Judge/, stderr: '' });
  t.match(await kollect([]), { code: 2, stdout: '', stderr: /^Usage: kollect/ });
  t.match(await kollect(['--version']), { code: 0, stdout: /^dev \(commit / });
  t.match(await kollect(['lint', '--help']), { code: 0, stdout: /^Usage: kollect lint \[flags\] <file\|folder\|->\.\.\.\n[^]*--tenant-mode/ });
  t.match(await kollect(['lnit', 'x']), { code: 2, stdout: '', stderr: 'kollect: unknown command "lnit", did you mean "lint"?; --help lists all commands\n' });
  t.match(await kollect(['--quiet', 'lint']), { code: 2, stderr: 'kollect: unknown flag --quiet: flags of a command come after its name; --help lists all commands\n' });
  t.match(await kollect(['lint', '--quite', 'x']), { code: 2, stdout: '', stderr: 'kollect lint: unknown flag --quite, did you mean --quiet?; --help lists all flags\n' });
  t.match(await kollect(['lint']), { code: 2, stderr: 'kollect lint: name files or folders, or - for standard input; --help shows examples\n' });
  t.match(await kollect(['lint', '-o', 'xml', 'x']), { code: 2, stderr: 'kollect lint: invalid value "xml" for flag --output: write one of text, json, sarif\n' });
});

t.test('the documentation shows the help as it is, and its commands work', async (t) => {
  const root = join(import.meta.dirname, '..', '..');
  const page = readFileSync(join(root, 'docs', 'kollect-lint.md'), 'utf8');
  const blocks = (language: string) => [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, text = '']) => text);
  t.strictSame(blocks('text'), [(await kollect(['lint', '--help'])).stdout], 'copy the output of kollect lint --help into docs/kollect-lint.md');

  const { kubectl } = await obtain([kubectlBinary]);
  const bin = t.testdir({ kubectl: t.fixture('symlink', kubectl), kollect: t.fixture('symlink', join(root, 'cli', 'kollect.mjs')) });
  const env = { PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, RUNNER_TEMP: bin };
  const [example = ''] = blocks('console');
  const [, command = '', expected] = /^\$ (.*)\n([^]*)$/.exec(example) ?? [];
  t.equal((await run('bash', ['-c', command], { env })).stdout, expected, command);
  for (const line of blocks('sh').join('').trim().split('\n')) t.match(await run('bash', ['-c', line], { env }), { code: 0, stderr: '' }, line);
});

t.test('an older Node hands over to that of the dependencies, and without one the error says what is missing', async (t) => {
  const root = join(import.meta.dirname, '..', '..');
  const folder = t.testdir({
    // Stands for an older Node: this one, saying that it is.
    'older.mjs': "Object.defineProperty(process.versions, 'node', { value: '20.20.2' });\nObject.defineProperty(process, 'version', { value: 'v20.20.2' });\n",
    bare: { cli: { 'kollect.mjs': readFileSync(join(root, 'cli', 'kollect.mjs'), 'utf8') }, dist: {} },
  });
  const env = { NODE_OPTIONS: `--import=${join(folder, 'older.mjs')}` };
  const bare = (options = {}) => run(process.execPath, [join(folder, 'bare', 'cli', 'kollect.mjs')], options);
  if (existsSync(join(root, 'node_modules', '.bin', 'node'))) t.match(await kollect(['lint', '-'], { stdin: mistakes, env }), { code: 1, stdout: 'stdin:9:7', stderr: '' });
  t.match(await bare(), { code: 2, stderr: 'kollect is not built: run npm run build\n' });
  writeFileSync(join(folder, 'bare', 'dist', 'kollect.js'), 'process.stdout.write("bundle\\n");\n');
  t.match(await bare(), { code: 0, stdout: 'bundle\n' });
  t.match(await bare({ env }), { code: 2, stderr: /^kollect needs Node\.js 24 or newer, and this is v20\.20\.2; install it, or run npm ci in / });
});
