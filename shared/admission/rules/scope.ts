import type { KollectScopeSpec } from '../../api/kollect-scope.ts';
import type { Rule } from '../rule.ts';
import { scopeCeilingRules } from './scope-ceiling.ts';

export const scopeRules: readonly Rule<KollectScopeSpec>[] = [...scopeCeilingRules];
