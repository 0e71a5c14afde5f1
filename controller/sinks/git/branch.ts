import { setTimeout as pause } from 'node:timers/promises';
import { KollectError } from '../../../shared/errors.ts';
import { inTurns } from '../../../shared/in-turns.ts';
import { Commits, type FileChanges, type Plan, type WantedFile } from './commits.ts';
import { snapshotIn, type CommittedState } from './message.ts';
import type { Mirror } from './mirror.ts';
import { filesAt, TipStore } from './tree.ts';

/** What an inventory wants of a branch. Files that are so already are no change. */
export interface BranchWrite {
  /** Of the inventory, in its cluster. */
  key: string;
  /** Read once. */
  files: AsyncIterable<WantedFile> | Iterable<WantedFile>;
  removes: readonly string[];
  /** All files of the inventory are among them. */
  isWhole: boolean;
  /** The commit that told what there is; undefined for none. */
  base: string | undefined;
  /** The file that lists the others. */
  list?: string | undefined;
  /** Of the commit, which is made only when there are changes. */
  message(changes: FileChanges): string;
  author: { name: string; email: string };
  /** What the message says of what is there afterwards. */
  state: CommittedState;
  /** Throws unless this process may write. */
  fence(): void;
}

export interface BranchOutcome extends FileChanges {
  bytes: number;
}

/** What an inventory has on the branch. */
interface Remembered {
  /** What git calls the content of files, by path; not of all files. */
  ids: Map<string, string>;
  state: CommittedState;
}

/** Who waits for a push. */
export interface Waiter {
  write: BranchWrite;
  /** What git calls the contents that are wanted, by path, once they were read; the mirror holds them. */
  wanted: Map<string, string> | undefined;
  signal: AbortSignal;
  /** It was told how it ended, and takes part in no further attempt: its files may have been read in part. */
  isSettled: boolean;
  resolve(outcome: BranchOutcome): void;
  reject(error: unknown): void;
}

/** How long the first waits for others that come at the same time, */
const gatherMs = 20;
/** and for those that were announced. */
const maxGatherMs = 1_000;
/** How often the branch may move between reading and pushing. */
const maxAttempts = 6;

/**
 * Everything that is written to one branch goes through this: one push at a time, with a commit for each inventory that waits for it. What is on the branch is remembered
 * as long as nobody else changes it, so that a push costs as much as what changed.
 */
export class Branch {
  readonly #mirror: Mirror;
  readonly #commits: Commits;
  readonly #title: string;
  readonly #mustExist: boolean;
  #waiting: Waiter[] = [];
  #last: Promise<unknown> = Promise.resolve();
  /** Where the branch was when we last knew; `remembered` is about this commit. */
  #tip: string | undefined;
  /** Nothing has happened since that could have moved it without our knowledge. */
  #isCertain = false;
  readonly #remembered = new Map<string, Remembered>();
  /** Inventories of which somebody else has, or may have, changed files since they were written as a whole. */
  readonly #touched = new Set<string>();
  /** Inventories that were only looked at so far: which files they have is not known. */
  readonly #seen = new Set<string>();
  /** Writes that are being prepared. */
  #announced = 0;
  readonly #closing = new AbortController();

  constructor(mirror: Mirror, options: { spoolFolder: string; title: string; mustExist: boolean }) {
    this.#mirror = mirror;
    this.#commits = new Commits(mirror, options.spoolFolder);
    this.#title = options.title;
    this.#mustExist = options.mustExist;
  }

  /** Says that a write is being prepared: a push that is due waits for it, but not for long. To be ended by what this gives. */
  announce(): () => void {
    let isOver = false;
    this.#announced++;
    return () => {
      if (!isOver) this.#announced--;
      isOver = true;
    };
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
        wanted: undefined,
        signal,
        isSettled: false,
        resolve: (outcome) => {
          waiter.isSettled = true;
          signal.removeEventListener('abort', give);
          resolve(outcome);
        },
        reject: (error) => {
          waiter.isSettled = true;
          signal.removeEventListener('abort', give);
          reject(error);
        },
      };
      if (signal.aborted) return reject(cancelled());
      signal.addEventListener('abort', give, { once: true });
      this.#waiting.push(waiter);
      if (this.#waiting.length === 1) void this.exclusively(() => this.#flush()).catch(() => undefined);
    });
  }

  /** What the last commit for an inventory says, unless somebody else has committed since. One question to the server while nobody else writes. */
  async committed(key: string, signal: AbortSignal): Promise<{ state: CommittedState | undefined; isTouched: boolean }> {
    return await this.inspect(signal, async () => {
      if (!this.#remembered.has(key)) this.#seen.add(key);
      return { state: await this.#stateOf(key, signal), isTouched: this.#touched.has(key) };
    });
  }

  /** The files of the branch as we know it, and what its commits say of an inventory. The server is asked only when we do not know the branch. */
  async look(key: string, signal: AbortSignal): Promise<{ store: TipStore; state: CommittedState | undefined }> {
    return await this.exclusively(async () => {
      if (!this.#isSure) await this.#refresh(signal);
      return { store: new TipStore(this.#mirror, this.#tip, signal), state: await this.#stateOf(key, signal) };
    });
  }

  /** The files of the branch as we know it. */
  async store(signal: AbortSignal): Promise<TipStore> {
    return await this.exclusively(async () => {
      if (!this.#isSure) await this.#refresh(signal);
      return new TipStore(this.#mirror, this.#tip, signal);
    });
  }

  /** Runs `work` with the commit that the branch points to now, while nobody writes. */
  async inspect<T>(signal: AbortSignal, work: (tip: string | undefined) => Promise<T>): Promise<T> {
    return await this.exclusively(async () => {
      const remote = await this.#mirror.remoteTip(signal);
      if (remote !== this.#tip || !this.#isSure) await this.#refresh(signal);
      return await work(this.#tip);
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#last;
    await this.#mirror.discard();
  }

  /** What is known of the branch was true at the last look, and the mirror holds it. */
  get #isSure(): boolean {
    return this.#isCertain && !this.#mirror.isEmpty;
  }

  /** One after the other: they share the mirror. */
  exclusively<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#last.then(work, work);
    // What failed may have taken the mirror with it, or have arrived all the same.
    this.#last = mine.catch(() => (this.#isCertain = false));
    return mine;
  }

  async #stateOf(key: string, signal: AbortSignal): Promise<CommittedState | undefined> {
    const remembered = this.#remembered.get(key);
    if (remembered || this.#tip === undefined) return remembered?.state;
    return snapshotIn(await this.#mirror.commits(this.#tip, signal), key);
  }

  async #flush(): Promise<void> {
    const since = performance.now();
    do await pause(gatherMs);
    while (this.#announced > 0 && performance.now() - since < maxGatherMs);
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
      for (const waiter of group) waiter.reject(error);
      throw error;
    } finally {
      for (const waiter of group) waiter.signal.removeEventListener('abort', leave);
    }
  }

  async #push(group: readonly Waiter[], signal: AbortSignal): Promise<void> {
    for (let attempt = 1; attempt <= maxAttempts; attempt++) {
      // What was remembered is good for a try even if it may be outdated: the server compares.
      if (!this.#isSure) await this.#refresh(signal);
      const able = group.filter(({ isSettled, signal: given }) => !isSettled && !given.aborted).filter(passesFence);
      if (able.length === 0) return;
      const tip = this.#tip;
      const current: Waiter[] = [];
      for (const waiter of able) if (await this.#isCurrent(waiter, tip, signal)) current.push(waiter);
      if (current.length === 0) return;
      const { commit, planned, refused } = await this.#commits.make(current, tip, (key) => this.#remembered.get(key)?.ids, signal);
      for (const { waiter, error } of refused) waiter.reject(error);
      if (commit === undefined) {
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
      for (const plan of planned) await this.#remember(plan);
      return;
    }
    if (this.#tip === undefined) await this.#mirror.verifyRoom(signal);
    throw new KollectError('KOL_SINK_BUSY', `${this.#title} was pushed to by others ${maxAttempts} times while this export was prepared`);
  }

  /**
   * Whether the files are those that were planned for. If not, somebody else has changed some, or a push of ours arrived although its answer was lost: a new list that does
   * not name the files of that push would leave them there for ever. So all is compared again.
   */
  async #isCurrent({ write: { key, isWhole, base, list }, reject }: Waiter, tip: string | undefined, signal: AbortSignal): Promise<boolean> {
    const listAt = async (commit: string | undefined): Promise<string | undefined> => (commit === undefined || list === undefined ? undefined : (await filesAt(this.#mirror, commit, [list], signal)).get(list));
    try {
      if ((isWhole || this.#remembered.has(key)) && (base === tip || (await listAt(base)) === (await listAt(tip)))) return true;
      throw new KollectError('KOL_SINK_DESTINATION_LOST', `files of the inventory have changed in ${this.#title}: they are compared with all rows`, { retryAfterMs: 100 });
    } catch (error) {
      reject(error);
      return false;
    }
  }

  async #remember({ waiter, outcome, wanted, found }: Plan): Promise<void> {
    const { key, state, isWhole } = waiter.write;
    const ids = this.#remembered.get(key)?.ids;
    if (ids) {
      await inTurns([outcome.added, outcome.changed, found.keys()], (paths) => {
        for (const path of paths) if (wanted.has(path)) ids.set(path, wanted.get(path)!);
      });
      await inTurns(outcome.removed, (path) => ids.delete(path));
    }
    this.#remembered.set(key, { ids: ids ?? wanted, state });
    this.#seen.delete(key);
    if (isWhole) this.#touched.delete(key);
    waiter.resolve(outcome);
  }

  /** Fetches the end of the branch, and forgets what somebody else has changed. */
  async #refresh(signal: AbortSignal): Promise<void> {
    const before = this.#tip;
    const tip = await this.#mirror.fetch(signal);
    if (tip === undefined && this.#mustExist) throw new KollectError('KOL_SINK_SCHEMA', `${this.#title} does not exist: create the branch, or set spec.provisioning.mode to ensure`);
    if (tip !== before) {
      const changed = before === undefined || tip === undefined ? undefined : await this.#mirror.changedPaths(before, tip, signal);
      for (const [key, { ids }] of this.#remembered) {
        if (changed !== undefined && !changed.some((path) => ids.has(path))) continue;
        this.#remembered.delete(key);
        this.#touched.add(key);
      }
      for (const key of this.#seen) this.#touched.add(key);
      this.#seen.clear();
    }
    this.#tip = tip;
    this.#isCertain = true;
  }
}

function passesFence({ write, reject }: Waiter): boolean {
  try {
    write.fence();
    return true;
  } catch (error) {
    reject(error);
    return false;
  }
}

function cancelled(): KollectError {
  return new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
}
