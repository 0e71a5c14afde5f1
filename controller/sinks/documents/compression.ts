import { Readable } from 'node:stream';
import { createGzip, createZstdCompress } from 'node:zlib';

/** The same bytes compressed, beside the event loop. Equal input gives equal output. */
export async function* compressed(document: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, compression: 'gzip' | 'zstd'): AsyncGenerator<Uint8Array> {
  const stream = compression === 'gzip' ? createGzip() : createZstdCompress();
  const source = Readable.from(document, { objectMode: false });
  // An error of either ends both, and reaches whoever reads.
  source.on('error', (error) => stream.destroy(error));
  try {
    for await (const piece of source.pipe(stream)) yield piece as Uint8Array;
  } finally {
    source.destroy();
    stream.destroy();
  }
}
