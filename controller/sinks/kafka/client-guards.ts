import type { Socket } from 'node:net';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import kafkajs from 'kafkajs';
import ClientConnection from 'kafkajs/src/network/connection.js';
import ClientRequestQueue from 'kafkajs/src/network/requestQueue/index.js';
import { strangeAnswer } from './errors.ts';

interface RequestQueue {
  pending: readonly unknown[];
  throttledUntil: number;
  scheduleCheckPendingRequests(): void;
}

interface Connection {
  socket: Socket | null;
  /** Of the answer that is coming in. */
  bytesNeeded: number;
  processData(bytes: Buffer): unknown;
}

/** Of one answer. The largest tell of all partitions of a topic: 1 MiB for 10,000 of them. */
const answerBytes = 32 * 2 ** 20;

const isGuarded = Symbol('guarded');

/**
 * Mends what the client does not do well, once in a process. It looks at its queue again after a time that is negative while nothing waits there, which makes Node warn and
 * costs a turn each millisecond for as long as there is a connection. It keeps what comes until an answer is whole, however long that is said to be, and throws where nobody
 * catches when an answer is too short. And it leaves the compression with zstd to others.
 */
export function guardClient(): void {
  const { prototype } = ClientRequestQueue as { prototype: RequestQueue & { [isGuarded]?: true } };
  if (prototype[isGuarded]) return;
  const schedule = prototype.scheduleCheckPendingRequests;
  prototype.scheduleCheckPendingRequests = function () {
    if (this.pending.length > 0 || this.throttledUntil > Date.now()) schedule.call(this);
  };
  prototype[isGuarded] = true;
  const { prototype: connection } = ClientConnection as { prototype: Connection };
  const process = connection.processData;
  connection.processData = function (bytes) {
    try {
      process.call(this, bytes);
      if (this.bytesNeeded <= answerBytes) return;
    } catch {
      // As much as a length that nobody can have meant.
    }
    this.socket?.destroy(new Error(strangeAnswer));
  };
  const [compress, decompress] = [promisify(zstdCompress), promisify(zstdDecompress)];
  kafkajs.CompressionCodecs[kafkajs.CompressionTypes.ZSTD] = () => ({
    compress: ({ buffer }: { buffer: Buffer }) => compress(buffer),
    decompress: (bytes: Buffer) => decompress(bytes),
  });
}
