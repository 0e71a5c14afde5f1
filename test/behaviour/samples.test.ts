import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parse } from 'yaml';
import type { KubeObject } from '../../shared/api/kube-object.ts';
import { kinds } from '../../shared/api/kinds.ts';
import { lint } from '../../shared/lint/lint.ts';
import { sinkTypes } from '../../shared/api/sink-types.ts';
import { installCrds, webhookProcess } from '../kollect/installation.ts';
import { registerWebhook } from '../kollect/registration.ts';
import { startCluster } from '../servers/cluster.ts';

// Samples are what people copy: each is admitted as it is, without a warning.

const folder = join(import.meta.dirname, '..', '..', 'config', 'samples');
const files = readdirSync(folder).filter((name) => name.startsWith('kollect_'));
const samples = files.map((file) => ({ file, path: join(folder, file), object: parse(readFileSync(join(folder, file), 'utf8')) as KubeObject & { spec: { type?: string } } }));

/** What is said of backends that are yet to come. */
const unserved = /this version does not export to it/;

t.test('there is a sample of every kind and of every type of sink', async (t) => {
  for (const { kind } of kinds) t.ok(samples.some(({ object }) => object.kind === kind), kind);
  for (const type of Object.keys(sinkTypes)) t.ok(samples.some(({ object }) => object.spec.type === type), type);
});

t.test('a file is named by what it holds', async (t) => {
  for (const { file, object } of samples) t.match(file, new RegExp(`^kollect_v1alpha1_${object.kind.toLowerCase()}(_[a-z0-9-]+)?\\.yaml$`));
});

t.test('`kollect lint` has nothing to say against them', async (t) => {
  const sources = samples.map(({ file, path }) => ({ name: file, text: readFileSync(path, 'utf8'), isNamed: true }));
  const installation = { addresses: { allowPrivate: true, allowLoopback: false }, tenantMode: false };
  const { findings } = lint(sources, { installation, namespace: 'default' });
  t.same(findings.filter(({ severity }) => severity === 'error'), []);
  // It is the sink of another sample once more, and its table is not to be created.
  t.same(findings.filter(({ problem }) => !unserved.test(problem)).map(({ file, field }) => [file, field]), [['kollect_v1alpha1_kollectdatabasesink_existing.yaml', 'metadata.name'], ['kollect_v1alpha1_kollectdatabasesink_existing.yaml', 'spec.provisioning.mode']]);
});

t.test('on a cluster', async (t) => {
  const cluster = await startCluster();
  t.teardown(() => cluster.stop());
  const { kubectl } = cluster;
  const webhook = await webhookProcess(cluster.keeper);
  await Promise.all([installCrds(kubectl), webhook.start()]);
  for (const name of ['kollect-system', 'team-a']) await kubectl(['create', 'namespace', name]);
  await registerWebhook(kubectl, webhook);

  await t.test('each is admitted', async (t) => {
    for (const flags of [[], ['--server-side']]) {
      const { code, stdout, stderr } = await kubectl(['apply', '--dry-run=server', ...flags, ...samples.flatMap(({ path }) => ['-f', path])]);
      t.equal(code, 0, stderr);
      t.equal(stdout.trim().split('\n').length, samples.length, flags.join());
      t.match(stderr.split(/^/m).filter((line) => !unserved.test(line)).join(''), /^Warning: spec\.provisioning\.mode: existing: .*\n$/, 'the only warning is about a table that Kollect must not create');
    }
  });

  await t.test('all together, with the bounds that the scopes set', async (t) => {
    // Two of them are one sink, written in two ways.
    const together = samples.filter(({ file }) => !file.includes('_existing'));
    for (const round of ['created', 'unchanged or configured']) {
      const { code, stdout, stderr } = await kubectl(['apply', ...together.flatMap(({ path }) => ['-f', path])]);
      t.equal(code, 0, stderr);
      t.equal(stdout.trim().split('\n').length, together.length, round);
    }
  });

  await t.test('as kustomize builds them', async (t) => {
    t.match(await kubectl(['apply', '--dry-run=server', '-k', folder]), { code: 0 });
    const { stdout } = await kubectl(['kustomize', folder]);
    t.equal(stdout.match(/^ {2}namespace: default$/gm)?.length, stdout.match(/^kind: /gm)?.length, 'all in one namespace');
  });
});
