import { EvaluationError } from '@marcbachmann/cel-js';
import { KollectError } from '../errors.ts';
import { shown } from './shown.ts';

/** An evaluation error of our own. Its message is shown to users and holds no value of an object. */
export class CelFault extends Error {}

/** What an error of the evaluator means, for those whose own text could repeat a value. */
const phrases: Record<string, string> = {
  no_such_key: 'no such key',
  index_out_of_bounds: 'index out of range',
  numeric_overflow: 'number out of range',
  bool_conversion_error: 'the text is not a bool',
  int_conversion_error: 'the text is not an integer',
  uint_conversion_error: 'the text is not an unsigned integer',
  double_conversion_error: 'the text is not a number',
  invalid_timestamp: 'the text is not a timestamp such as 2026-01-31T12:00:00Z',
  invalid_duration: 'the text is not a duration such as 1h30m',
  unsupported_type: 'a value has a type that CEL cannot use',
};

/** Errors of the evaluator whose text holds only names of types, functions and operators. */
const plainCodes = new Set([
  'no_such_overload',
  'no_matching_overload',
  'invalid_condition_type',
  'invalid_logical_operand',
  'invalid_comprehension_range',
  'division_by_zero',
  'modulo_by_zero',
  'optional_value_missing',
  'index_out_of_range',
]);

/** Turns whatever an evaluation threw into an error for users: what failed and in which part of the expression, never with a value. */
export function evaluationFailure(error: unknown): KollectError {
  if (error instanceof KollectError) return error;
  if (error instanceof CelFault) return new KollectError('KOL_EXTRACT_EVALUATE', error.message);
  if (!(error instanceof EvaluationError)) return new KollectError('KOL_EXTRACT_EVALUATE', 'the expression cannot be evaluated');
  const what = phrases[error.code] ?? (plainCodes.has(error.code) ? typeNames(error.summary) : 'the expression cannot be evaluated');
  const { node } = error;
  if (node === undefined) return new KollectError('KOL_EXTRACT_EVALUATE', what);
  const hint = error.code === 'no_such_key' ? '; guard it with has()' : '';
  return new KollectError('KOL_EXTRACT_EVALUATE', `${what} at ${shown(node.input.slice(node.start, node.end))}${hint}`);
}

/** `dyn<string>` is a string whose type was not known beforehand, and what a map holds is guessed from one member: differences that mean nothing to users. */
function typeNames(text: string): string {
  return text.replaceAll(/\b(list|map)<(?:[^<>]|<[^<>]*>)*>/g, '$1').replaceAll(/\bdyn<([\w.]+)>/g, '$1');
}
