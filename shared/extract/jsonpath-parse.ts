import { KollectError } from '../errors.ts';
import { findPath } from './jsonpath-spelling.ts';
import { PathMistake } from './path-corrections.ts';
import { shown } from './shown.ts';

/** One step of a selector list. `filter` holds the RFC 9535 text of a filter, without its leading `?`. */
export type Selector =
  | { kind: 'name'; name: string }
  | { kind: 'index'; index: number }
  | { kind: 'wildcard' }
  | { kind: 'slice'; start: number | undefined; end: number | undefined; step: number }
  | { kind: 'filter'; expression: string };

export interface Segment {
  /** True for `..`: the selectors apply to the value and to everything below it. */
  descendant: boolean;
  selectors: Selector[];
}

/**
 * Reads a JSONPath in either spelling, `$.a.b` or kubectl's `{.a.b}`, into segments. Names may be escaped (`a\.b`) or quoted with either
 * quote (`['a.b']`); names with `-` and `/` need neither.
 *
 * @throws KollectError KOL_EXTRACT_PATH; the message says what is wrong, where, and what to write instead
 * @example parseJsonPath("{.status.conditions[?(@.type=='Ready')].status}")
 */
export function parseJsonPath(path: string): Segment[] {
  const { start, end } = findPath(path);
  return new Reader(path, start, end).segments();
}

const maxSegments = 64;
/** Every `..` multiplies the work by the size of what it visits. */
const maxDescendants = 2;
const maxSelectors = 16;

class Reader {
  private readonly path: string;
  private readonly end: number;
  private at: number;

  constructor(path: string, start: number, end: number) {
    this.path = path;
    this.at = start;
    this.end = end;
  }

  segments(): Segment[] {
    const segments: Segment[] = [];
    while (this.at < this.end) {
      segments.push(this.segment());
      if (segments.length > maxSegments) throw this.error(`more than ${maxSegments} steps`);
    }
    if (segments.length === 0) {
      throw new PathMistake('the path selects the whole object', 'name a field, such as $.metadata.name');
    }
    if (segments.filter((segment) => segment.descendant).length > maxDescendants) {
      throw new KollectError('KOL_EXTRACT_PATH', `".." appears more than ${maxDescendants} times; name the fields between`);
    }
    return segments;
  }

  private segment(): Segment {
    const char = this.peek();
    if (char === '[') return { descendant: false, selectors: this.bracket() };
    if (char !== '.') throw this.error(`unexpected ${shown(char)}`, this.separatorFix());
    this.at++;
    const descendant = this.peek() === '.';
    if (descendant) this.at++;
    if (this.peek() === '[' && descendant) return { descendant, selectors: this.bracket() };
    // kubectl also allows a dot before a bracket, as in {.metadata.['name']}.
    if (this.peek() === '[') return { descendant, selectors: this.bracket() };
    if (this.peek() === '*') {
      this.at++;
      return { descendant, selectors: [{ kind: 'wildcard' }] };
    }
    return { descendant, selectors: [{ kind: 'name', name: this.name() }] };
  }

  private separatorFix(): string {
    return this.computingFix() ?? 'write "." or "[" between names';
  }

  /** For what looks like a pipe, an operator or a call. */
  private computingFix(): string | undefined {
    return /^\s*[|+*/<>=!?(]/.test(this.path.slice(this.at, this.at + 20)) ? 'a path only selects; compute in CEL, such as cel:size(object.spec.containers)' : undefined;
  }

  /** A name after a dot; a backslash takes the next character as it is. */
  private name(): string {
    let name = '';
    while (this.at < this.end) {
      const char = this.path[this.at] as string;
      if (char === '\\' && this.at + 1 < this.end) {
        name += this.path[this.at + 1];
        this.at += 2;
      } else if (/[\w\-/]|[\u0080-\uffff]/.test(char)) {
        name += char;
        this.at++;
      } else if (char === '.' || char === '[') {
        break;
      } else {
        throw this.error(`unexpected ${shown(char)} in a name`, this.computingFix() ?? `quote such a name: ['a name']`);
      }
    }
    if (name === '') throw this.error('a name is missing after "."', 'write a name, such as $.metadata.name, or remove the "."');
    return name;
  }

  private bracket(): Selector[] {
    const open = this.at++;
    const selectors: Selector[] = [];
    for (;;) {
      selectors.push(this.selector(open));
      if (selectors.length > maxSelectors) throw this.error(`more than ${maxSelectors} selectors in one bracket`);
      this.skipBlanks();
      const char = this.peek();
      this.at++;
      if (char === ']') return selectors;
      if (char !== ',') {
        this.at--;
        throw char === '' ? this.unclosed(open) : this.error(`unexpected ${shown(char)}`, 'write "," or "]"');
      }
    }
  }

  private selector(open: number): Selector {
    this.skipBlanks();
    const char = this.peek();
    if (char === '') throw this.unclosed(open);
    if (char === "'" || char === '"') return { kind: 'name', name: this.quoted(char) };
    if (char === '?') return { kind: 'filter', expression: this.filter(open) };
    if (char === '*') {
      this.at++;
      return { kind: 'wildcard' };
    }
    if (/[-\d:]/.test(char)) return this.indexOrSlice();
    if (char === ']') throw this.error('nothing in brackets', 'write [*] for all elements, or [0] for the first');
    const word = /^[A-Za-z_][\w./-]*(?=\s*[\],])/.exec(this.path.slice(this.at, this.end))?.[0];
    if (word !== undefined) throw this.error(`${shown(word)} in brackets is not quoted`, `write ['${word}']`);
    if (char === '(') throw this.error('script expressions are not supported', 'write a negative index, such as [-1]');
    throw this.error(`unexpected ${shown(char)} in brackets`, "quote a key, as in ['key'], or write a number, a slice, * or ?(…)");
  }

  private quoted(quote: string): string {
    const from = this.at++;
    let text = '';
    while (this.at < this.end) {
      const char = this.path[this.at++] as string;
      if (char === quote) return text;
      text += char === '\\' ? this.escape() : char;
    }
    this.at = from;
    throw this.error(`the quote ${quote} is not closed`);
  }

  private escape(): string {
    const char = this.path[this.at++] ?? '';
    if (char === 'u') {
      const hex = this.path.slice(this.at, this.at + 4);
      if (!/^[0-9a-fA-F]{4}$/.test(hex)) throw this.error('\\u needs four hexadecimal digits');
      this.at += 4;
      return String.fromCharCode(Number.parseInt(hex, 16));
    }
    return controlEscapes[char] ?? char;
  }

  private indexOrSlice(): Selector {
    const text = /^[-\d:\s]*/.exec(this.path.slice(this.at, this.end))?.[0] ?? '';
    const parts = text.split(':').map((part) => part.trim());
    const numbers = parts.map((part) => (part === '' ? undefined : Number(part)));
    const valid = parts.length <= 3 && parts.every((part) => /^(-?\d{1,9})?$/.test(part));
    if (!valid || (parts.length === 1 && numbers[0] === undefined)) {
      throw this.error(`${shown(text.trim())} is not an index or slice`, 'write [0], [-1], [0:2] or [0:10:2]');
    }
    this.at += text.length;
    const [start, end, step] = numbers;
    return parts.length === 1 ? { kind: 'index', index: start as number } : { kind: 'slice', start, end, step: step ?? 1 };
  }

  /** The text of a filter up to the bracket or comma that ends it, in RFC 9535 spelling. */
  private filter(open: number): string {
    const from = ++this.at;
    let quote = '';
    let depth = 0;
    for (; this.at < this.end; this.at++) {
      const char = this.path[this.at] as string;
      if (char === '\\') this.at++;
      else if (quote !== '') quote = char === quote ? '' : quote;
      else if (char === '"' || char === "'") quote = char;
      else if (char === '(' || char === '[') depth++;
      else if (depth === 0 && (char === ']' || char === ',')) break;
      else if (char === ')' || char === ']') depth--;
    }
    if (this.at >= this.end) throw this.unclosed(open);
    return rfcNames(this.path.slice(from, this.at).trim());
  }

  private peek(): string {
    return this.at < this.end ? (this.path[this.at] as string) : '';
  }

  private skipBlanks(): void {
    while (this.peek() === ' ') this.at++;
  }

  private unclosed(open: number): KollectError {
    this.at = open;
    return this.error('"[" is not closed', 'add "]"');
  }

  private error(what: string, fix?: string): KollectError {
    const where = `at character ${this.at + 1} of ${shown(this.path)}`;
    return new PathMistake(`${what} ${where}`, fix);
  }
}

const controlEscapes: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };

/** In a filter, kubectl's `@.a\.b` and `@.a-b` become `@["a.b"]` and `@["a-b"]`; quoted text stays. */
function rfcNames(expression: string): string {
  return expression.replace(
    /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|(?<![\d.])\.((?:\\.|[\w\-/]|[\u0080-\uffff])+)/g,
    (found: string, name: string | undefined) =>
      name !== undefined && /[\\\-/]/.test(name) ? `[${JSON.stringify(name.replace(/\\(.)/g, '$1'))}]` : found,
  );
}
