import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import type { Plugin } from 'esbuild';

const root = join(import.meta.dirname, '..');
const outdir = process.argv[2] ?? join(root, 'dist');

/** Some dependencies are CommonJS and call `require` at run time; an ES module has none. */
const banner = "import { createRequire as __createRequire } from 'node:module';\nconst require = __createRequire(import.meta.url);";

/**
 * Bundles each process, and the command for people, into one entry file in `dist`, or the folder that is named, with what it loads on first use in files beside it. A controller that uses no
 * BigQuery sink never reads that client from disk.
 */
async function main(): Promise<void> {
  const entryPoints = { webhook: join(root, 'webhook/main.ts'), controller: join(root, 'controller/main.ts'), kollect: join(root, 'cli/main.ts') };
  const present = Object.entries(entryPoints).filter(([, file]) => existsSync(file));
  rmSync(outdir, { recursive: true, force: true });
  const started = performance.now();
  const sizes = await Promise.all(present.map(([name, file]) => bundle(name, file)));
  for (const [index, [name]] of present.entries()) console.log(`dist/${name}.js  ${((sizes[index] ?? 0) / 1024).toFixed(0)} KiB`);
  console.log(`built in ${Math.round(performance.now() - started)} ms`);
}

/** One build a process: shared pieces of a common build would make the webhook load files that only the controller needs. */
async function bundle(name: string, entryPoint: string): Promise<number> {
  const { metafile } = await build({
    entryPoints: { [name]: entryPoint },
    outdir,
    chunkNames: `${name}-[name]-[hash]`,
    bundle: true,
    splitting: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: { js: banner },
    define: versionDefines(),
    // An optional native binding that we do not ship.
    external: ['pg-native'],
    plugins: [englishOnly],
    // The webhook keeps the text of its code in memory: half as much of it, minified.
    minify: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  return Object.entries(metafile.outputs).find(([file]) => file.endsWith(`/${name}.js`))?.[1].bytes ?? 0;
}

/** zod brings its messages in fifty languages, a fifth of the webhook's bundle. We write our own. */
const englishOnly: Plugin = {
  name: 'english-only',
  setup(builder) {
    builder.onLoad({ filter: /[/\\]zod[/\\]v4[/\\]locales[/\\]index\.js$/ }, () => ({ contents: "export { default as en } from './en.js';" }));
  },
};

function versionDefines(): Record<string, string> {
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };
  return {
    'process.env.KOLLECT_VERSION': JSON.stringify(version),
    'process.env.KOLLECT_COMMIT': JSON.stringify(process.env.KOLLECT_COMMIT ?? gitCommit() ?? 'unknown'),
    // Given by releases only, so that equal sources give equal bundles.
    'process.env.KOLLECT_BUILT': JSON.stringify(process.env.KOLLECT_BUILT ?? 'unknown'),
  };
}

function gitCommit(): string | undefined {
  try {
    return execFileSync('git', ['rev-parse', '--short=12', 'HEAD'], { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    return undefined;
  }
}

await main();
