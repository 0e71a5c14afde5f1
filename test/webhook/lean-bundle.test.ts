import { join } from 'node:path';
import { build } from 'esbuild';
import t from 'tap';

t.test('the webhook loads no sink client and no Kubernetes client', async (t) => {
  const { metafile } = await build({
    entryPoints: [join(import.meta.dirname, '../../webhook/main.ts')],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    format: 'esm',
    outdir: '/nowhere',
    logLevel: 'silent',
  });
  const packages = new Set(Object.keys(metafile.inputs).flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(file)?.[1] ?? []));
  t.ok(packages.has('fastify'), 'packages are found');
  for (const name of ['@kubernetes/client-node', 'undici', 'pg', 'pg-copy-streams', 'yaml']) t.notOk(packages.has(name), name);
  t.same(Object.keys(metafile.inputs).filter((file) => /(^|\/)(controller|cli|test)\//.test(file) && !file.includes('node_modules')), []);
});
