import { z } from 'zod';
import type { Run } from './cached-folder.ts';

const Download = z.object({ Dir: z.string() });

/** The read-only folder in Go's cache with the sources of a module, in the version that `moduleFolder/go.mod` pins. */
export async function moduleSource(run: Run, moduleFolder: string, module: string): Promise<string> {
  const printed = await run('go', ['mod', 'download', '-json', module], { cwd: moduleFolder, env: { GOWORK: 'off', GOFLAGS: '-mod=readonly' } });
  // After what it says of the download.
  return Download.parse(JSON.parse(printed.slice(printed.indexOf('{')))).Dir;
}
