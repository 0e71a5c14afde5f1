import type { ItemFinder, ItemHandlers } from './item.ts';

const [quote, backslash, newline, colon, openBrace, closeBrace, openBracket, closeBracket] = Buffer.from('"\\\n:{}[]') as unknown as readonly [number, number, number, number, number, number, number, number];

/**
 * Finds the objects of a JSON text: those at its top, one behind the other, or the `items` of a list. Looks at brackets and strings alone: whoever parses an
 * object sees whether it is one. Holds no more than the object that is under way, and what a list says beside its items.
 */
export class JsonItems implements ItemFinder {
  readonly #handlers: ItemHandlers;
  /** What is not handed over yet, from `#base` on. */
  #rest: Buffer = Buffer.alloc(0);
  /** Offset in the file of its first byte. */
  #base = 0;
  /** Where in it the search goes on. */
  #at = 0;
  #depth = 0;
  #isInString = false;
  #isEscaped = false;
  /** In `#rest`, of the string that was read last. */
  #stringStart = 0;
  #isItemsKey = false;
  #isInItems = false;
  /** In `#rest`; -1 when none is under way. */
  #itemStart = -1;
  #line = 0;
  #lineStart = 0;
  #itemLine = 0;
  #itemColumn = 0;
  /** Bytes of a list beside its items. */
  #header: Buffer[] = [];

  constructor(handlers: ItemHandlers) {
    this.#handlers = handlers;
  }

  push(chunk: Buffer): void {
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const { length } = bytes;
    let at = this.#at;
    let depth = this.#depth;
    for (; at < length; at++) {
      const byte = bytes[at]!;
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false;
        else if (byte === backslash) this.#isEscaped = true;
        else if (byte === quote) {
          this.#isInString = false;
          if (depth === 1) this.#isItemsKey = at - this.#stringStart === 6 && bytes.toString('latin1', this.#stringStart + 1, at) === 'items';
        }
        continue;
      }
      switch (byte) {
        case quote:
          this.#isInString = true;
          this.#stringStart = at;
          break;
        case newline:
          this.#line++;
          this.#lineStart = this.#base + at + 1;
          break;
        case openBrace:
          if ((depth === 0 && this.#itemStart < 0) || (depth === 2 && this.#isInItems)) this.#begin(at);
          depth++;
          break;
        case openBracket:
          if (depth === 1 && this.#isItemsKey) {
            this.#isInItems = true;
            // What stands before belongs to the list, not to an object.
            this.#header.push(Buffer.from(bytes.subarray(this.#itemStart, at + 1)));
            this.#itemStart = -1;
          }
          depth++;
          break;
        case closeBracket:
          depth--;
          if (depth === 1 && this.#isInItems) {
            this.#isInItems = false;
            this.#itemStart = at;
          }
          break;
        case closeBrace:
          depth--;
          if (depth === 2 && this.#isInItems) this.#finish(bytes, at + 1);
          else if (depth === 0) this.#endDocument(bytes, at + 1);
          break;
        case colon:
          break;
        default:
          if (byte <= 0x20) break;
          // A value of another kind behind the key.
          if (depth === 1) this.#isItemsKey = false;
          // No object begins like this: whoever parses it says so.
          if (depth === 0 && this.#itemStart < 0 && byte < 0x80) this.#begin(at);
      }
    }
    const kept = this.#itemStart >= 0 ? this.#itemStart : this.#isInString ? this.#stringStart : length;
    this.#rest = kept === length ? Buffer.alloc(0) : Buffer.from(bytes.subarray(kept));
    this.#base += kept;
    this.#at = length - kept;
    this.#stringStart -= kept;
    if (this.#itemStart >= 0) this.#itemStart = 0;
    this.#depth = depth;
  }

  /** What is left is no object: whoever parses it says so. */
  end(): void {
    if (this.#depth !== 0 || this.#isInString) throw new Error('the JSON is not complete: it ends within an object, or has brackets that do not belong together');
    if (this.#itemStart < 0 || this.#rest.length === 0) return;
    this.#finish(this.#rest, this.#rest.length);
    this.#handlers.listed(undefined);
  }

  #begin(at: number): void {
    this.#itemStart = at;
    this.#itemLine = this.#line;
    this.#itemColumn = Math.max(0, this.#base + at - this.#lineStart);
  }

  #finish(bytes: Buffer, end: number): void {
    const start = this.#itemStart;
    this.#itemStart = -1;
    this.#handlers.item({ start: this.#base + start, end: this.#base + end, line: this.#itemLine, column: this.#itemColumn }, bytes.subarray(start, end));
  }

  #endDocument(bytes: Buffer, end: number): void {
    if (this.#header.length === 0) {
      this.#finish(bytes, end);
      this.#handlers.listed(undefined);
      return;
    }
    const header = Buffer.concat([...this.#header, bytes.subarray(this.#itemStart, end)]);
    this.#header = [];
    this.#itemStart = -1;
    this.#isItemsKey = false;
    this.#handlers.listed(header);
  }
}
