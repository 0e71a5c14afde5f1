import type { ItemFinder, ItemHandlers } from './item.ts';

const newline = 0x0a;
const blank = 0x20;
const dash = 0x2d;

/**
 * Finds the objects of a YAML text: its documents, or the `items` of a document that is a list, as `kubectl get -o yaml` writes it, with the dashes in the first
 * column or indented. Looks at the beginnings of lines alone. An item begins with its dash, for which whoever parses it puts a blank.
 */
export class YamlItems implements ItemFinder {
  readonly #handlers: ItemHandlers;
  #rest: Buffer = Buffer.alloc(0);
  /** Offset in the file of its first byte. */
  #base = 0;
  #line = 0;
  /** In `#rest`, of the document or item that is under way. */
  #start = 0;
  #startLine = 0;
  #startColumn = 0;
  /** Something stands in it but comments. */
  #isFilled = false;
  #isInItems = false;
  /** Of the dashes of the items; undefined until the first one. */
  #indent: number | undefined;
  /** Lines of a list beside its items; empty while the document is none. */
  #header: Buffer[] = [];

  constructor(handlers: ItemHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    const scanned = this.#rest.length;
    const bytes = scanned === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    // The last line of what was there before may be going on.
    let at = scanned === 0 ? 0 : this.#rest.lastIndexOf(newline) + 1;
    for (let end = bytes.indexOf(newline, Math.max(at, scanned)); end >= 0; end = bytes.indexOf(newline, at)) {
      this.#readLine(bytes, at, end);
      at = end + 1;
      this.#line++;
    }
    const kept = Math.min(this.#start, at);
    this.#rest = Buffer.from(bytes.subarray(kept));
    this.#base += kept;
    this.#start -= kept;
  }

  end(): void {
    const at = this.#rest.lastIndexOf(newline) + 1;
    if (at < this.#rest.length) this.#readLine(this.#rest, at, this.#rest.length);
    this.#endDocument(this.#rest, this.#rest.length);
  }

  #readLine(bytes: Buffer, at: number, end: number): void {
    const first = bytes[at];
    if (first === dash && isMarker(bytes, at, end)) {
      this.#endDocument(bytes, at);
      // What is behind the dashes belongs to the document.
      this.#begin(at + 3, 3);
      if (end > at + 3 && /^\s*[^#\s]/.test(bytes.toString('latin1', at + 3, Math.min(end, at + 43)))) this.#isFilled = true;
      return;
    }
    if (this.#isInItems) {
      const indent = indentOf(bytes, at, end);
      if (indent === undefined) return;
      const isDash = bytes[at + indent] === dash && (at + indent + 1 >= end || bytes[at + indent + 1]! <= blank);
      if (isDash && (this.#indent === undefined || indent === this.#indent)) {
        if (this.#indent !== undefined) this.#finish(bytes, at);
        this.#indent = indent;
        this.#begin(at);
        this.#isFilled = true;
        return;
      }
      if (indent > (this.#indent ?? 0)) return;
      // The list is over; its other fields follow.
      if (this.#indent !== undefined) this.#finish(bytes, at);
      this.#isInItems = false;
      this.#begin(at);
      this.#isFilled = true;
      return;
    }
    if (first === 0x69 && this.#header.length === 0 && /^items:\s*(?:#.*)?$/.test(bytes.toString('latin1', at, Math.min(end, at + 80)))) {
      this.#header.push(Buffer.from(bytes.subarray(this.#start, at)));
      this.#isInItems = true;
      this.#indent = undefined;
      this.#begin(end + 1);
      return;
    }
    if (!this.#isFilled && indentOf(bytes, at, end) !== undefined && first !== 0x25) this.#isFilled = true;
  }

  #begin(at: number, column = 0): void {
    this.#start = at;
    this.#startColumn = column;
    this.#startLine = this.#line;
    this.#isFilled = false;
  }

  #finish(bytes: Buffer, end: number): void {
    const start = this.#start;
    this.#handlers.item({ start: this.#base + start, end: this.#base + end, line: this.#startLine, column: this.#startColumn }, bytes.subarray(start, end));
  }

  #endDocument(bytes: Buffer, end: number): void {
    if (this.#isInItems) {
      if (this.#indent !== undefined) this.#finish(bytes, end);
      this.#handlers.listed(Buffer.concat(this.#header));
    } else if (this.#header.length > 0) {
      this.#handlers.listed(Buffer.concat([...this.#header, bytes.subarray(this.#start, end)]));
    } else if (this.#isFilled) {
      this.#finish(bytes, end);
      this.#handlers.listed(undefined);
    }
    this.#header = [];
    this.#isInItems = false;
    this.#begin(end);
  }
}

/** `---` between documents. */
function isMarker(bytes: Buffer, at: number, end: number): boolean {
  return bytes[at + 1] === dash && bytes[at + 2] === dash && (at + 3 >= end || bytes[at + 3]! <= blank);
}

/** Blanks before the text of a line; undefined when there is none but a comment. */
function indentOf(bytes: Buffer, at: number, end: number): number | undefined {
  let indent = 0;
  while (at + indent < end && bytes[at + indent] === blank) indent++;
  const first = bytes[at + indent];
  return at + indent >= end || first === 0x0d || first === 0x23 ? undefined : indent;
}
