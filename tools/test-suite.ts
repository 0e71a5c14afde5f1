import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

// Runs the tests, or those that are named. A few files that fail are run once more, alone: dozens of real servers share the machine, and one that is starved
// there says nothing of the code. What passes then is called unsteady, by name, after the reason for which it failed: a defect to be mended.
// The runs with faults have one try: what they find is rare, and must not be lost.

const root = join(import.meta.dirname, '..');
const failedList = join(root, '.tap', 'failed');
const oneTry = /^test\/faults\//;
const mostThatSlip = 4;

interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

async function main(files: readonly string[]): Promise<void> {
  mkdirSync(join(root, '.tap'), { recursive: true });
  rmSync(failedList, { force: true });
  const first = await tap([`--save=${failedList}`, ...files]);
  const failed = first.ok ? [] : readFileSync(failedList, 'utf8').split('\n').filter((line) => line !== '');
  let { ok, counts } = first;
  let unsteady = '';
  if (failed.length > 0 && failed.length <= mostThatSlip && !failed.some((file) => oneTry.test(file))) {
    console.log(`\n${counts.failed} failed. Once more, alone: ${failed.join(' ')}`);
    const second = await tap(['--jobs=1', ...failed]);
    ok = second.ok;
    if (ok) for (const file of failed) console.log(`UNSTEADY ${file}: passed alone; see above why it failed beside others`);
    if (ok) unsteady = `, ${counts.failed} unsteady`;
    counts = { ...counts, failed: ok ? 0 : second.counts.failed };
  }
  console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped${unsteady}`);
  process.exitCode = ok ? 0 : 1;
}

/** Shows what tap prints, but for its closing line. */
async function tap(args: readonly string[]): Promise<{ ok: boolean; counts: Counts }> {
  const child = spawn('tap', args, { cwd: root, env: { ...process.env, TAP_TYPE_STRIP_ONLY: '1' }, stdio: ['ignore', 'pipe', 'inherit'] });
  const counts = { passed: 0, failed: 0, skipped: 0 };
  const ended = once(child, 'close');
  for await (const line of createInterface({ input: child.stdout })) {
    const closing = /^(\d+) passed, (\d+) failed, (\d+) skipped$/.exec(line);
    if (closing) [counts.passed, counts.failed, counts.skipped] = closing.slice(1).map(Number) as [number, number, number];
    else console.log(line);
  }
  const [code] = (await ended) as [number | null];
  return { ok: code === 0, counts };
}

await main(process.argv.slice(2));
