import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { pinnedVersion } from '../binary.ts';
import { obtainFolder } from '../cached-folder.ts';
import { moduleSource } from '../module-source.ts';
import type { ObtainOptions } from '../obtain.ts';

const module = 'github.com/cert-manager/cert-manager';

/** Those of the ACME kinds are left out: nothing here uses them. */
const files = ['certificaterequests', 'certificates', 'clusterissuers', 'issuers'].map((plural) => `cert-manager.io_${plural}.yaml`);

/** Paths of cert-manager's CRDs: from the cache, else from its module. Rejects with `ObtainError`. */
export async function obtainCertManagerCrds(options: ObtainOptions = {}): Promise<string[]> {
  const name = `cert-manager-crds-${pinnedVersion(import.meta.dirname, module)}`;
  const folder = await obtainFolder(
    {
      name,
      origin: `the Go module ${module}`,
      fill: async (into, run) => {
        const source = await moduleSource(run, import.meta.dirname, module);
        for (const file of files) cpSync(join(source, 'deploy', 'crds', file), join(into, file));
      },
    },
    options,
  );
  return files.map((file) => join(folder, file));
}
