import type { KubeObject } from '../api/kube-object.ts';
import { KollectError } from '../errors.ts';
import { parseJson } from '../kube/json.ts';
import { readYaml } from '../lint/yaml.ts';
import { isObject } from '../values.ts';
import { readBlockYaml } from './block-yaml.ts';
import type { ListHeader } from './item.ts';

export type DumpFormat = 'json' | 'yaml';

/**
 * The objects of an item: one, but for lists in lists. What the list says of its items is added to them, and what the API server alone writes into `managedFields` is
 * left out. Throws `KOL_EXPORT_INPUT`.
 *
 * @param where of the item, for messages
 */
export function readObjects(text: string, format: DumpFormat, where: string, header?: ListHeader): KubeObject[] {
  if (format === 'yaml' && ambiguousBreak.test(text)) throw new KollectError('KOL_EXPORT_INPUT', `${where}: ${ambiguousProblem}`);
  let value: unknown;
  try {
    value = parsed(text, format);
  } catch (error) {
    throw new KollectError('KOL_EXPORT_INPUT', `${where}: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (isObject(value) && typeof value['kind'] === 'string' && value['kind'].endsWith('List') && Array.isArray(value['items'])) {
    if (isPage(value)) throw new KollectError('KOL_EXPORT_INPUT', `${where}: ${pageProblem}`);
    return value['items'].map((item: unknown) => completed(item, where, headerOf(value)));
  }
  return [completed(value, where, header)];
}

/**
 * In YAML 1.2 these are characters like any other. In YAML 1.1 they end a line, and kubectl indents what follows: the text `a\u2028b` becomes `'a\u2028    b'`, which in YAML 1.2 is another
 * text. Where no blank follows both mean the same.
 */
const ambiguousBreak = /[\u0085\u2028\u2029](?=[ \t\r\n])/;
const ambiguousProblem = 'holds one of the characters U+0085, U+2028 and U+2029 with blanks behind it, which kubectl adds, and other writers of YAML mean: dump it as JSON, with -o json';

/** The API server has more of the list. */
export function isPage({ metadata }: Readonly<Record<string, unknown>>): boolean {
  return isObject(metadata) && Boolean(metadata['continue']);
}

export const pageProblem = 'holds one page of a list: metadata.continue says that there are more; without a limit, kubectl get prints all of them';

/** What a list says of items that leave it out; undefined when it says nothing, as `kind: List` does. */
export function headerOf(list: Readonly<Record<string, unknown>>): ListHeader | undefined {
  const { apiVersion, kind } = list;
  return typeof apiVersion === 'string' && typeof kind === 'string' && kind.endsWith('List') && kind !== 'List' ? { apiVersion, kind: kind.slice(0, -'List'.length) } : undefined;
}

/** The value of a text; of several documents the first. Throws an `Error` that says what is wrong with it, and not what it says. */
export function parsed(text: string, format: DumpFormat): unknown {
  if (format === 'json') {
    try {
      return parseJson(text);
    } catch {
      // What begins like JSON may be YAML all the same.
    }
  }
  const block = format === 'yaml' ? readBlockYaml(text) : undefined;
  if (block !== undefined) return block;
  for (const { root, problems } of readYaml(text).documents) {
    const unreadable = problems.find(({ rule }) => rule === 'unreadable');
    if (unreadable) throw new Error(unreadable.message);
    if (root) return root.value;
  }
  return undefined;
}

function completed(value: unknown, where: string, header: ListHeader | undefined): KubeObject {
  if (!isObject(value) || !isObject(value['metadata']) || typeof value['metadata']['name'] !== 'string') throw new KollectError('KOL_EXPORT_INPUT', `${where}: is no Kubernetes object`);
  const object = value as KubeObject;
  object.apiVersion ??= header?.apiVersion ?? '';
  object.kind ??= header?.kind ?? '';
  if (object.apiVersion === '' || object.kind === '') throw new KollectError('KOL_EXPORT_INPUT', `${where}: is no Kubernetes object: it has no ${object.kind === '' ? 'kind' : 'apiVersion'}`);
  delete (object.metadata as { managedFields?: unknown }).managedFields;
  return object;
}
