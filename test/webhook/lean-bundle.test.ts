import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { build } from 'esbuild';
import t from 'tap';
import { entryOf } from '../kollect/process.ts';

/** What a process has read when it starts; what is imported on first use is in files of its own. */
async function loadedBy(entry: string): Promise<{ inputs: string[]; packages: Set<string> }> {
  const { metafile } = await build({
    entryPoints: [join(import.meta.dirname, '../..', entry, 'main.ts')],
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    outdir: '/nowhere',
    logLevel: 'silent',
  });
  const loaded = new Set<string>();
  const load = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const { path, kind } of metafile.outputs[file]?.imports ?? []) if (kind === 'import-statement') load(path);
  };
  load(Object.keys(metafile.outputs).find((file) => metafile.outputs[file]?.entryPoint !== undefined && file.endsWith('/main.js')) ?? '');
  const inputs = [...loaded].flatMap((file) => Object.keys(metafile.outputs[file]?.inputs ?? {}));
  return { inputs, packages: new Set(inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? [])) };
}

const sinkClients = ['pg', 'pg-copy-streams', 'nats', 'kafkajs', 'mongodb', '@aws-sdk/client-s3', '@google-cloud/storage', '@google-cloud/bigquery', '@azure/storage-blob', '@gitbeaker/rest'];

t.test('the controller starts without a sink client', async (t) => {
  const { packages } = await loadedBy('controller');
  t.ok(packages.has('zod'), 'packages are found');
  for (const name of sinkClients) t.notOk(packages.has(name), name);
});

t.test('the webhook starts without a sink client, a Kubernetes client and a second HTTP client', async (t) => {
  // A pod has no kubeconfig to parse, and no credential plugin.
  const { inputs, packages } = await loadedBy('webhook');
  t.ok(packages.has('fastify'), 'packages are found');
  for (const name of ['@kubernetes/client-node', 'undici', 'yaml', ...sinkClients]) t.notOk(packages.has(name), name);
  t.same(inputs.filter((file) => /(^|\/)(controller|cli|test)\//.test(file) && !file.includes('node_modules')), []);
});

t.test('what it imports on first use is there: a kubeconfig in YAML is read', async (t) => {
  const folder = t.testdir({
    'config.yaml': 'apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: a\n  cluster:\n    server: http://127.0.0.1:1\nusers:\n- name: a\n  user: {}\ncontexts:\n- name: a\n  context:\n    cluster: a\n    user: a\n',
    'broken.yaml': 'a: [\n',
  });
  // Its first line: it waits for a certificate that never comes, or ends at once.
  const start = async (config: string): Promise<string> => {
    const child = spawn(process.execPath, [entryOf('webhook'), `--kubeconfig=${join(folder, config)}`, `--cert-path=${folder}`, '--health-probe-bind-address=127.0.0.1:0', '--metrics-bind-address=127.0.0.1:0'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const [line] = (await once(createInterface(child.stderr), 'line')) as [string];
    child.kill('SIGKILL');
    return line;
  };
  t.match(await start('config.yaml'), /waiting for a certificate|watch failed/);
  t.match(await start('broken.yaml'), /broken\.yaml: not readable as YAML \([A-Z_]+\)/);
});
