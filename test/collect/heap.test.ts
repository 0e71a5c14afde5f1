import t from 'tap';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

/** A million takes a minute: `KOLLECT_HEAP_ROWS=1000000`. */
const rows = Number(process.env['KOLLECT_HEAP_ROWS'] ?? 200_000);

t.test(`memory follows the rows: of ${rows} each takes less than a kilobyte, and all but a few give theirs back`, async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', join(import.meta.dirname, 'heap-process.ts'), String(rows)]);
  const { collected, kept, view, bytesOfRow, share } = JSON.parse(stdout) as Record<string, number>;
  t.strictSame([collected, kept, view], [rows, rows / 20, rows / 20]);
  t.ok(bytesOfRow! < 1_024, `${bytesOfRow} bytes a row`);
  t.ok(share! < 0.1, `${share} of the memory is left with 0.05 of the rows`);
});
