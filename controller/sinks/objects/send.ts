import { partBytes, type ObjectStore, type PutOptions } from './object-store.ts';

/**
 * Writes an object from pieces, of which no more than one part is in memory: with one request when that holds all of it, else part by part. Gives its size.
 *
 * @param fence called right before what makes the object seen
 */
export async function send(store: ObjectStore, key: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, options: PutOptions, fence: () => void, signal: AbortSignal): Promise<number> {
  const parts = partsOf(bytes)[Symbol.asyncIterator]();
  const first = (await parts.next()).value ?? new Uint8Array();
  if (first.length < partBytes) {
    fence();
    await store.put(key, first, options, signal);
    return first.length;
  }
  const upload = await store.upload(key, options, signal);
  try {
    let size = 0;
    for (let part: Uint8Array | undefined = first; part !== undefined; part = (await parts.next()).value ?? undefined) {
      await upload.part(part, signal);
      size += part.length;
    }
    fence();
    await upload.finish(signal);
    return size;
  } catch (error) {
    // What it leaves is nobody's object, and costs until a rule of the bucket removes it.
    await upload.abandon().catch(() => undefined);
    throw error;
  } finally {
    await parts.return(undefined);
  }
}

/** Pieces put together into parts. All but the last have the same size. */
async function* partsOf(bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array, undefined> {
  let pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of bytes) {
    for (let at = 0; at < piece.length; ) {
      const taken = piece.subarray(at, at + partBytes - size);
      pieces.push(taken);
      size += taken.length;
      at += taken.length;
      if (size < partBytes) continue;
      yield Buffer.concat(pieces);
      pieces = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(pieces);
  return undefined;
}
