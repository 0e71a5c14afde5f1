import { isObject, textOf } from '../../values.ts';
import type { ExpressionJudge } from '../expressions.ts';
import type { Finding } from '../finding.ts';
import type { Lookups } from '../lookups.ts';
import { tolerant } from '../ratchet.ts';
import { stateRulesOf } from './registry.ts';
import type { StateInput } from './state-rule.ts';

export interface StateContext {
  lookups: Lookups;
  /** Judges paths and policies. */
  expressions: ExpressionJudge;
  /** Namespace of the request, which counts more than what the object says. */
  namespace?: string;
  /** On update, whether it leaves alone all that rules judge: what was accepted once is warned about then, not refused. Asked only when something is refused. */
  isUnchanged?: (() => boolean) | undefined;
}

/**
 * Everything that other objects of the cluster say against an object, which has to be one that `validate` found no error in: all errors at once,
 * ordered by field, then all warnings. Throws `KollectError` (`KOL_ADMISSION_LOOKUP`) when the lookups cannot know.
 *
 * @example validateState('KollectInventory', inventory, { lookups: objectLookups([scope]), expressions: rememberingJudge() })
 */
export function validateState(kind: string, object: unknown, { lookups, expressions, namespace, isUnchanged }: StateContext): Finding[] {
  const { metadata, spec } = object as { metadata?: { name?: unknown; namespace?: unknown; annotations?: unknown } | null; spec: unknown };
  const input: StateInput<never> = {
    kind,
    name: textOf(metadata?.name),
    namespace: namespace ?? textOf(metadata?.namespace),
    annotations: isObject(metadata?.annotations) ? (metadata.annotations as Record<string, string>) : {},
    spec: spec as never,
    expressions,
    lookups,
  };
  const findings: Finding[] = [];
  for (const { id, check } of stateRulesOf(kind)) check(input, (finding) => findings.push({ ...finding, rule: id }));
  return tolerant(findings, isUnchanged);
}
