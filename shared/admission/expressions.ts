import { KollectError } from '../errors.ts';
import { compileCel, compileMemberCondition } from '../extract/cel.ts';
import { compilePath } from '../extract/compile-path.ts';
import { maxPathLength } from '../extract/jsonpath-spelling.ts';
import { likelySlip } from '../extract/path-slips.ts';
import { prunePath } from '../extract/prune.ts';
import { readsSecretData } from '../extract/secret-guard.ts';
import { Recent } from '../recent.ts';

/** What admission needs to know of an attribute path. */
export interface PathVerdict {
  /** Why the path does not compile. */
  problem?: string;
  language?: 'jsonpath' | 'cel' | 'helm';
  /** Static type of the value: that of a CEL expression, `list` for a path with several places, `dyn` where it depends on the object. */
  resultType?: string;
  /** What the path names and no object has. */
  slip?: string | undefined;
  /** True unless the path, applied to a Secret, provably stays outside its data. */
  mayReadSecretData?: boolean;
}

/** What admission needs to know of a match policy. */
export interface PolicyVerdict {
  /** Why the expression does not compile. */
  problem?: string;
  /** Static type of the result, `dyn` where it depends on the object. */
  resultType?: string;
  /** What the expression names and no object has. */
  slip?: string | undefined;
  /** True unless the expression, applied to a Secret, provably stays outside its data. */
  mayReadSecretData?: boolean;
}

/** What admission needs to know of a path to prune, or of a condition for it. */
export interface PruneVerdict {
  /** Why it does not compile. */
  problem?: string;
  /** Static type of a condition, `dyn` where it depends on the value. */
  resultType?: string;
}

/** Compiles the expressions that objects carry. */
export interface ExpressionJudge {
  path(text: string): PathVerdict;
  policy(text: string): PolicyVerdict;
  prune(text: string): PruneVerdict;
  pruneCondition(text: string): PruneVerdict;
}

/** Judges by compiling each time. */
const compilingJudge: ExpressionJudge = {
  path: (text) =>
    attempt(() => {
      const compiled = compilePath(text);
      const { language, resultType, reads } = compiled;
      return { language, resultType, mayReadSecretData: readsSecretData(compiled), slip: language === 'helm' ? undefined : likelySlip(reads) };
    }),
  policy: (text) =>
    attempt(() => {
      const { resultType, reads } = compileCel(text);
      return { resultType, mayReadSecretData: readsSecretData({ language: 'cel', reads }), slip: likelySlip(reads) };
    }),
  prune: (text) =>
    attempt(() => {
      prunePath(text);
      return {};
    }),
  pruneCondition: (text) => attempt(() => ({ resultType: compileMemberCondition(text).resultType })),
};

/**
 * A judge that remembers its last verdicts. Compiling costs more than all the rest of a review, several rules ask about one expression, and
 * objects come again with the same ones: at every apply, dry run and status update.
 */
export function rememberingJudge(limit = 500): ExpressionJudge {
  return {
    path: remember(compilingJudge.path, limit),
    policy: remember(compilingJudge.policy, limit),
    prune: remember(compilingJudge.prune, limit),
    pruneCondition: remember(compilingJudge.pruneCondition, limit),
  };
}

function attempt<V>(judge: () => V): V | { problem: string } {
  try {
    return judge();
  } catch (error) {
    if (error instanceof KollectError) return { problem: error.message };
    throw error;
  }
}

function remember<V extends object>(judge: (text: string) => V, limit: number): (text: string) => V {
  const verdicts = new Recent<string, V>(limit);
  return (text) => {
    // Such texts are refused by their length, at no cost; kept, they would fill the memory.
    if (text.length > maxPathLength) return judge(text);
    const known = verdicts.get(text);
    if (known !== undefined) return known;
    const verdict = judge(text);
    verdicts.set(text, verdict);
    return verdict;
  };
}
