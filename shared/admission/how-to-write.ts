import type { z } from 'zod';
import { parseDuration } from '../api/duration.ts';
import { sinkTypeFacts } from '../api/sink-types.ts';
import { parseQuantity } from '../extract/cel-library/quantity.ts';
import { shown } from '../extract/shown.ts';
import { isObject, textOf } from '../values.ts';
import { redact, unlessCredential } from './credentials.ts';
import { sinkKinds } from './lookups.ts';
import { isDnsSubdomain } from './rules/names.ts';

/**
 * What to write instead of a value of another type, as the end of a message; `""` where only the reader knows.
 *
 * @param expected as zod calls it
 * @example howToWrite('spec.maxExportBytes', 'number', '10Mi') // '; write 10485760'
 */
export function howToWrite(field: string, expected: string, value: unknown): string {
  // Nobody shall be told to write a credential.
  if (typeof value === 'string' && redact(value) !== value) return '';
  switch (expected) {
    case 'string':
      // A reference as other fields have it, where the name is all there is.
      if (isObject(value) && field.endsWith('Ref') && isDnsSubdomain(textOf(value.name))) return unlessCredential(textOf(value.name), `; write ${JSON.stringify(value.name)}`);
      if (typeof value !== 'number' && typeof value !== 'boolean') return '';
      return field.endsWith('Interval') ? '; write a duration such as "30s"' : `; write it in quotes: "${value}"`;
    case 'int':
    case 'number': {
      const number = typeof value !== 'string' ? undefined : field.includes('Seconds') ? wholeSeconds(value) : wholeNumber(value);
      return number === undefined ? '' : `; write ${number}`;
    }
    case 'boolean':
      return typeof value === 'string' && truths.has(value.toLowerCase()) ? `; write ${truths.get(value.toLowerCase())} without quotes` : '';
    case 'array':
      return typeof value === 'string' ? `; write [${itemsOf(value).map((item) => shown(item)).join(',')}]` : '';
    case 'object': {
      const object = typeof value === 'string' ? objectFor(field, value) : undefined;
      return object === undefined ? '' : `; write ${shown(JSON.stringify(object)).slice(1, -1).replaceAll('\\"', '"')}`;
    }
    default:
      return '';
  }
}

/** YAML of old had more words for these. */
const truths: ReadonlyMap<string, boolean> = new Map([['true', true], ['yes', true], ['on', true], ['false', false], ['no', false], ['off', false]]);

/** A list in one text has its items between commas. */
function itemsOf(text: string): string[] {
  const items = text.split(',').map((item) => item.trim()).filter((item) => item !== '');
  return items.length > 0 ? items : [text];
}

/** Of a number in quotes, and of a quantity such as 10Mi or 10MB. */
function wholeNumber(text: string): bigint | undefined {
  try {
    const { nano } = parseQuantity(text.trim().replace(/(?<=[kKMGT]i?)B$/, '').replace(/K$/, 'k'));
    return nano % 1_000_000_000n === 0n ? nano / 1_000_000_000n : undefined;
  } catch {
    return undefined;
  }
}

function wholeSeconds(text: string): number | undefined {
  const seconds = durationMeant(text);
  const number = seconds === undefined ? Number.NaN : parseDuration(seconds) / 1000;
  return Number.isInteger(number) ? number : undefined;
}

/** The object that a text stands for, by the field. */
function objectFor(field: string, text: string): object | undefined {
  if (/(?:gvk|GVK|GVKs\[\d+\])$/.test(field)) return gvkOf(text);
  if (/\.attributes\[\d+\]$/.test(field)) return { name: /(\w+)\W*$/.exec(text)?.[1] ?? 'name', path: text };
  if (field.endsWith('elector')) return selectorOf(text);
  if (field.endsWith('.author')) return authorOf(text);
  if (field === 'spec.sinkRef') return { databaseSinkRef: text };
  return field.endsWith('Ref') ? reference(text) : undefined;
}

/** `apps/v1/Deployment` and `v1 Secret`. */
function gvkOf(text: string): object | undefined {
  const parts = text.trim().split(/[/,\s]+/);
  const [kind, version, group] = parts.toReversed();
  return version === undefined || !/^v\d/.test(version) || parts.length > 3 ? undefined : { group, version, kind };
}

/** `app=web,tier=front` */
function selectorOf(text: string): object | undefined {
  const pairs = text.split(',').map((pair) => /^\s*([\w./-]+)\s*==?\s*([\w.-]*)\s*$/.exec(pair));
  return pairs.some((pair) => pair === null) ? undefined : { matchLabels: Object.fromEntries(pairs.map((pair) => [pair?.[1], pair?.[2]])) };
}

/** `Jane <jane@example.com>`, as git writes it. */
function authorOf(text: string): object | undefined {
  const [, name, email] = /^\s*([^<>]+?)\s*<([^<>\s]+)>\s*$/.exec(text) ?? [];
  return name === undefined ? undefined : { name, email };
}

/** `namespace/name` as the fields that it means. */
function reference(text: string): object {
  const [namespace, name] = text.includes('/') ? text.split('/') : [undefined, text];
  return { name, namespace };
}

/**
 * The duration that a text means which is none; undefined where only the reader knows.
 *
 * @example durationMeant('2 days') // '48h'
 */
export function durationMeant(text: string): string | undefined {
  const [, number, unit = ''] = /^\s*(\d{1,9})\s*(ms|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?)?\s*$/i.exec(text) ?? [];
  if (number === undefined) return undefined;
  const short = unit === '' ? 's' : /^(?:ms|milli)/i.test(unit) ? 'ms' : unit.charAt(0).toLowerCase();
  return short === 'd' ? `${Number(number) * 24}h` : `${number}${short}`;
}

/** What a field may say beside its schema: a format that the type of the sink can write. */
export function narrowed(field: string, values: readonly string[], root: unknown): readonly string[] {
  if (field !== 'spec.serialization.format' || !isObject(root)) return values;
  return sinkTypeFacts(textOf(root.type))?.formats ?? values;
}

/** Where a value belongs that is unknown here, as the end of a message: the kind of a type of sink. */
export function belongsTo(field: string, value: unknown): string {
  const facts = field === 'spec.type' ? sinkTypeFacts(textOf(value)) : undefined;
  return facts === undefined ? '' : `; ${textOf(value)} is a type of ${sinkKinds[facts.family]}`;
}

/**
 * Looks up what a schema says of a field, without what it does when unset.
 *
 * @example describer(KollectProfileSpec)(['targetGVK', 'kind']) // 'Kind, such as Deployment.'
 */
export function describer(schema: z.ZodType): (path: readonly PropertyKey[]) => string | undefined {
  return (path) => {
    let place: Schema | undefined = schema as Schema;
    for (const key of path) place = place && below(inner(place), key);
    const description = place && (place.meta()?.description ?? inner(place).meta()?.description);
    return description?.replace(/;.*$/, '').replace(/\.$/, '').replace(/^[A-Z](?![A-Z])/, (first) => first.toLowerCase());
  };
}

/** The parts of zod's schemas that lead to their members. */
interface Schema extends z.ZodType {
  unwrap?: () => Schema;
  shape?: Readonly<Record<PropertyKey, Schema>>;
  element?: Schema;
  valueType?: Schema;
  options?: readonly Schema[];
}

function inner(schema: Schema): Schema {
  // An array unwraps to its element, which is no place of its own.
  return schema.element === undefined && typeof schema.unwrap === 'function' ? inner(schema.unwrap()) : schema;
}

function below({ shape, element, valueType, options }: Schema, key: PropertyKey): Schema | undefined {
  if (options !== undefined) return options.map((option) => below(inner(option), key)).find((place) => place !== undefined);
  if (shape !== undefined) return Object.hasOwn(shape, key) ? shape[key] : undefined;
  return element ?? valueType;
}
