import { createHash } from 'node:crypto';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { kollect as command } from '../cli/command.ts';
import { startGit, type GitRepository } from '../servers/git/index.ts';
import { filesOf } from '../sinks/git-place.ts';
import { startKollect } from './harness.ts';
import { deployment } from './objects.ts';

// `kollect export` writes what the controller writes of the same objects, byte for byte: of a dump, and of the cluster itself.

const git = await startGit();
t.teardown(() => git.stop());
const kollect = await startKollect({ test: t });
const [own, other] = [await kollect.namespace({ tier: 'shop' }), await kollect.namespace({ tier: 'shop', edge: 'true' })];
await kollect.namespace({ tier: 'none' });
const repositories: Record<string, GitRepository> = {};
for (const name of ['rows', 'envelope', 'tree']) repositories[name] = await git.createRepository({ path: `${name}.git` });

const api = 'kollect.dev/v1alpha1';
const sinkOf = (name: string, spec: object) => ({ apiVersion: api, kind: 'KollectSnapshotSink', metadata: { name, namespace: own }, spec: { type: 'git', cluster: 'west', connectionTest: false, endpoint: repositories[name]!.httpUrl, secretRef: { name: 'git' }, ...spec } });
const metadata = { name: 'web', namespace: own };
const objects = [
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'git', namespace: own }, stringData: { username: git.user, password: git.password } },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'dsn', namespace: own }, stringData: { dsn: kollect.dsn } },
  {
    apiVersion: api,
    kind: 'KollectProfile',
    metadata,
    spec: {
      targetGVK: { group: 'apps', version: 'v1', kind: 'Deployment' },
      attributes: [
        { name: 'images', path: '$.spec.template.spec.containers[*].image' },
        { name: 'scaled', path: "cel:object.spec.replicas > 1 ? object.metadata.name + '>&<' : 'no'" },
        { name: 'missing', path: '$.spec.nothing', optional: true },
        { name: 'labels', path: '$.metadata.labels' },
      ],
    },
  },
  {
    apiVersion: api,
    kind: 'KollectTarget',
    metadata,
    spec: {
      profileRef: 'web',
      namespaceSelector: { matchLabels: { tier: 'shop' } },
      namespaceExcludeSelector: { matchLabels: { closed: 'true' } },
      resourceRules: [{ gvk: { group: 'apps', version: 'v1', kind: 'Deployment' }, matchPolicy: 'object.spec.replicas > 0' }],
    },
  },
  sinkOf('rows', { layout: { mode: 'document' } }),
  sinkOf('envelope', { serialization: { format: 'json' } }),
  sinkOf('tree', { layout: { mode: 'split' } }),
  { apiVersion: api, kind: 'KollectDatabaseSink', metadata: { name: 'pg', namespace: own }, spec: { type: 'postgres', cluster: 'west', connectionTest: false, postgres: { databaseRef: { name: 'dsn' }, table: 'inventory_items' } } },
  { apiVersion: api, kind: 'KollectInventory', metadata: { name: 'api', namespace: own }, spec: { snapshotSinkRefs: ['rows', 'envelope', 'tree'], databaseSinkRefs: ['pg'] } },
];
const expected = 60;
const timeless = (text: string): string => text.replaceAll(/("?exportedAt"?: ?"?)[^",\n]+/g, '$1');
const folder = t.testdir();
const environment = { folder };

t.before(async () => {
  const workloads = Array.from({ length: expected + 3 }, (_, index) => deployment(index % 2 === 0 ? own : other, `web-${index}`, index < 3 ? 0 : index));
  await kollect.apply(workloads.join('---\n'));
  await kollect.apply(objects);
  await kollect.eventually(async () => (await kollect.psql('select 1 from inventory_items')).length === expected);
  await kollect.eventually(async () => Object.keys(await filesOf(repositories['tree']!)).length === expected + 2 && Object.keys(await filesOf(repositories['rows']!)).length === 1 && Object.keys(await filesOf(repositories['envelope']!)).length === 1);
  const dump = async (kinds: string, form: string) => (await kollect.kubectl(['get', kinds, '--all-namespaces', '--output', form])).stdout;
  writeFileSync(join(folder, 'dump.json'), await dump('namespaces,deployments,secrets', 'json'));
  writeFileSync(join(folder, 'dump.yaml'), await dump('namespaces,deployments', 'yaml'));
  writeFileSync(join(folder, 'kollect.yaml'), await dump('kollectprofiles,kollecttargets,kollectsnapshotsinks,kollectdatabasesinks,kollectinventories', 'yaml'));
});

const run = (...argv: string[]) => command(['export', '--allow-loopback-sinks', ...argv], environment);
const filesIn = (name: string): Record<string, string> => Object.fromEntries(readdirSync(join(folder, name), { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => [join(entry.parentPath, entry.name).slice(join(folder, name).length + 1), readFileSync(join(entry.parentPath, entry.name), 'latin1')]));

t.test('a dump becomes the files of the repositories', async (t) => {
  for (const [sink, dump] of [['rows', 'dump.json'], ['tree', 'dump.json'], ['envelope', 'dump.yaml']] as const) {
    t.match(await run('-f', 'kollect.yaml', '-f', dump, '--sink', `snapshot/${sink}`, '--to', sink), { code: 0, stdout: '', stderr: '' });
    const theirs = Object.entries(await filesOf(repositories[sink]!)).map(([path, text]) => [path, timeless(text)]);
    const ours = Object.entries(filesIn(sink)).map(([path, text]) => [path, timeless(text).replace(/\n *"installation"[^\n]*/, '')]);
    t.strictSame(Object.fromEntries(ours), Object.fromEntries(theirs.map(([path, text]) => [path, text!.replace(/\n *"installation"[^\n]*/, '')])), sink);
  }
});

t.test('what kubectl puts into a text is not taken for a part of it', async (t) => {
  const dumped = async (form: string) => (await kollect.kubectl(['create', 'deployment', 'odd', '--image=a\u2028b', '--dry-run=client', '--output', form])).stdout;
  const yaml = await dumped('yaml');
  t.match(yaml, /image: 'a\u2028 +b'/, 'in YAML there are blanks that nobody wrote');
  writeFileSync(join(folder, 'odd.yaml'), yaml);
  writeFileSync(join(folder, 'odd.json'), await dumped('json'));
  t.match(await run('-f', 'kollect.yaml', '-f', 'dump.json', '-f', 'odd.yaml', '-o', 'ndjson'), { code: 2, stdout: '', stderr: /dump it as JSON/ });
  t.match(await run('-f', 'kollect.yaml', '-f', 'dump.json', '-f', 'odd.json', '-o', 'ndjson'), { code: 0, stderr: '' });
});

t.test('rows of a dump and of the cluster are those of the table', async (t) => {
  const ofDump = await run('-f', 'kollect.yaml', '-f', 'dump.yaml', '-o', 'ndjson');
  const ofCluster = await run('--kubeconfig', kollect.cluster.kubeconfig, '-o', 'ndjson');
  const withFiles = await run('--kubeconfig', kollect.cluster.kubeconfig, '-f', 'kollect.yaml', '-o', 'ndjson');
  t.match([ofDump, ofCluster, withFiles], [{ code: 0, stderr: '' }, { code: 0, stderr: '' }, { code: 0, stderr: '' }]);
  t.equal(ofDump.stdout, ofCluster.stdout);
  t.equal(withFiles.stdout, ofCluster.stdout);
  const hashes = await kollect.psql<{ hash: string }>("select encode(payload_sha256, 'hex') as hash from inventory_items");
  const ours = ofDump.stdout.trim().split('\n').map((text) => createHash('sha256').update(text).digest('hex'));
  t.strictSame(ours.sort(), hashes.map(({ hash }) => hash).sort());
});

t.test('a sink that the controller has written to is as it should be', async (t) => {
  const versions = () => kollect.psql('select source_uid, xmin::text, exported_at from inventory_items order by source_uid');
  const before = await versions();
  t.match(await run('-f', 'kollect.yaml', '-f', 'dump.json', '--sink', 'database/pg', '--sink', 'snapshot/rows'), { code: 0, stdout: '', stderr: '' });
  t.strictSame(await versions(), before);
  const head = await repositories['rows']!.git('rev-parse', 'main');
  t.match(await run('--kubeconfig', kollect.cluster.kubeconfig, '--sink', 'snapshot/rows'), { code: 0, stderr: '' });
  t.equal(await repositories['rows']!.git('rev-parse', 'main'), head, 'no commit');
});

t.test('what an export would change is told of a table and of a repository', async (t) => {
  const dump = JSON.parse(readFileSync(join(folder, 'dump.json'), 'utf8')) as { items: { kind: string; metadata: { name: string } }[] };
  writeFileSync(join(folder, 'less.json'), JSON.stringify({ ...dump, items: dump.items.filter(({ metadata: { name } }) => name !== 'web-10') }));
  const versions = () => kollect.psql('select xmin::text from inventory_items order by source_uid');
  const before = await versions();
  for (const sink of ['database/pg', 'snapshot/rows', 'snapshot/tree']) {
    t.match(await run('-f', 'kollect.yaml', '-f', 'dump.json', '--sink', sink, '--diff', '-q'), { code: 0, stdout: '', stderr: '' }, sink);
    t.match(await run('-f', 'kollect.yaml', '-f', 'less.json', '--sink', sink, '--diff', '-q'), { code: 1, stdout: `- Deployment ${own}/web-10 (web)\n`, stderr: '' }, sink);
    t.match(await run('-f', 'kollect.yaml', '-f', 'less.json', '--sink', sink, '--dry-run', '-q'), { code: 0, stdout: '', stderr: '' }, sink);
  }
  t.strictSame(await versions(), before);
});
