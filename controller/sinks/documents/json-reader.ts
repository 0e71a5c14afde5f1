/**
 * Reads canonical JSON from its beginning to its end, piece by piece. What is parsed into objects loses the order of keys such as "10" and the digits of large
 * integers; what is read here does not. The text must be JSON without blanks between its pieces.
 */
export class JsonReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  /** Character that the next piece begins with. */
  get next(): string {
    return this.#text[this.#at]!;
  }

  /** Steps over the next character. */
  skip(): void {
    this.#at++;
  }

  /** Steps over the character if it is the next one. */
  skipped(character: string): boolean {
    if (this.#text[this.#at] !== character) return false;
    this.#at++;
    return true;
  }

  string(): string {
    return JSON.parse(this.quoted()) as string;
  }

  /** A string as it is written, with its quotes. */
  quoted(): string {
    const start = this.#at;
    let end = this.#text.indexOf('"', start + 1);
    while (this.#isEscaped(end)) end = this.#text.indexOf('"', end + 1);
    this.#at = end + 1;
    return this.#text.slice(start, this.#at);
  }

  /** A number, `true`, `false` or `null`, as it is written. */
  word(): string {
    const start = this.#at;
    while (this.#at < this.#text.length && !',]}'.includes(this.next)) this.#at++;
    return this.#text.slice(start, this.#at);
  }

  /** An odd number of backslashes stands before it. */
  #isEscaped(at: number): boolean {
    let first = at;
    while (this.#text[first - 1] === '\\') first--;
    return (at - first) % 2 === 1;
  }
}
