import { Optional } from '@marcbachmann/cel-js';
import type { ASTNode } from '@marcbachmann/cel-js';
import { treeSize, weight } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';
import { celFunctions } from './cel-functions.ts';
import { CelFault } from './cel-fault.ts';
import { compileRegex } from './cel-regex.ts';
import type { CelRegex } from './cel-regex.ts';
import type { CheckedType } from './cel-library/checker.ts';
import type { LoopMacro } from './cel-library/two-variables.ts';
import { compareValues, isEqual } from './cel-library/equality.ts';
import { fixedChains } from './cel-syntax.ts';
import { timestampArithmetic } from './cel-timestamp.ts';
import { toCel } from './cel-values.ts';
import { compareUtf8 } from './compare-utf8.ts';
import { isJsonObject } from './json.ts';
import type { Json } from './json.ts';
import type { MemberGuard } from './jsonpath.ts';

/**
 * What the evaluator of cel-js keeps on a checked node. It is no public interface: the version is pinned, and the tests of loops, `matches()` and
 * integers fail when it changes.
 */
interface CheckedNode {
  op: string;
  args: unknown;
  /** The expression, and where in it the node is. */
  input: string;
  pos: number;
  start: number;
  end: number;
  meta: { evaluate: Run; alternate?: CheckedNode; macro?: Record<string, unknown> };
  evaluate: Run;
  /** Set by the check on nodes that combine values: applied to the operands that were evaluated before. */
  handle?: (...operands: never[]) => unknown;
  left?: CheckedNode;
  right?: CheckedNode | string;
  checkedType?: CheckedType;
}

type Run = (evaluator: unknown, node: CheckedNode, context: unknown) => unknown;

interface ComprehensionArgs {
  kind?: 'quantifier';
  iterable: CheckedNode;
  init: CheckedNode;
  step: CheckedNode;
}

/** Taking an iteration, and catching an error with its stack trace, in steps. */
const iterationSteps = 20;
const errorSteps = 400;
/** Looking up a time zone and formatting a date for it. */
const timeZoneSteps = 1500;

/** What an instrumented tree remembers of one evaluation. */
export interface Instrumentation {
  /** Forgets the object of the last evaluation. */
  release(): void;
}

interface InstrumentOptions {
  budget: StepBudget;
  guard: MemberGuard | undefined;
  /** The variable that holds JSON. */
  subject: string;
}

/**
 * Makes a checked tree safe and exact, by wrapping the functions on its nodes:
 *
 * - loops, calls and the operators whose cost follows their operands charge the budget, so that every evaluation ends;
 * - `matches()` runs on RE2;
 * - the keys of maps are visited in order;
 * - JSON integers enter as CEL ints, converted where the expression touches them;
 * - members that are read by name pass through `guard`.
 *
 * @throws CelFault when the literal pattern of a `matches()` is not valid, or all of them are too large together
 */
export function instrument(root: ASTNode, { budget, guard, subject }: InstrumentOptions): Instrumentation {
  const conversions = convertIntegers(root, budget, subject);
  const regexes = new Map<string, CelRegex>();
  const seen = new Set<CheckedNode>();
  let patternSize = 0;
  const visit = (node: CheckedNode): void => {
    if (seen.has(node)) return;
    seen.add(node);
    for (const child of executed(node)) visit(child);
    patternSize += literalPatternSize(node);
    if (patternSize > maxPatternSize) throw new CelFault('the regular expressions are too large together; use smaller repeat counts');
    wrap(node, budget, guard, regexes);
  };
  visit(root as unknown as CheckedNode);
  return conversions;
}

/** The nodes that evaluating this node may run: what macros expand to, instead of their text. */
function executed(node: CheckedNode): CheckedNode[] {
  const { alternate, macro } = node.meta;
  if (alternate !== undefined) return [alternate];
  if (macro !== undefined) return [macro.val, macro.exp, macro.receiver, macro.arg].filter(isChecked);
  if (node.op === 'comprehension') {
    const { iterable, init, step } = node.args as ComprehensionArgs;
    return [iterable, init, step];
  }
  const args: unknown[] = Array.isArray(node.args) ? node.args : [node.args];
  return args.flat(2).filter(isChecked);
}

function isChecked(value: unknown): value is CheckedNode {
  return typeof value === 'object' && value !== null && 'meta' in value;
}

function wrap(node: CheckedNode, budget: StepBudget, guard: MemberGuard | undefined, regexes: Map<string, CelRegex>): void {
  if (node.meta.macro !== undefined && 'variables' in node.meta.macro) watchLoop(node.meta.macro as unknown as LoopMacro, budget, guard);
  if (node.meta.alternate !== undefined || node.meta.macro !== undefined) return;
  switch (node.op) {
    case 'comprehension':
      wrapLoop(node, budget);
      break;
    case '&&':
    case '||':
      if (node.left !== undefined) node.left = chargeErrors(node.left, budget);
      break;
    case 'call':
    case 'rcall':
      wrapCall(node, budget, guard, regexes);
      break;
    case '+':
      replaceHandle(node, (handle) => (left, right, ...rest) => {
        budget.charge(weight(left) + weight(right));
        return timestampArithmetic('+', left, right) ?? handle(left, right, ...rest);
      });
      break;
    case '-':
      replaceHandle(node, (handle) => (left, right, ...rest) => timestampArithmetic('-', left, right) ?? handle(left, right, ...rest));
      break;
    case '/':
    case '-_':
      replaceHandle(node, (handle) => (...operands) => inRange(handle(...operands)));
      break;
    case '<':
    case '<=':
    case '>':
    case '>=':
      replaceHandle(node, (handle) => (left, right, ...rest) => (isOrderedOtherwise(left, right) ? inOrder(node.op, left, right) : handle(left, right, ...rest)));
      break;
    case '==':
    case '!=':
    case 'in':
      replaceHandle(node, (handle) => (left, right, ...rest) => {
        chargeComparison(node.op, left, right, budget);
        if (node.op !== 'in') return isContent(left) && isContent(right) ? isEqual(left, right) === (node.op === '==') : handle(left, right, ...rest);
        if (hasTextKeys(node.right) && isPlainMap(right) && typeof left !== 'string') return false;
        return Array.isArray(right) && isContent(left) ? right.some((item) => isEqual(left, item)) : handle(left, right, ...rest);
      });
      break;
    case '.':
    case '[]':
    case '.?':
    case '[?]':
      if (hasTextKeys(node.left)) replaceHandle(node, (handle) => (left, right, ...rest) => (typeof right !== 'string' && isPlainMap(contentOf(left)) ? noSuchKey(node.op, left) : handle(left, right, ...rest)));
      if (guard !== undefined) replaceHandle(node, (handle) => (left, right, ...rest) => guarded(guard, left, right, handle(left, right, ...rest)));
      break;
  }
}

type Handle = (...operands: unknown[]) => unknown;

function replaceHandle(node: CheckedNode, replace: (handle: Handle) => Handle): void {
  if (node.handle !== undefined) node.handle = replace(node.handle as unknown as Handle) as (...operands: never[]) => unknown;
}

function guarded(guard: MemberGuard, parent: unknown, key: unknown, value: unknown): unknown {
  if (parent instanceof Optional) return parent.hasValue() ? guarded(guard, parent.value(), key, value) : value;
  if (value instanceof Optional) return value.hasValue() ? Optional.of(guarded(guard, parent, key, value.value())) : value;
  return typeof key === 'string' && isJsonObject(parent) ? guard(key, value as Json, parent) : value;
}

/** Functions that make texts of whole values do not read their members by name. */
function guardedMembers<T>(value: T, guard: MemberGuard, budget: StepBudget): T {
  if (Array.isArray(value)) return value.map((item: unknown) => guardedMembers(item, guard, budget)) as T;
  if (!isPlainMap(value)) return value;
  const members = Object.entries(value as Record<string, unknown>);
  budget.charge(8 * members.length + 1);
  return Object.fromEntries(members.map(([key, member]) => [key, guardedMembers(guard(key, member as Json, value as never), guard, budget)])) as T;
}

/** What cel-js compares in another way: lists and maps as CEL knows them, and timestamps by the millisecond. */
function isContent(value: unknown): boolean {
  return value instanceof Date || value instanceof Optional || Array.isArray(value) || isPlainMap(value);
}

/** Whether all keys of a map that the node gives are text: cel-js finds `1` where the key is `"1"`. */
function hasTextKeys(node: CheckedNode | string | undefined): boolean {
  if (typeof node !== 'object' || node.checkedType === undefined) return false;
  if (node.op === 'call' && (node.args as unknown[])[0] === 'dyn') return hasTextKeys(executed(node)[0]);
  const { kind, valueType, keyType } = node.checkedType;
  return kind === 'dyn' || (kind === 'optional' && valueType?.kind === 'dyn') || keyType?.kind === 'string';
}

function contentOf(value: unknown): unknown {
  return value instanceof Optional ? value.orValue(undefined) : value;
}

function noSuchKey(operator: string, map: unknown): Optional {
  if (operator !== '[?]' && !(map instanceof Optional)) throw new CelFault('no such key: the keys of the map are text');
  return Optional.none();
}

/** Ints have 64 bits. */
function inRange(value: unknown): unknown {
  if (typeof value === 'bigint' && BigInt.asIntN(64, value) !== value) throw new CelFault('number out of range');
  return value;
}

/** CEL orders texts by their characters, JavaScript by UTF-16; and timestamps by the nanosecond. */
function isOrderedOtherwise(left: unknown, right: unknown): boolean {
  return (typeof left === 'string' && typeof right === 'string') || (left instanceof Date && right instanceof Date);
}

function inOrder(operator: string, left: unknown, right: unknown): boolean {
  const order = compareValues(left, right) ?? 0;
  return operator === '<' ? order < 0 : operator === '<=' ? order <= 0 : operator === '>' ? order > 0 : order >= 0;
}

function chargeComparison(op: string, left: unknown, right: unknown, budget: StepBudget): void {
  if (op === 'in' && Array.isArray(right)) budget.charge(right.length * (typeof left === 'object' ? treeSize(left, 1000) : 1));
  else if (op !== 'in' && typeof left === 'object' && typeof right === 'object') budget.charge(4 * treeSize(left, 1_000_000));
}

function wrapLoop(node: CheckedNode, budget: StepBudget): void {
  const args = node.args as ComprehensionArgs;
  const stepsPerIteration = iterationSteps + bodySize(args.step);
  if (args.kind === 'quantifier') args.step = chargeErrors(args.step, budget);
  replaceHandle(node, (handle) => (range, ...rest) => {
    const items = isPlainMap(range) ? Object.keys(range).sort(compareUtf8) : range;
    if (Array.isArray(items)) budget.charge(items.length * stepsPerIteration);
    return handle(items, ...rest);
  });
}

function watchLoop(macro: LoopMacro, budget: StepBudget, guard: MemberGuard | undefined): void {
  const bodies = [macro.exp, macro.arg].filter(isChecked);
  const stepsPerIteration = 2 * iterationSteps + bodies.reduce((steps, body) => steps + bodySize(body), 0);
  macro.hooks = {
    begins: (items) => budget.charge(items * stepsPerIteration),
    swallows: (error) => {
      if (budget.exhausted()) throw error;
      budget.charge(errorSteps);
    },
    visits: (key, value, map) => (guard === undefined ? value : guarded(guard, map, key, value)),
  };
}

function isPlainMap(value: unknown): value is object {
  return isJsonObject(value) && Object.getPrototypeOf(value) === Object.prototype;
}

function bodySize(node: CheckedNode): number {
  return executed(node).reduce((size, child) => size + bodySize(child), 1);
}

/** A stand-in for a node whose errors the evaluator catches and drops. */
function chargeErrors(node: CheckedNode, budget: StepBudget): CheckedNode {
  const evaluate: Run = (evaluator, _node, context) => {
    if (budget.exhausted()) throw budget.fault;
    try {
      return node.evaluate(evaluator, node, context);
    } catch (error) {
      if (!budget.exhausted()) budget.charge(errorSteps);
      throw error;
    }
  };
  const { op, args, input, pos, start, end, meta } = node;
  return { op, args, input, pos, start, end, meta, evaluate };
}

function wrapCall(node: CheckedNode, budget: StepBudget, guard: MemberGuard | undefined, regexes: Map<string, CelRegex>): void {
  const [name] = node.args as [string, ...unknown[]];
  const isMethod = node.op === 'rcall';
  const base = isMethod && name.startsWith('get') ? timeZoneSteps : 2;
  const special = celFunctions[name];
  replaceHandle(node, (handle) => (values, ...rest) => {
    const operands = name === 'format' && guard !== undefined ? guardedMembers(values as unknown[], guard, budget) : (values as unknown[]);
    let steps = isMethod && operands.length === 1 ? 2 : base;
    for (const operand of operands) steps += weight(operand);
    budget.charge(steps);
    const result = special?.(operands, budget, regexes) ?? handle(operands, ...rest);
    budget.charge(weight(result));
    return result;
  });
}

/** Instructions of all literal patterns of one expression: compiling so many takes a millisecond. */
const maxPatternSize = 4000;

/** Functions whose first argument behind the text is a regular expression. */
const searches = new Set(['matches', 'find', 'findAll']);

/** Instructions of the pattern of a `matches()`, `find()` or `findAll()`, 0 for all other nodes and for patterns that depend on the object. */
function literalPatternSize(node: CheckedNode): number {
  if (node.op !== 'call' && node.op !== 'rcall') return 0;
  const args = node.args as unknown[];
  if (!searches.has(args[0] as string)) return 0;
  const operands = args.at(-1) as CheckedNode[];
  const pattern = operands[node.op === 'call' ? 1 : 0];
  return pattern?.op === 'value' && typeof pattern.args === 'string' ? compileRegex(pattern.args).programSize : 0;
}

/** Converts at the end of each chain that starts at the variable with JSON, so that only what the expression touches is copied. */
function convertIntegers(root: ASTNode, budget: StepBudget, subject: string): Instrumentation {
  const caches: { source: unknown; converted: unknown }[] = [];
  for (const { node, read } of fixedChains(root, subject)) {
    if (read.extent === 'presence') continue;
    const checked = node as unknown as CheckedNode;
    const evaluate = checked.meta.evaluate;
    // In a loop the same list is converted once.
    const cache: { source: unknown; converted: unknown } = { source: undefined, converted: undefined };
    caches.push(cache);
    checked.evaluate = (evaluator, self, context) => {
      const value = evaluate(evaluator, self, context);
      if (typeof value === 'number') return Number.isSafeInteger(value) ? BigInt(value) : value;
      if (typeof value !== 'object' || value === null) return value;
      if (cache.source !== value) {
        cache.source = value;
        cache.converted = toCel(value, budget);
      }
      return cache.converted;
    };
  }
  return {
    release: () => {
      for (const cache of caches) cache.source = cache.converted = undefined;
    },
  };
}
