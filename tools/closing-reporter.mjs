// The reporter of the test suite: one line a file while it runs, the diagnostics of what failed, and a closing
// line `N passed, N failed, N skipped`, which people and CI read alike.
import { Transform } from 'node:stream';
import { Parser } from 'tap-parser';

export default class ClosingReporter extends Transform {
  #parser = new Parser();
  #counts = { passed: 0, failed: 0, skipped: 0 };
  #failures = [];

  constructor() {
    super();
    this.#listen(this.#parser, []);
    // Files run side by side, but the stream tells of one at a time: what was counted since the last file belongs to this one.
    let before = { ...this.#counts };
    this.#parser.on('assert', (file) => {
      const passed = this.#counts.passed - before.passed;
      const failed = this.#counts.failed - before.failed;
      before = { ...this.#counts };
      const seconds = file.time ? ` ${(file.time / 1000).toFixed(1)} s` : '';
      this.push(`${file.ok ? 'ok  ' : 'FAIL'} ${file.name} (${passed} passed${failed ? `, ${failed} failed` : ''})${seconds}\n`);
      this.#tellFailures();
    });
    this.#parser.on('complete', () => this.#close());
  }

  /** Counts leaves only: an assertion that stands for a subtest is counted inside it, unless the subtest broke without a failing leaf. */
  #listen(parser, path) {
    const children = new Map();
    let failed = 0;
    parser.on('child', (child) => children.set(child.name, this.#listen(child, [...path, child.name])));
    parser.on('assert', (result) => {
      const failedInside = children.get(result.name);
      if (failedInside && (result.ok || failedInside() > 0)) {
        failed += failedInside();
        return;
      }
      if (result.skip || result.todo) this.#counts.skipped++;
      else if (result.ok) this.#counts.passed++;
      else {
        failed++;
        this.#counts.failed++;
        this.#failures.push({ path: [...path, result.name].join(' > '), diag: result.diag });
      }
    });
    return () => failed;
  }

  /** Beside the line of their file: who sees a part of a long output sees why. */
  #tellFailures() {
    for (const { path, diag } of this.#failures.splice(0)) this.push(`  FAIL ${path}\n${diag ? `${describe(diag)}\n` : ''}`);
  }

  #close() {
    this.#tellFailures();
    const { passed, failed, skipped } = this.#counts;
    this.push(`\n${passed} passed, ${failed} failed, ${skipped} skipped\n`);
  }

  _transform(chunk, encoding, done) {
    this.#parser.write(chunk, encoding);
    done();
  }

  _flush(done) {
    this.#parser.end();
    done();
  }
}

function describe(diag) {
  const lines = [];
  for (const key of ['error', 'message', 'diff', 'found', 'wanted', 'at', 'exitCode', 'signal', 'stack']) {
    const value = diag[key];
    if (value === undefined || value === null) continue;
    const text = typeof value === 'string' ? value : JSON.stringify(value);
    lines.push(`  ${key}: ${text.trim().slice(0, 3000).replaceAll('\n', '\n    ')}`);
  }
  return lines.join('\n');
}
