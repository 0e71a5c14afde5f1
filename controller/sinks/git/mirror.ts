import { mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile, lstat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KollectError } from '../../../shared/errors.ts';
import { Turns } from '../../../shared/in-turns.ts';
import { branchMissing, isOfConnection, lostRace, mayBeOfMirror, notGit, remoteError } from './errors.ts';
import { runGit, type GitResult, type GitRun } from './process.ts';
import type { Remote, RemoteAccess } from './remote.ts';
import type { GitSinkSettings } from './settings.ts';

/** What a large repository takes over a slow line. */
const networkTimeoutMs = 600_000;
const localTimeoutMs = 300_000;
/** Mirrors that nobody has used for this long are of processes that are gone. */
const abandonedMs = 3_600_000;
/** Writes after which what they left is tidied up. */
const tidyAfter = 500;

/** Small ones as those of rows are: more at once would be no faster. */
const filesAtOnce = 500;
/** More than a push reports. */
const maxReportBytes = 64 * 1024;
const fetchOptions = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules'];

/** Without the address of the server git can fetch nothing, and must not try: what is damaged makes it start itself over and over. */
const noLazyFetch = { GIT_NO_LAZY_FETCH: '1' };

const tipRef = 'refs/kollect/tip';
/** The branch that streams of commands write to. */
export const nextRef = 'refs/kollect/next';

type Tolerance = (text: string) => boolean;

/** A commit that a branch may point to, and its message. */
export interface Commit {
  id: string;
  message: string;
}

/**
 * A bare repository in a private folder, with the end of one branch: commits as far as the sink wants, and their folders. Files are fetched only from servers that
 * cannot leave them out. Its content is worth nothing: it is thrown away whenever something about it fails.
 */
export class Mirror {
  readonly #settings: GitSinkSettings;
  readonly #remote: Remote;
  readonly #root: string;
  readonly #prefix: string;
  #folder: string | undefined;
  /** Some that were read of late, by what git calls them, or by commits. */
  readonly folders = new Map<string, Buffer>();
  #writes = 0;
  #isEmpty = true;
  /** The server can leave out files, and give them later one by one. */
  #filters = true;

  /**
   * @param root private folder of all mirrors
   * @param prefix of the mirror's own folder below it
   */
  constructor(settings: GitSinkSettings, remote: Remote, root: string, prefix: string) {
    this.#settings = settings;
    this.#remote = remote;
    this.#root = root;
    this.#prefix = prefix;
  }

  /** It was made anew, and holds nothing of what was fetched before. */
  get isEmpty(): boolean {
    return this.#isEmpty;
  }

  /** The commit that the branch of the server points to now; undefined when there is no branch. Nothing is fetched. */
  async remoteTip(signal: AbortSignal): Promise<string | undefined> {
    const args = (access: RemoteAccess): readonly string[] => ['ls-remote', '--', access.url, this.#branchRef];
    const { stdout } = await this.#network(args, signal);
    const tip = /^([0-9a-f]{40,64})\t/m.exec(stdout.toString('latin1'))?.[1];
    if (tip === undefined && this.#settings.endpoint.scheme !== 'ssh') await this.#verifyServer(args, signal);
    return tip;
  }

  /** To git a web page, such as that of a server under maintenance, is a repository without branches. A server of git sends packets. */
  async #verifyServer(args: (access: RemoteAccess) => readonly string[], signal: AbortSignal): Promise<void> {
    const packets = join(await this.#ready(signal), 'packets');
    await rm(packets, { force: true });
    await this.#network(args, signal, { environment: { GIT_TRACE_PACKET: packets } });
    if ((await stat(packets).catch(() => undefined)) === undefined) throw notGit(this.#settings);
  }

  /** Throws `KOL_SINK_CONFIG` when a branch of the server leaves no room for this one: none has the name of a folder of another. */
  async verifyRoom(signal: AbortSignal): Promise<void> {
    const { branch, title } = this.#settings;
    const parts = branch.split('/');
    const parents = parts.slice(1).map((_, index) => `refs/heads/${parts.slice(0, index + 1).join('/')}`);
    const { stdout } = await this.#network((access) => ['ls-remote', '--', access.url, ...parents, `${this.#branchRef}/*`], signal);
    const refs = [...stdout.toString('utf8').matchAll(/\t(\S+)$/gm)].map(([, ref = '']) => ref);
    const obstacle = refs.find((ref) => parents.includes(ref) || ref.startsWith(`${this.#branchRef}/`));
    if (obstacle === undefined) return;
    throw new KollectError('KOL_SINK_CONFIG', `there is no room for the branch ${JSON.stringify(branch)} beside ${JSON.stringify(obstacle.slice('refs/heads/'.length))} (${title}): name another branch`);
  }

  /** Fetches the end of the branch; undefined when there is no branch. */
  async fetch(signal: AbortSignal): Promise<string | undefined> {
    const result = await this.#fetch(signal);
    this.#isEmpty = false;
    if (result.code !== 0) return undefined;
    const { stdout } = await this.local({ args: ['rev-parse', '--verify', tipRef], signal });
    return stdout.toString('latin1').trim();
  }

  async #fetch(signal: AbortSignal, ...more: readonly string[]): Promise<GitResult> {
    const filter = this.#filters ? '--filter=blob:none' : '--no-filter';
    const options = [...fetchOptions, '--force', `--depth=${this.#settings.depth}`, filter, ...more];
    return await this.#network(() => ['fetch', ...options, 'kollect', `+${this.#branchRef}:${tipRef}`], signal, { tolerates: branchMissing });
  }

  /** The commits that were fetched, the latest first. */
  async commits(tip: string, signal: AbortSignal): Promise<readonly Commit[]> {
    const { stdout } = await this.local({ args: ['log', '-z', '--format=%H%n%B', `--max-count=${Math.max(this.#settings.depth, 50)}`, tip, '--'], signal });
    return stdout.toString('utf8').split('\0').flatMap((text) => (text === '' ? [] : [{ id: text.slice(0, text.indexOf('\n')), message: text.slice(text.indexOf('\n') + 1) }]));
  }

  /** Paths of files in which two commits differ; undefined when the mirror does not hold the first, because it was made anew. */
  async changedPaths(from: string, to: string, signal: AbortSignal): Promise<readonly string[] | undefined> {
    const { stdout, code } = await this.local({ args: ['diff-tree', '-r', '-z', '--no-renames', '--name-only', from, to], signal }, () => true);
    if (code !== 0) return undefined;
    return stdout.toString('utf8').split('\0').filter((path) => path !== '');
  }

  /** Takes a stream of commands of git fast-import, and gives what those print that ask. */
  async import(stream: GitRun['stdin'], signal: AbortSignal): Promise<string> {
    const { stdout } = await this.local({ args: ['fast-import', '--quiet', '--done', '--force'], stdin: stream ?? [], signal });
    return stdout.toString('latin1').trim();
  }

  /** Makes a folder of entries in any order, and gives what git calls it. What it holds need not be there yet. */
  async makeTree(lines: GitRun['stdin'], signal: AbortSignal): Promise<string> {
    const { stdout } = await this.local({ args: ['mktree', '-z', '--missing'], stdin: lines ?? [], signal });
    return stdout.toString('latin1').trim();
  }

  /** The content of a file, which is fetched when it was left out so far. */
  async content(id: string, signal: AbortSignal): Promise<Buffer> {
    const read = async (tolerates?: Tolerance): Promise<GitResult> => await this.#network(() => ['cat-file', 'blob', id], signal, { tolerates });
    const { code, stdout } = await read((text) => this.#filters && givesNoSingleFiles(text));
    if (code === 0) return stdout;
    await this.#fetchAll(signal);
    return (await read()).stdout;
  }

  /** Contents of files, in the same order. What was left out so far is fetched at once. */
  async *contents(ids: readonly string[], signal: AbortSignal): AsyncGenerator<Buffer> {
    if (this.#filters && ids.length > 1) {
      const { code } = await this.#network(() => ['fetch', ...fetchOptions, '--refetch', '--filter=blob:none', '--stdin', 'kollect'], signal, { stdin: linesOf(ids), tolerates: givesNoSingleFiles });
      if (code !== 0) await this.#fetchAll(signal);
    }
    for (let at = 0; at < ids.length; at += filesAtOnce) {
      const { stdout } = await this.#network(() => ['cat-file', '--batch'], signal, { stdin: linesOf(ids.slice(at, at + filesAtOnce)) });
      yield* this.#objects(stdout, 'blob');
    }
  }

  /** Contents of folders, in the same order: parts of what was read together. */
  async trees(ids: readonly string[], signal: AbortSignal): Promise<Buffer[]> {
    const { stdout } = await this.local({ args: ['cat-file', '--batch'], stdin: linesOf(ids), signal });
    const trees: Buffer[] = [];
    for await (const tree of this.#objects(stdout, 'tree')) trees.push(tree);
    return trees;
  }

  /** What `git cat-file --batch` printed, object by object. It succeeds even where files of the mirror are damaged, and what stood in them is missing. */
  async *#objects(stdout: Buffer, type: 'blob' | 'tree'): AsyncGenerator<Buffer> {
    const turns = new Turns();
    for (let at = 0; at < stdout.length; ) {
      const lineEnd = stdout.indexOf(0x0a, at);
      const [, found, size] = stdout.toString('latin1', at, lineEnd).split(' ');
      if (found !== type) {
        await this.discard();
        throw new KollectError('KOL_SINK_BUSY', `a ${type} of the branch is missing in the mirror, which is made anew`);
      }
      at = lineEnd + 1 + Number(size) + 1;
      yield stdout.subarray(lineEnd + 1, at - 1);
      if (turns.isOver) await turns.next();
    }
  }

  /** For servers that leave files out and do not give single ones, above all in the older protocol. */
  async #fetchAll(signal: AbortSignal): Promise<void> {
    this.#filters = false;
    await this.#fetch(signal, '--refetch');
  }

  /**
   * Moves the branch of the server from one commit to another, or makes it when there is none. False when the branch was elsewhere: nothing is changed then.
   * With `dryRun` the server is only asked.
   */
  async push(commit: string, from: string | undefined, signal: AbortSignal, dryRun = false): Promise<boolean> {
    const { forces, pushOptions } = this.#settings;
    // A server that takes no push options says so in a dry run, too.
    const options = [...(dryRun ? ['--dry-run'] : []), ...pushOptions.map((option) => `--push-option=${option}`)];
    const guard = forces || dryRun ? '--force' : `--force-with-lease=${this.#branchRef}:${from ?? ''}`;
    const result = await this.#network((access) => ['push', '--porcelain', '--no-verify', ...options, guard, '--', access.url, `${commit}:${this.#branchRef}`], signal, { tolerates: (text) => !forces && lostRace(text) });
    // The push has succeeded, whatever becomes of the mirror.
    if (result.code === 0 && !dryRun && ++this.#writes % tidyAfter === 0) await this.tidy(commit, signal).catch(() => undefined);
    return result.code === 0;
  }

  /** What led to a commit that the branch has is not needed any more, and single files become a pack. */
  async tidy(tip: string, signal: AbortSignal): Promise<void> {
    if (this.#folder === undefined) return;
    await writeFile(join(this.#folder, 'shallow'), `${tip}\n`);
    await this.local({ args: ['update-ref', tipRef, tip], signal });
    await this.local({ args: ['gc', '--quiet', '--prune=now'], signal });
  }

  /** Runs git in the mirror. A run that fails makes the mirror worth nothing, unless `tolerates` says otherwise. */
  async local(run: Omit<GitRun, 'environment' | 'timeoutMs'>, tolerates: (result: GitResult) => boolean = () => false): Promise<GitResult> {
    if (run.signal.aborted) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
    const folder = await this.#ready(run.signal);
    let result: GitResult;
    try {
      result = await runGit(folder, { ...run, environment: noLazyFetch, timeoutMs: localTimeoutMs });
    } catch (error) {
      // It may have been killed while it wrote.
      await this.discard();
      throw error;
    }
    if (result.code === 0 || tolerates(result)) return result;
    await this.discard();
    throw new KollectError('KOL_SINK_BUSY', `git ${run.args[0]} failed in the mirror, which is made anew: ${result.stderr.trim().slice(-500)}`);
  }

  /** Nothing of it is needed any more. */
  async discard(): Promise<void> {
    const folder = this.#folder;
    this.#folder = undefined;
    this.#isEmpty = true;
    if (folder !== undefined) await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }

  get #branchRef(): string {
    return `refs/heads/${this.#settings.branch}`;
  }

  /** Tries one address after the other. A failure that `tolerates` knows by what git wrote is a result. */
  async #network(args: (access: RemoteAccess) => readonly string[], signal: AbortSignal, { stdin = [], tolerates = () => false, environment = {} }: { stdin?: readonly string[]; tolerates?: Tolerance | undefined; environment?: Readonly<Record<string, string>> } = {}): Promise<GitResult> {
    if (signal.aborted) throw new KollectError('KOL_SINK_UNAVAILABLE', 'the work was cancelled');
    const folder = await this.#ready(signal);
    let failure: unknown;
    let text = '';
    for (const access of await this.#remote.accesses()) {
      const settings = [['remote.kollect.url', access.url], ['remote.kollect.promisor', 'true'], ['remote.kollect.partialclonefilter', 'blob:none'], ...access.settings] as const;
      let result: GitResult;
      try {
        result = await runGit(folder, { args: args(access), settings, environment: { ...access.environment, ...environment }, stdin, signal, timeoutMs: networkTimeoutMs });
      } catch (error) {
        await this.discard();
        throw error;
      }
      if (result.code === 0) return result;
      // Of a push, the reasons stand in its report.
      text = `${result.stderr}\n${result.stdout.toString('utf8', 0, maxReportBytes)}`;
      if (tolerates(text)) return result;
      failure = (isOfConnection(text) && (await access.fault?.(signal))) || remoteError(text, this.#settings);
      if (!/Connection refused|timed out|No route to host|Network is unreachable/.test(text)) break;
    }
    if (mayBeOfMirror(text)) await this.discard();
    throw failure;
  }

  async #ready(signal: AbortSignal): Promise<string> {
    if (this.#folder !== undefined) {
      const now = new Date();
      // Somebody may have tidied up the folder of temporary files.
      if (await utimes(this.#folder, now, now).then(() => true, () => false)) return this.#folder;
    }
    await prepareRoot(this.#root);
    await removeAbandoned(this.#root, this.#prefix);
    const folder = await mkdtemp(join(this.#root, this.#prefix));
    const { code, stderr } = await runGit(folder, { args: ['init', '--quiet', '--bare', '--template=', '--initial-branch=main'], signal, timeoutMs: localTimeoutMs });
    if (code !== 0) throw new KollectError('KOL_SINK_BUSY', `no mirror could be made below ${this.#root}: ${stderr.trim()}`);
    // Files that were not fetched are promised, not missing.
    await writeFile(join(folder, 'config'), '[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tpartialClone = kollect\n');
    this.#folder = folder;
    this.#isEmpty = true;
    this.#writes = 0;
    return folder;
  }

}

function givesNoSingleFiles(text: string): boolean {
  return /could not fetch|not our ref|unadvertised object/.test(text);
}

function linesOf(ids: readonly string[]): string[] {
  return [ids.map((id) => `${id}\n`).join('')];
}

/** The folder of all mirrors. It lies in `KOLLECT_GIT_MIRROR_DIR`, else in the folder of temporary files: either may be a volume that others can write to. */
export function mirrorRoot(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment['KOLLECT_GIT_MIRROR_DIR'] || tmpdir(), 'kollect-git-mirrors');
}

/** Throws `KOL_SINK_CONFIG` for a folder that others may write to: they could plant a repository with hooks and filters of theirs. */
async function prepareRoot(root: string): Promise<void> {
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new KollectError('KOL_SINK_CONFIG', `the folder ${root} for mirrors cannot be made: mount a volume that can be written, and name it in KOLLECT_GIT_MIRROR_DIR`, { cause });
  }
  const facts = await lstat(root);
  const uid = process.getuid?.() ?? facts.uid;
  if (!facts.isDirectory() || facts.uid !== uid || (facts.mode & 0o022) !== 0) throw new KollectError('KOL_SINK_CONFIG', `the folder ${root} for mirrors must be a folder of this user that others cannot write to`);
}

async function removeAbandoned(root: string, prefix: string): Promise<void> {
  for (const name of await readdir(root)) {
    if (!name.startsWith(prefix)) continue;
    const facts = await stat(join(root, name)).catch(() => undefined);
    if (facts !== undefined && Date.now() - facts.mtimeMs > abandonedMs) await rm(join(root, name), { recursive: true, force: true });
  }
}
