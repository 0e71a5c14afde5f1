import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';
import { parquetReadObjects } from 'hyparquet';
import t from 'tap';
import { parse, stringify } from 'yaml';
import { cluster, deployment, kollectObjects, list, printed } from './export-objects.ts';
import { kollect, run } from './command.ts';

// `kollect export` as people and CI call it: what it reads, writes and exits with.

const row = (name: string, namespace: string, replicas: number): string =>
  `{"targetNamespace":"team-a","targetName":"web","namespace":"${namespace}","name":"${name}","group":"apps","version":"v1","kind":"Deployment","uid":"uid-${namespace}-${name}","attributes":{"image":"registry.example/${name}:1.4.2","replicas":${replicas}}}\n`;
const rows = row('api', 'shop-a', 2) + row('cart', 'shop-b', 3);

const folderOf = (test: { testdir(tree: Record<string, string>): string }) => test.testdir({ 'kollect.yaml': kollectObjects, 'dump.json': printed(cluster), 'dump.yaml': stringify(list(cluster)) });

t.test('the rows of a dump are those that a controller would have, whatever the form of the dump', async (t) => {
  const folder = folderOf(t);
  const of = (argv: readonly string[], stdin?: string) => kollect(['export', ...argv, '-o', 'ndjson'], { folder, ...(stdin === undefined ? {} : { stdin }) });
  t.strictSame(await of(['-f', 'kollect.yaml', '-f', 'dump.json']), { code: 0, stdout: rows, stderr: '' });
  t.strictSame(await of(['-f', '.']), { code: 0, stdout: rows, stderr: '' });
  t.strictSame(await of(['-f', '-'], printed([...cluster, ...kollectObjects.split('---\n').map((text) => parse(text) as object)])), { code: 0, stdout: rows, stderr: '' });
});

t.test('each format is written to standard output and to files', async (t) => {
  const folder = folderOf(t);
  const of = (...argv: string[]) => kollect(['export', '-f', 'kollect.yaml', '-f', 'dump.json', ...argv], { folder });
  const json = await of();
  t.match(JSON.parse(json.stdout), { schemaVersion: 'kollect.dev/v1alpha1', itemCount: 2, items: rows.trim().split('\n').map((text) => JSON.parse(text) as object) });
  const yaml = await of('-o', 'yaml', '--cluster', 'west');
  t.strictSame(parse(yaml.stdout), rows.trim().split('\n').map((text) => JSON.parse(text) as object));
  t.match((await of('-o', 'csv')).stdout, /^api_version,.*\r\nv1,registry.example\/api:1.4.2,/);
  t.strictSame(await of('--to', 'out/rows.ndjson'), { code: 0, stdout: '', stderr: '' });
  t.equal(readFileSync(join(folder, 'out', 'rows.ndjson'), 'utf8'), rows);
  t.match(await of('--to', 'rows.parquet'), { code: 0 });
  t.match(await parquetReadObjects({ file: new Uint8Array(readFileSync(join(folder, 'rows.parquet'))).buffer }), [{ name: 'api' }, { name: 'cart' }]);
  t.match(await of('--to', 'rows.csv', '-o', 'json'), { code: 2, stderr: /--output json and the name "rows.csv" do not fit together/ });
});

t.test('a folder is laid out as a repository, and follows the objects', async (t) => {
  const folder = folderOf(t);
  const of = (dump: string, ...argv: string[]) => kollect(['export', '-f', 'kollect.yaml', '-f', '-', '--to', 'out', ...argv], { folder, stdin: dump });
  const files = () => readdirSync(join(folder, 'out'), { recursive: true, encoding: 'utf8' }).filter((name) => /\.\w+$/.test(name)).sort();
  t.strictSame(await of(printed(cluster), '-o', 'ndjson'), { code: 0, stdout: '', stderr: '' });
  t.strictSame(files(), ['inventory/team-a/export.ndjson']);
  t.equal(readFileSync(join(folder, 'out/inventory/team-a/export.ndjson'), 'utf8'), rows);
  t.match(await of(printed(cluster), '--layout', 'perResource', '--cluster', 'west'), { code: 0 });
  t.strictSame(files(), ['inventory/team-a/export.manifest.json', 'inventory/team-a/export.ndjson', 'west/shop-a/deployment/api.yaml', 'west/shop-b/deployment/cart.yaml']);
  t.match(await of(printed(cluster.slice(1)), '--layout', 'perResource', '--cluster', 'west'), { code: 0 });
  t.notOk(files().includes('west/shop-b/deployment/cart.yaml'), 'what is gone leaves');
});

t.test('a kind that the objects lack takes no rows away', async (t) => {
  const folder = t.testdir({ 'kollect.yaml': kollectObjects, 'out': { '.hidden': '' }, 'more': { '.hidden.yaml': 'a: 1\n', 'dump.json': printed(cluster.filter((object) => (object as { kind: string }).kind !== 'Deployment')) } });
  const of = (...argv: string[]) => kollect(['export', '-f', 'kollect.yaml', ...argv], { folder, stdin: printed(cluster) });
  const text = () => readFileSync(join(folder, 'out/inventory/team-a/export.ndjson'), 'utf8');
  const absent = /warning: target web: the objects hold no Deployment/i;
  t.match(await of('-f', 'more', '--to', 'new', '-q'), { code: 1, stderr: absent });
  t.match(await of('-f', '-', '--to', 'out', '-o', 'ndjson'), { code: 0, stderr: '' });
  t.match(await of('-f', 'more', '--to', 'out', '-o', 'ndjson', '-q'), { code: 2, stderr: /may lose those of kinds that the objects lack/ });
  t.equal(text(), rows);
  t.match(await of('-f', 'more', '-o', 'ndjson'), { code: 0, stdout: '', stderr: /note: more\/\.hidden\.yaml is left out: hidden/ });
  t.strictSame(await of('-f', 'more', '--to', 'out', '-o', 'ndjson', '-q', '--allow-deletes'), { code: 0, stdout: '', stderr: '' });
  t.equal(text(), '');
});

t.test('the first object tells whether kinds of others are in namespaces, also when it comes through a pipe', async (t) => {
  const gateway = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'GatewayClass', metadata: { name: 'istio', uid: 'uid-class' } };
  const folder = t.testdir({
    'kollect.yaml': `apiVersion: kollect.dev/v1alpha1
kind: KollectProfile
metadata: {name: classes, namespace: kollect-system}
spec: {targetGVK: {group: gateway.networking.k8s.io, version: v1, kind: GatewayClass}, attributes: [{name: title, path: $.metadata.name}]}
---
apiVersion: kollect.dev/v1alpha1
kind: KollectClusterTarget
metadata: {name: all}
spec: {profileRef: {name: classes, namespace: kollect-system}, namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}}
`,
    'dump.json': printed([...cluster, gateway]),
  });
  const { code, stdout, stderr } = await run('bash', ['-c', `'${process.execPath}' '${join(import.meta.dirname, '../../cli/kollect.mjs')}' export -f kollect.yaml -f <(cat dump.json) -o ndjson`], { folder });
  t.strictSame([code, stderr], [0, '']);
  t.match(JSON.parse(stdout), { namespace: '', name: 'istio' });
});

t.test('two objects of one name have to be equal', async (t) => {
  const folder = t.testdir({ 'kollect.yaml': kollectObjects, 'same.yaml': kollectObjects, 'other.yaml': kollectObjects.replace('tier: shop', 'tier: other'), 'dump.json': printed(cluster) });
  t.match(await kollect(['export', '-f', 'kollect.yaml', '-f', 'same.yaml', '-f', 'dump.json', '-o', 'ndjson'], { folder }), { code: 0, stdout: rows });
  t.match(await kollect(['export', '-f', 'kollect.yaml', '-f', 'other.yaml', '-f', 'dump.json'], { folder }), { code: 2, stdout: '', stderr: /KollectTarget team-a\/web is given more than once/ });
});

t.test('a sink that cannot be exported to is told with what it lacks', async (t) => {
  const api = 'kollect.dev/v1alpha1';
  const objectsOf = (...objects: object[]) => objects.map((object) => stringify(object)).join('---\n');
  const secret = (dsn: string) => ({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace: 'team-a' }, stringData: { dsn } });
  const pg = { apiVersion: api, kind: 'KollectDatabaseSink', metadata: { name: 'pg', namespace: 'team-a' }, spec: { type: 'postgres', postgres: { databaseRef: { name: 'dsn' }, table: 'rows' } } };
  const events = (mode: string) => ({ apiVersion: api, kind: 'KollectEventSink', metadata: { name: 'events', namespace: 'team-a' }, spec: { type: 'nats', events: { mode }, nats: { url: 'nats://127.0.0.1:1', subject: 'rows' } } });
  const folder = t.testdir({
    'kollect.yaml': kollectObjects,
    'dump.json': printed(cluster),
    'pg.yaml': objectsOf(pg),
    'secret.yaml': objectsOf(secret('postgres://nobody@127.0.0.1:1/rows')),
    'other.yaml': objectsOf(secret('postgres://nobody@127.0.0.1:1/others')),
    'perItem.yaml': objectsOf(events('perItem')),
    'aggregate.yaml': objectsOf(events('aggregate')),
    'inventory.yaml': objectsOf({ apiVersion: api, kind: 'KollectInventory', metadata: { name: 'api', namespace: 'team-a' }, spec: { databaseSinkRefs: ['pg'], eventSinkRefs: ['events'] } }),
  });
  const of = (sink: string, ...files: string[]) => kollect(['export', '--allow-loopback-sinks', '--sink', sink, ...['kollect.yaml', 'dump.json', 'inventory.yaml', ...files].flatMap((file) => ['-f', file])], { folder });
  const refused = (stderr: RegExp) => ({ code: 2, stdout: '', stderr });
  t.match(await of('database/pg'), refused(/there is no KollectDatabaseSink "pg" in namespace "team-a" among the objects/));
  t.match(await of('event/pg', 'pg.yaml'), refused(/there is no KollectEventSink "pg"/));
  t.match(await of('database/pg', 'pg.yaml'), refused(/secret "dsn" in namespace "team-a" not found/));
  t.match(await of('database/pg', 'pg.yaml', 'secret.yaml', 'other.yaml'), refused(/Secret team-a\/dsn is given more than once, and not with the same content/));
  t.match(await of('database/pg', 'pg.yaml', 'secret.yaml', 'secret.yaml'), refused(/nothing listens there/), 'one that is given twice is one');
  t.match(await of('event/events', 'perItem.yaml'), refused(/KollectEventSink "events" has a message for each change of a row.*export to one with spec\.events\.mode aggregate/));
  t.match(await of('event/events', 'aggregate.yaml'), refused(/nothing listens there/));
});

t.test('what an export would change is told, and nothing is written', async (t) => {
  const folder = folderOf(t);
  const of = (dump: readonly object[], ...argv: string[]) => kollect(['export', '-f', 'kollect.yaml', '-f', '-', ...argv], { folder, stdin: printed(dump) });
  const edited = [...cluster.slice(1, 3).map((object) => (object === cluster[2] ? deployment('api', 'shop-a', 9) : object)), deployment('new', 'shop-a'), ...cluster.slice(3)];
  const told = '~ Deployment shop-a/api (web)\n+ Deployment shop-a/new (web)\n- Deployment shop-b/cart (web)\n';
  for (const [index, to] of [['--to', 'rows.json'], ['--to', 'rows.ndjson.gz'], ['--to', 'rows.yaml'], ['--to', 'out', '-o', 'json'], ['--to', 'tree', '--layout', 'perResource']].entries()) {
    const before = readdirSync(folder).length;
    if (index === 0) t.match(await of(cluster, ...to, '--diff'), { code: 1, stdout: '+ Deployment shop-a/api (web)\n+ Deployment shop-b/cart (web)\n', stderr: /2 added, 0 changed, 0 removed/ });
    if (index === 0) t.strictSame(await of(cluster, ...to, '--dry-run'), { code: 0, stdout: '', stderr: '' });
    t.equal(readdirSync(folder).length, before);
    t.match(await of(cluster, ...to), { code: 0 });
    t.match(await of(edited, ...to, '--diff'), { code: 1, stdout: told, stderr: /1 added, 1 changed, 1 removed/ }, to.join(' '));
    if (index > 2) t.strictSame(await of(cluster, ...to, '--diff', '-q'), { code: 0, stdout: '', stderr: '' }, 'it was not written');
  }
  t.match(await of(cluster, '--diff'), { code: 2, stderr: /--diff needs something to compare with/ });
  t.match(await of(cluster, '--to', 'rows.csv'), { code: 0 });
  writeFileSync(join(folder, 'broken.json.gz'), 'no gzip');
  t.match(await of(cluster, '--to', 'broken.json.gz', '--diff'), { code: 2, stdout: '', stderr: /broken\.json\.gz cannot be compared: it cannot be decompressed/ });
  writeFileSync(join(folder, 'cut.json'), readFileSync(join(folder, 'rows.json')).subarray(0, -9));
  t.match(await of(cluster, '--to', 'cut.json', '--diff'), { code: 2, stdout: '', stderr: /cut\.json cannot be compared: it is cut off/ });
  t.match(await of(cluster, '--to', 'rows.csv', '--diff'), { code: 2, stderr: /rows\.csv cannot be compared/ });
  const [profile = '', target = ''] = kollectObjects.split('---\n');
  const twin = t.testdir({ 'kollect.yaml': [profile, target, profile.replace('team-a', 'team-b'), target.replace('team-a', 'team-b')].join('---\n') });
  t.match(await kollect(['export', '-f', '.', '-f', '-', '--to', 'out', '--diff'], { folder: twin, stdin: printed(cluster) }), { code: 2, stderr: /several targets have the name "web"/ });
});

t.test('objects that break a rule are told in the words of lint, and nothing is written', async (t) => {
  const folder = t.testdir({ 'kollect.yaml': kollectObjects.replace('profileRef', 'profilRef'), 'dump.json': printed(cluster) });
  const { code, stdout, stderr } = await kollect(['export', '-f', 'kollect.yaml', '-f', 'dump.json', '--to', 'out'], { folder });
  t.strictSame([code, stdout], [2, '']);
  const linted = await kollect(['lint', '-q', 'kollect.yaml'], { folder });
  t.equal(stderr, linted.stdout);
  t.notOk(readdirSync(folder).includes('out'));
});

t.test('what is wrong with the input is told with its place', async (t) => {
  const folder = t.testdir({ 'kollect.yaml': kollectObjects, 'cut.json': printed(cluster).slice(0, -400), empty: '', 'other.yaml': 'a: 1\n' });
  mkdirSync(join(folder, 'none'));
  const of = (...argv: string[]) => kollect(['export', '-f', 'kollect.yaml', ...argv], { folder });
  t.match(await of('-f', 'cut.json'), { code: 2, stderr: /cut\.json +error +cannot be read: the JSON is not complete/ });
  t.match(await of('-f', 'empty'), { code: 2, stderr: /empty +error +holds no object/ });
  t.match(await of('-f', 'other.yaml'), { code: 2, stderr: /other\.yaml:1:1 +error/ });
  t.match(await of('-f', 'missing.json'), { code: 2, stderr: /there is no such file or folder/ });
  t.match(await of('-f', 'none'), { code: 2, stderr: /holds no file/ });
  t.match(await kollect(['export'], { env: { HOME: folder, KUBECONFIG: '', KUBERNETES_SERVICE_HOST: '' } }), { code: 2, stderr: /\.kube\/config/ });
  t.match(await kollect(['export', '-f', 'dump.json', '--inventry', 'x']), { code: 2, stderr: /did you mean --inventory\?/ });
});

t.test('what stands against a target is an error, and what a scope or limit leaves out is told', async (t) => {
  const [profile = '', target = ''] = kollectObjects.split('---\n');
  const scope = 'apiVersion: kollect.dev/v1alpha1\nkind: KollectScope\nmetadata: {name: team, namespace: team-a}\nspec: {deniedNamespaces: [shop-b]}\n';
  const folder = t.testdir({ 'profile.yaml': profile, 'target.yaml': target, 'scope.yaml': scope, 'limited.yaml': target.replace('  profileRef', '  limits: {maxRows: 1}\n  profileRef'), 'denied.yaml': scope.replace('deniedNamespaces: [shop-b]', 'allowedGVKs: [{group: batch, version: v1, kind: Job}]'), 'dump.json': printed(cluster) });
  const of = (...files: string[]) => kollect(['export', '-o', 'ndjson', ...files.flatMap((file) => ['-f', file])], { folder });
  t.match(await of('target.yaml', 'dump.json'), { code: 2, stdout: '', stderr: 'kollect export: KollectTarget team-a/web: no KollectProfile "web" in namespace "team-a"\n' });
  t.match(await of('profile.yaml', 'dump.json'), { code: 2, stdout: '', stderr: /no KollectTarget or KollectClusterTarget is given/ });
  t.strictSame(await of('profile.yaml', 'target.yaml', 'scope.yaml', 'dump.json'), { code: 0, stdout: row('api', 'shop-a', 2), stderr: '' });
  t.match(await of('profile.yaml', 'limited.yaml', 'dump.json'), { code: 1, stdout: row('cart', 'shop-b', 3), stderr: /left out: team-a\/web: 1 objects have no row: spec\.limits\.maxRows/ });
  t.match(await of('profile.yaml', 'target.yaml', 'denied.yaml', 'dump.json'), { code: 2, stdout: '', stderr: /apps\/v1 Deployment is not among the allowedGVKs/ });
});

t.test('an inventory is chosen by name, and names what is exported', async (t) => {
  const inventory = (name: string) => `---\napiVersion: kollect.dev/v1alpha1\nkind: KollectInventory\nmetadata: {name: ${name}, namespace: team-a, generation: 3}\nspec: {}\n`;
  const folder = t.testdir({ 'kollect.yaml': kollectObjects, 'one.yaml': inventory('api'), 'two.yaml': inventory('api') + inventory('other'), 'dump.json': printed(cluster) });
  const of = (file: string, ...argv: string[]) => kollect(['export', '-f', 'kollect.yaml', '-f', 'dump.json', '-f', file, ...argv], { folder });
  t.match(JSON.parse((await of('one.yaml')).stdout), { generation: 3, itemCount: 2 });
  t.match(await of('two.yaml'), { code: 2, stderr: /there are 2 inventories, team-a\/api, team-a\/other: name one with --inventory/ });
  t.match(await of('two.yaml', '--inventory', 'team-a/other', '--to', 'out'), { code: 0 });
  t.strictSame(readdirSync(join(folder, 'out/inventory/team-a')), ['other.yaml']);
  t.match(await of('two.yaml', '--inventory', 'thrd'), { code: 2, stderr: /there is no inventory "thrd"; there are team-a\/api, team-a\/other/ });
});

t.test('cluster targets are rolled up, one row for each object', async (t) => {
  const objects = `${(kollectObjects.split('---\n')[0] ?? '').replace('team-a', 'kollect-system')}---
apiVersion: kollect.dev/v1alpha1
kind: KollectClusterTarget
metadata: {name: all}
spec: {profileRef: {name: web, namespace: kollect-system}, namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}}
---
apiVersion: kollect.dev/v1alpha1
kind: KollectClusterTarget
metadata: {name: shop}
spec: {profileRef: {name: web, namespace: kollect-system}, namespaceSelector: {matchLabels: {tier: shop}}}
---
apiVersion: kollect.dev/v1alpha1
kind: KollectClusterInventory
metadata: {name: platform}
spec: {dedupe: byResourceUID, namespaceSelector: {matchExpressions: [{key: kubernetes.io/metadata.name, operator: Exists}]}}
`;
  const folder = t.testdir({ 'kollect.yaml': objects });
  const { stdout, stderr } = await kollect(['export', '-f', 'kollect.yaml', '-f', '-', '-o', 'ndjson'], { folder, stdin: printed(cluster) });
  t.equal(stderr, '');
  const found = stdout.trim().split('\n').map((text) => JSON.parse(text) as { targetName: string; name: string });
  t.strictSame(found.map(({ targetName, name }) => `${targetName}/${name}`), ['all/agent', 'shop/api', 'shop/cart']);
});

t.test('integers that no double holds stay as they are', async (t) => {
  const folder = t.testdir({ 'kollect.yaml': kollectObjects });
  const text = printed([...cluster.slice(1, 2), deployment('api', 'shop-a', '@')]).replace('"@"', '9007199254740993');
  t.match((await kollect(['export', '-f', 'kollect.yaml', '-f', '-', '-o', 'ndjson'], { folder, stdin: text })).stdout, /"replicas":9007199254740993\}/);
});

t.test('whoever lints loads neither sinks nor collection', async (t) => {
  const { metafile } = await build({ entryPoints: [join(import.meta.dirname, '../../cli/main.ts')], outdir: 'out', bundle: true, splitting: true, platform: 'node', format: 'esm', write: false, metafile: true, external: ['pg-native'], logLevel: 'silent' });
  const outputs = new Map(Object.entries(metafile.outputs));
  const [main = ''] = [...outputs].find(([, { entryPoint }]) => entryPoint?.endsWith('cli/main.ts')) ?? [];
  const loaded = new Set<string>();
  const load = (output: string): void => {
    if (loaded.has(output)) return;
    loaded.add(output);
    for (const { path, kind } of outputs.get(output)?.imports ?? []) if (kind === 'import-statement') load(path);
  };
  load(main);
  const inputs = [...loaded].flatMap((output) => Object.keys(outputs.get(output)?.inputs ?? {}));
  t.ok(inputs.some((input) => input.endsWith('shared/lint/lint.ts')));
  t.strictSame(inputs.filter((input) => /controller\/|node_modules\/(?:pg|nats|hyparquet)/.test(input)), []);
});

t.test('a reader that has heard enough ends it', async (t) => {
  const folder = folderOf(t);
  const { code, stdout } = await run('bash', ['-c', `set -o pipefail; '${process.execPath}' '${join(import.meta.dirname, '../../cli/kollect.mjs')}' export -f kollect.yaml -f dump.json -o ndjson | head -n 1`], { folder });
  t.strictSame([code, stdout], [0, row('api', 'shop-a', 2)]);
});

t.test('the documentation shows the help as it is, and its commands work', async (t) => {
  const root = join(import.meta.dirname, '..', '..');
  const page = readFileSync(join(root, 'docs', 'kollect-export.md'), 'utf8');
  const blocks = (language: string) => [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, text = '']) => text);
  t.strictSame(blocks('text'), [(await kollect(['export', '--help'])).stdout], 'copy the output of kollect export --help into docs/kollect-export.md');
  const bin = t.testdir({ kollect: t.fixture('symlink', join(root, 'cli', 'kollect.mjs')) });
  const env = { PATH: `${bin}:${dirname(process.execPath)}:${process.env['PATH'] ?? ''}`, RUNNER_TEMP: bin };
  for (const block of blocks('console')) {
    const [, command = '', expected] = /^\$ (.*)\n([^]*)$/.exec(block) ?? [];
    t.equal((await run('bash', ['-c', command], { env })).stdout, expected, command);
  }
  for (const line of blocks('sh').join('').trim().split('\n')) t.match(await run('bash', ['-c', line], { env }), { code: 0, stderr: '' }, line);
});
