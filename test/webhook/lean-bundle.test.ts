import { join } from 'node:path';
import { build } from 'esbuild';
import t from 'tap';

t.test('the webhook starts without a sink client, a Kubernetes client and a second HTTP client', async (t) => {
  const { metafile } = await build({
    entryPoints: [join(import.meta.dirname, '../../webhook/main.ts')],
    bundle: true,
    splitting: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    outdir: '/nowhere',
    logLevel: 'silent',
  });
  // What is imported on first use is in files of its own: a pod has no kubeconfig to parse, and no credential plugin.
  const loaded = new Set<string>();
  const load = (file: string): void => {
    if (loaded.has(file)) return;
    loaded.add(file);
    for (const { path, kind } of metafile.outputs[file]?.imports ?? []) if (kind === 'import-statement') load(path);
  };
  load(Object.keys(metafile.outputs).find((file) => metafile.outputs[file]?.entryPoint !== undefined && file.endsWith('/main.js')) ?? '');
  const inputs = [...loaded].flatMap((file) => Object.keys(metafile.outputs[file]?.inputs ?? {}));
  const packages = new Set(inputs.flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  t.ok(packages.has('fastify'), 'packages are found');
  for (const name of ['@kubernetes/client-node', 'undici', 'pg', 'pg-copy-streams', 'yaml']) t.notOk(packages.has(name), name);
  t.same(inputs.filter((file) => /(^|\/)(controller|cli|test)\//.test(file) && !file.includes('node_modules')), []);
});
