import { duplicate, invalid, required } from '../finding.ts';
import type { Report } from '../finding.ts';
import { namespaceName, objectName } from './names.ts';

/** Names as an object lists them; what the schema refused is undefined. */
export type LooseNames = readonly (string | undefined)[] | undefined;

/** Every item that repeats an earlier one. */
export function repeated(field: string, items: LooseNames, report: Report): void {
  const seen = new Set<string>();
  for (const [index, item] of (items ?? []).entries()) {
    if (item === undefined) continue;
    if (seen.has(item)) report(duplicate(`${field}[${index}]`, item));
    seen.add(item);
  }
}

/** The same for list items that have a name, which must not be empty either. */
export function uniqueNames(field: string, items: readonly ({ readonly name?: string | undefined } | undefined)[] | undefined, report: Report): void {
  const seen = new Set<string>();
  for (const [index, item] of (items ?? []).entries()) {
    const name = item?.name;
    if (name === undefined) continue;
    if (name.trim() === '') report(required(`${field}[${index}].name`, 'write a name'));
    else if (seen.has(name)) report(duplicate(`${field}[${index}].name`, name));
    seen.add(name);
  }
}

/** Names of namespaces, each once. */
export function namespaceList(field: string, namespaces: LooseNames, report: Report): void {
  for (const [index, namespace] of (namespaces ?? []).entries()) {
    if (namespace?.trim() === '') report(invalid(`${field}[${index}]`, namespace, 'must not be empty; remove the item'));
    else namespaceName(`${field}[${index}]`, namespace, report);
  }
  repeated(field, namespaces, report);
}

/**
 * Names of objects, each once.
 *
 * @param elsewhere as for `objectName`
 */
export function nameList(field: string, names: LooseNames, elsewhere: (name: string) => string, report: Report): void {
  for (const [index, name] of (names ?? []).entries()) objectName(`${field}[${index}]`, name, elsewhere, report);
  repeated(field, names, report);
}
