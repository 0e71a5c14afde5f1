import { setTimeout as pause } from 'node:timers/promises';
import { KollectError } from '../../../shared/errors.ts';
import type { SnapshotState } from '../contract.ts';
import { snapshotIn } from './message.ts';
import { nextRef, type Mirror } from './mirror.ts';
import { spool } from './spool.ts';
import { filesAt } from './tree.ts';

/** A file as an inventory wants it. */
export interface WantedFile {
  path: string;
  /** Differs when the content does. */
  version: string;
  content(): AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface FileChanges {
  added: readonly string[];
  changed: readonly string[];
  removed: readonly string[];
}

/** What an inventory is to look like on the branch. */
export interface BranchWrite {
  /** Of the inventory, in its cluster. */
  key: string;
  /** All of its files, each path once. */
  files: readonly WantedFile[];
  /** Paths that it had, as far as the branch tells; those that it does not want any more go. Asked when nothing is remembered of it. */
  formerPaths(read: (path: string) => Promise<Buffer | undefined>): Promise<readonly string[]>;
  /** Of the commit, which is made only when there are changes. */
  message(changes: FileChanges): string;
  author: { name: string; email: string };
  /** What is there afterwards. */
  after: SnapshotState | undefined;
  /** Throws unless this process may write. */
  fence(): void;
}

export interface BranchOutcome extends FileChanges {
  bytes: number;
}

interface Remembered {
  files: ReadonlyMap<string, { version: string | undefined; id: string }>;
  after: SnapshotState | undefined;
}

interface Waiter {
  write: BranchWrite;
  signal: AbortSignal;
  resolve(outcome: BranchOutcome): void;
  reject(error: unknown): void;
}

/** How long the first waits for others that come at the same time. */
const gatherMs = 20;
/** How often the branch may move between reading and pushing. */
const maxAttempts = 6;

/**
 * Everything that is written to one branch goes through this: one push at a time, with a commit for each inventory that waits for it. What is on the branch is remembered
 * as long as nobody else changes it, so that a push costs as much as what changed.
 */
export class Branch {
  readonly #mirror: Mirror;
  readonly #spoolFolder: () => string;
  readonly #title: string;
  readonly #mustExist: boolean;
  #waiting: Waiter[] = [];
  #last: Promise<unknown> = Promise.resolve();
  /** Where the branch was when we last knew; `remembered` is about this commit. */
  #tip: string | undefined;
  /** Nothing has happened since that could have moved it without our knowledge. */
  #isCertain = false;
  readonly #remembered = new Map<string, Remembered>();
  readonly #closing = new AbortController();

  constructor(mirror: Mirror, options: { spoolFolder: () => string; title: string; mustExist: boolean }) {
    this.#mirror = mirror;
    this.#spoolFolder = options.spoolFolder;
    this.#title = options.title;
    this.#mustExist = options.mustExist;
  }

  /** Resolves once the server has it. When the caller gives up, the outcome is unknown. */
  write(write: BranchWrite, signal: AbortSignal): Promise<BranchOutcome> {
    return new Promise((resolve, reject) => {
      const give = (): void => {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        reject(cancelled());
      };
      const waiter: Waiter = {
        write,
        signal,
        resolve: (outcome) => {
          signal.removeEventListener('abort', give);
          resolve(outcome);
        },
        reject: (error) => {
          signal.removeEventListener('abort', give);
          reject(error);
        },
      };
      if (signal.aborted) return reject(cancelled());
      signal.addEventListener('abort', give, { once: true });
      this.#waiting.push(waiter);
      if (this.#waiting.length === 1) void this.#inTurn(() => this.#flush()).catch(() => undefined);
    });
  }

  /** What the branch says that it holds of an inventory; undefined when it cannot tell. One question to the server while nobody else writes. */
  async snapshot(key: string, signal: AbortSignal): Promise<SnapshotState | undefined> {
    return await this.#inTurn(async () => {
      const remote = await this.#mirror.remoteTip(signal);
      if (remote !== this.#tip) await this.#refresh(signal);
      this.#isCertain = true;
      const remembered = this.#remembered.get(key);
      if (remembered !== undefined) return remembered.after;
      if (this.#tip === undefined) return undefined;
      return snapshotIn(await this.#mirror.commits(this.#tip, signal), key);
    });
  }

  /** Runs `work` with where the branch is now, while nobody writes. */
  async inspect<T>(signal: AbortSignal, work: (tip: string | undefined) => Promise<T>): Promise<T> {
    return await this.#inTurn(async () => {
      if ((await this.#mirror.remoteTip(signal)) !== this.#tip || this.#tip === undefined) await this.#refresh(signal);
      return await work(this.#tip);
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#last.catch(() => undefined);
    await this.#mirror.discard();
  }

  /** One after the other: they share the mirror. */
  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    this.#last = mine;
    return mine;
  }

  async #flush(): Promise<void> {
    await pause(gatherMs);
    const group = this.#waiting.splice(0);
    const abort = new AbortController();
    const signal = AbortSignal.any([abort.signal, this.#closing.signal]);
    const leave = (): void => {
      if (group.every((waiter) => waiter.signal.aborted)) abort.abort();
    };
    for (const waiter of group) waiter.signal.addEventListener('abort', leave, { once: true });
    try {
      if (group.length > 0) await this.#push(group, signal);
    } catch (error) {
      // Whether the push arrived is not known.
      this.#isCertain = false;
      for (const waiter of group) waiter.reject(error);
    } finally {
      for (const waiter of group) waiter.signal.removeEventListener('abort', leave);
    }
  }

  async #push(group: readonly Waiter[], signal: AbortSignal): Promise<void> {
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      // What was remembered is good for a try even if it may be outdated: the server compares.
      if (!this.#isCertain) await this.#refresh(signal);
      const plans: Plan[] = [];
      const able = group.filter(({ signal: given }) => !given.aborted).filter(passesFence);
      if (able.length === 0) return;
      const tip = this.#tip;
      const commit = await this.#mirror.import(this.#commands(able, tip, plans, signal), signal);
      const [planned, refused] = [plans.filter(({ error }) => error === undefined), plans.filter(({ error }) => error !== undefined)];
      for (const { waiter, error } of refused) waiter.reject(error);
      if (commit === '') {
        // Nothing to do, if it is true that nobody has changed anything.
        if ((await this.#mirror.remoteTip(signal)) !== tip) {
          this.#isCertain = false;
          continue;
        }
      } else {
        const leading = planned.filter(({ waiter }) => passesFence(waiter));
        if (leading.length < planned.length) {
          if (leading.length === 0) return;
          continue;
        }
        this.#isCertain = false;
        if (!(await this.#mirror.push(commit, tip, signal))) continue;
        this.#tip = commit;
      }
      this.#isCertain = true;
      for (const { waiter, outcome, files } of planned) {
        this.#remembered.set(waiter.write.key, { files, after: waiter.write.after });
        waiter.resolve(outcome);
      }
      return;
    }
    throw new KollectError('KOL_SINK_BUSY', `${this.#title} was pushed to by others ${maxAttempts} times while this export was prepared`);
  }

  /** Fetches the end of the branch, and forgets what somebody else has changed. */
  async #refresh(signal: AbortSignal): Promise<void> {
    const before = this.#tip;
    const tip = await this.#mirror.fetch(signal);
    if (tip === undefined && this.#mustExist) throw new KollectError('KOL_SINK_SCHEMA', `${this.#title} does not exist: create the branch, or set spec.provisioning.mode to ensure`);
    if (tip !== before) {
      const changed = before === undefined || tip === undefined ? undefined : await this.#mirror.changedPaths(before, tip, signal);
      for (const [key, { files }] of this.#remembered) if (changed === undefined || changed.some((path) => files.has(path))) this.#remembered.delete(key);
    }
    this.#tip = tip;
    this.#isCertain = true;
  }

  /** The commands of git fast-import for all that change something. What one cannot do holds up no other. */
  async *#commands(group: readonly Waiter[], tip: string | undefined, plans: Plan[], signal: AbortSignal): AsyncGenerator<Uint8Array | string> {
    // What it was of an earlier stream does not count.
    yield `reset ${nextRef}\n\n`;
    let parent = tip;
    let commits = 0;
    for (const waiter of group) {
      try {
        const plan = yield* this.#plan(waiter, tip, signal);
        const { added, changed, removed } = plan.outcome;
        if (added.length + changed.length + removed.length > 0) {
          yield* commitCommand(++commits, waiter.write, plan, parent);
          // The next one follows on it.
          parent = undefined;
        }
        plans.push(plan);
      } catch (error) {
        if (signal.aborted) throw error;
        plans.push({ waiter, error, outcome: nothing, files: new Map(), contents: new Map() });
      }
    }
    if (commits > 0) yield `get-mark :${commits}\n`;
    yield 'done\n';
  }

  /** Compares what an inventory wants with what is there, and sends the contents that are new. */
  async *#plan(waiter: Waiter, tip: string | undefined, signal: AbortSignal): AsyncGenerator<Uint8Array | string, Plan> {
    const { write } = waiter;
    const before = this.#remembered.get(write.key)?.files ?? (await this.#held(write, tip, signal));
    const files = new Map<string, { version: string; id: string }>();
    const contents = new Map<string, string>();
    const outcome = { added: [] as string[], changed: [] as string[], removed: [] as string[], bytes: 0 };
    await this.#verifyPlaces(write.files.filter(({ path }) => !before.has(path)).map(({ path }) => path), before, tip, signal);
    for (const { path, version, content } of write.files) {
      const there = before.get(path);
      if (there?.version === version) {
        files.set(path, { version, id: there.id });
        continue;
      }
      const blob = await spool(content(), this.#spoolFolder());
      try {
        files.set(path, { version, id: blob.id });
        if (there?.id === blob.id) continue;
        (there === undefined ? outcome.added : outcome.changed).push(path);
        contents.set(path, blob.id);
        outcome.bytes += blob.bytes;
        yield `blob\ndata ${blob.bytes}\n`;
        yield* blob.chunks();
        yield '\n';
      } finally {
        await blob.dispose();
      }
    }
    for (const path of before.keys()) if (!files.has(path)) outcome.removed.push(path);
    return { waiter, outcome, files, contents, error: undefined };
  }

  /** What a branch holds of an inventory of which nothing is remembered. */
  async #held(write: BranchWrite, tip: string | undefined, signal: AbortSignal): Promise<Map<string, { version: undefined; id: string }>> {
    if (tip === undefined) return new Map();
    const former = await write.formerPaths(async (path) => {
      const id = (await filesAt(this.#mirror, tip, [path], signal)).get(path);
      return id ? await this.#mirror.content(id, signal) : undefined;
    });
    const paths = new Set([...former, ...write.files.map(({ path }) => path)]);
    const found = await filesAt(this.#mirror, tip, paths, signal);
    return new Map([...found].map(([path, id]) => [path, { version: undefined, id }]));
  }

  /** New files must not replace folders of others, nor folders files. */
  async #verifyPlaces(added: readonly string[], before: ReadonlyMap<string, unknown>, tip: string | undefined, signal: AbortSignal): Promise<void> {
    // A branch that was just read has been verified with it.
    if (added.length === 0 || tip === undefined || before.size === 0) return;
    await filesAt(this.#mirror, tip, added, signal);
  }
}

interface Plan {
  waiter: Waiter;
  outcome: BranchOutcome;
  files: ReadonlyMap<string, { version: string; id: string }>;
  /** New contents by path. */
  contents: ReadonlyMap<string, string>;
  error: unknown;
}

const nothing: BranchOutcome = { added: [], changed: [], removed: [], bytes: 0 };

function passesFence({ write, reject }: Waiter): boolean {
  try {
    write.fence();
    return true;
  } catch (error) {
    reject(error);
    return false;
  }
}

function* commitCommand(mark: number, { author, message }: BranchWrite, { outcome, contents }: Plan, parent: string | undefined): Generator<string> {
  const text = message(outcome);
  const who = `${author.name} <${author.email}> ${Math.floor(Date.now() / 1_000)} +0000`;
  yield `commit ${nextRef}\nmark :${mark}\nauthor ${who}\ncommitter ${who}\ndata ${Buffer.byteLength(text)}\n${text}\n${parent === undefined ? '' : `from ${parent}\n`}`;
  for (const path of outcome.removed) yield `D ${quoted(path)}\n`;
  for (const [path, id] of contents) yield `M 100644 ${id} ${quoted(path)}\n`;
  yield '\n';
}

function quoted(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function cancelled(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
