import { inTurns } from '../../../shared/in-turns.ts';
import { rowText } from '../documents/row-text.ts';
import { rowName, type ExportRow, type SinkChange } from '../contract.ts';
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
   * What a pass changes; all rows are added where nothing is known of those before it. They count as written when `confirm` is called.
   *
   * @param rows all of them
   */
  async compare(rows: Iterable<readonly ExportRow[]>, since: SinkChange['since']): Promise<Comparison> {
    const before = this.#rows;
    if (before && since) return await compareSince(before, since);
    const after = new Map<string, ExportRow>();
    await inTurns(rows, (slice) => {
      for (const row of slice) after.set(rowName(row), row);
    });
    const confirm = async (): Promise<void> => {
      this.#rows = after;
    };
    const changes: RowChanges = { added: new Tally(), changed: new Tally(), removed: new Tally() };
    await inTurns(after, ([key, row]) => tallyOf(changes, before?.get(key), row)?.add(row));
    await inTurns(before ?? [], ([key, row]) => {
      if (!after.has(key)) changes.removed.add(row);
    });
    return { changes, isKnown: before !== undefined, confirm };
  }
}

/** What a pass changes, and how it is remembered. */
export interface Comparison {
  changes: RowChanges;
  /** The rows before it were known. */
  isKnown: boolean;
  confirm(): Promise<void>;
}

async function compareSince(before: Map<string, ExportRow>, { upserts, deletes }: NonNullable<SinkChange['since']>): Promise<Comparison> {
  const changes: RowChanges = { added: new Tally(), changed: new Tally(), removed: new Tally() };
  const after = new Map<string, ExportRow | undefined>();
  await inTurns(deletes, (key) => after.set(rowName(key), undefined));
  await inTurns(upserts, (row) => after.set(rowName(row), row));
  await inTurns(after, ([key, row]) => {
    const former = before.get(key);
    if (row) tallyOf(changes, former, row)?.add(row);
    else if (former) changes.removed.add(former);
  });
  const confirm = async (): Promise<void> => {
    await inTurns(after, ([key, row]) => {
      if (row) before.set(key, row);
      else before.delete(key);
    });
  };
  return { changes, isKnown: true, confirm };
}

function tallyOf({ added, changed }: RowChanges, former: ExportRow | undefined, { hash }: ExportRow): Tally | undefined {
  if (former === undefined) return added;
  return former.hash === hash ? undefined : changed;
}

export function namedChanges({ added, changed, removed }: RowChanges): NamedChanges {
  return { added: { count: added.count, names: added.names }, changed: { count: changed.count, names: changed.names }, removed: { count: removed.count, names: removed.names } };
}

/** @example 'Deployment shop/api' */
function nameOf({ payload, namespace, name }: ExportRow): string {
  return `${rowText(payload).head.kind} ${namespace === '' ? '' : `${namespace}/`}${name}`;
}
