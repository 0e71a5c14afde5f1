import { gzipSync, zstdCompressSync } from 'node:zlib';
import type { CompressionCodec, SchemaElement } from 'hyparquet';
import { Turns } from '../../../shared/in-turns.ts';
import type { Compression } from '../../../shared/layout/serialization.ts';
import type { Contents } from './document.ts';
import { slicesOf } from './snapshot.ts';
import { tableOf, type Cell, type Column } from './table.ts';

/**
 * A Parquet file in groups of rows, of which one at a time is in memory. Compressed within, so that readers can take the columns that they need.
 */
export async function* parquetDocument(contents: Contents, compression: Compression, hotAttributes?: readonly string[]): AsyncGenerator<Uint8Array> {
  const { ByteWriter, ParquetWriter } = await import('hyparquet-writer');
  const { columns, cells } = tableOf(contents, hotAttributes);
  const bytes = new ByteWriter();
  const file = new ParquetWriter({ writer: bytes, schema: schemaOf(columns), codec: codecs[compression], compressors: { GZIP: gzipSync, ZSTD: zstdCompressSync }, createdBy: 'kollect' });
  const written = (): Uint8Array => {
    const piece = bytes.getBytes().slice();
    bytes.index = 0;
    return piece;
  };
  const turns = new Turns();
  for (let start = 0; start < contents.rows.length; start += groupRows) {
    const data = columns.map((): Cell[] => []);
    for (const slice of slicesOf(contents.rows.slice(start, start + groupRows))) {
      for (const row of slice) for (const [index, cell] of cells(row).entries()) data[index]!.push(cell);
      if (turns.isOver) await turns.next();
    }
    await file.write({ columnData: columns.map(({ name, type }, index) => ({ name, data: type === 'json' ? data[index]!.map(bytesOf) : data[index]! })), rowGroupSize: groupRows });
    yield written();
    await turns.next();
  }
  await file.finish();
  yield written();
}

/** Readers prefer large groups; nobody else has a turn while one is encoded, for five to ten milliseconds. */
const groupRows = 1_000;

const codecs: Readonly<Record<Compression, CompressionCodec>> = { none: 'UNCOMPRESSED', gzip: 'GZIP', snappy: 'SNAPPY', zstd: 'ZSTD' };

const types: Readonly<Record<Column['type'], Partial<SchemaElement>>> = {
  text: { type: 'BYTE_ARRAY', converted_type: 'UTF8', logical_type: { type: 'STRING' } },
  time: { type: 'INT64', converted_type: 'TIMESTAMP_MICROS', logical_type: { type: 'TIMESTAMP', isAdjustedToUTC: true, unit: 'MICROS' } },
  json: { type: 'BYTE_ARRAY' },
};

function schemaOf(columns: readonly Column[]): SchemaElement[] {
  return [
    { name: 'inventory', num_children: columns.length },
    ...columns.map(({ name, type, optional }): SchemaElement => ({ name, repetition_type: optional ? 'OPTIONAL' : 'REQUIRED', ...types[type] })),
  ];
}

function bytesOf(cell: Cell): Uint8Array {
  return Buffer.from(String(cell));
}
