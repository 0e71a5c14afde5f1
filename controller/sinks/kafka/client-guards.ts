import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';

interface RequestQueue {
  pending: readonly unknown[];
  throttledUntil: number;
  scheduleCheckPendingRequests(): void;
}

const isGuarded = Symbol('guarded');

/**
 * Mends what the client does not do well, once in a process. It looks at its queue again after a time that is negative while nothing waits there, which makes Node warn and
 * costs a turn each millisecond for as long as there is a connection. And it leaves the compression with zstd to others.
 */
export function guardClient(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue/index.js') as { prototype: RequestQueue & { [isGuarded]?: true } };
  if (prototype[isGuarded]) return;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
  prototype[isGuarded] = true;
  const [compress, decompress] = [promisify(zstdCompress), promisify(zstdDecompress)];
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => compress(buffer),
    decompress: (bytes: Buffer) => decompress(bytes),
  });
}
