import { rowText } from '../documents/row-text.ts';
import type { ExportRow, RowKey, SinkChange } from '../contract.ts';
import type { NamedChanges } from './message.ts';

/** More names than a message shows are only counted. */
const maxNames = 10;

/** Counts what happens to rows, and keeps the first names. */
export interface RowChanges {
  added: Tally;
  changed: Tally;
  removed: Tally;
}

export class Tally {
  count = 0;
  readonly names: string[] = [];

  add(row: ExportRow): void {
    this.count++;
    if (this.names.length < maxNames) this.names.push(nameOf(row));
  }
}

/** The rows of an inventory as they were written last, so that a commit can say what is new. It holds references to the rows, and nothing of what they say. */
export class WrittenRows {
  #rows: Map<string, ExportRow> | undefined;

  /**
   * What a pass changes; undefined when nothing is known of the rows before it. They count as written when `confirm` is called.
   *
   * @param rows all of them
   */
  compare(rows: Iterable<readonly ExportRow[]>, since: SinkChange['since']): { changes: RowChanges | undefined; confirm(): void } {
    const before = this.#rows;
    if (before && since) return this.#compareSince(before, since);
    const after = new Map<string, ExportRow>();
    for (const slice of rows) for (const row of slice) after.set(keyOf(row), row);
    const changes: RowChanges = { added: new Tally(), changed: new Tally(), removed: new Tally() };
    for (const [key, row] of after) {
      const former = before?.get(key);
      if (former === undefined) changes.added.add(row);
      else if (former.hash !== row.hash) changes.changed.add(row);
    }
    for (const [key, row] of before ?? []) if (!after.has(key)) changes.removed.add(row);
    return {
      changes: before && changes,
      confirm: () => {
        this.#rows = after;
      },
    };
  }

  #compareSince(before: Map<string, ExportRow>, { upserts, deletes }: NonNullable<SinkChange['since']>): { changes: RowChanges; confirm(): void } {
    const changes: RowChanges = { added: new Tally(), changed: new Tally(), removed: new Tally() };
    const after = new Map<string, ExportRow | undefined>();
    for (const key of deletes) after.set(keyOf(key), undefined);
    for (const row of upserts) after.set(keyOf(row), row);
    for (const [key, row] of after) {
      const former = before.get(key);
      if (row === undefined) {
        if (former) changes.removed.add(former);
      } else if (former === undefined) changes.added.add(row);
      else if (former.hash !== row.hash) changes.changed.add(row);
    }
    const confirm = (): void => {
      for (const [key, row] of after) {
        if (row === undefined) before.delete(key);
        else before.set(key, row);
      }
    };
    return { changes, confirm };
  }
}

export function namedChanges({ added, changed, removed }: RowChanges): NamedChanges {
  return { added: { count: added.count, names: added.names }, changed: { count: changed.count, names: changed.names }, removed: { count: removed.count, names: removed.names } };
}

function keyOf({ targetName, uid }: RowKey): string {
  return `${targetName}/${uid}`;
}

/** @example 'Deployment shop/api' */
function nameOf({ payload, namespace, name }: ExportRow): string {
  return `${rowText(payload).head.kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}
