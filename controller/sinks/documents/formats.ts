import type { SerializationFormat } from '../../../shared/api/sink-types.ts';
import type { Serialization } from '../../../shared/layout/serialization.ts';
import { compressed } from './compression.ts';
import { csvDocument } from './csv.ts';
import type { Contents } from './document.ts';
import { jsonDocument, ndjsonDocument } from './json-document.ts';
import { parquetDocument } from './parquet.ts';
import { yamlDocument } from './yaml.ts';

/** How a sink writes rows. */
export interface DocumentSettings extends Serialization {
  /** Attributes with a column of their own in tables; image and version when unset. */
  hotAttributes?: readonly string[] | undefined;
}

/** What a receiver is told about a document. */
export interface DocumentType {
  /** For `Content-Type`. */
  contentType: string;
  /** For `Content-Encoding`; undefined when the document is not compressed as a whole. */
  contentEncoding: 'gzip' | 'zstd' | undefined;
}

/**
 * The document of an inventory, or of one part of it, in pieces of some hundred kilobytes. Nothing of it is kept, and no piece takes longer than some milliseconds.
 *
 * @example for await (const bytes of writeDocument({ format: 'json', compression: 'gzip' }, contents)) body.write(bytes);
 */
export function writeDocument({ format, compression, hotAttributes }: DocumentSettings, contents: Contents): AsyncIterable<Uint8Array> {
  if (format === 'parquet') return parquetDocument(contents, compression, hotAttributes);
  const document = format === 'csv' ? csvDocument(contents, hotAttributes) : documents[format](contents);
  return compression === 'gzip' || compression === 'zstd' ? compressed(document, compression) : document;
}

export function documentType({ format, compression }: DocumentSettings): DocumentType {
  // Parquet is compressed within.
  const isCompressed = format !== 'parquet' && (compression === 'gzip' || compression === 'zstd');
  return { contentType: contentTypes[format], contentEncoding: isCompressed ? compression : undefined };
}

const documents = { json: jsonDocument, yaml: yamlDocument, ndjson: ndjsonDocument } as const;

const contentTypes: Readonly<Record<SerializationFormat, string>> = {
  json: 'application/json',
  yaml: 'application/yaml',
  ndjson: 'application/x-ndjson',
  csv: 'text/csv; charset=utf-8',
  parquet: 'application/vnd.apache.parquet',
};
