import { KollectError } from '../errors.ts';
import { isJsonObject, setMember } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { compileFilter } from './jsonpath-filter.ts';
import { sliceIndices } from './jsonpath.ts';
import { parseJsonPath } from './jsonpath-parse.ts';
import type { Segment, Selector } from './jsonpath-parse.ts';
import { maxPathLength } from './jsonpath-spelling.ts';
import { correcting } from './path-corrections.ts';
import { isMarker } from './redact.ts';
import { discreetly } from './shown.ts';
import { treeSize } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/**
 * Takes parts out of a value. Gives the same value where nothing is to do and shares what is unchanged; the argument stays as it is. A list keeps its
 * length: null stands where an element was, so that the others keep their index.
 */
export type Prune = (value: Json, budget: StepBudget) => Json;

/**
 * Compiles an RFC 6901 pointer. The pointer to nothing, and the one to the whole value, take nothing out.
 *
 * @example prunePointer('/metadata/annotations/x~1y')
 */
export function prunePointer(pointer: string): Prune {
  const keys = pointer.trim().split('/').slice(1).map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (keys.length === 0 || (keys.length === 1 && keys[0] === '')) return (value) => value;
  const segments = keys.map((key): Segment => ({ descendant: false, selectors: pointerSelectors(key) }));
  return compile(segments);
}

/**
 * Compiles a JSONPath, in either spelling or as bare names such as `metadata.labels`, with wildcards, slices, filters and `..` as attributes have.
 *
 * @throws KollectError KOL_EXTRACT_PATH
 * @example prunePath("$.spec.containers[*].env[?(@.name=='TOKEN')]")
 */
export function prunePath(path: string): Prune {
  const text = path.trim();
  if (text.length > maxPathLength) throw new KollectError('KOL_EXTRACT_PATH', `the path has ${text.length} characters, at most ${maxPathLength} are allowed`);
  return discreetly(text, () => correcting(text, (written) => compile(parseJsonPath(/^[\w"'-]/.test(written) ? `$.${written}` : /^[.[]/.test(written) ? `$${written}` : written))));
}

/** A number is an index where a list is, and a key where a map is. */
function pointerSelectors(key: string): Selector[] {
  return /^(?:0|[1-9]\d{0,8})$/.test(key) ? [{ kind: 'name', name: key }, { kind: 'index', index: Number(key) }] : [{ kind: 'name', name: key }];
}

/** Deeper values are refused by redaction as well. */
const maxDepth = 256;

/** Remembering a member, or copying it. */
const stepsPerCopiedKey = 4;

interface Step {
  descendant: boolean;
  selectors: readonly Choose[];
}

/** Keys of a map, or indices of a list, that a selector names. */
type Choose = (value: Json[] | JsonObject, budget: StepBudget) => readonly (string | number)[];

function compile(segments: readonly Segment[]): Prune {
  const steps = segments.map(({ descendant, selectors }): Step => ({ descendant, selectors: selectors.map(compileSelector) }));
  return (value, budget) => without(value, steps, 0, 0, budget);
}

function without(value: Json, steps: readonly Step[], at: number, depth: number, budget: StepBudget): Json {
  const step = steps[at];
  if (typeof value !== 'object' || value === null || step === undefined || isMarker(value)) return value;
  if (depth > maxDepth) throw new KollectError('KOL_EXTRACT_EVALUATE', `the object is nested deeper than ${maxDepth} levels`);
  budget.charge(1);
  const isLast = at === steps.length - 1;
  const changes = new Map<string | number, Json | undefined>();
  for (const key of step.selectors.flatMap((choose) => choose(value, budget))) {
    const child = (value as Record<string | number, Json>)[key] as Json;
    const changed = isLast ? undefined : without(child, steps, at + 1, depth + 1, budget);
    if (changed !== child) changes.set(key, changed);
  }
  if (step.descendant) {
    const keys = keysOf(value);
    budget.charge(stepsPerCopiedKey * keys.length);
    for (const key of keys) {
      const child = changes.has(key) ? changes.get(key) : ((value as Record<string | number, Json>)[key] as Json);
      if (typeof child !== 'object' || child === null) continue;
      const changed = without(child, steps, at, depth + 1, budget);
      if (changed !== child) changes.set(key, changed);
    }
  }
  return replaceMembers(value, changes, budget);
}

/** A value with other members: undefined takes one out. The same value where there are none. */
export function replaceMembers(value: Json[] | JsonObject, changes: ReadonlyMap<string | number, Json | undefined>, budget: StepBudget): Json {
  if (changes.size === 0) return value;
  if (Array.isArray(value)) {
    budget.charge(value.length >> 3);
    const copy = value.slice();
    for (const [index, item] of changes) copy[index as number] = item ?? null;
    return copy;
  }
  const keys = Object.keys(value);
  budget.charge(stepsPerCopiedKey * keys.length);
  const copy: JsonObject = {};
  for (const key of keys) {
    const child = changes.has(key) ? changes.get(key) : value[key];
    if (child !== undefined) setMember(copy, key, child);
  }
  return copy;
}

function compileSelector(selector: Selector): Choose {
  switch (selector.kind) {
    case 'name':
      return (value) => (isJsonObject(value) && Object.hasOwn(value, selector.name) ? [selector.name] : []);
    case 'index':
      return (value) => {
        if (!Array.isArray(value)) return [];
        const index = selector.index < 0 ? value.length + selector.index : selector.index;
        return index >= 0 && index < value.length ? [index] : [];
      };
    case 'wildcard':
      return (value, budget) => charged(keysOf(value), budget);
    case 'slice':
      return (value, budget) => (Array.isArray(value) ? charged(sliceIndices(value.length, selector), budget) : []);
    case 'filter': {
      const filter = compileFilter(selector.expression);
      const perElement = 7 + (selector.expression.length >> 3);
      return (value, budget) => {
        const keys = keysOf(value);
        budget.charge(perElement * (filter.open ? treeSize(value) : keys.length));
        const kept = new Set(filter.select(value));
        return keys.filter((key) => kept.has((value as Record<string | number, Json>)[key] as Json));
      };
    }
  }
}

function keysOf(value: Json[] | JsonObject): (string | number)[] {
  return Array.isArray(value) ? [...value.keys()] : Object.keys(value);
}

function charged<T>(keys: readonly T[], budget: StepBudget): readonly T[] {
  budget.charge(stepsPerCopiedKey * keys.length);
  return keys;
}
