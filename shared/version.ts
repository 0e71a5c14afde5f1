/** Set by the build; run from source they say so. */
const version = process.env.KOLLECT_VERSION ?? 'dev';
const commit = process.env.KOLLECT_COMMIT ?? 'unknown';
const built = process.env.KOLLECT_BUILT ?? 'unknown';

/** Names a process and its version to servers: `kollect-controller/0.1.0`. */
export function userAgent(process: string): string {
  return `kollect-${process}/${version}`;
}

/** What `--version` prints: `0.1.0 (commit 1a2b3c4, built 2026-01-02T03:04:05Z)`. */
export function versionText(): string {
  return `${version} (commit ${commit}, built ${built})`;
}
