import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** One way of ending a process: the signal, and how long it may take until the next is tried. After the last comes SIGKILL. */
export interface StopStep {
  signal: NodeJS.Signals;
  graceMs: number;
}

export interface ProcessCommand {
  command: string;
  args: readonly string[];
  env: NodeJS.ProcessEnv;
  cwd?: string;
  /** The user to run as; only root can choose. */
  uid?: number;
  gid?: number;
  /** File that stdout and stderr are appended to. */
  log: string;
  /** Empty: SIGKILL at once, right for servers whose data is thrown away. */
  stop: readonly StopStep[];
  /** Runs after everything has ended and before the folder is removed, also when the test process crashed. */
  afterwards?: ProcessCommand;
}

export type KeeperRequest = { type: 'start'; id: number; command: ProcessCommand } | { type: 'signal'; id: number; signal: NodeJS.Signals };

export type KeeperReply =
  | { type: 'ready'; folder: string }
  | { type: 'started'; id: number; pid: number }
  | { type: 'failed'; id: number; message: string }
  | { type: 'exited'; id: number; code: number | null; signal: NodeJS.Signals | null };

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface KeptProcess {
  pid: number;
  log: string;
  /** Undefined while it runs. */
  exit(): Exit | undefined;
  /** Resolves when the process has ended, never rejects. */
  untilExit(): Promise<Exit>;
  /** Sends a signal to the process and all that it started. */
  signal(signal: NodeJS.Signals): void;
  /** The whole log, or its last `lines`. */
  logs(lines?: number): string;
}

/** What a caller says; the rest has defaults: the environment of this process, a log in the folder, SIGKILL as the only way of ending. */
export type StartOptions = Pick<ProcessCommand, 'command' | 'args'> & Partial<ProcessCommand> & { name: string };

export interface Keeper {
  /** Temporary, removed at the end. Data, logs and credentials of the servers live here. */
  folder: string;
  pid: number;
  start(options: StartOptions): Promise<KeptProcess>;
  /** Ends all processes, the last started first, and removes the folder. May be called twice. */
  stop(): Promise<void>;
}

/**
 * Starts a small process that starts servers, and ends them and removes their folder as soon as this process is gone: stopped, crashed or
 * killed by SIGKILL. `parentFolder` is where its folder is made; the system's temporary folder when unset.
 *
 * @example
 * const keeper = await openKeeper();
 * const server = await keeper.start({ name: 'etcd', command: 'etcd', args: [`--data-dir=${keeper.folder}/data`] });
 * await keeper.stop();
 */
export async function openKeeper(parentFolder?: string): Promise<Keeper> {
  const child = fork(fileURLToPath(new URL('keeper-process.ts', import.meta.url)), parentFolder === undefined ? [] : [parentFolder], {
    // Not in the terminal's group: Ctrl-C reaches this process only, which then ends the servers in their order.
    detached: true,
    execArgv: [],
    env: plainEnvironment(),
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  });
  // Two for each process it keeps.
  child.setMaxListeners(0);
  const processes = new Map<number, (reply: KeeperReply) => void>();
  const folder = await new Promise<string>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the keeper of the servers exited with code ${code}`)));
    child.on('message', (reply: KeeperReply) => {
      if (reply.type === 'ready') resolve(reply.folder);
      else processes.get(reply.id)?.(reply);
    });
  });
  const hold = holderOf(child);
  let nextId = 1;
  return {
    folder,
    pid: child.pid ?? 0,
    start: (options) => hold(() => startProcess({ child, processes, hold }, nextId++, options, folder)),
    stop: () => hold(() => stopKeeper(child)),
  };
}

type Hold = <T>(work: () => Promise<T>) => Promise<T>;

interface Channel {
  child: ChildProcess;
  /** Who gets the replies about a process, by its number. */
  processes: Map<number, (reply: KeeperReply) => void>;
  hold: Hold;
}

/**
 * Gives a function that keeps this process alive while some work waits for the keeper, and only then: when stop() was forgotten this
 * process may still end, and the keeper does the rest.
 */
function holderOf(child: ChildProcess): Hold {
  let waiting = 0;
  const change = (by: 1 | -1) => {
    waiting += by;
    const method = waiting === 0 ? 'unref' : 'ref';
    child[method]();
    child.channel?.[method]();
  };
  change(1);
  change(-1);
  return async (work) => {
    change(1);
    try {
      return await work();
    } finally {
      change(-1);
    }
  };
}

/** The environment without what a test runner adds for Node processes of its own. */
export function plainEnvironment(): NodeJS.ProcessEnv {
  const environment = { ...process.env };
  for (const name of Object.keys(environment)) if (name === 'NODE_OPTIONS' || name === 'NODE_V8_COVERAGE' || name.startsWith('TAP_') || name.startsWith('_TAPJS_')) delete environment[name];
  return environment;
}

function startProcess({ child, processes, hold }: Channel, id: number, options: StartOptions, folder: string): Promise<KeptProcess> {
  const { name, ...given } = options;
  const log = given.log ?? join(folder, `${name}.log`);
  const command: ProcessCommand = { env: plainEnvironment(), stop: [], ...given, log };
  const { promise: exited, resolve: setExited } = Promise.withResolvers<Exit>();
  let exit: Exit | undefined;

  return new Promise<KeptProcess>((resolve, reject) => {
    const gone = () => reject(new Error(`${name}: the keeper of the servers is gone`));
    child.once('exit', gone);
    processes.set(id, (reply) => {
      if (reply.type === 'started') {
        const signal = (name: NodeJS.Signals) => void (child.connected && child.send({ type: 'signal', id, signal: name } satisfies KeeperRequest));
        resolve({ pid: reply.pid, log, exit: () => exit, untilExit: () => hold(() => exited), signal, logs: (lines) => readLog(log, lines) });
        child.off('exit', gone);
        // The keeper ends what it started, so its own end is the latest time of theirs.
        child.once('exit', () => setExited({ code: null, signal: 'SIGKILL' }));
      } else if (reply.type === 'failed') {
        child.off('exit', gone);
        reject(new Error(`${name} could not be started: ${reply.message}`));
      } else if (reply.type === 'exited') {
        exit = { code: reply.code, signal: reply.signal };
        setExited(exit);
      }
    });
    child.send({ type: 'start', id, command } satisfies KeeperRequest, (error) => {
      if (error !== null) gone();
    });
  });
}

function stopKeeper(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once('exit', () => resolve());
    if (child.connected) child.disconnect();
  });
}

function readLog(log: string, lines?: number): string {
  let text: string;
  try {
    text = readFileSync(log, 'utf8');
  } catch {
    return '';
  }
  return lines === undefined ? text : text.trimEnd().split('\n').slice(-lines).join('\n');
}
