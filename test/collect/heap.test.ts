import t from 'tap';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

t.test('memory follows the rows: of 200,000 each takes less than a kilobyte, and all but a few give theirs back', async (t) => {
  const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', join(import.meta.dirname, 'heap-process.ts')]);
  const { collected, kept, view, bytesOfRow, share } = JSON.parse(stdout) as Record<string, number>;
  t.strictSame([collected, kept, view], [200_000, 10_000, 10_000]);
  t.ok(bytesOfRow! < 1_024, `${bytesOfRow} bytes a row`);
  t.ok(share! < 0.1, `${share} of the memory is left with 0.05 of the rows`);
});
