import type { Terminal } from '../command.ts';

/** Time between two lines, in milliseconds: none flickers. */
const gapMs = 100;

/** One line on a terminal that says how far the work is; nothing anywhere else. */
export class Progress {
  readonly #stderr: Terminal['stderr'];
  readonly #isWanted: boolean;
  #shownAt = -Infinity;
  #isShown = false;

  constructor(stderr: Terminal['stderr'], isWanted: boolean) {
    this.#stderr = stderr;
    this.#isWanted = isWanted && stderr.isTTY === true;
  }

  show(text: string): void {
    const now = performance.now();
    if (!this.#isWanted || now - this.#shownAt < gapMs) return;
    this.#shownAt = now;
    this.#isShown = true;
    this.#stderr.write(`\r\u001b[K${text}`);
  }

  /** Before anything else is written. */
  clear(): void {
    if (this.#isShown) this.#stderr.write('\r\u001b[K');
    this.#isShown = false;
  }
}
