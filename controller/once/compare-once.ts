import { rowText } from '../sinks/documents/row-text.ts';
import { rowName, type ExportRow, type HeldRow, type InventoryIdentity, type Sink } from '../sinks/contract.ts';

/** A row that an export would write or delete. */
export interface RowChange {
  change: 'added' | 'changed' | 'removed';
  targetName: string;
  kind: string;
  namespace: string;
  name: string;
}

/** What an export would change of the rows that a destination holds: what is written first, in canonical order, then what is deleted. */
export async function compareRows(rows: readonly ExportRow[], held: AsyncIterable<HeldRow> | Iterable<HeldRow>, differing: (rows: readonly ExportRow[]) => Promise<readonly ExportRow[]> = async () => []): Promise<RowChange[]> {
  const known = new Map<string, HeldRow>();
  for await (const row of held) known.set(rowName(row.key), row);
  const changes: RowChange[] = [];
  const untold: ExportRow[] = [];
  for (const row of rows) {
    const before = known.get(rowName(row));
    known.delete(rowName(row));
    if (before === undefined) changes.push(changeOf('added', row));
    else if (before.hash === undefined) untold.push(row);
    else if (before.hash !== row.hash) changes.push(changeOf('changed', row));
  }
  for (let at = 0; at < untold.length; at += slice) for (const row of await differing(untold.slice(at, at + slice))) changes.push(changeOf('changed', row));
  for (const { key, kind, namespace, name } of known.values()) changes.push({ change: 'removed', targetName: key.targetName, kind, namespace, name });
  return changes;
}

/** As `compareRows`, for a sink; undefined for one that cannot tell what it holds. */
export async function compareSink(rows: readonly ExportRow[], { sink, identity, signal }: { sink: Sink; identity: InventoryIdentity; signal: AbortSignal }): Promise<RowChange[] | undefined> {
  if (!sink.held) return undefined;
  return await compareRows(rows, sink.held(identity, signal), async (some) => (await sink.differing?.(identity, some, signal)) ?? some);
}

/** Rows that a sink is asked about together. */
const slice = 1_000;

function changeOf(change: RowChange['change'], { targetName, namespace, name, payload }: ExportRow): RowChange {
  return { change, targetName, kind: rowText(payload).head.kind, namespace, name };
}
