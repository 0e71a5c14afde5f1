/** An object is at most a few MiB in etcd; more than this without a line break is no watch. */
const maximumLineBytes = 64 * 1024 * 1024;

/**
 * Lines of a stream of bytes. A multi-byte character that is cut by a chunk stays whole. What follows the last line break is given too: of a stream
 * that was cut it is a broken line, and should be seen as one. Throws `RangeError` on a line beyond 64 MiB.
 */
export async function* splitLines(stream: AsyncIterable<Buffer>): AsyncGenerator<string> {
  let pieces: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      pieces.push(chunk.subarray(start, end));
      const line = join(pieces);
      pieces = [];
      bytes = 0;
      start = end + 1;
      if (line !== '') yield line;
    }
    if (start === chunk.length) continue;
    pieces.push(chunk.subarray(start));
    bytes += chunk.length - start;
    if (bytes > maximumLineBytes) throw new RangeError(`a line exceeds ${maximumLineBytes} bytes`);
  }
  const rest = join(pieces);
  if (rest !== '') yield rest;
}

function join(pieces: readonly Buffer[]): string {
  return pieces.length === 1 ? pieces[0]!.toString('utf8') : Buffer.concat(pieces).toString('utf8');
}
