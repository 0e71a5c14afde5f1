import { tenantModeRule } from '../admission/policy.ts';
import { rulesOf } from '../admission/rules/registry.ts';
import { stateRulesOf } from '../admission/state/registry.ts';
import { fileRules } from './file-rules.ts';

/**
 * What a rule asks for, in a sentence; undefined when there is no such rule.
 *
 * @param kind of the object that broke it; undefined for rules about files.
 */
export function ruleText(kind: string | undefined, rule: string): string | undefined {
  if (Object.hasOwn(fileRules, rule)) return fileRules[rule as keyof typeof fileRules];
  if (rule === 'schema') return 'Every field must have the type and the values of the schema.';
  if (rule === tenantModeRule) return 'Kinds that collect from the whole cluster need an installation without tenant mode.';
  return kind === undefined ? undefined : [...rulesOf(kind), ...stateRulesOf(kind)].find(({ id }) => id === rule)?.asks;
}
