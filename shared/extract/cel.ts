import type { ASTNode, Environment } from '@marcbachmann/cel-js';
import { KollectError } from '../errors.ts';
import { createEnvironment } from './cel-environment.ts';
import { CelFault, evaluationFailure } from './cel-fault.ts';
import { celHint, readableCause, unknownCall } from './cel-hints.ts';
import { instrument } from './cel-instrument.ts';
import { checkSyntax, objectChains } from './cel-syntax.ts';
import { fromCel } from './cel-values.ts';
import type { ReadPath } from './read-path.ts';
import type { Json } from './json.ts';
import type { MemberGuard } from './jsonpath.ts';
import { shown } from './shown.ts';
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
  if (expression.trim() === '') throw new KollectError('KOL_EXTRACT_CEL', 'the expression is empty; write for example object.metadata.name');
  if (expression.length > maxLength) {
    throw new KollectError('KOL_EXTRACT_CEL', `the expression has ${expression.length} characters, at most ${maxLength} are allowed`);
  }
  try {
    return compile(expression, options);
  } catch (error) {
    throw compileFailure(error, expression);
  }
}

const maxLength = 4096;

/** Built once: it is the same for all expressions and never changed. */
const environment: Environment = createEnvironment();
const { functions } = environment.getDefinitions();

function compile(expression: string, { guard, budget: shared }: CelOptions): CompiledCel {
  const parsed = environment.parse(expression);
  checkSyntax(parsed.ast);
  refuseUnknownCalls(parsed.ast, expression);
  const checked = parsed.check();
  if (!checked.valid) throw checked.error ?? new CelFault('the expression does not compile');
  const budget = shared ?? createBudget(stepsPerEvaluation);
  const instrumentation = instrument(parsed.ast, budget, guard);
  const variables: { object: unknown } = { object: null };
  return {
    resultType: checked.type ?? 'dyn',
    reads: uniqueReads(parsed.ast),
    evaluate: (object) => {
      if (shared === undefined) budget.reset();
      variables.object = object;
      // Nobody sees the stack of an evaluation error, and taking it costs more than the evaluation.
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = 0;
      try {
        const result = fromCel(parsed(variables), budget);
        // A logical operator may have swallowed the error; its result would depend on where the steps ran out.
        if (budget.exhausted()) throw budget.fault;
        return result;
      } catch (error) {
        throw evaluationFailure(budget.exhausted() ? budget.fault : error);
      } finally {
        Error.stackTraceLimit = stackTraceLimit;
        variables.object = null;
        instrumentation.release();
      }
    },
  };
}

/** Before the check, which would trip over the variable of a loop that is not known as one. */
function refuseUnknownCalls(ast: ASTNode, expression: string): void {
  const unknown = unknownCall(ast, functions);
  if (unknown === undefined) return;
  const { node, name, near } = unknown;
  const where = position(expression.indexOf(name, node.start), expression);
  throw new KollectError('KOL_EXTRACT_CEL', `the CEL expression does not compile: unknown function ${name.slice(0, 64)}()${where}${near === undefined ? '' : `; did you mean ${near}()?`}`);
}

function uniqueReads(ast: ASTNode): ReadPath[] {
  const reads = objectChains(ast).map((chain) => chain.read);
  return [...new Map(reads.map((read) => [JSON.stringify(read), read])).values()];
}

interface Located {
  code?: string;
  summary?: string;
  range?: { start: number };
}

function compileFailure(error: unknown, expression: string): KollectError {
  if (error instanceof KollectError) return error;
  if (error instanceof RangeError) return new KollectError('KOL_EXTRACT_CEL', 'the expression is nested too deeply');
  const { code, summary, range } = error as Located;
  const cause = (summary ?? (error instanceof Error ? error.message : 'unknown cause')).slice(0, maxCauseLength);
  const what = cause === 'Unexpected token: EOF' ? 'the CEL expression is not complete: something is missing' : `the CEL expression does not compile: ${readableCause(cause)}`;
  return new KollectError('KOL_EXTRACT_CEL', `${what}${range === undefined ? '' : position(range.start, expression)}${celHint(code, cause, expression, functions)}`);
}

/** It may repeat a name of any length. */
const maxCauseLength = 200;

function position(start: number, expression: string): string {
  return ` at character ${start + 1} of ${shown(expression)}`;
}
