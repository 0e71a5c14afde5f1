// `npm run sandbox`: Kollect on a cluster, shown to a newcomer. See --help.
import { join, resolve } from 'node:path';
import type { Environment } from './environment.ts';
import { readFlags } from './flags.ts';
import type { SandboxFlags } from './flags.ts';
import { givenCluster } from './given-cluster.ts';
import { ownCluster } from './own-cluster.ts';
import { Screen } from './screen.ts';
import { invite, stay } from './stay.ts';
import { Tour } from './tour.ts';

/** One Ctrl-C may arrive twice: from the terminal, and handed on by npm. */
const sameSignalMs = 1_000;

/** As shells report a program that Ctrl-C ended. */
const interruptedCode = 130;

async function main(): Promise<number> {
  let flags: SandboxFlags;
  try {
    flags = readFlags(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${messageOf(error)}\n`);
    return 2;
  }
  if (flags.help !== undefined) {
    process.stdout.write(flags.help);
    return 0;
  }
  // npm changes the folder, and so do we: commands are shown as one types them at the root.
  const kubeconfig = flags.kubeconfig === '' ? undefined : resolve(process.env['INIT_CWD'] ?? process.cwd(), flags.kubeconfig);
  process.chdir(join(import.meta.dirname, '..', '..'));
  // Nobody is left to show anything to.
  process.stdout.on('error', () => process.exit(1));
  return run({ once: flags.once, kubeconfig }, new Screen());
}

async function run({ once, kubeconfig }: { once: boolean; kubeconfig: string | undefined }, screen: Screen): Promise<number> {
  const since = performance.now();
  const interruption = new AbortController();
  let environment: Environment | undefined;
  let abortedAtMs = Number.NEGATIVE_INFINITY;
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      if (environment !== undefined && !interruption.signal.aborted) {
        abortedAtMs = performance.now();
        interruption.abort();
      } else if (performance.now() - abortedAtMs > sameSignalMs) {
        // What is just starting, and what is slow to end, is ended by its keeper when this process is gone.
        screen.note('everything that runs is being ended and removed');
        process.exit(interruptedCode);
      }
    });
  }
  screen.heading('Kollect sandbox');
  let code = 0;
  try {
    environment = await (kubeconfig === undefined ? ownCluster(screen) : givenCluster(kubeconfig, screen));
    await unlessAborted(interruption.signal, new Tour(environment, screen, interruption.signal).run());
    if (!once) {
      invite(environment, screen);
      await stay(environment, screen, interruption.signal);
    }
  } catch (error) {
    code = interruption.signal.aborted ? interruptedCode : 1;
    if (code === 1) report(error, environment, screen);
  }
  code = (await end(environment, screen)) ? code : 1;
  const seconds = Math.round((performance.now() - since) / 1000);
  screen.heading(code === 1 ? `sandbox: failed (${seconds} s)` : code === 0 && once ? `sandbox: ok (${seconds} s)` : 'sandbox: ended, nothing is left');
  return code;
}

async function end(environment: Environment | undefined, screen: Screen): Promise<boolean> {
  try {
    await environment?.stop();
    return true;
  } catch (error) {
    report(error, undefined, screen);
    return false;
  }
}

function unlessAborted<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const aborted = new Promise<never>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }));
  return Promise.race([work, aborted]);
}

const logLines = 20;

function report(error: unknown, environment: Environment | undefined, screen: Screen): void {
  screen.heading('Failed');
  screen.bad(messageOf(error));
  if (environment === undefined) return;
  for (const name of ['webhook', 'controller'] as const) {
    screen.line();
    screen.line(`The end of the log of the ${name}:`);
    screen.log(environment[name].logs().trimEnd().split('\n').slice(-logLines).join('\n'));
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message.trim() : String(error);
}

process.exitCode = await main();
