import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import type { Serialization } from '../../../shared/layout/serialization.ts';

/** Rows in a document that this project wrote; 0 in one that somebody else made something else of. */
export function countItems(document: Uint8Array, { format, compression }: Serialization): number {
  let bytes: Buffer;
  try {
    bytes = decompressed(document, compression);
  } catch {
    return 0;
  }
  if (format === 'ndjson') return countOf(bytes, '\n');
  // The dashes of all other lists are indented.
  if (format === 'yaml') return countOf(bytes, '\n- ') + (bytes.subarray(0, 2).toString() === '- ' ? 1 : 0);
  return Number(/"itemCount":(\d+)/.exec(bytes.subarray(0, 1_024).toString())?.[1] ?? 0);
}

/** The bytes of a document. Throws what zlib throws when somebody else made something else of it. */
export function decompressed(document: Uint8Array, compression: Serialization['compression']): Buffer {
  return Buffer.from(compression === 'gzip' ? gunzipSync(document) : compression === 'zstd' ? zstdDecompressSync(document) : document);
}

function countOf(bytes: Buffer, text: string): number {
  let count = 0;
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) count++;
  return count;
}
