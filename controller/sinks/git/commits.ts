import { inTurns } from '../../../shared/in-turns.ts';
import type { BranchOutcome, BranchWrite, Waiter } from './branch.ts';
import { nextRef, type Mirror } from './mirror.ts';
import { spool } from './spool.ts';
import { crowdedFolders, filesAt, folderOf } from './tree.ts';

/** A file as an inventory wants it. */
export interface WantedFile {
  path: string;
  /** In pieces, read once, and before the next file. */
  bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}

export interface FileChanges {
  added: readonly string[];
  changed: readonly string[];
  removed: readonly string[];
}

/** What somebody who waits gets. */
export interface Plan {
  waiter: Waiter;
  outcome: BranchOutcome;
  /** What git calls the contents that are wanted, by path. */
  wanted: Map<string, string>;
  /** Files that were looked up in the branch. */
  found: ReadonlyMap<string, string>;
}

export interface MadeCommits {
  /** The last of them; undefined when nothing changes. */
  commit: string | undefined;
  planned: readonly Plan[];
  /** What one cannot do holds up no other. */
  refused: readonly { waiter: Waiter; error: unknown }[];
}

/** Commands that are being sent. */
interface Stream {
  /** The last one was begun, and not all of it was sent. */
  isWithin: boolean;
}

type Known = (key: string) => ReadonlyMap<string, string> | undefined;

/** Makes commits in a mirror, one for each who waits. */
export class Commits {
  readonly #mirror: Mirror;
  readonly #spoolFolder: string;

  /** @param spoolFolder private, for large files */
  constructor(mirror: Mirror, spoolFolder: string) {
    this.#mirror = mirror;
    this.#spoolFolder = spoolFolder;
  }

  /**
   * Makes a commit for all whose files are not so already, one upon the other.
   *
   * @param tip the commit that the branch has; undefined when there is no branch
   * @param known what git calls the contents of files that an inventory has in `tip`, as far as that is remembered
   */
  async make(group: readonly Waiter[], tip: string | undefined, known: Known, signal: AbortSignal): Promise<MadeCommits> {
    const planned: Plan[] = [];
    const refused: MadeCommits['refused'][number][] = [];
    const rest = [...group];
    let commit: string | undefined;
    while (rest.length > 0) {
      const stream = this.#commands(rest, { tip, parent: commit ?? tip, known }, { planned, refused }, signal);
      commit = (await this.#mirror.import(stream, signal)) || commit;
    }
    return { commit, planned, refused };
  }

  /** The commands of git fast-import for the first of those who wait. At least one is taken from `rest`. */
  async *#commands(rest: Waiter[], at: { tip: string | undefined; parent: string | undefined; known: Known }, { planned, refused }: { planned: Plan[]; refused: MadeCommits['refused'][number][] }, signal: AbortSignal): AsyncGenerator<Uint8Array | string> {
    // What it was of an earlier stream does not count.
    yield `reset ${nextRef}\n\n`;
    const stream: Stream = { isWithin: false };
    let commits = 0;
    for (let waiter = rest[0]; waiter; waiter = rest[0]) {
      try {
        const plan = yield* this.#plan(waiter, at.tip, at.known, stream, signal);
        const changes = await changesOf(plan);
        // The folders of commits of this stream cannot be read yet.
        const folders = await crowdedFolders(this.#mirror, at.parent, changes, signal, commits > 0);
        if (folders === undefined) break;
        if (changes.size > 0) yield* commitCommand(++commits, waiter.write, plan.outcome, { changes, folders, parent: commits === 1 ? at.parent : undefined });
        planned.push(plan);
      } catch (error) {
        // What follows half a file would be taken for the rest of it.
        if (signal.aborted || stream.isWithin) throw error;
        refused.push({ waiter, error });
      }
      rest.shift();
    }
    if (commits > 0) yield `get-mark :${commits}\n`;
    yield 'done\n';
  }

  /** Compares what an inventory wants with what is there. */
  async *#plan(waiter: Waiter, tip: string | undefined, knownOf: Known, stream: Stream, signal: AbortSignal): AsyncGenerator<Uint8Array | string, Plan> {
    const { key, removes } = waiter.write;
    const known = knownOf(key);
    let bytes = 0;
    waiter.wanted ??= yield* this.#contents(waiter.write, known, stream, (count) => (bytes += count));
    const { wanted } = waiter;
    const unknown: string[] = [];
    for (const paths of [wanted.keys(), removes]) {
      await inTurns(paths, (path) => {
        if (!known?.has(path)) unknown.push(path);
      });
    }
    const found = tip === undefined || unknown.length === 0 ? new Map<string, string>() : await filesAt(this.#mirror, tip, unknown, signal);
    const there = (path: string): string | undefined => known?.get(path) ?? found.get(path);
    const [added, changed, removed]: [string[], string[], string[]] = [[], [], []];
    await inTurns(wanted, ([path, id]) => {
      const former = there(path);
      if (former !== id) (former === undefined ? added : changed).push(path);
    });
    await inTurns(removes, (path) => {
      if (there(path) !== undefined) removed.push(path);
    });
    return { waiter, outcome: { added, changed, removed, bytes }, wanted, found };
  }

  /** Sends the contents that are new, and gives what git calls all of them. */
  async *#contents(write: BranchWrite, known: ReadonlyMap<string, string> | undefined, stream: Stream, sent: (bytes: number) => void): AsyncGenerator<Uint8Array | string, Map<string, string>> {
    const wanted = new Map<string, string>();
    for await (const { path, bytes } of write.files) {
      const blob = await spool(bytes, this.#spoolFolder);
      try {
        wanted.set(path, blob.id);
        if (known?.get(path) === blob.id) continue;
        sent(blob.bytes);
        stream.isWithin = true;
        yield `blob\ndata ${blob.bytes}\n`;
        yield* blob.chunks();
        yield '\n';
        stream.isWithin = false;
      } finally {
        await blob.dispose();
      }
    }
    return wanted;
  }
}

/** What the files of a plan are called by git; undefined for those that go. */
async function changesOf({ outcome, wanted }: Plan): Promise<ReadonlyMap<string, string | undefined>> {
  const changes = new Map<string, string | undefined>();
  // What goes makes room for what comes: a folder in place of a file.
  for (const paths of [outcome.removed, outcome.added, outcome.changed]) await inTurns(paths, (path) => changes.set(path, wanted.get(path)));
  return changes;
}

interface CommitFiles {
  changes: ReadonlyMap<string, string | undefined>;
  /** As of `crowdedFolders`. */
  folders: ReadonlyMap<string, string | undefined>;
  /** Undefined: it follows on the one before. */
  parent: string | undefined;
}

function* commitCommand(mark: number, { author, message }: BranchWrite, outcome: BranchOutcome, { changes, folders, parent }: CommitFiles): Generator<string> {
  const text = message(outcome);
  const who = `${author.name} <${author.email}> ${Math.floor(Date.now() / 1_000)} +0000`;
  yield `commit ${nextRef}\nmark :${mark}\nauthor ${who}\ncommitter ${who}\ndata ${Buffer.byteLength(text)}\n${text}\n${parent === undefined ? '' : `from ${parent}\n`}`;
  // The outer ones first: they are as they were but for their own files.
  for (const [folder, id] of [...folders].sort(([a], [b]) => a.length - b.length)) yield id === undefined ? `D ${quoted(folder)}\n` : `M 040000 ${id} ${quoted(folder)}\n`;
  for (const [path, id] of changes) {
    if (folders.has(folderOf(path))) continue;
    yield id === undefined ? `D ${quoted(path)}\n` : `M 100644 ${id} ${quoted(path)}\n`;
  }
  yield '\n';
}

function quoted(path: string): string {
  return `"${path.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}
