import type { Dirent } from 'node:fs';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Readable } from 'node:stream';
import { isKustomization, patchFiles } from './kustomization.ts';
import type { Source } from './source.ts';

/** Some seconds to read. An API server takes objects of 3 MiB at most; whole installations are one or two. */
const maxFileBytes = 8 * 1024 * 1024;
/** In folders. Whoever names more means something else, such as the root of a disk. */
const maxFiles = 10_000;

/** What stands for standard input among arguments. */
const standardInput = '-';

interface Skipped {
  name: string;
  why: string;
}

export interface ReadFiles {
  sources: readonly Source[];
  /** What lay in folders and was left out, and why. */
  skipped: readonly Skipped[];
}

/** A file to read, standard input, or why there is none. */
export type FoundFile = { name: string; isNamed: boolean; isStandardInput: boolean } | (Source & { problem: string });

/**
 * Reads files, folders with everything below them, and standard input. What cannot be read is a source with a problem. In folders only YAML
 * and JSON counts, without hidden names, `node_modules` and kustomizations.
 */
export async function readFiles(paths: readonly string[], stdin: Readable): Promise<ReadFiles> {
  const { files, skipped } = await findFiles(paths);
  // One after another: so many files at once are more than a process may have open.
  const sources: Source[] = [];
  for (const file of files) sources.push('problem' in file ? file : file.isStandardInput ? await readStream(stdin) : await readOne(file.name, file.isNamed));
  return { sources, skipped };
}

/** The files that `readFiles` reads, in its order. */
export async function findFiles(paths: readonly string[]): Promise<{ files: readonly FoundFile[]; skipped: readonly Skipped[] }> {
  // A file may be named, and lie in a folder that is named.
  const files = new Map<string, FoundFile>();
  const skipped: Skipped[] = [];
  for (const path of new Set(paths)) {
    if (path === standardInput) files.set(path, { name: 'stdin', isNamed: true, isStandardInput: true });
    else if (!(await isFolder(path))) files.set(resolve(path), { name: path, isNamed: true, isStandardInput: false });
    else for (const file of await findInFolder(path, skipped)) if (!files.has(resolve(file.name))) files.set(resolve(file.name), file);
  }
  return { files: [...files.values()], skipped };
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    return false;
  }
}

async function findInFolder(folder: string, skipped: Skipped[]): Promise<FoundFile[]> {
  const files: string[] = [];
  const patches = new Set<string>();
  const folders = [folder];
  try {
    for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
      const entries = (await readdir(next, { withFileTypes: true })).toSorted((a, b) => (a.name < b.name ? -1 : 1));
      for (const entry of entries.toReversed()) {
        const path = join(next, entry.name);
        if (isKustomization(entry.name)) for (const patch of patchFiles((await readOne(path, false)).text)) patches.add(join(next, patch));
        const why = await leftOut(entry, path);
        if (why !== undefined) skipped.push({ name: path, why });
        else if (entry.isDirectory()) folders.push(path);
        else if (/\.(?:ya?ml|json)$/i.test(entry.name)) files.push(path);
      }
      if (files.length > maxFiles) return [problem(folder, `has more than ${maxFiles} files; name the folders that hold the objects`)];
    }
  } catch (error) {
    return [problem(folder, `cannot be read: ${reason(error)}`)];
  }
  if (files.length === 0) return [problem(folder, 'holds no file that ends with .yaml, .yml or .json')];
  for (const name of files.filter((file) => patches.has(file))) skipped.push({ name, why: 'a patch of a kustomization is a part of an object' });
  return files.filter((name) => !patches.has(name)).toSorted().map((name) => ({ name, isNamed: false, isStandardInput: false }));
}

async function leftOut(entry: Dirent, path: string): Promise<string | undefined> {
  if (isKustomization(entry.name)) return 'a kustomization is no object; to lint what it builds: kubectl kustomize <folder> | kollect lint -';
  if (entry.name === 'node_modules') return 'holds packages, not manifests';
  if (entry.name.startsWith('.')) return 'hidden';
  // A link to a file is read; one to a folder could lead anywhere, and around in circles.
  if (entry.isSymbolicLink() && (await isFolder(path))) return 'a link to a folder; name the folder itself to lint it';
  return undefined;
}

async function readOne(name: string, isNamed: boolean): Promise<Source> {
  try {
    const { size } = await stat(name);
    if (size > maxFileBytes) return problem(name, tooLarge);
    return { name, text: await readFile(name, 'utf8'), isNamed };
  } catch (error) {
    return problem(name, `cannot be read: ${reason(error)}`);
  }
}

async function readStream(stream: Readable): Promise<Source> {
  const name = 'stdin';
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > maxFileBytes) return problem(name, tooLarge);
      chunks.push(chunk);
    }
  } catch (error) {
    return problem(name, `cannot be read: ${reason(error)}`);
  }
  return { name, text: Buffer.concat(chunks).toString(), isNamed: true };
}

const tooLarge = `has more than ${maxFileBytes / 1024 / 1024} MiB; split it`;

function problem(name: string, why: string): Source & { problem: string } {
  return { name, text: '', problem: why, isNamed: true };
}

/** Why a file cannot be read. */
export function reason(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  switch (code) {
    case 'ENOENT':
      return 'there is no such file or folder';
    case 'EACCES':
      return 'permission denied';
    default:
      return error instanceof Error ? error.message : String(error);
  }
}
