import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** A server, or a tool for one, that is built from its Go module. */
export interface GoBinary {
  /** The file's name in the cache, and in `KUBEBUILDER_ASSETS`. */
  name: string;
  /** As the module says it, without the leading `v`. */
  version: string;
  /** Folder of the committed go.mod and go.sum that pin it. */
  moduleFolder: string;
  /** The command's import path. */
  package: string;
  /** For the linker, such as version strings. */
  linkerFlags: readonly string[];
}

/**
 * Reads the version that `moduleFolder/go.mod` pins for a module, so that it stands in one place.
 *
 * @example pinnedVersion(import.meta.dirname, 'go.etcd.io/etcd/server/v3') // '3.6.14'
 */
export function pinnedVersion(moduleFolder: string, module: string): string {
  const line = readFileSync(join(moduleFolder, 'go.mod'), 'utf8')
    .split('\n')
    .find((text) => text.trim().startsWith(`${module} v`));
  if (line === undefined) throw new Error(`${join(moduleFolder, 'go.mod')} does not require ${module}`);
  return line.trim().slice(module.length + 2).split(' ')[0] ?? '';
}
