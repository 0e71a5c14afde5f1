import { createHmac } from 'node:crypto';
import type { HttpSinkSettings } from './settings.ts';

export interface Body {
  bytes: Uint8Array | AsyncIterable<Uint8Array>;
  size: number;
  /** As `<algorithm>=<hex>`. */
  signature: string | undefined;
}

/** Smaller documents are kept while they are signed and sent; larger ones are made a second time. */
const keptBytes = 8 * 1024 * 1024;

/**
 * A document with its length and signature, which are sent before it.
 *
 * @param make gives the same bytes each time
 */
export async function bodyOf(make: () => AsyncIterable<Uint8Array>, signature: HttpSinkSettings['signature'], signal: AbortSignal): Promise<Body> {
  const hmac = signature && createHmac(signature.algorithm, signature.key);
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of make()) {
    signal.throwIfAborted();
    hmac?.update(piece);
    size += piece.length;
    if (size <= keptBytes) pieces.push(piece);
    else pieces.length = 0;
  }
  return { bytes: size <= keptBytes ? Buffer.concat(pieces) : make(), size, signature: signature && hmac && `hmac-${signature.algorithm}=${hmac.digest('hex')}` };
}
