/**
 * Characters of all expressions of one object together, as `expressionLength` counts them. The slowest to compile take some 3 µs for each, so
 * that an object takes at most 50 ms, once; hundreds of ordinary paths are as long.
 */
export const maxExpressionLength = 16_384;

/** What the counts of repetitions in an expression add at most: as much as the program of one regular expression may have. */
const maxRepetitions = 1000;

/** Characters of an expression, and instructions of the regular expression that its repetitions may unfold to, such as `[a-z]{200}`. */
function expressionLength(expression: string | undefined): number {
  if (expression === undefined) return 0;
  if (!/matches|find/.test(expression)) return expression.length;
  let repetitions = 1;
  for (const [, from = '', to = ''] of expression.matchAll(/\{(\d{1,4})(?:,(\d{0,4}))?\}/g)) repetitions = Math.min(maxRepetitions, repetitions * Math.max(1, Number(from), Number(to)));
  return expression.length + (repetitions > 1 ? repetitions : 0);
}

export function expressionLengthOfAll(expressions: readonly (string | undefined)[]): number {
  let sum = 0;
  for (const expression of expressions) sum += expressionLength(expression);
  return sum;
}
