import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, realpath, rename, rmdir, unlink } from 'node:fs/promises';
import { dirname, join, sep } from 'node:path';
import { KollectError } from '../../../shared/errors.ts';
import { isPathWithin, type FileStore } from '../documents/file-store.ts';

/** A folder and the files below it. What leads out of it is refused, by whatever name or link. Throws `KollectError`. */
export class Folder implements FileStore {
  readonly root: string;
  /** Folders that were found to be below the root. */
  readonly #inside = new Set<string>();

  constructor(root: string) {
    this.root = root;
  }

  async read(path: string, maxBytes = Infinity): Promise<Uint8Array | undefined> {
    try {
      await using file = await open(this.#place(path));
      if (maxBytes === Infinity) return await file.readFile();
      const { bytesRead, buffer } = await file.read({ buffer: Buffer.alloc(maxBytes) });
      return buffer.subarray(0, bytesRead);
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw fileError(error);
    }
  }

  async *readAll(paths: readonly string[]): AsyncGenerator<readonly [string, Uint8Array]> {
    for (const path of paths) {
      const file = await this.read(path);
      if (file) yield [path, file];
    }
  }

  async list(folder: string): Promise<readonly string[]> {
    try {
      const entries = await readdir(folder === '' ? this.root : this.#place(folder), { withFileTypes: true });
      return entries.filter((entry) => entry.isFile()).map(({ name }) => name);
    } catch (error) {
      if (isMissing(error)) return [];
      throw fileError(error);
    }
  }

  /** Puts a file in its place at once, or leaves the one that is there when it is the same. Gives the bytes that were written, 0 for none. */
  async write(path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number> {
    const place = this.#place(path);
    const folder = dirname(place);
    const temporary = join(folder, `.kollect-${randomUUID()}.tmp`);
    try {
      await this.#create(folder);
      const size = await writeNew(temporary, bytes);
      if (await isSame(temporary, place)) {
        await unlink(temporary);
        return 0;
      }
      await rename(temporary, place);
      return size;
    } catch (error) {
      await unlink(temporary).catch(() => undefined);
      throw fileError(error);
    }
  }

  /** Removes a file, and the folders that are empty then. Tells whether there was one. */
  async remove(path: string): Promise<boolean> {
    const place = this.#place(path);
    try {
      const folder = dirname(place);
      if (!(await this.#isInside(folder))) throw outside(path);
      await unlink(place);
      for (let empty = folder; empty !== this.root; empty = dirname(empty)) {
        await rmdir(empty);
        this.#inside.delete(empty);
      }
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      // Others keep files there.
      if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) return true;
      throw fileError(error);
    }
  }

  #place(path: string): string {
    if (!isPathWithin(path)) throw outside(path);
    return join(this.root, path);
  }

  async #create(folder: string): Promise<void> {
    if (this.#inside.has(folder)) return;
    await mkdir(this.root, { recursive: true });
    // One at a time: a link must not lead the others elsewhere.
    if (folder !== this.root) {
      await this.#create(dirname(folder));
      await mkdir(folder).catch((error: unknown) => {
        if (codeOf(error) !== 'EEXIST') throw error;
      });
    }
    if (!(await this.#isInside(folder))) throw outside(folder);
    this.#inside.add(folder);
  }

  async #isInside(folder: string): Promise<boolean> {
    const [root, real] = await Promise.all([realpath(this.root), realpath(folder)]);
    return real === root || real.startsWith(`${root}${sep}`);
  }
}

/** What went wrong with a file, with its code and without the text of the system. */
export function fileError(error: unknown): KollectError {
  if (error instanceof KollectError) return error;
  const { code = 'unknown', path = '' } = error as NodeJS.ErrnoException;
  const isTerminal = ['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'EISDIR', 'ENAMETOOLONG', 'ELOOP'].includes(code);
  return new KollectError(isTerminal ? 'KOL_SINK_CONFIG' : 'KOL_SINK_UNAVAILABLE', `${path || 'a file'} could not be read or written (${code})`, { cause: error });
}

async function writeNew(path: string, bytes: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<number> {
  let size = 0;
  await using file = await open(path, 'wx', 0o644);
  for await (const piece of bytes) {
    await file.writeFile(piece);
    size += piece.length;
  }
  return size;
}

/** Compares piece by piece: documents may be larger than what should be in memory. */
async function isSame(path: string, other: string): Promise<boolean> {
  try {
    await using one = await open(path);
    await using two = await open(other);
    const [{ size }, { size: otherSize }] = await Promise.all([one.stat(), two.stat()]);
    if (size !== otherSize) return false;
    const pieces = [Buffer.alloc(pieceBytes), Buffer.alloc(pieceBytes)] as const;
    for (let at = 0; at < size; at += pieceBytes) {
      const [a, b] = await Promise.all([one.read(pieces[0], 0, pieceBytes, at), two.read(pieces[1], 0, pieceBytes, at)]);
      if (!a.buffer.subarray(0, a.bytesRead).equals(b.buffer.subarray(0, b.bytesRead))) return false;
    }
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

const pieceBytes = 64 * 1024;

function isMissing(error: unknown): boolean {
  return codeOf(error) === 'ENOENT';
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}

function outside(path: string): KollectError {
  return new KollectError('KOL_SINK_CONFIG', `${path} leads out of the folder`);
}
