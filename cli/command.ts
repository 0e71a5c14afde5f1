import type { Readable, Writable } from 'node:stream';

/** What a command reads and writes; a process gives its own. */
export interface Terminal {
  stdin: Readable;
  stdout: Writable & { isTTY?: boolean; columns?: number };
  stderr: Writable & { isTTY?: boolean; columns?: number };
  env: Readonly<Record<string, string | undefined>>;
}

/** What a process that did its work, found what it looks for, or could not work exits with. */
export type ExitCode = 0 | 1 | 2;

/** A word after `kollect`. */
export interface Command {
  name: string;
  /** One line of `kollect --help`. */
  summary: string;
  /** Throws `KOL_CONFIG_FLAG` for a command line that cannot be used. */
  run(argv: readonly string[], terminal: Terminal): Promise<ExitCode>;
}
