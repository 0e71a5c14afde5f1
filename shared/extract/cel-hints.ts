import type { ASTNode } from '@marcbachmann/cel-js';
import { nearestName } from '../nearest.ts';
import type { CelVariables } from './cel-environment.ts';
import { children } from './cel-syntax.ts';

/** A function or method as it can be called: `size(string)`, `string.size()`. */
export interface CelSignature {
  name: string;
  signature: string;
}

/** The first call of a function or method that CEL does not have, and the one that was likely meant; undefined when all are known. */
export function unknownCall(root: ASTNode, functions: readonly CelSignature[]): { node: ASTNode; name: string; near: string | undefined } | undefined {
  const names = new Set(functions.map(({ name }) => name));
  const open: ASTNode[] = [root];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    const name = node.op === 'call' || node.op === 'rcall' ? node.args[0] : undefined;
    if (name !== undefined && !names.has(name)) return { node, name, near: elsewhere.get(name.toLowerCase()) ?? nearestName(name, names) };
    open.push(...children(node).reverse());
  }
  return undefined;
}

/** What other languages call functions and methods of CEL, in lower case. */
const elsewhere: ReadonlyMap<string, string> = new Map([
  ...['len', 'length', 'count'].map((name) => [name, 'size'] as const),
  ...['lower', 'tolower', 'tolowercase', 'downcase'].map((name) => [name, 'lowerAscii'] as const),
  ...['upper', 'toupper', 'touppercase', 'upcase'].map((name) => [name, 'upperAscii'] as const),
  ...['includes', 'include', 'hasvalue'].map((name) => [name, 'contains'] as const),
  ...['match', 'regex', 'search', 'test'].map((name) => [name, 'matches'] as const),
  ...['substr', 'slice'].map((name) => [name, 'substring'] as const),
  ...['str', 'tostring'].map((name) => [name, 'string'] as const),
  ...['number', 'parseint', 'toint', 'integer'].map((name) => [name, 'int'] as const),
  ...['float', 'parsefloat', 'todouble'].map((name) => [name, 'double'] as const),
  ...['strip', 'trimspace'].map((name) => [name, 'trim'] as const),
  ...['any', 'some'].map((name) => [name, 'exists'] as const),
  ...['every'].map((name) => [name, 'all'] as const),
  ['hasprefix', 'startsWith'],
  ['hassuffix', 'endsWith'],
  ['indexof', 'indexOf'],
  ['replaceall', 'replace'],
]);

/** What other places of Kubernetes, and other languages, call the object. */
const otherSubjects: ReadonlySet<string> = new Set(['self', 'this', 'obj', 'resource', 'item', 'root']);

/** More ways to call one function than these help nobody. */
const maxSignatures = 4;

/**
 * What to write instead, by what the parser or checker of cel-js said; `""` when there is nothing to add.
 *
 * @example celHint('unknown_variable', 'Unknown variable: obj', 'obj.a', { functions, variables }) // '; did you mean object?'
 */
export function celHint(code: string | undefined, cause: string, expression: string, { functions, variables }: { functions: readonly CelSignature[]; variables: CelVariables }): string {
  if (code === 'unknown_variable') {
    const names = [...variables.texts, variables.subject];
    const written = cause.split(': ').at(-1) ?? '';
    const near = otherSubjects.has(written) ? variables.subject : nearestName(written, names);
    if (near !== undefined) return `; did you mean ${near}?`;
    return names.length === 1 ? `; the only variable is ${names[0]}` : `; the variables are ${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
  }
  const called = /^found no matching overload for '(?:.*\.)?(\w+)\(/.exec(cause)?.[1];
  if (called !== undefined) {
    const forms = functions.filter(({ name }) => name === called).map(({ signature }) => readable(signature));
    return `; known are ${forms.slice(0, maxSignatures).join(', ')}`;
  }
  if (!/^(Unexpected|Expected)/.test(cause)) return '';
  const plain = expression.replaceAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g, '""');
  if (/[^=!<>]=[^=]/.test(plain)) return '; compare with ==';
  if (/\b(and|or|not)\b/.test(plain)) return '; write && for and, || for or, ! for not';
  return '';
}

/** `list<dyn>.size(): int` as `list.size()`. */
function readable(signature: string): string {
  return signature.replace(/\): .*$/, ')').replaceAll(/<[^>]*>/g, '').replaceAll('google.protobuf.', '');
}

/** What cel-js calls the characters of an expression. */
const tokens: Readonly<Record<string, string>> = {
  EOF: 'its end',
  LPAREN: '"("',
  RPAREN: '")"',
  LBRACKET: '"["',
  RBRACKET: '"]"',
  LBRACE: '"{"',
  RBRACE: '"}"',
  DOT: '"."',
  COMMA: '","',
  COLON: '":"',
  QUESTION: '"?"',
  IDENTIFIER: 'a name',
  NUMBER: 'a number',
  STRING: 'a text',
};

/** What cel-js calls the limits of an expression. */
const limits: Readonly<Record<string, string>> = {
  maxAstNodes: 'parts',
  maxDepth: 'levels inside one another',
  maxListElements: 'elements in a list',
  maxMapEntries: 'entries in a map',
  maxCallArguments: 'arguments of a function',
};

/** The words of the parser with the characters that people see. */
export function readableCause(cause: string): string {
  const [, limit = '', count] = /^Exceeded (\w+) \((\d+)\)/.exec(cause) ?? [];
  if (limits[limit] !== undefined) return `more than ${count} ${limits[limit]}`;
  return cause.replace(/^(Unexpected token: |Expected )([A-Z]+)/, (_, what: string, token: string) => `${what.toLowerCase()}${tokens[token] ?? token}`).replace(/, got ([A-Z]+)$/, (_, token: string) => `, not ${tokens[token] ?? token}`);
}
