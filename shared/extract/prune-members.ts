import { KollectError } from '../errors.ts';
import { compileMemberCondition } from './cel.ts';
import type { Json } from './json.ts';
import { replaceMembers, type Prune } from './prune.ts';
import { isMarker } from './redact.ts';
import type { StepBudget } from './step-budget.ts';

/** Deeper values are refused by redaction as well. */
const maxDepth = 256;

/**
 * Compiles conditions on the members of maps, at any depth: a member that one of them holds for is taken out, with all that is below it. They are
 * evaluated within the given budget.
 *
 * @throws KollectError KOL_EXTRACT_CEL
 * @example pruneMembers(['key.startsWith("internal.")', 'path == "/spec/paused" && value == false'], budget)
 */
export function pruneMembers(expressions: readonly string[], budget: StepBudget): Prune {
  const conditions = expressions.map((expression) => compileMemberCondition(expression, { budget }));
  const without = (value: Json, path: string, depth: number): Json => {
    if (typeof value !== 'object' || value === null || isMarker(value)) return value;
    if (depth > maxDepth) throw new KollectError('KOL_EXTRACT_EVALUATE', `the object is nested deeper than ${maxDepth} levels`);
    const changes = new Map<string | number, Json | undefined>();
    const change = (key: string | number, before: Json, after: Json | undefined): void => {
      if (after !== before) changes.set(key, after);
    };
    if (Array.isArray(value)) {
      budget.charge(value.length);
      for (const [index, item] of value.entries()) change(index, item, without(item, `${path}/${index}`, depth + 1));
    } else {
      for (const key of Object.keys(value)) {
        const member = value[key] as Json;
        const at = `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`;
        change(key, member, conditions.some(({ holds }) => holds(at, key, member)) ? undefined : without(member, at, depth + 1));
      }
    }
    return replaceMembers(value, changes, budget);
  };
  return (value) => without(value, '', 0);
}
