#!/usr/bin/env node
// The command as npm installs it. It is plain JavaScript that any Node reads, because the Node that finds it may be older than the one
// that Kollect needs: then it looks for that one beside Kollect's own dependencies.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import * as module from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const neededMajor = 24;
const here = dirname(fileURLToPath(import.meta.url));

/** In a checkout the source, which is never stale; in a package, which has none, the bundle. */
function entry() {
  const found = [join(here, 'main.ts'), join(here, '..', 'dist', 'kollect.js')].find((file) => existsSync(file));
  if (found === undefined) fail('kollect is not built: run npm run build');
  return found;
}

function main() {
  if (Number(process.versions.node.split('.')[0]) >= neededMajor) {
    // Half of the time of a run is compiling; the next one need not.
    module.enableCompileCache?.();
    return import(pathToFileURL(entry()).href);
  }
  const node = join(here, '..', 'node_modules', '.bin', 'node');
  if (!existsSync(node)) fail(`kollect needs Node.js ${neededMajor} or newer, and this is ${process.version}; install it, or run npm ci in ${join(here, '..')}`);
  const child = spawn(node, [entry(), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => fail(`kollect cannot start ${node}: ${error.message}`));
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

function fail(message) {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

await main();
