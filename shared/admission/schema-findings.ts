import type { z } from 'zod';
import { invalid, notSupported, required, shownKey, tooMany } from './finding.ts';
import type { Finding } from './finding.ts';
import { durationRule, parseDuration } from '../api/duration.ts';
import { namespaceRule } from '../api/text.ts';
import { belongsTo, describer, durationMeant, howToWrite, narrowed } from './how-to-write.ts';
import { maxIntervalMs } from './rules/durations.ts';
import { instead, isDnsLabel } from './rules/names.ts';

type Issue = z.core.$ZodIssue;
type Path = readonly PropertyKey[];

/**
 * Says what a schema refused as field errors.
 *
 * @param root the value that was parsed, for the values that messages quote.
 * @param at its own path, such as `spec`.
 * @param schema what refused it, for what it says of fields that are missing.
 */
export function schemaFindings(issues: readonly Issue[], root: unknown, at: string, schema: z.ZodType): Finding[] {
  const describe = describer(schema);
  return issues.flatMap((issue) => translate(issue, root, at, describe));
}

/**
 * A copy of a value without what its schema refused, so that the rules of all other fields can still be applied. Refused items of a list
 * become undefined: the others keep their index.
 */
export function withoutRefused(root: unknown, issues: readonly Issue[]): unknown {
  const refused: Refused = { children: new Map() };
  const markAll = (all: readonly Issue[]): void => {
    for (const issue of all) {
      const meant = issue.code === 'invalid_union' ? meantBy(issue) : undefined;
      if (meant !== undefined) markAll(meant);
      else if (issue.code === 'unrecognized_keys') for (const key of issue.keys) mark(refused, [...issue.path, key]);
      else mark(refused, issue.path);
    }
  };
  markAll(issues);
  return without(root, refused);
}

/** The refused places as a tree, so that each list and object is copied once, however many of its members are refused. */
interface Refused {
  whole?: true;
  children: Map<PropertyKey, Refused>;
}

function mark(refused: Refused, path: Path): void {
  let place = refused;
  for (const key of path) {
    const child = place.children.get(key) ?? { children: new Map<PropertyKey, Refused>() };
    place.children.set(key, child);
    place = child;
  }
  place.whole = true;
}

function without(value: unknown, { whole, children }: Refused): unknown {
  if (whole) return undefined;
  if (Array.isArray(value)) return value.map((item: unknown, index) => withoutChild(item, children.get(index)));
  if (typeof value !== 'object' || value === null) return value;
  const kept = Object.entries(value).flatMap(([key, child]: [string, unknown]): [string, unknown][] => {
    const left = withoutChild(child, children.get(key));
    return left === undefined ? [] : [[key, left]];
  });
  // fromEntries makes own members of all keys, also of __proto__.
  return Object.fromEntries(kept);
}

function withoutChild(value: unknown, refused: Refused | undefined): unknown {
  return refused === undefined ? value : without(value, refused);
}

/**
 * Whether a rule speaks of something that the schema refused already: of the field itself, or of one that is only missing because what was
 * in it is refused.
 */
export function isSaidBy(refused: readonly Finding[]): (finding: Finding) => boolean {
  const fields = new Set(refused.map(({ field }) => field));
  const parents = new Set(refused.flatMap(({ field }) => Array.from(field.matchAll(/[.[]/g), ({ index }) => field.slice(0, index))));
  return ({ field, type }) => fields.has(field) || (type === 'Required' && parents.has(field));
}

type Describe = (path: Path) => string | undefined;

function translate(issue: Issue, root: unknown, at: string, describe: Describe): Finding[] {
  const field = fieldPath(at, issue.path);
  const value = valueAt(root, issue.path);
  if (value === undefined) return [required(field, issue.code === 'invalid_value' ? oneOf(issue.values) : (describe(issue.path) ?? ''))];
  switch (issue.code) {
    case 'invalid_type':
      if (issue.expected === 'int' && typeof value === 'number') return [invalid(field, value, 'must be a whole number')];
      return [invalid(field, shown(value), `must be ${article(issue.expected)}, not ${article(typeName(value))}${howToWrite(field, issue.expected, value)}`)];
    case 'invalid_value':
      if (value === '') return [required(field, oneOf(issue.values))];
      return [withMore(notSupported(field, value, narrowed(field, issue.values.map(String), root)), belongsTo(field, value))];
    case 'too_small':
      if (value === '' && issue.minimum === 1) return [required(field, describe(issue.path) ?? 'must not be empty')];
      if (Array.isArray(value) && value.length === 0) return [required(field, `must have at least ${issue.minimum}${unit(issue.origin, issue.minimum)}${itemOf(describe(issue.path))}`)];
      return [invalid(field, shown(value), `must ${bound(issue.origin)} ${issue.inclusive === false ? 'more than' : 'at least'} ${issue.minimum}${unit(issue.origin, issue.minimum)}`)];
    case 'too_big':
      if (Array.isArray(value)) return [tooMany(field, value.length, `must have at most ${issue.maximum} items`)];
      return [invalid(field, shown(value), `must ${bound(issue.origin)} ${issue.inclusive === false ? 'less than' : 'at most'} ${issue.maximum}${unit(issue.origin, issue.maximum)}`)];
    case 'unrecognized_keys':
      return issue.keys.map((key) => invalid(`${field}.${shownKey(key)}`, shown(valueAt(value, [key])), 'is not a known field'));
    case 'invalid_union':
      return translateUnion(issue, { root, at, field, value, describe });
    default:
      if (issue.message === namespaceRule.message && typeof value === 'string') return [value.trim() === '' ? required(field, 'write the name of a namespace, or remove the item') : invalid(field, value, `${issue.message}${instead(value, isDnsLabel)}`)];
      if (issue.message === durationRule.message && typeof value === 'string') return [invalid(field, value, `${issue.message}${writeInstead(durationMeant(value))}`)];
      // What our own schemas say is written for users; what the library says of a pattern is not.
      return [invalid(field, shown(value), issue.message.startsWith('Invalid string') && 'pattern' in issue ? `must match ${String(issue.pattern)}` : issue.message)];
  }
}

function withMore(finding: Finding, more: string): Finding {
  return { ...finding, detail: `${finding.detail}${more}` };
}

/** Longer ones are refused as well: no interval is longer than a day. */
function writeInstead(duration: string | undefined): string {
  return duration === undefined || parseDuration(duration) > maxIntervalMs ? '' : `; write ${JSON.stringify(duration)}`;
}

type Union = Extract<Issue, { code: 'invalid_union' }>;

/** Of the alternatives, the one that the value has the shape of is what the user meant. Its issues have their paths from the root. */
function meantBy({ errors, path }: Union): Issue[] | undefined {
  const [best] = errors.filter((issues) => !issues.some((inner) => inner.code === 'invalid_type' && inner.path.length === 0)).toSorted((a, b) => a.length - b.length);
  return best?.map((inner) => ({ ...inner, path: [...path, ...inner.path] }));
}

function translateUnion(issue: Union, { root, at, field, value, describe }: { root: unknown; at: string; field: string; value: unknown; describe: Describe }): Finding[] {
  const meant = meantBy(issue);
  if (meant !== undefined) return meant.flatMap((inner) => translate(inner, root, at, describe));
  const expected = issue.errors.flatMap((issues) => issues.flatMap((inner) => (inner.code === 'invalid_type' && inner.path.length === 0 ? [article(inner.expected)] : [])));
  return [invalid(field, shown(value), expected.length === 0 ? issue.message : `must be ${[...new Set(expected)].join(' or ')}${/SinkRefs\[\d+\]$/.test(field) ? ', such as "warehouse" or {"name":"warehouse"}' : ''}`)];
}

function fieldPath(at: string, path: Path): string {
  let field = at;
  for (const key of path) {
    const text = shownKey(String(key));
    field += typeof key !== 'number' && /^[A-Za-z_]\w*$/.test(text) ? `.${text}` : `[${text}]`;
  }
  return field;
}

function valueAt(root: unknown, path: Path): unknown {
  let value = root;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

/** Whole objects and lists would drown the message. */
function shown(value: unknown): unknown {
  return typeof value === 'object' && value !== null ? (Array.isArray(value) ? 'list' : 'object') : value;
}

function typeName(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'list';
  return typeof value === 'bigint' ? 'number' : typeof value;
}

/** What an item is, by what the schema says of its list. */
function itemOf(description: string | undefined): string {
  return description === undefined ? '' : `: ${description}`;
}

function article(type: string): string {
  switch (type) {
    case 'int':
      return 'a whole number';
    case 'array':
      return 'a list';
    case 'record':
      return 'an object';
    case 'null':
      return 'null';
    default:
      return `${/^[aeiou]/.test(type) ? 'an' : 'a'} ${type}`;
  }
}

function bound(origin: string): string {
  return origin === 'string' || origin === 'array' ? 'have' : 'be';
}

function unit(origin: string, count: number | bigint): string {
  const noun = origin === 'string' ? ' character' : origin === 'array' ? ' item' : '';
  return noun === '' || Number(count) === 1 ? noun : `${noun}s`;
}

function oneOf(values: readonly unknown[]): string {
  return `write one of ${values.map((value) => JSON.stringify(value)).join(', ')}`;
}
