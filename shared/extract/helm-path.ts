import { KollectError } from '../errors.ts';
import { shown } from './shown.ts';

/**
 * Resolves a `helm:release.<field>` path to the place in the release document, and refuses what must not be exported: manifests, hooks and
 * chart content, what lies below them, and what lies above them and would include them.
 *
 * @param path the whole path, with its prefix
 * @returns the keys from the root of the release, such as `['chart', 'metadata', 'version']` for `helm:release.chartVersion`
 * @throws KollectError KOL_EXTRACT_PATH
 */
export function parseHelmPath(path: string): string[] {
  if (!path.startsWith(helmPrefix)) {
    throw new KollectError('KOL_EXTRACT_PATH', `${shown(path)} is not a Helm path; write helm:release.<field>, such as helm:release.chartVersion`);
  }
  const field = path.slice(helmPrefix.length);
  const [head = '', ...rest] = field.split('.');
  const keys = [...(aliases[head] ?? [head]), ...rest];
  if (keys.some((key) => key === '' || !/^[\w-]+$/.test(key))) {
    throw new KollectError('KOL_EXTRACT_PATH', `${shown(path)} names no field of a release; write names joined by dots, such as helm:release.chartVersion`);
  }
  for (const denied of deniedFields) {
    if (isPrefix(denied, keys)) throw refusal(path, `${denied.join('.')} is not exportable`);
    if (isPrefix(keys, denied)) throw refusal(path, `${keys.join('.')} includes ${denied.join('.')}, which is not exportable`);
  }
  return keys;
}

const helmPrefix = 'helm:release.';

const aliases: Record<string, string[]> = {
  releaseName: ['name'],
  revision: ['version'],
  chartName: ['chart', 'metadata', 'name'],
  chartVersion: ['chart', 'metadata', 'version'],
  appVersion: ['chart', 'metadata', 'appVersion'],
  status: ['info', 'status'],
  lastDeployed: ['info', 'last_deployed'],
};

const deniedFields = [['manifest'], ['hooks'], ['chart', 'templates'], ['chart', 'files'], ['chart', 'values'], ['chart', 'raw']];

function isPrefix(prefix: readonly string[], keys: readonly string[]): boolean {
  return prefix.length <= keys.length && prefix.every((key, i) => key === keys[i]);
}

function refusal(path: string, why: string): KollectError {
  return new KollectError('KOL_EXTRACT_PATH', `${shown(path)}: ${why}; name another field, such as helm:release.chartVersion`);
}
