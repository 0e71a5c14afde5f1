import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { KollectError } from '../errors.ts';
import { createEnvironment, type CelVariables } from './cel-environment.ts';
import { CelFault, evaluationFailure } from './cel-fault.ts';
import { celHint, readableCause, unknownCall, type CelSignature } from './cel-hints.ts';
import { instrument } from './cel-instrument.ts';
import { checkSyntax, fixedChains } from './cel-syntax.ts';
import { fromCel } from './cel-values.ts';
import type { ReadPath } from './read-path.ts';
import type { Json } from './json.ts';
import type { MemberGuard } from './jsonpath.ts';
import { discreetly, shown } from './shown.ts';
import { createBudget, stepsPerEvaluation } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

export interface CompiledCel {
  /**
   * Static type of the result: `bool`, `int`, `string`, `list<string>`, … and `dyn` where it depends on the object. A `matchPolicy` is
   * acceptable when this is `bool` or `dyn`.
   */
  resultType: string;
  /** Where the expression reads the object. */
  reads: readonly ReadPath[];
  /**
   * Evaluates the expression on one object as JSON.parse gives it; undefined when the result is null or an empty optional. Timestamps come as RFC 3339 text, durations as
   * integer nanoseconds, bytes as base64, ints as numbers or, beyond 2^53, as bigint.
   *
   * @throws KollectError KOL_EXTRACT_EVALUATE; the message never holds a value of the object
   */
  evaluate(object: unknown): Json | undefined;
}

export interface CelOptions {
  /** Sees every member that the expression reads by name, to redact it by key. */
  guard?: MemberGuard;
  /** Shared with other evaluations and reset by the caller. Without it every evaluation has its own. */
  budget?: StepBudget;
}

/**
 * Compiles a CEL expression over the variable `object`, without the `cel:` prefix.
 *
 * Unknown variables and functions, operators on types that never fit, and regular expressions outside RE2 are refused here. Each evaluation
 * has a budget of steps, so that no expression stalls the process.
 *
 * @throws KollectError KOL_EXTRACT_CEL; the message says what is wrong and where
 * @example compileCel('object.spec.replicas > 1').resultType // "bool"
 */
export function compileCel(expression: string, options: CelOptions = {}): CompiledCel {
  const { resultType, reads, run } = compileOver(objectScope(), expression, options);
  return { resultType, reads, evaluate: (object) => run({ object }) };
}

/** A condition on one member of a map. */
export interface CompiledMemberCondition {
  /** `bool`, or `dyn` where it depends on the value; anything else never holds. */
  resultType: string;
  /**
   * Whether the expression gives true; what cannot be evaluated on a member does not hold for it.
   *
   * @param path RFC 6901 pointer of the member
   * @throws KollectError KOL_EXTRACT_EVALUATE when the budget is spent
   */
  holds(path: string, key: string, value: Json): boolean;
}

/**
 * Compiles a CEL expression over a member of a map: `path` is its JSON Pointer, `key` its name, `value` its value.
 *
 * @throws KollectError KOL_EXTRACT_CEL
 * @example compileMemberCondition('key.startsWith("internal.")', { budget }).holds('/metadata/labels/internal.x', 'internal.x', '1') // true
 */
export function compileMemberCondition(expression: string, { budget = createBudget(stepsPerEvaluation) }: Pick<CelOptions, 'budget'> = {}): CompiledMemberCondition {
  const { resultType, run } = compileOver(memberScope(), expression, { budget });
  return {
    resultType,
    holds: (path, key, value) => {
      budget.charge(stepsPerMember);
      try {
        return run({ path, key, value }) === true;
      } catch (error) {
        if (budget.exhausted()) throw error;
        budget.charge(stepsPerFailure);
        return false;
      }
    },
  };
}

/** Evaluating a short expression, and catching an error. */
const stepsPerMember = 20;
const stepsPerFailure = 100;

function compileOver(scope: Scope, expression: string, options: CelOptions): Compiled {
  if (expression.trim() === '') throw new KollectError('KOL_EXTRACT_CEL', 'the expression is empty; write for example object.metadata.name');
  if (expression.length > maxLength) {
    throw new KollectError('KOL_EXTRACT_CEL', `the expression has ${expression.length} characters, at most ${maxLength} are allowed`);
  }
  return discreetly(expression, () => {
    try {
      return compile(scope, expression, options);
    } catch (error) {
      throw compileFailure(error, scope, expression);
    }
  });
}

const maxLength = 4096;

/** Where an expression is evaluated. Built once: it is the same for all expressions and never changed. */
interface Scope {
  environment: Environment;
  functions: readonly CelSignature[];
  variables: CelVariables;
}

function scopeOf(variables: CelVariables): () => Scope {
  let scope: Scope | undefined;
  return () => {
    if (scope === undefined) {
      const environment = createEnvironment(variables);
      scope = { environment, functions: environment.getDefinitions().functions, variables };
    }
    return scope;
  };
}

const objectScope = scopeOf({ subject: 'object', texts: [] });
const memberScope = scopeOf({ subject: 'value', texts: ['path', 'key'] });

interface Compiled {
  resultType: string;
  reads: readonly ReadPath[];
  run(variables: Readonly<Record<string, unknown>>): Json | undefined;
}

function compile({ environment, functions, variables: { subject } }: Scope, expression: string, { guard, budget: shared }: CelOptions): Compiled {
  const parsed = environment.parse(expression);
  checkSyntax(parsed.ast);
  refuseUnknownCalls(parsed.ast, functions, expression);
  const checked = parsed.check();
  if (!checked.valid) throw checked.error ?? new CelFault('the expression does not compile');
  const budget = shared ?? createBudget(stepsPerEvaluation);
  const instrumentation = instrument(parsed.ast, { budget, guard, subject });
  return {
    resultType: checked.type ?? 'dyn',
    reads: uniqueReads(parsed.ast, subject),
    run: (values) => {
      if (shared === undefined) budget.reset();
      // Even the first step, to put the keys of a large map in order, takes a millisecond.
      if (budget.exhausted()) throw evaluationFailure(budget.fault);
      // Nobody sees the stack of an evaluation error, and taking it costs more than the evaluation.
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = 0;
      try {
        const result = fromCel(parsed(values), budget);
        // A logical operator may have swallowed the error; its result would depend on where the steps ran out.
        if (budget.exhausted()) throw budget.fault;
        return result;
      } catch (error) {
        throw evaluationFailure(budget.exhausted() ? budget.fault : error);
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
        instrumentation.release();
      }
    },
  };
}

/** Before the check, which would trip over the variable of a loop that is not known as one. */
function refuseUnknownCalls(ast: ASTNode, functions: readonly CelSignature[], expression: string): void {
  const unknown = unknownCall(ast, functions);
  if (unknown === undefined) return;
  const { node, name, near } = unknown;
  const where = position(expression.indexOf(name, node.start), expression);
  throw new KollectError('KOL_EXTRACT_CEL', `the CEL expression does not compile: unknown function ${name.slice(0, 64)}()${where}${near === undefined ? '' : `; did you mean ${near}()?`}`);
}

function uniqueReads(ast: ASTNode, subject: string): ReadPath[] {
  const reads = fixedChains(ast, subject).map((chain) => chain.read);
  return [...new Map(reads.map((read) => [JSON.stringify(read), read])).values()];
}

interface Located {
  code?: string;
  summary?: string;
  range?: { start: number };
}

function compileFailure(error: unknown, { functions, variables }: Scope, expression: string): KollectError {
  if (error instanceof KollectError) return error;
  if (error instanceof RangeError) return new KollectError('KOL_EXTRACT_CEL', 'the expression is nested too deeply');
  const { code, summary, range } = error as Located;
  const cause = (summary ?? (error instanceof Error ? error.message : 'unknown cause')).slice(0, maxCauseLength);
  const what = cause === 'Unexpected token: EOF' ? 'the CEL expression is not complete: something is missing' : `the CEL expression does not compile: ${readableCause(cause)}`;
  return new KollectError('KOL_EXTRACT_CEL', `${what}${range === undefined ? '' : position(range.start, expression)}${celHint(code, cause, expression, { functions, variables })}`);
}

/** It may repeat a name of any length. */
const maxCauseLength = 200;

function position(start: number, expression: string): string {
  return ` at character ${start + 1} of ${shown(expression)}`;
}
