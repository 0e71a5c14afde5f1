import { KollectError } from '../../../shared/errors.ts';
import type { FileStore } from '../documents/file-store.ts';
import type { Mirror } from './mirror.ts';

/** The files of a commit; none at all when there is no commit yet. */
export class TipStore implements FileStore {
  readonly #mirror: Mirror;
  readonly #commit: string | undefined;
  readonly #signal: AbortSignal;

  constructor(mirror: Mirror, commit: string | undefined, signal: AbortSignal) {
    this.#mirror = mirror;
    this.#commit = commit;
    this.#signal = signal;
  }

  async read(path: string, maxBytes?: number): Promise<Uint8Array | undefined> {
    if (this.#commit === undefined) return undefined;
    const id = (await filesAt(this.#mirror, this.#commit, [path], this.#signal)).get(path);
    if (!id) return undefined;
    const content = await this.#mirror.content(id, this.#signal);
    return maxBytes === undefined ? content : content.subarray(0, maxBytes);
  }

  async list(folder: string): Promise<readonly string[]> {
    if (this.#commit === undefined) return [];
    let id = `${this.#commit}^{tree}`;
    for (const name of folder === '' ? [] : folder.split('/')) {
      const entry = (await readFolders(this.#mirror, [id], this.#signal))[0]?.get(name);
      if (!entry?.isFolder) return [];
      id = entry.id;
    }
    const [entries] = await readFolders(this.#mirror, [id], this.#signal);
    return [...(entries ?? [])].flatMap(([name, { isFolder }]) => (isFolder ? [] : [name]));
  }
}

interface Entry {
  isFolder: boolean;
  /** A plain file, as we write them. */
  isPlain: boolean;
  id: string;
}

/**
 * Which of some paths a commit holds, and what their files are called by git; `""` for what is there and is no plain file. Reads the folders on the way to them and
 * nothing else. Throws `KOL_SINK_CONFIG` where a file stands in place of a folder, or the other way round.
 */
export async function filesAt(mirror: Mirror, commit: string, paths: Iterable<string>, signal: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  let level = [{ path: '', id: `${commit}^{tree}`, wanted: wantedOf([...paths].map((path) => path.split('/'))) }];
  while (level.length > 0) {
    const folders = await readFolders(mirror, level.map(({ id }) => id), signal);
    const next: typeof level = [];
    for (const [index, { path, wanted }] of level.entries()) {
      for (const [name, { isFile, below }] of wanted) {
        const entry = folders[index]?.get(name);
        if (entry === undefined) continue;
        const at = path === '' ? name : `${path}/${name}`;
        if (isFile && entry.isFolder) throw clash(at, 'a folder', 'a file');
        if (below.length > 0 && !entry.isFolder) throw clash(at, 'a file', 'a folder');
        if (isFile) found.set(at, entry.isPlain ? entry.id : '');
        if (below.length > 0) next.push({ path: at, id: entry.id, wanted: wantedOf(below) });
      }
    }
    level = next;
  }
  return found;
}

interface Wanted {
  isFile: boolean;
  /** What is wanted below it, as parts of paths. */
  below: string[][];
}

function wantedOf(paths: readonly string[][]): Map<string, Wanted> {
  const wanted = new Map<string, Wanted>();
  for (const [name = '', ...rest] of paths) {
    let entry = wanted.get(name);
    if (entry === undefined) wanted.set(name, (entry = { isFile: false, below: [] }));
    if (rest.length === 0) entry.isFile = true;
    else entry.below.push(rest);
  }
  return wanted;
}

async function readFolders(mirror: Mirror, ids: readonly string[], signal: AbortSignal): Promise<Map<string, Entry>[]> {
  const { stdout } = await mirror.local({ args: ['cat-file', '--batch'], stdin: [ids.map((id) => `${id}\n`).join('')], signal });
  const folders: Map<string, Entry>[] = [];
  for (let at = 0; at < stdout.length; ) {
    const lineEnd = stdout.indexOf(0x0a, at);
    const [, type, size] = stdout.toString('latin1', at, lineEnd).split(' ');
    if (type !== 'tree') throw new KollectError('KOL_SINK_BUSY', 'a folder of the branch is missing in the mirror');
    const end = lineEnd + 1 + Number(size);
    folders.push(entriesOf(stdout.subarray(lineEnd + 1, end)));
    at = end + 1;
  }
  return folders;
}

/** Entries of a tree object: mode, blank, name, NUL, and the 20 bytes of the name of what it holds. */
function entriesOf(tree: Buffer): Map<string, Entry> {
  const entries = new Map<string, Entry>();
  for (let at = 0; at < tree.length; ) {
    const blank = tree.indexOf(0x20, at);
    const nul = tree.indexOf(0, blank);
    const mode = tree.toString('latin1', at, blank);
    entries.set(tree.toString('utf8', blank + 1, nul), { isFolder: mode === '40000', isPlain: mode === '100644', id: tree.toString('hex', nul + 1, nul + 21) });
    at = nul + 21;
  }
  return entries;
}

function clash(path: string, there: string, wanted: string): KollectError {
  return new KollectError('KOL_SINK_CONFIG', `the branch holds ${there} at ${JSON.stringify(path)}, where the export needs ${wanted}: move it, or change the template of the path`);
}
