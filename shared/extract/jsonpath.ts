import { sortUtf8 } from './compare-utf8.ts';
import { isJsonObject } from './json.ts';
import type { Json, JsonObject } from './json.ts';
import { compileFilter } from './jsonpath-filter.ts';
import type { Filter } from './jsonpath-filter.ts';
import type { Segment, Selector } from './jsonpath-parse.ts';
import { isMarker } from './redact.ts';
import { treeSize } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/** True when the path can name one value only: names and single indexes. */
export function isDefinite(segments: readonly Segment[]): boolean {
  return segments.every((segment) => {
    const only = segment.selectors[0]?.kind;
    return !segment.descendant && segment.selectors.length === 1 && (only === 'name' || only === 'index');
  });
}

/**
 * Compiles a definite path into a walk. It gives the value, or undefined where a step is absent, null, out of range or of the wrong type.
 */
export function compileDefinite(segments: readonly Segment[], guard: MemberGuard = unguarded): (object: Json) => Json | undefined {
  const steps = segments.map((segment) => {
    const selector = segment.selectors[0] as Selector & { kind: 'name' | 'index' };
    return selector.kind === 'name' ? selector.name : selector.index;
  });
  return (object) => {
    let value: Json | undefined = object;
    for (const to of steps) {
      if (typeof value !== 'object' || value === null) return undefined;
      value = step(value, to, guard);
    }
    return value ?? undefined;
  };
}

/** Sees the members of maps that a path steps to, and may replace their values. */
export type MemberGuard = (key: string, value: Json, parent: JsonObject) => Json;

const unguarded: MemberGuard = (_key, value) => value;

function step(value: Json[] | JsonObject, to: string | number, guard: MemberGuard): Json | undefined {
  if (typeof to === 'number') return Array.isArray(value) ? value.at(to) : undefined;
  if (Array.isArray(value) || !Object.hasOwn(value, to) || isMarker(value)) return undefined;
  return guard(to, value[to] as Json, value);
}

/**
 * Compiles any other path. It gives the values in document order, the keys of maps ascending so that equal objects give equal lists; nulls are
 * left out. Undefined when nothing matches.
 *
 * @throws KollectError KOL_EXTRACT_PATH from compiling a filter, KOL_EXTRACT_EVALUATE from evaluating when the budget is spent
 */
export function compileIndefinite(
  segments: readonly Segment[],
  budget: StepBudget,
  guard: MemberGuard = unguarded,
): (object: Json) => Json[] | undefined {
  const steps = segments.map(({ descendant, selectors }) => ({ descendant, selectors: selectors.map((selector) => compileSelector(selector, guard)) }));
  return (object) => {
    let values: Json[] = [object];
    for (const { descendant, selectors } of steps) {
      const next: Json[] = [];
      for (const value of values) {
        if (descendant) descend(value, selectors, next, budget, guard);
        else for (const select of selectors) select(value, next, budget);
      }
      values = next;
    }
    const present = values.filter((value) => value !== null);
    return present.length === 0 ? undefined : present;
  };
}

type Select = (value: Json, into: Json[], budget: StepBudget) => void;

function descend(value: Json, selectors: readonly Select[], into: Json[], budget: StepBudget, guard: MemberGuard): void {
  if (typeof value !== 'object' || value === null) return;
  // A stack of its own: the depth of an object is the writer's choice.
  const open: Json[] = [value];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    for (const select of selectors) select(next, into, budget);
    const children = members(next, budget, guard);
    budget.charge(children.length + 1);
    for (let i = children.length - 1; i >= 0; i--) {
      const child = children[i] as Json;
      if (typeof child === 'object' && child !== null) open.push(child);
    }
  }
}

function compileSelector(selector: Selector, guard: MemberGuard): Select {
  switch (selector.kind) {
    case 'name':
    case 'index': {
      const to = selector.kind === 'name' ? selector.name : selector.index;
      return (value, into, budget) => {
        budget.charge(1);
        const found = typeof value === 'object' && value !== null ? step(value, to, guard) : undefined;
        if (found !== undefined) into.push(found);
      };
    }
    case 'wildcard':
      return (value, into, budget) => push(members(value, budget, guard), into, budget);
    case 'slice':
      return (value, into, budget) => push(Array.isArray(value) ? sliceIndices(value.length, selector).map((index) => value[index] as Json) : [], into, budget);
    case 'filter':
      return filterSelect(compileFilter(selector.expression), selector.expression.length, guard);
  }
}

function filterSelect(filter: Filter, length: number, guard: MemberGuard): Select {
  return (value, into, budget) => {
    if (typeof value !== 'object' || value === null) return;
    const elements = members(value, budget);
    // A comparison costs about as much as visiting its text in words.
    const perElement = 4 + (length >> 3);
    budget.charge(perElement * (filter.open ? treeSize(elements) : elements.length));
    const kept = new Set(filter.select(elements));
    const guarded = members(value, budget, guard);
    push(guarded.filter((_, i) => kept.has(elements[i] as Json)), into, budget);
  };
}

/** Sorting a key, and looking its member up. */
const stepsPerKey = 8;

/** Elements of a list, or values of a map in the order of its keys. */
function members(value: Json, budget: StepBudget, guard: MemberGuard = unguarded): Json[] {
  if (Array.isArray(value)) return value;
  if (!isJsonObject(value) || isMarker(value)) return [];
  budget.charge(1);
  const keys = Object.keys(value);
  budget.charge(stepsPerKey * keys.length);
  return sortUtf8(keys).map((key) => guard(key, value[key] as Json, value));
}

function push(found: readonly Json[], into: Json[], budget: StepBudget): void {
  budget.charge(found.length);
  for (const value of found) into.push(value);
}

/** The indices of a list that a slice names, RFC 9535 section 2.3.4.2.2. */
export function sliceIndices(length: number, { start, end, step: by }: Omit<Selector & { kind: 'slice' }, 'kind'>): number[] {
  const result: number[] = [];
  const from = (bound: number): number => (bound >= 0 ? bound : length + bound);
  if (by > 0) {
    const upper = Math.min(Math.max(from(end ?? length), 0), length);
    for (let i = Math.max(from(start ?? 0), 0); i < upper; i += by) result.push(i);
  } else if (by < 0) {
    const lower = Math.max(from(end ?? -length - 1), -1);
    for (let i = Math.min(from(start ?? length - 1), length - 1); i > lower; i += by) result.push(i);
  }
  return result;
}
