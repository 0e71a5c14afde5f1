import { jsonpath, JSONPathEnvironment, JSONPathError, JSONPathQuery } from 'json-p3';
import type { JSONValue } from 'json-p3';
import { KollectError } from '../errors.ts';
import type { Json } from './json.ts';
import { shown } from './shown.ts';

/** A compiled filter such as `@.type == "Ready"`. */
export interface Filter {
  /** True when the filter reads from the root (`$`) or can reach more than one field of an element. */
  open: boolean;
  /** The members of a list, or the values of a map, for which the filter holds. */
  select(container: Json[] | { [key: string]: Json }): Json[];
}

/**
 * Compiles the text of a filter, without its `?`.
 *
 * Refused besides bad syntax: `match()` and `search()`, which would run a backtracking regular expression; a root reference, since a filter
 * is applied to one list and knows no root; and embedded paths that could visit an element's content more than once (`..`, unions, filters).
 *
 * @throws KollectError KOL_EXTRACT_PATH
 */
export function compileFilter(expression: string): Filter {
  const query = parse(expression);
  const paths = embeddedPaths(query);
  for (const path of paths) {
    if (path.root) {
      throw refusal(expression, 'cannot refer to the root with $', 'compare with a literal, or use CEL');
    }
    for (const segment of path.query.segments) {
      const nested = segment.selectors[0] instanceof jsonpath.selectors.FilterSelector;
      if (nested || segment.selectors.length !== 1 || segment.toString().startsWith('..')) {
        throw refusal(expression, 'holds "..", a union or another filter', 'use CEL for such a condition');
      }
    }
  }
  return {
    open: paths.some((path) => !path.query.singularQuery()),
    select: (container) => {
      try {
        return query.query(container as JSONValue).values() as Json[];
      } catch (error) {
        // The library passes what it finds as arguments, and nests as deeply as the filter: both can exceed the stack.
        throw new KollectError('KOL_EXTRACT_EVALUATE', 'the filter cannot be evaluated on this object', { cause: error });
      }
    },
  };
}

/** The environment holds no state but its functions, of which the two regular expression ones are taken out. */
function environment(): JSONPathEnvironment {
  const created = new JSONPathEnvironment();
  created.functionRegister.delete('match');
  created.functionRegister.delete('search');
  return created;
}

const quoted = /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'/g;

function parse(expression: string): JSONPathQuery {
  if (/\b(match|search)\s*\(/.test(expression.replaceAll(quoted, '""'))) {
    throw refusal(expression, 'uses match() or search(), which are not supported', 'use matches() in CEL');
  }
  try {
    return environment().compile(`$[?${expression}]`);
  } catch (error) {
    if (!(error instanceof JSONPathError || error instanceof RangeError)) throw error;
    // The library appends its own position, which counts from a text that the user did not write.
    const what = error.message.replace(/\s*\(.*$/s, '');
    throw refusal(expression, `is not valid: ${what}`, filterFix(expression));
  }
}

/** What people write who know other languages. */
function filterFix(expression: string): string {
  const plain = expression.replaceAll(quoted, '""');
  if (/=~/.test(plain)) return 'regular expressions are for CEL: use matches()';
  if (/[^=!<>]=[^=]/.test(plain)) return 'compare with ==';
  if (/\b(and|or|not)\b|[^&]&[^&]|[^|]\|[^|]/.test(plain)) return 'write && for and, || for or, ! for not';
  if (/\bin\b/.test(plain)) return 'write one == for each value, with || between, or use "in" in CEL';
  if (!plain.includes('@')) return 'write @. before the fields of an element, as in ?(@.type=="Ready")';
  return 'write it as in ?(@.type=="Ready")';
}

interface EmbeddedPath {
  root: boolean;
  query: JSONPathQuery;
}

/** All paths inside the filter, found by walking its syntax tree. */
function embeddedPaths(query: JSONPathQuery): EmbeddedPath[] {
  const found: EmbeddedPath[] = [];
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) node.forEach(visit);
    if (typeof node !== 'object' || node === null || Array.isArray(node)) return;
    if ('path' in node && node.path instanceof JSONPathQuery) {
      found.push({ root: node instanceof jsonpath.expressions.RootQuery, query: node.path });
      return;
    }
    for (const key of ['expression', 'left', 'right', 'args'] as const) {
      if (key in node) visit((node as Record<string, unknown>)[key]);
    }
  };
  visit(query.segments[0]?.selectors[0]);
  return found;
}

function refusal(expression: string, what: string, fix: string): KollectError {
  return new KollectError('KOL_EXTRACT_PATH', `the filter ${shown(`?${expression}`)} ${what}; ${fix}`);
}
