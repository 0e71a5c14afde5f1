import { written, type Contents } from './document.ts';
import { tableOf, type Cell } from './table.ts';

/** A line of names, then one line a row, as RFC 4180 has them: CRLF at their ends, quotes where they are needed. Nothing is put before a value: it is what was collected. */
export async function* csvDocument(contents: Contents, hotAttributes?: readonly string[]): AsyncGenerator<Uint8Array> {
  const { columns, cells } = tableOf(contents, hotAttributes);
  yield Buffer.from(line(columns.map(({ name }) => name)));
  yield* written(contents.rows, (slice) => slice.map((row) => line(cells(row))).join(''));
}

function line(cells: readonly Cell[]): string {
  return `${cells.map(field).join(',')}\r\n`;
}

function field(cell: Cell): string {
  const text = cell === null ? '' : typeof cell === 'string' ? cell : cell.toISOString();
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
