import { wrap } from '../../shared/wrap.ts';

const indent = '  ';
/** Where the output is no terminal, such as the log of a CI system. */
const plainColumns = 110;

export interface ScreenOptions {
  write?: (text: string) => void;
  colour?: boolean;
  /** Width in characters, asked again for each line: windows change. */
  columns?: () => number;
}

/** What the sandbox prints: headings, commands as one would type them, what they answered, tables. Colour only where a person looks. */
export class Screen {
  readonly #colour: boolean;
  readonly #write: (text: string) => void;
  readonly #columns: () => number;

  constructor(options: ScreenOptions = {}) {
    const { stdout, env } = process;
    this.#write = options.write ?? ((text) => stdout.write(text));
    this.#colour = options.colour ?? (stdout.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb');
    this.#columns = options.columns ?? (() => stdout.columns ?? plainColumns);
  }

  heading(text: string): void {
    this.#write(`\n${this.#paint('1', text)}\n`);
  }

  line(text = ''): void {
    this.#block(text, '');
  }

  /** Something to know, said quietly. */
  note(text: string): void {
    this.#block(text, '2');
  }

  /** Lines of a log, as they are. */
  log(text: string): void {
    this.#write(`${text.replace(/^/gm, indent)}\n`);
  }

  good(text: string): void {
    this.#marked('ok', '32', text);
  }

  bad(text: string): void {
    this.#marked('no', '31', text);
  }

  /** A command as one types it. Never broken: it may be copied. */
  command(text: string): void {
    this.#write(`${indent}${this.#paint('36', `$ ${text}`)}\n`);
  }

  /** A command to copy, with nothing before it. */
  toType(text: string): void {
    this.#write(`${indent}${this.#paint('36', text)}\n`);
  }

  table(columns: readonly string[], rows: readonly (readonly string[])[]): void {
    const widths = columns.map((column, index) => Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)));
    const format = (cells: readonly string[]) => cut(`${indent}${cells.map((cell, index) => cell.padEnd(widths[index] ?? 0)).join('   ').trimEnd()}`, this.#columns());
    this.#write(`${this.#paint('1', format(columns))}\n`);
    for (const row of rows) this.#write(`${format(row)}\n`);
  }

  #marked(mark: string, code: string, text: string): void {
    const [first = '', ...rest] = text.split('\n');
    const lines = [...wrap(first, this.#columns() - indent.length - 4), ...rest];
    this.#write(`${indent}${this.#paint(code, mark)}  ${lines.join(`\n${indent}    `)}\n`);
  }

  #block(text: string, code: string): void {
    if (text === '') return this.#write('\n');
    for (const line of text.trimEnd().split('\n')) {
      for (const part of wrap(line, this.#columns() - indent.length)) this.#write(`${indent}${this.#paint(code, part)}\n`);
    }
  }

  #paint(code: string, text: string): string {
    return this.#colour && code !== '' ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}

function cut(text: string, width: number): string {
  return text.length <= width ? text : `${text.slice(0, width - 1)}…`;
}
