import { isAlias, isMap, isScalar, isSeq, parseAllDocuments } from 'yaml';
import type { Document, Tags } from 'yaml';
import type { Placed, PlacedEntry, Range } from './placed.ts';

/** What is wrong with a text as YAML. */
export interface YamlProblem {
  rule: 'unreadable' | 'duplicate-key';
  range: Range;
  message: string;
}

export interface YamlDocument {
  /** Undefined when the document is empty or cannot be read. */
  root: Placed | undefined;
  problems: readonly YamlProblem[];
}

export interface YamlText {
  documents: readonly YamlDocument[];
  /** Line and column of an offset, both from 1; columns are UTF-16 code units, as editors count them. */
  position(offset: number): { line: number; column: number };
}

/**
 * Reads YAML or JSON, of one or many documents, as kubectl does, with the place of every value. Never throws: whatever is wrong is a
 * problem of its document.
 *
 * @param linesBefore lines that count before the first one of the text
 */
export function readYaml(given: string, linesBefore = 0): YamlText {
  const text = given.replace(/^\uFEFF/, '');
  const position = positionsIn(text, linesBefore);
  if (text.includes('\0')) return { documents: [unreadable({ start: 0, end: 0 }, 'is not a text in UTF-8; if an editor or shell wrote UTF-16, save it as UTF-8')], position };
  try {
    return { documents: partsOf(text).flatMap(({ part, start }) => readPart(part, start)), position };
  } catch (error) {
    if (error instanceof RangeError) return { documents: [unreadable({ start: 0, end: 0 }, tooDeep)], position };
    throw error;
  }
}

/** @param offset of the part in its text */
function readPart(part: string, offset: number): YamlDocument[] {
  const documents = parseAllDocuments(part, { schema: 'yaml-1.1', customTags: kubectlTags, resolveKnownTags: false, stringKeys: true, uniqueKeys: false, prettyErrors: false, logLevel: 'silent' });
  return Array.isArray(documents) ? documents.map((document) => readDocument(document, part, offset)) : [];
}

function positionsIn(text: string, linesBefore: number): YamlText['position'] {
  const lineStarts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
  return (offset) => {
    let [line, beyond] = [0, lineStarts.length];
    while (beyond - line > 1) {
      const middle = (line + beyond) >> 1;
      if ((lineStarts[middle] ?? 0) <= offset) line = middle;
      else beyond = middle;
    }
    return { line: linesBefore + line + 1, column: offset - (lineStarts[line] ?? 0) + 1 };
  };
}

/** JSON may be written object after object, as `jq` does; YAML needs a line of dashes between them. */
function partsOf(text: string): { part: string; start: number }[] {
  const whole = [{ part: text, start: 0 }];
  if (!/^\s*\{/.test(text)) return whole;
  const parts: typeof whole = [];
  let start = 0;
  let depth = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*(?:"|$)|[{}]|[^\s"{}]+/g)) {
    if (token === '{' && depth++ === 0) start = index;
    else if (token === '}' && --depth === 0) parts.push({ part: text.slice(start, index + 1), start });
    // Something else stands between the objects.
    else if (depth <= 0) return whole;
  }
  return depth === 0 && parts.length > 1 ? parts : whole;
}

/** kubectl reads YAML 1.1: `yes` is true and `010` is 8. Times, binaries and numbers to the base of 60 it takes as text. */
function kubectlTags(tags: Tags): Tags {
  return tags.filter((tag) => typeof tag === 'object' && /:(?:map|seq|str|null|bool|int|float)$/.test(tag.tag) && tag.format !== 'TIME');
}

const tooDeep = 'is nested too deeply';
const keysAreStrings = 'a key must be a string';
/** Where the parser's own words would help nobody. */
const messages: ReadonlyMap<string, string> = new Map([
  ['NON_STRING_KEY', keysAreStrings],
  ['RESOURCE_EXHAUSTION', tooDeep],
]);
/** Of one document. No object that an API server takes comes near; aliases of aliases do within a line. */
const maxDepth = 200;
const maxValues = 1_000_000;

class Unreadable extends Error {
  readonly range: Range;
  constructor(range: Range, message: string) {
    super(message);
    this.range = range;
  }
}

function unreadable(range: Range, message: string): YamlDocument {
  return { root: undefined, problems: [{ rule: 'unreadable', range, message }] };
}

function readDocument(document: Document, text: string, offset: number): YamlDocument {
  const [error] = document.errors;
  if (error !== undefined) {
    const [start, end] = error.pos;
    return unreadable({ start: start + offset, end: end + offset }, `${messages.get(error.code) ?? `is not YAML: ${withoutText(error.message)}`}${templateHint(document, text)}`);
  }
  const problems: YamlProblem[] = [];
  try {
    const reader = new Reader(problems, offset);
    const root = reader.read(document.contents, 0);
    return { root: root.value === null ? undefined : root, problems };
  } catch (error) {
    if (error instanceof Unreadable) return unreadable(error.range, `${error.message}${templateHint(document, text)}`);
    throw error;
  }
}

const maxMessageLength = 120;

/** What the parser says, but for what it quotes of the file: that may be long, or a credential. */
function withoutText(message: string): string {
  const plain = message.replaceAll(/:?\s*"(?:[^"\\]|\\.){2,}(?:"|$)/gs, '').replace(/\s+/g, ' ');
  return plain.length > maxMessageLength ? `${plain.slice(0, maxMessageLength)}…` : plain;
}

/** Templates are the files that people lint and that cannot be read. */
function templateHint({ range }: Document, text: string): string {
  return text.slice(range?.[0] ?? 0, range?.[2] ?? text.length).includes('{{') ? '; it looks like a template: render it first, and lint the output, such as helm template . | kollect lint -' : '';
}

/** Turns the nodes of one document into placed values. */
class Reader {
  readonly #problems: YamlProblem[];
  /** By name, with the number of values in them; undefined while they are being read. */
  readonly #anchors = new Map<string, { placed: Placed; values: number } | undefined>();
  readonly #offset: number;
  #values = 0;

  constructor(problems: YamlProblem[], offset: number) {
    this.#problems = problems;
    this.#offset = offset;
  }

  read(node: unknown, depth: number): Placed {
    const range = this.#rangeOf(node);
    if (depth > maxDepth) throw new Unreadable(range, tooDeep);
    if (isAlias(node)) return this.#alias(node.source, range);
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined;
    if (anchor !== undefined) this.#anchors.set(anchor, undefined);
    const before = this.#values;
    this.#count(1, range);
    const placed = isMap(node) ? this.#object(node.items, range, depth) : isSeq(node) ? this.#list(node.items, range, depth) : { value: isScalar(node) ? node.value : null, range, ...(isScalar(node) && node.type === 'PLAIN' && node.source !== undefined ? { source: node.source } : {}) };
    if (anchor !== undefined) this.#anchors.set(anchor, { placed, values: this.#values - before });
    return placed;
  }

  #alias(name: string, range: Range): Placed {
    const found = this.#anchors.get(name);
    if (found === undefined) throw new Unreadable(range, this.#anchors.has(name) ? `the alias *${name} contains itself` : `the alias *${name} has no anchor &${name} before it`);
    this.#count(found.values, range);
    return found.placed;
  }

  #rangeOf(node: unknown): Range {
    const [start = 0, end = 0] = (isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? node.range : undefined) ?? [];
    return { start: start + this.#offset, end: end + this.#offset };
  }

  #count(values: number, range: Range): void {
    this.#values += values;
    if (this.#values > maxValues) throw new Unreadable(range, `has more than ${maxValues} values once its aliases are replaced`);
  }

  #list(nodes: readonly unknown[], range: Range, depth: number): Placed {
    const items = nodes.map((node) => this.read(node, depth + 1));
    return { value: items.map(({ value }) => value), range, items };
  }

  #object(pairs: readonly { key: unknown; value: unknown }[], range: Range, depth: number): Placed {
    const entries = new Map<string, PlacedEntry>();
    const merged: Placed[] = [];
    for (const pair of pairs) {
      const key = this.#rangeOf(pair.key);
      const name = isScalar(pair.key) ? pair.key.value : undefined;
      if (typeof name !== 'string') throw new Unreadable(key, keysAreStrings);
      const placed = this.read(pair.value, depth + 1);
      if (name === '<<' && isScalar(pair.key) && pair.key.type === 'PLAIN') {
        merged.push(placed);
        continue;
      }
      const first = entries.get(name);
      if (first !== undefined) this.#problems.push({ rule: 'duplicate-key', range: key, message: `the key ${JSON.stringify(name)} is there twice` });
      entries.set(name, { key, placed });
    }
    for (const placed of merged) merge(entries, placed);
    return { value: Object.fromEntries([...entries].map(([name, { placed }]) => [name, placed.value])), range, entries };
  }
}

/** `<<: *defaults` adds what is not there. */
function merge(entries: Map<string, PlacedEntry>, from: Placed): void {
  for (const source of from.items ?? [from]) {
    if (source.entries === undefined) throw new Unreadable(source.range, 'what << merges must be an object');
    for (const [name, entry] of source.entries) if (!entries.has(name)) entries.set(name, entry);
  }
}
