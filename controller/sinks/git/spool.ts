import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { KollectError } from '../../../shared/errors.ts';

/** Content whose length and name are known. */
export interface Blob {
  /** As git names it. */
  id: string;
  bytes: number;
  /** All of its bytes. Throws `KOL_SINK_BUSY` when they cannot be read any more. */
  chunks(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
  dispose(): Promise<void>;
}

/** More than this is not kept in memory. */
const maxMemoryBytes = 4 * 1024 * 1024;

/** Takes a file's content, of which git wants to know the length first. What is large waits in `folder`. */
export async function spool(content: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, folder: string): Promise<Blob> {
  const kept: Uint8Array[] = [];
  let bytes = 0;
  const path = join(folder, `content-${randomUUID()}`);
  let file: Awaited<ReturnType<typeof open>> | undefined;
  try {
    for await (const chunk of content) {
      bytes += chunk.length;
      if (file === undefined && bytes > maxMemoryBytes) {
        file = await open(path, 'wx', 0o600);
        for (const earlier of kept.splice(0)) await file.writeFile(earlier);
      }
      if (file === undefined) kept.push(chunk);
      else await file.writeFile(chunk);
    }
    const isSpilled = file !== undefined;
    await file?.close();
    const hash = createHash('sha1').update(`blob ${bytes}\0`);
    if (!isSpilled) {
      for (const chunk of kept) hash.update(chunk);
      return { id: hash.digest('hex'), bytes, chunks: () => kept, dispose: async () => undefined };
    }
    const chunks = (): AsyncGenerator<Uint8Array> => readBack(path, bytes);
    for await (const chunk of chunks()) hash.update(chunk);
    return { id: hash.digest('hex'), bytes, chunks, dispose: () => rm(path, { force: true }) };
  } catch (error) {
    await file?.close().catch(() => undefined);
    await rm(path, { force: true });
    throw error;
  }
}

/** What was spooled; somebody may have tidied up the folder meanwhile, or the disk may fail. */
async function* readBack(path: string, bytes: number): AsyncGenerator<Uint8Array> {
  let read = 0;
  const lost = (cause?: unknown): KollectError => new KollectError('KOL_SINK_BUSY', `a file that waits below ${dirname(path)} to be committed could not be read again: it has ${bytes} bytes, of which ${read} came`, { cause });
  try {
    for await (const chunk of createReadStream(path)) {
      read += (chunk as Uint8Array).length;
      yield chunk as Uint8Array;
    }
  } catch (cause) {
    throw lost(cause);
  }
  if (read !== bytes) throw lost();
}
