import { KollectError } from '../errors.ts';
import { compileCel } from '../extract/cel.ts';
import { compilePath } from '../extract/compile-path.ts';
import { readsSecretData } from '../extract/secret-guard.ts';

/** What admission needs to know of an attribute path. */
export interface PathVerdict {
  /** Why the path does not compile. */
  problem?: string;
  language?: 'jsonpath' | 'cel' | 'helm';
  /** True unless the path, applied to a Secret, provably stays outside its data. */
  mayReadSecretData?: boolean;
}

/** What admission needs to know of a match policy. */
export interface PolicyVerdict {
  /** Why the expression does not compile. */
  problem?: string;
  /** Static type of the result, `dyn` where it depends on the object. */
  resultType?: string;
}

/** Compiles the expressions that objects carry. */
export interface ExpressionJudge {
  path(text: string): PathVerdict;
  policy(text: string): PolicyVerdict;
}

/** Judges by compiling each time. */
export const expressionJudge: ExpressionJudge = {
  path: (text) =>
    attempt(() => {
      const compiled = compilePath(text);
      return { language: compiled.language, mayReadSecretData: readsSecretData(compiled) };
    }),
  policy: (text) => attempt(() => ({ resultType: compileCel(text).resultType })),
};

/**
 * Remembers the verdicts of the last expressions. Compiling costs more than all the rest of a review, and objects come again with the
 * same expressions: at every apply, dry run and status update.
 */
export function rememberingJudge(limit = 500): ExpressionJudge {
  return { path: remember(expressionJudge.path, limit), policy: remember(expressionJudge.policy, limit) };
}

function attempt<V>(judge: () => V): V | { problem: string } {
  try {
    return judge();
  } catch (error) {
    if (error instanceof KollectError) return { problem: error.message };
    throw error;
  }
}

function remember<V>(judge: (text: string) => V, limit: number): (text: string) => V {
  const verdicts = new Map<string, V>();
  return (text) => {
    let verdict = verdicts.get(text);
    if (verdict === undefined) {
      verdict = judge(text);
      const [oldest] = verdicts.size < limit ? [] : verdicts.keys();
      if (oldest !== undefined) verdicts.delete(oldest);
      verdicts.set(text, verdict);
    }
    return verdict;
  };
}
