import type { ASTNode } from '@marcbachmann/cel-js';
import { KollectError } from '../errors.ts';
import type { ReadPath } from './read-path.ts';

/** Macros that loop over a list or map. */
const comprehensions = new Set(['all', 'exists', 'existsOne', 'exists_one', 'filter', 'map', 'sortBy', 'transformList', 'transformMap', 'transformMapEntry']);

/** Offered by the parser, unknown to CEL: an expression that uses one would work nowhere else. */
const foreignFunctions = new Set(['json', 'hex', 'base64', 'at', 'string']);

const maxNesting = 3;
const maxDepth = 120;
const maxInt = 2n ** 63n - 1n;

/** Direct children of a node of the syntax tree, before macros are expanded. */
export function children(node: ASTNode): ASTNode[] {
  const args: unknown[] = Array.isArray(node.args) ? node.args : [node.args];
  return args.flat(2).filter(isNode);
}

export function isNode(value: unknown): value is ASTNode {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

/** Name of the method that a node calls, undefined for any other node. */
function methodName(node: ASTNode): string | undefined {
  return node.op === 'rcall' ? node.args[0] : undefined;
}

/**
 * Refuses trees that are too deep to evaluate safely, loops nested too far, and functions that CEL does not have.
 *
 * @throws KollectError KOL_EXTRACT_CEL
 */
export function checkSyntax(root: ASTNode): void {
  const open: { node: ASTNode; depth: number; nesting: number; negated?: boolean }[] = [{ node: root, depth: 1, nesting: 0 }];
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, depth, nesting, negated = false } = next;
    const method = methodName(node);
    const isLoop = method !== undefined && comprehensions.has(method);
    if (depth > maxDepth) throw new KollectError('KOL_EXTRACT_CEL', `the expression is nested deeper than ${maxDepth} levels`);
    if (nesting > maxNesting) {
      throw new KollectError('KOL_EXTRACT_CEL', `loops (all, exists, filter, map and their like) are nested deeper than ${maxNesting}`);
    }
    if (method !== undefined && foreignFunctions.has(method)) {
      throw new KollectError('KOL_EXTRACT_CEL', `unknown function ${method}() at character ${node.start + 1}`);
    }
    if (node.op === 'value' && typeof node.args === 'bigint' && node.args > (negated ? maxInt + 1n : maxInt)) {
      throw new KollectError('KOL_EXTRACT_CEL', `the integer at character ${node.start + 1} has more than 64 bits`);
    }
    for (const [i, child] of children(node).entries()) {
      // The first child of a loop is what it runs over: loops in a chain are not nested.
      open.push({ node: child, depth: depth + 1, nesting: isLoop && i > 0 ? nesting + 1 : nesting, negated: node.op === '-_' });
    }
  }
}

/** A maximal chain such as `object.spec.containers[0]` whose steps are all fixed by the text. */
export interface FixedChain {
  /** The node that gives the value at the end of the chain. */
  node: ASTNode;
  read: ReadPath;
}

/** All places where the expression reads the variable that it is about, each as far as its text fixes the place. */
export function fixedChains(root: ASTNode, subject: string): FixedChain[] {
  const chains: FixedChain[] = [];
  const visit = (node: ASTNode): void => {
    const prefix = fixedChain(node, subject);
    if (prefix !== undefined) {
      chains.push({ node, read: { prefix, extent: 'subtree' } });
      // Index expressions of the chain are literals: nothing more to find below.
      return;
    }
    if (node.op === 'call' && node.args[0] === 'has') {
      const argument = node.args[1][0];
      const presence = argument === undefined ? undefined : fixedChain(argument, subject);
      if (presence !== undefined) {
        chains.push({ node, read: { prefix: presence, extent: 'presence' } });
        return;
      }
    }
    for (const child of children(node)) visit(child);
  };
  visit(root);
  return chains;
}

/** Steps from the variable to this node, or undefined when the node is no such chain. */
function fixedChain(node: ASTNode, subject: string): (string | number)[] | undefined {
  if (node.op === 'id') return node.args === subject ? [] : undefined;
  if (node.op === '.' || node.op === '.?') {
    const before = fixedChain(node.args[0], subject);
    return before === undefined ? undefined : [...before, node.args[1]];
  }
  if (node.op !== '[]' && node.op !== '[?]') return undefined;
  const [left, index] = node.args;
  const before = fixedChain(left, subject);
  if (before === undefined || index.op !== 'value') return undefined;
  if (typeof index.args === 'string') return [...before, index.args];
  return typeof index.args === 'bigint' ? [...before, Number(index.args)] : undefined;
}
