/** Sixteen digits in a row may be an integer that a double cannot hold. Looking for them costs a fraction of parsing. */
const longInteger = /\d{16}/;

/**
 * `JSON.parse` that keeps integers beyond 2^53 as bigint. Text without a run of 16 digits, which is nearly all of it, takes the plain
 * path.
 */
export function parseJson(text: string): unknown {
  return longInteger.test(text) ? JSON.parse(text, reviveInteger) : JSON.parse(text);
}

/** `JSON.stringify` that writes bigint as digits. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_key, inner: unknown) => (typeof inner === 'bigint' ? rawJson(inner.toString()) : inner));
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
