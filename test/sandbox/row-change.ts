import type { CollectedItem, RowChange } from './database.ts';

/** Values are shown up to this length. */
const maxLength = 40;

/**
 * One line about a change of a row.
 *
 * @example explain(change) // 'changed  Deployment default/web: replicas 2 → 5'
 */
export function explain({ operation, kind, name, before, after }: RowChange): string {
  const item = after ?? before;
  const where = item?.namespace ? `${item.namespace}/${name}` : name;
  return `${verbs[operation]}  ${kind} ${where}${differences(before, after)}`;
}

const verbs = { INSERT: 'added  ', UPDATE: 'changed', DELETE: 'removed' };

function differences(before: CollectedItem | undefined, after: CollectedItem | undefined): string {
  if (before === undefined || after === undefined) return '';
  const names = new Set([...Object.keys(before.attributes), ...Object.keys(after.attributes)]);
  const parts = [...names].flatMap((name) => {
    const [from, to] = [shown(before.attributes[name]), shown(after.attributes[name])];
    return from === to ? [] : [`${name} ${from} → ${to}`];
  });
  return parts.length === 0 ? '' : `: ${parts.join(', ')}`;
}

function shown(value: unknown): string {
  const text = typeof value === 'string' ? value : value === undefined ? 'none' : JSON.stringify(value);
  return text.length <= maxLength ? text : `${text.slice(0, maxLength - 1)}…`;
}
