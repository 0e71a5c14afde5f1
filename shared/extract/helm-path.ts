import { KollectError } from '../errors.ts';
import { nearestName } from '../nearest.ts';
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
    const field = path.slice('helm:'.length);
    const example = isExportable(field) ? `helm:release.${field}` : 'helm:release.chartVersion';
    throw new KollectError('KOL_EXTRACT_PATH', `${shown(path)} is not a Helm path; write helm:release.<field>, such as ${example}`);
  }
  const field = path.slice(helmPrefix.length);
  const [head = '', ...rest] = field.split('.');
  const keys = [...(aliases.get(head) ?? [head]), ...rest];
  if (keys.some((key) => key === '' || !/^[\w-]+$/.test(key))) {
    throw new KollectError('KOL_EXTRACT_PATH', `${shown(path)} names no field of a release; write names joined by dots, such as helm:release.chartVersion`);
  }
  const unknown = unknownField(head, keys);
  if (unknown !== undefined) throw new KollectError('KOL_EXTRACT_PATH', `${shown(path)}: ${unknown}`);
  for (const denied of deniedFields) {
    if (isPrefix(denied, keys)) throw refusal(path, `${denied.join('.')} is not exportable`);
    if (isPrefix(keys, denied)) throw refusal(path, `${keys.join('.')} includes ${denied.join('.')}, which is not exportable`);
  }
  return keys;
}

/** Whether a field can be named, or what lies below it. */
function isExportable(field: string): boolean {
  const [head = '', ...rest] = field.split('.');
  const keys = [...(aliases.get(head) ?? [head]), ...rest];
  return keys.every((key) => /^[\w-]+$/.test(key)) && unknownField(head, keys) === undefined && !deniedFields.some((denied) => isPrefix(denied, keys) || isPrefix(keys, denied));
}

const helmPrefix = 'helm:release.';

const aliases: ReadonlyMap<string, readonly string[]> = new Map([
  ['releaseName', ['name']],
  ['revision', ['version']],
  ['chartName', ['chart', 'metadata', 'name']],
  ['chartVersion', ['chart', 'metadata', 'version']],
  ['appVersion', ['chart', 'metadata', 'appVersion']],
  ['status', ['info', 'status']],
  ['lastDeployed', ['info', 'last_deployed']],
]);

/** What a release document has at the places where it is the same for all charts. */
const fieldsOf: Readonly<Record<string, readonly string[]>> = {
  '': ['name', 'namespace', 'version', 'info', 'chart', 'config', 'manifest', 'hooks', 'labels', 'apply_method'],
  info: ['first_deployed', 'last_deployed', 'deleted', 'description', 'status', 'notes', 'resources', 'rollback_revision'],
  chart: ['metadata', 'lock', 'templates', 'values', 'schema', 'files', 'raw', 'schemamodtime', 'modtime'],
  'chart.metadata': ['name', 'home', 'sources', 'version', 'description', 'keywords', 'maintainers', 'icon', 'apiVersion', 'condition', 'tags', 'appVersion', 'deprecated', 'annotations', 'kubeVersion', 'dependencies', 'type'],
};

/** What is wrong with the first name that no release has; undefined when all may be there. */
function unknownField(head: string, keys: readonly string[]): string | undefined {
  for (const [index, key] of keys.entries()) {
    const parent = keys.slice(0, index).join('.');
    const known = Object.hasOwn(fieldsOf, parent) ? fieldsOf[parent] : undefined;
    if (known === undefined) return undefined;
    if (known.includes(key)) continue;
    const written = index === 0 ? head : key;
    const near = nearestName(written, (index === 0 ? [...aliases.keys(), ...known] : known).filter((name) => isExportable([...keys.slice(0, index), name].join('.'))));
    const what = `${parent === '' ? 'a release' : parent} has no field ${JSON.stringify(written.slice(0, 64))}`;
    return near === undefined ? `${what}; known are ${(index === 0 ? [...aliases.keys(), 'config', 'info', 'chart.metadata'] : known).join(', ')}` : `${what}; did you mean ${shown(helmPrefix + [...keys.slice(0, index), near].join('.'))}?`;
  }
  return undefined;
}

const deniedFields = [['manifest'], ['hooks'], ['chart', 'templates'], ['chart', 'files'], ['chart', 'values'], ['chart', 'raw'], ['chart', 'schema']];

function isPrefix(prefix: readonly string[], keys: readonly string[]): boolean {
  return prefix.length <= keys.length && prefix.every((key, i) => key === keys[i]);
}

function refusal(path: string, why: string): KollectError {
  return new KollectError('KOL_EXTRACT_PATH', `${shown(path)}: ${why}; name another field, such as helm:release.chartVersion`);
}
