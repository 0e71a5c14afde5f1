import { spawn } from 'node:child_process';
import { finished } from 'node:stream/promises';
import { KollectError } from '../../../shared/errors.ts';
import { Turns } from '../../../shared/in-turns.ts';

/** One run of the program git. */
export interface GitRun {
  args: readonly string[];
  /** Settings of git by name, in the environment, where other users of the machine do not see them. Some names may come more than once. */
  settings?: readonly (readonly [name: string, value: string])[];
  environment?: Readonly<Record<string, string>>;
  stdin?: AsyncIterable<Uint8Array | string> | Iterable<Uint8Array | string>;
  signal: AbortSignal;
  timeoutMs: number;
}

export interface GitResult {
  code: number;
  stdout: Buffer;
  stderr: string;
}

/** Where the program may lie. Nothing else of the environment reaches it. */
const programFolders = '/usr/bin:/bin:/usr/local/bin';

/** What is written at once: commands for git are short, and many. */
const writtenBytes = 64 * 1024;

/** Lines of progress are long, and only the end of what git says tells why it failed. */
const maxStderrCharacters = 16_384;

/**
 * What holds for every run: no settings of users or of the machine, no helper, hook, prompt or replaced object, and messages in English, by which
 * failures are told apart.
 */
const fixedEnvironment = {
  PATH: programFolders,
  LC_ALL: 'C',
  LANG: 'C',
  TZ: 'UTC',
  HOME: '/nonexistent',
  XDG_CONFIG_HOME: '/nonexistent',
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_ATTR_NOSYSTEM: '1',
  GIT_TERMINAL_PROMPT: '0',
  GIT_ASKPASS: 'false',
  SSH_ASKPASS: 'false',
  GIT_NO_REPLACE_OBJECTS: '1',
  GIT_OPTIONAL_LOCKS: '0',
  GIT_ALLOW_PROTOCOL: 'http:https:ssh',
} as const;

const fixedSettings = [
  ['core.hooksPath', '/dev/null'],
  ['credential.helper', ''],
  ['gc.auto', '0'],
  ['maintenance.auto', 'false'],
  // They would have to cover files that were left out.
  ['repack.writeBitmaps', 'false'],
  ['advice.pushUpdateRejected', 'false'],
  ['safe.directory', '*'],
] as const;

/**
 * Runs git in a folder to its end. When its time is over or the caller gives up, it is killed with all that it started. Rejects with
 * `KOL_SINK_UNAVAILABLE` then, with `KOL_SINK_DISABLED` where there is no git, and never for an exit code.
 */
export async function runGit(folder: string, { args, settings = [], environment = {}, stdin, signal, timeoutMs }: GitRun): Promise<GitResult> {
  if (signal.aborted) throw cancelled();
  const child = spawn('git', [...args], {
    cwd: folder,
    // A group of its own, so that ssh and git-remote-https end with it.
    detached: true,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...fixedEnvironment, GIT_DIR: folder, ...settingsEnvironment([...fixedSettings, ...settings]), ...environment },
  });
  let fault: KollectError | undefined;
  const end = (reason: KollectError): void => {
    fault ??= reason;
    killGroup(child.pid);
  };
  const abort = (): void => end(cancelled());
  signal.addEventListener('abort', abort, { once: true });
  const timer = setTimeout(() => end(new KollectError('KOL_SINK_UNAVAILABLE', `git ${args[0]} has not ended within ${timeoutMs / 1_000} s`)), timeoutMs);
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (bytes: Buffer) => stdout.push(bytes));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = `${stderr}${text}`.slice(-maxStderrCharacters)));
  try {
    const closed = new Promise<number>((resolve, reject) => {
      child.once('error', (cause) => reject(new KollectError('KOL_SINK_DISABLED', 'the program git cannot be run: the image of the controller must hold it', { cause })));
      child.once('close', (code) => resolve(code ?? -1));
    });
    const [code] = await Promise.all([closed, feed(child.stdin, stdin, end)]);
    if (fault) throw fault;
    return { code, stdout: Buffer.concat(stdout), stderr };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
  }
}

/** Git may end without reading all of it, which its exit code tells. What fails on our side ends git. */
async function feed(stream: NodeJS.WritableStream & { destroyed?: boolean }, input: GitRun['stdin'], end: (reason: KollectError) => void): Promise<void> {
  stream.on('error', () => undefined);
  const ended = finished(stream).catch(() => undefined);
  let wake: () => void = () => undefined;
  stream.on('drain', () => wake());
  let pieces: Buffer[] = [];
  let bytes = 0;
  const write = async (): Promise<void> => {
    const isTaken = stream.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces, bytes));
    [pieces, bytes] = [[], 0];
    if (!isTaken) await Promise.race([new Promise<void>((resolve) => (wake = resolve)), ended]);
  };
  const turns = new Turns();
  try {
    for await (const chunk of input ?? []) {
      if (stream.destroyed) return;
      const piece = typeof chunk === 'string' ? Buffer.from(chunk) : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      pieces.push(piece);
      bytes += piece.length;
      if (bytes >= writtenBytes) await write();
      if (turns.isOver) await turns.next();
    }
    if (bytes > 0) await write();
    stream.end();
  } catch (error) {
    end(error instanceof KollectError ? error : new KollectError('KOL_INTERNAL', error instanceof Error ? error.message : String(error), { cause: error }));
  }
}

function settingsEnvironment(settings: readonly (readonly [string, string])[]): Record<string, string> {
  const pairs = settings.flatMap(([name, value], index) => [[`GIT_CONFIG_KEY_${index}`, name], [`GIT_CONFIG_VALUE_${index}`, value]] as const);
  return { GIT_CONFIG_COUNT: String(settings.length), ...Object.fromEntries(pairs) };
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has ended.
  }
}

function cancelled(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
