import { KollectError } from '../errors.ts';
import { compileCel } from './cel.ts';
import { parseHelmPath } from './helm-path.ts';
import { decodeHelmRelease } from './helm-release.ts';
import type { Json, JsonObject } from './json.ts';
import { compileDefinite, compileIndefinite, isDefinite } from './jsonpath.ts';
import type { MemberGuard } from './jsonpath.ts';
import { parseJsonPath } from './jsonpath-parse.ts';
import type { Segment } from './jsonpath-parse.ts';
import { maxPathLength } from './jsonpath-spelling.ts';
import { correcting, PathMistake } from './path-corrections.ts';
import type { ReadPath } from './read-path.ts';
import { discreetly } from './shown.ts';
import { createBudget, stepsPerEvaluation } from './step-budget.ts';
import type { StepBudget } from './step-budget.ts';

/** An attribute path, compiled once and evaluated on many objects. */
export interface CompiledPath {
  language: 'jsonpath' | 'cel' | 'helm';
  /** True for a JSONPath of names and single indexes. Such a path gives one value; any other JSONPath gives a list. */
  definite: boolean;
  /** Static type of the value: that of a CEL expression, `list` for a JSONPath that gives a list, `dyn` where it depends on the object. */
  resultType: string;
  /** What the path reads, as far as its text tells. */
  reads: readonly ReadPath[];
  /**
   * The value at the path in an object as JSON.parse gives it, or undefined for no value: nothing there, JSON null, an index out of range.
   *
   * @throws KollectError KOL_EXTRACT_EVALUATE; the message never holds a value of the object
   */
  evaluate(object: unknown): Json | undefined;
}

export interface CompilePathOptions {
  /** Sees the members of maps that the path steps to, to redact them by key. */
  guard?: MemberGuard;
  /** Shared with other evaluations and reset by the caller. Without it every evaluation has its own. */
  budget?: StepBudget;
  /** Decodes the release of a Secret, for several paths at once; `decodeHelmRelease` when unset. */
  release?: (secret: JsonObject) => JsonObject;
}

/**
 * Compiles an attribute path: `cel:<expression>` over the variable `object`, `helm:release.<field>`, or JSONPath as `$.a.b` or `{.a.b}`.
 *
 * A Helm path is evaluated on the Secret that holds the release, and decodes it.
 *
 * @throws KollectError KOL_EXTRACT_PATH or KOL_EXTRACT_CEL; the message says what is wrong, where, and what to write instead
 * @example compilePath('$.spec.template.spec.containers[*].image').evaluate(deployment) // ["nginx:1.27"]
 */
export function compilePath(path: string, options: CompilePathOptions = {}): CompiledPath {
  const text = path.trim();
  if (text === '') throw new KollectError('KOL_EXTRACT_PATH', 'the path is empty; write a path such as $.metadata.name');
  if (text.length > maxPathLength) {
    throw new KollectError('KOL_EXTRACT_PATH', `the path has ${text.length} characters, at most ${maxPathLength} are allowed`);
  }
  return discreetly(text, () => correcting(text, (written) => compileIn(written, options)));
}

function compileIn(text: string, options: CompilePathOptions): CompiledPath {
  if (/^cel:\s*\$/.test(text)) throw new PathMistake('CEL has no "$", which begins a JSONPath', 'write for example cel:object.metadata.name');
  if (text.startsWith('cel:')) return celPath(text.slice('cel:'.length), options);
  return text.startsWith('helm:') ? helmPath(text, options) : jsonPath(text, options);
}

function celPath(expression: string, options: CompilePathOptions): CompiledPath {
  const { evaluate, reads, resultType } = compileCel(expression, options);
  return { language: 'cel', definite: false, resultType, reads, evaluate };
}

function helmPath(text: string, { guard, release = decodeHelmRelease }: CompilePathOptions): CompiledPath {
  const keys = parseHelmPath(text);
  const read = compileDefinite(keys.map((name) => ({ descendant: false, selectors: [{ kind: 'name', name }] })), guard);
  return {
    language: 'helm',
    definite: true,
    resultType: 'dyn',
    reads: [{ prefix: ['release', ...keys], extent: 'subtree' }],
    evaluate: (object) => read(release(object as JsonObject)),
  };
}

function jsonPath(text: string, { guard, budget }: CompilePathOptions): CompiledPath {
  const segments = parseJsonPath(text);
  const definite = isDefinite(segments);
  return {
    language: 'jsonpath',
    definite,
    resultType: definite ? 'dyn' : 'list',
    reads: [{ prefix: fixedPrefix(segments), extent: 'subtree' }],
    evaluate: definite ? (compileDefinite(segments, guard) as CompiledPath['evaluate']) : indefinite(segments, guard, budget),
  };
}

function indefinite(segments: readonly Segment[], guard: MemberGuard | undefined, shared: StepBudget | undefined): CompiledPath['evaluate'] {
  const budget = shared ?? createBudget(stepsPerEvaluation);
  const evaluate = compileIndefinite(segments, budget, guard);
  return (object) => {
    if (shared === undefined) budget.reset();
    return evaluate(object as Json);
  };
}

/** Names and indexes up to the first step that is open. */
function fixedPrefix(segments: readonly Segment[]): (string | number)[] {
  const prefix: (string | number)[] = [];
  for (const { descendant, selectors } of segments) {
    const [selector] = selectors;
    if (descendant || selectors.length !== 1) break;
    if (selector?.kind === 'name') prefix.push(selector.name);
    else if (selector?.kind === 'index') prefix.push(selector.index);
    else break;
  }
  return prefix;
}
