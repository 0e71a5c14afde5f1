import { KollectError } from '../errors.ts';
import { sortUtf8 } from './compare-utf8.ts';
import type { Json, JsonObject } from './json.ts';
import { maxRowBytes, tooLarge } from './step-budget.ts';

/** The fields of one row. `group` is `""` for the core group, `namespace` is `""` for cluster-scoped kinds. */
export interface RowFields {
  targetNamespace: string;
  targetName: string;
  namespace: string;
  name: string;
  group: string;
  version: string;
  kind: string;
  uid: string;
  attributes: JsonObject | null;
}

/**
 * The one JSON text of a value: no whitespace, keys ascending by UTF-8 bytes at every depth, numbers in ECMAScript form, bigints as digits,
 * `<` `>` `&` U+2028 U+2029 escaped as Go's encoder does, unpaired surrogates as U+FFFD. Equal values give equal texts.
 * The text is a fresh flat string that keeps nothing else alive.
 *
 * @throws KollectError KOL_EXTRACT_SERIALIZE for NaN, infinities, values that are not JSON and nesting beyond 256 levels
 * @example canonicalJson({ b: 1, a: '<' }) // '{"a":"\\u003c","b":1}'
 */
export function canonicalJson(value: Json): string {
  return finish(value, plainForm(value, 0));
}

/**
 * Canonical JSON of a row. The row's own keys have a fixed order, `group` is left out when empty; the attributes are in canonical form.
 *
 * @throws KollectError KOL_EXTRACT_SERIALIZE as {@link canonicalJson}, KOL_EXTRACT_SIZE for rows of more than `maxRowBytes`, or of more than strings can hold
 */
export function canonicalRow(row: RowFields): string {
  try {
    const text = rowText(row);
    if (text.length > maxRowBytes / 3 && Buffer.byteLength(text) > maxRowBytes) throw tooLarge();
    return text;
  } catch (error) {
    throw error instanceof RangeError ? tooLarge(error) : error;
  }
}

function rowText(row: RowFields): string {
  const { targetNamespace, targetName, namespace, name, group, version, kind, uid } = row;
  const attributes = row.attributes === null ? null : plainForm(row.attributes, aboveValues);
  if (attributes === undefined) return finish(null, undefined, row);
  const plain =
    group === ''
      ? { targetNamespace, targetName, namespace, name, version, kind, uid, attributes }
      : { targetNamespace, targetName, namespace, name, group, version, kind, uid, attributes };
  return finish(null, plain, row);
}

/** Characters that JSON.stringify leaves as they are and the canonical form does not. */
const escapes: Record<string, string> = {
  '<': '\\u003c',
  '>': '\\u003e',
  '&': '\\u0026',
  '\u2028': '\\u2028',
  '\u2029': '\\u2029',
};

/** Deeper than any object an API server accepts in practice, and far from the end of the stack. */
const maxDepth = 256;
/** Depth of the attributes of a row, each of which may be as deep as a value: what redaction lets through can be written. */
const aboveValues = -1;

/** Text of `JSON.rawJSON`, which the ES2024 library does not declare yet. */
const { rawJSON } = JSON as unknown as { rawJSON(text: string): Json };

/**
 * The value with all keys in order, such that JSON.stringify writes them so. Returns the value itself where nothing has to move, and undefined
 * when a plain object cannot hold the order: JavaScript puts keys like "10" first, and `__proto__` is no ordinary key.
 */
function plainForm(value: Json, depth: number): Json | undefined {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : refuseNumber(value);
  if (typeof value === 'bigint') return rawJSON(value.toString());
  if (typeof value !== 'object') return refuseType(value);
  if (depth > maxDepth) refuseDepth();
  return Array.isArray(value) ? plainArray(value, depth) : plainObject(value, depth);
}

function plainArray(value: readonly Json[], depth: number): Json | undefined {
  let copy: Json[] | undefined;
  for (let i = 0; i < value.length; i++) {
    const item = value[i] as Json;
    const plain = plainForm(item, depth + 1);
    if (plain === undefined) return undefined;
    if (plain === item) continue;
    copy ??= value.slice();
    copy[i] = plain;
  }
  return copy ?? (value as Json[]);
}

function plainObject(value: JsonObject, depth: number): Json | undefined {
  const keys = Object.keys(value);
  let ordered = true;
  let previous = '';
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    if (key === '__proto__') return undefined;
    // A key that begins with a digit may be one that JavaScript moves to the front; alone it cannot be misplaced.
    if (keys.length > 1 && key.charCodeAt(0) <= 0x39 && key.charCodeAt(0) >= 0x30) return undefined;
    if (i > 0 && previous > key) ordered = false;
    previous = key;
  }
  let copy: JsonObject | undefined;
  if (!ordered) {
    keys.sort();
    copy = {};
  }
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as string;
    const item = value[key] as Json;
    const plain = plainForm(item, depth + 1);
    if (plain === undefined) return undefined;
    if (copy === undefined) {
      if (plain === item) continue;
      copy = { ...value };
    }
    copy[key] = plain;
  }
  return copy ?? value;
}

/**
 * Text of a plain form with the escapes applied. Where the plain form could not be built, or where surrogates make the order of keys by
 * UTF-16 doubtful, the text is written key by key from the source.
 */
function finish(value: Json, plain: unknown, row?: RowFields): string {
  const limit = row === undefined ? Infinity : maxRowBytes;
  const text = plain === undefined ? undefined : JSON.stringify(plain);
  if (text !== undefined && text.length > limit) throw tooLarge();
  if (text !== undefined) {
    if (!/[<>&\u2028\u2029\ud800-\udfff]|\\ud/.test(text)) return text;
    if (!/[\ud800-\udfff]|\\ud/.test(text)) return flat(escape(text, /[<>&\u2028\u2029]/g, limit));
  }
  const written = row === undefined ? write(value, 0) : writeRow(row);
  // An escaped backslash is matched first, so that the text \\ud800 is not taken for an escaped surrogate.
  return flat(escape(written, /[<>&\u2028\u2029]|\\(?:\\|ud[89a-f][0-9a-f]{2})/g, limit));
}

/** Ends as soon as the text is longer than the limit: each escape costs as much as a hundred other characters. */
function escape(text: string, escaped: RegExp, limit: number): string {
  let { length } = text;
  return text.replace(escaped, (found) => {
    if (found === '\\\\') return found;
    const written = escapes[found] ?? '\ufffd';
    length += written.length - found.length;
    if (length > limit) throw tooLarge();
    return written;
  });
}

/** A copy that is neither a rope nor a slice of another string. */
function flat(text: string): string {
  return Buffer.from(text, 'utf8').toString('utf8');
}

function write(value: Json, depth: number): string {
  if (typeof value === 'number' && !Number.isFinite(value)) refuseNumber(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null) return JSON.stringify(value) ?? refuseType(value);
  if (depth > maxDepth) refuseDepth();
  if (Array.isArray(value)) return `[${value.map((item) => write(item, depth + 1)).join(',')}]`;
  let members = '';
  for (const key of sortUtf8(Object.keys(value))) members += `${members === '' ? '' : ','}${JSON.stringify(key)}:${write(value[key] as Json, depth + 1)}`;
  return `{${members}}`;
}

function writeRow(row: RowFields): string {
  const fields = [`"targetNamespace":${write(row.targetNamespace, 0)}`];
  for (const key of ['targetName', 'namespace', 'name', 'group', 'version', 'kind', 'uid'] as const) {
    if (key !== 'group' || row.group !== '') fields.push(`"${key}":${write(row[key], 0)}`);
  }
  fields.push(`"attributes":${write(row.attributes, aboveValues)}`);
  return `{${fields.join(',')}}`;
}

function refuseNumber(value: number): never {
  throw new KollectError('KOL_EXTRACT_SERIALIZE', `the number ${value} cannot be written as JSON`);
}

function refuseType(value: unknown): never {
  throw new KollectError('KOL_EXTRACT_SERIALIZE', `a value of type ${typeof value} cannot be written as JSON`);
}

function refuseDepth(): never {
  throw new KollectError('KOL_EXTRACT_SERIALIZE', `the value is nested deeper than ${maxDepth} levels`);
}
