import { shownKey } from '../admission/finding.ts';

/** A part of a text, by offset: from `start` up to `end`. */
export interface Range {
  start: number;
  end: number;
}

/** A value, and where in the text it and its parts stand. */
export interface Placed {
  value: unknown;
  range: Range;
  /** Of a plain scalar, as it is written: `yes`, `0x10`. */
  source?: string;
  /** Of an object. */
  entries?: ReadonlyMap<string, PlacedEntry>;
  /** Of a list. */
  items?: readonly Placed[];
}

export interface PlacedEntry {
  /** Where the key stands. */
  key: Range;
  /** The value; for an alias that of its anchor, which is where people have to correct it. */
  placed: Placed;
}

/**
 * Where a field stands, or when it is missing, the nearest of its ancestors: the key of an object, the item of a list, together with the
 * value when that is no object or list.
 *
 * @param field as findings name it: `spec.attributes[0].path`, `spec.options[sasl.password]`
 */
export function placeOf(root: Placed, field: string): Range {
  return walk(root, field).place;
}

/** How the value of a field is written, when it stands there as a plain scalar. */
export function sourceOf(root: Placed, field: string): string | undefined {
  const { at, isWhole } = walk(root, field);
  return isWhole ? at.source : undefined;
}

function walk(root: Placed, field: string): { at: Placed; place: Range; isWhole: boolean } {
  let at = root;
  let place = { start: root.range.start, end: root.range.start };
  let rest = `.${field}`;
  while (rest !== '') {
    const step = at.items === undefined ? entryStep(at, rest) : itemStep(at, rest);
    if (step === undefined) break;
    at = step.placed;
    place = step.place;
    rest = rest.slice(step.length);
  }
  return { at, place, isWhole: rest === '' };
}

interface Step {
  placed: Placed;
  place: Range;
  /** Characters of the field that it covers. */
  length: number;
}

function itemStep({ items = [] }: Placed, rest: string): Step | undefined {
  const [text = '', index] = /^\[(\d+)\]/.exec(rest) ?? [];
  const placed = index === undefined ? undefined : items[Number(index)];
  return placed && { placed, place: isLeaf(placed) ? placed.range : { start: placed.range.start, end: placed.range.start }, length: text.length };
}

/** Keys may hold any character, brackets and dots too: of those that fit, the longest is meant. */
function entryStep({ entries }: Placed, rest: string): Step | undefined {
  let found: Step | undefined;
  for (const [key, entry] of entries ?? []) {
    for (const text of [`.${key}`, `[${key}]`, `[${shownKey(key)}]`]) {
      if (!rest.startsWith(text) || !/^(?:[.[]|$)/.test(rest.slice(text.length)) || text.length <= (found?.length ?? 0)) continue;
      const end = isLeaf(entry.placed) && entry.placed.range.start >= entry.key.end ? entry.placed.range.end : entry.key.end;
      found = { placed: entry.placed, place: { start: entry.key.start, end }, length: text.length };
    }
  }
  return found;
}

function isLeaf({ entries, items }: Placed): boolean {
  return entries === undefined && items === undefined;
}
