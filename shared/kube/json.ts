/** Sixteen digits in a row may be an integer that a double cannot hold. Looking for them costs a fraction of parsing. */
const longDigits = /\d{16}/;
/** Most of those are parts of strings, such as image digests. A number stands between structural characters. */
const longInteger = /(?:^|[:[,])\s*-?\d{16,}\s*(?:[,}\]]|$)/;

/**
 * `JSON.parse` that keeps integers beyond 2^53 as bigint. Text without a long integer, which is nearly all of it, takes the plain path. Throws
 * `SyntaxError`.
 *
 * @example parseJson('{"serial":12345678901234567890,"count":3}') // { serial: 12345678901234567890n, count: 3 }
 */
export function parseJson(text: string): unknown {
  return longDigits.test(text) && longInteger.test(text) ? JSON.parse(text, reviveInteger) : JSON.parse(text);
}

/** `JSON.stringify` that writes bigint as digits. */
export function stringifyJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    // A bigint, which is rare: a replacer for everything would cost several times as much. What else is wrong throws again.
    return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? rawJson(inner.toString()) : inner));
  }
}

interface ReviverContext {
  source?: string;
}

function reviveInteger(_key: string, value: unknown, context?: ReviverContext): unknown {
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
  const source = context?.source;
  return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
}

const { rawJSON: rawJson } = JSON as unknown as { rawJSON(text: string): unknown };
