const sign = ' ... [cut]';

/**
 * A text that fits into a number of bytes of UTF-8: of a longer one its beginning, with a sign that it is cut. Never ends within a character.
 *
 * @param maxBytes more than the sign has
 */
export function cutToBytes(text: string, maxBytes: number): string {
  if (text.length * 3 <= maxBytes || Buffer.byteLength(text) <= maxBytes) return text;
  const bytes = Buffer.alloc(maxBytes - sign.length);
  const { written } = new TextEncoder().encodeInto(text, bytes);
  return bytes.toString('utf8', 0, written) + sign;
}
