import { duplicate, required } from '../finding.ts';
import type { Report } from '../finding.ts';

/** Every item that repeats an earlier one. */
export function repeated(field: string, items: readonly (string | undefined)[] | undefined, report: Report): void {
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
