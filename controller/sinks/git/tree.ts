import { KollectError } from '../../../shared/errors.ts';
import { inTurns } from '../../../shared/in-turns.ts';
import type { FileStore } from '../documents/file-store.ts';
import type { Mirror } from './mirror.ts';

/** The files of a commit; none at all when there is no commit yet. */
export class TipStore implements FileStore {
  readonly #mirror: Mirror;
  readonly commit: string | undefined;
  readonly #signal: AbortSignal;

  constructor(mirror: Mirror, commit: string | undefined, signal: AbortSignal) {
    this.#mirror = mirror;
    this.commit = commit;
    this.#signal = signal;
  }

  async read(path: string, maxBytes?: number): Promise<Uint8Array | undefined> {
    if (this.commit === undefined) return undefined;
    const id = (await filesAt(this.#mirror, this.commit, [path], this.#signal)).get(path);
    if (!id) return undefined;
    const content = await this.#mirror.content(id, this.#signal);
    return maxBytes === undefined ? content : content.subarray(0, maxBytes);
  }

  async *readAll(paths: readonly string[]): AsyncGenerator<readonly [string, Uint8Array]> {
    if (this.commit === undefined) return;
    const ids = await filesAt(this.#mirror, this.commit, paths, this.#signal);
    const there = paths.filter((path) => ids.get(path));
    let index = 0;
    for await (const file of this.#mirror.contents(there.map((path) => ids.get(path)!), this.#signal)) yield [there[index++]!, file];
  }

  async list(folder: string): Promise<readonly string[]> {
    if (this.commit === undefined) return [];
    const names: string[] = [];
    await inTurns(entriesOf(await folderAt(this.#mirror, this.commit, folder, this.#signal)), ({ name, mode }) => {
      if (mode !== folderMode) names.push(textOf(name));
    });
    return names;
  }
}

/** What a folder holds. */
export interface Entry {
  mode: string;
  /** Its bytes as characters: others may use any. */
  name: string;
  id: string;
}

const folderMode = '40000';
/** A plain file, as we write them. */
const plainMode = '100644';

/**
 * Which of some paths a commit holds, and what their files are called by git; `""` for what is there and is no plain file. Reads the folders on the way to them and
 * nothing else. Throws `KOL_SINK_CONFIG` where a file stands in place of a folder, or the other way round.
 */
export async function filesAt(mirror: Mirror, commit: string, paths: Iterable<string>, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let level = [{ path: '', id: `${commit}^{tree}`, wanted: await wantedOf(paths, 0) }];
  while (level.length > 0) {
    const folders = await readFolders(mirror, level.map(({ id }) => id), signal);
    const next: typeof level = [];
    for (const [index, { path, wanted }] of level.entries()) {
      const there: [Entry, Wanted][] = [];
      await inTurns(entriesOf(folders[index]!), (entry) => {
        const asked = wanted.get(entry.name);
        if (asked === undefined) return;
        const at = path === '' ? textOf(entry.name) : `${path}/${textOf(entry.name)}`;
        const isFolder = entry.mode === folderMode;
        if (asked.isFile && isFolder) throw clash(at, 'a folder', 'a file');
        if (asked.below.length > 0 && !isFolder) throw clash(at, 'a file', 'a folder');
        if (asked.isFile) found.set(at, entry.mode === plainMode ? entry.id : '');
        else there.push([entry, asked]);
      });
      for (const [{ name, id }, { below }] of there) {
        const at = path === '' ? textOf(name) : `${path}/${textOf(name)}`;
        next.push({ path: at, id, wanted: await wantedOf(below, at.length + 1) });
      }
    }
    level = next;
  }
  return found;
}

/**
 * The trees of folders in which very many files change, as they are after that, by their paths: undefined for one that is empty then. Git fast-import looks at all
 * files of a folder for each of them. Undefined when there are such and `isBlind`.
 *
 * @param commit in which they are as before; undefined for none
 * @param changes what the files are called by git; undefined for those that go
 */
export async function crowdedFolders(mirror: Mirror, commit: string | undefined, changes: ReadonlyMap<string, string | undefined>, signal: AbortSignal, isBlind = false): Promise<Map<string, string | undefined> | undefined> {
  const counts = new Map<string, number>();
  await inTurns(changes.keys(), (path) => counts.set(folderOf(path), (counts.get(folderOf(path)) ?? 0) + 1));
  const crowded = new Map([...counts].flatMap(([folder, count]) => (count > crowd ? [[folder, new Map<string, Entry>()] as const] : [])));
  if (crowded.size === 0) return new Map();
  if (isBlind) return undefined;
  for (const [folder, entries] of crowded) {
    if (commit === undefined) continue;
    await inTurns(entriesOf(await folderAt(mirror, commit, folder, signal)), (entry) => entries.set(entry.name, entry));
  }
  await inTurns(changes, ([path, id]) => {
    const folder = folderOf(path);
    const name = binary(path.slice(folder === '' ? 0 : folder.length + 1));
    if (id === undefined) crowded.get(folder)?.delete(name);
    else crowded.get(folder)?.set(name, { mode: plainMode, name, id });
  });
  const trees = new Map<string, string | undefined>();
  for (const [folder, entries] of crowded) trees.set(folder, entries.size === 0 ? undefined : await mirror.makeTree(treeLines(entries.values()), signal));
  return trees;
}

/** More changes in one folder than this make it crowded: of 100,000 files that are there, a second for fast-import. */
const crowd = 2_000;

export function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

function* treeLines(entries: Iterable<Entry>): Generator<Uint8Array> {
  for (const { mode, name, id } of entries) yield Buffer.from(`${mode} ${mode === folderMode ? 'tree' : mode === '160000' ? 'commit' : 'blob'} ${id}\t${name}\0`, 'latin1');
}

interface Wanted {
  isFile: boolean;
  /** Paths of what is wanted below it. */
  below: string[];
}

/** By the names of what begins at a character of the paths. */
async function wantedOf(paths: Iterable<string>, start: number): Promise<Map<string, Wanted>> {
  const wanted = new Map<string, Wanted>();
  await inTurns(paths, (path) => {
    const slash = path.indexOf('/', start);
    const name = binary(path.slice(start, slash < 0 ? undefined : slash));
    let entry = wanted.get(name);
    if (entry === undefined) wanted.set(name, (entry = { isFile: false, below: [] }));
    if (slash < 0) entry.isFile = true;
    else entry.below.push(path);
  });
  return wanted;
}

/** The content of a folder; nothing where there is none. */
async function folderAt(mirror: Mirror, commit: string, folder: string, signal: AbortSignal): Promise<Buffer> {
  let id = `${commit}^{tree}`;
  for (const part of folder === '' ? [] : folder.split('/')) {
    const name = binary(part);
    const entry = entriesOf((await readFolders(mirror, [id], signal))[0]!).find((one) => one.name === name && one.mode === folderMode);
    if (entry === undefined) return Buffer.alloc(0);
    ({ id } = entry);
  }
  return (await readFolders(mirror, [id], signal))[0]!;
}

/** What folders hold is never another: those that many inventories look at are read once. */
async function readFolders(mirror: Mirror, ids: readonly string[], signal: AbortSignal): Promise<Buffer[]> {
  const { folders } = mirror;
  const known = ids.map((id) => folders.get(id));
  const lacking = ids.filter((_, index) => known[index] === undefined);
  const read = lacking.length === 0 ? [] : await mirror.trees(lacking, signal);
  // Copied, because a part keeps the whole.
  for (const [index, folder] of read.entries()) if (folder.length <= keptBytes) folders.set(lacking[index]!, Buffer.from(folder));
  while (folders.size > keptFolders) folders.delete(folders.keys().next().value!);
  return known.map((folder) => folder ?? read.shift()!);
}

/** Folders that are kept, and how large they may be: those above the files of many inventories. */
const [keptFolders, keptBytes] = [64, 64 * 1024];

/** Entries of a tree object: mode, blank, name, NUL, and the 20 bytes of the name of what it holds. */
function* entriesOf(tree: Buffer): Generator<Entry> {
  for (let at = 0; at < tree.length; ) {
    const blank = tree.indexOf(0x20, at);
    const nul = tree.indexOf(0, blank);
    yield { mode: tree.toString('latin1', at, blank), name: tree.toString('latin1', blank + 1, nul), id: tree.toString('hex', nul + 1, nul + 21) };
    at = nul + 21;
  }
}

function binary(text: string): string {
  return Buffer.from(text).toString('latin1');
}

function textOf(name: string): string {
  return Buffer.from(name, 'latin1').toString();
}

function clash(path: string, there: string, wanted: string): KollectError {
  return new KollectError('KOL_SINK_CONFIG', `the branch holds ${there} at ${JSON.stringify(path)}, where the export needs ${wanted}: move it, or change the template of the path`);
}
