import type { Test } from 'tap';
import { plain, steps, type Step } from './document-blocks.ts';
import type { Kollect } from './harness.ts';
import { shell, type ShellResult } from './shell.ts';

/** Follows a page as it stands, from its first command to the last, or to one that does not do what the page says. */
export async function followPage(t: Test, page: string, kollect: Kollect, environment: NodeJS.ProcessEnv): Promise<void> {
  for (const step of steps(page)) if (t.passing()) await follow(t, step, kollect, environment);
}

/** A line fails when one of its commands does. */
export function runLines(command: string, environment: NodeJS.ProcessEnv): Promise<ShellResult> {
  return shell(`set -e; ${command}`, environment);
}

/** Questions are asked until they are answered as the page says; everything else is done once. */
async function follow(t: Test, { command, expected }: Step, { eventually }: Kollect, environment: NodeJS.ProcessEnv): Promise<void> {
  const run = () => runLines(command, environment);
  if (expected === undefined || !/^(psql|copy=|kubectl (get|describe)|node( --no-warnings)? docs) ?/.test(command)) {
    const { code, output } = await run();
    t.equal(code, 0, `${command}\n${output}`);
    if (expected !== undefined) t.equal(plain(output), plain(expected), command);
    return;
  }
  const answer = await eventually(async () => {
    const { output } = await run();
    return plain(output) === plain(expected) ? output : undefined;
  }, { what: command, intervalMs: 100 }).catch(async () => (await run()).output);
  t.equal(plain(answer), plain(expected), command);
}
